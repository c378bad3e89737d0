/*
 * What fio would be told to do the same as a row, and running it.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_FIO_H
#define REFILL_BENCH_MEASURE_LAB_FIO_H

#include <stdbool.h>

#include "base/error.h"
#include "bench/measure/storage_lab.h"

#define FIO_ARGUMENTS_MAX (32 + 4 * LAB_MEMBERS_MAX)
#define FIO_TEXT_BYTES 32768 /* as many long names as there may be members */

struct lab_fio {
  int argc;
  char *argv[FIO_ARGUMENTS_MAX + 1]; /* into text */
  size_t used;
  bool overflow;
  bool small_pages;     /* its buffers lie on 4 KiB pages, since no huge ones are free: slower */
  long long huge_pages; /* of 2 MiB, that its buffers need */
  char text[FIO_TEXT_BYTES];
};

struct lab_fio_rate {
  double bytes_per_s, cpu_s_per_gb; /* 0: fio could not be asked */
};

/* The command for one pass of time_s; of a stripe a job for each member. False where fio has no
 * equivalent (mixed rows, pages as files, emulated engines). `here`: of this process's unnamed
 * files; else with a file to be made, for a person to type. */
bool lab_fio_command(struct lab_fio *fio, const struct lab_target *target,
                     const struct lab_row *row, double time_s, bool here);

/* The command as one line for a shell; returns text. */
char *lab_fio_line(const struct lab_fio *fio, char *text, size_t text_bytes);

/* Runs it. -ENOTSUP where there is no fio; -EIO with its own words where it failed; -EINTR where
 * the user interrupts, which ends it. */
int lab_fio_run(const struct lab_fio *fio, struct lab_fio_rate *rate, struct error *error);

/* Reads fio's JSON. False where it is none. */
bool lab_fio_parse(const char *text, struct lab_fio_rate *rate);

#endif
