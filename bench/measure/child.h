/*
 * This program started anew, for what may take a process down: a GPU fault ends all that a process
 * can do with the GPU, and a driver may crash or hang.
 */
#ifndef REFILL_BENCH_MEASURE_CHILD_H
#define REFILL_BENCH_MEASURE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CHILD_OUTPUT_BYTES 16384 /* of output that is kept: its end */

struct child {
  int exit_code; /* -1 where a signal ended it */
  int signal;    /* 0: none */
  bool timed_out;
  double seconds;
  char output[CHILD_OUTPUT_BYTES]; /* standard output and error, as they came */
};

/* Runs this program with arguments[1..], NULL at the end, and waits until it ends; it is killed
 * after timeout_s, or when the user interrupts. Returns 0 however it ended, or an error where it
 * could not be started. */
int child_run(struct child *child, const char *const *arguments, double timeout_s,
              struct error *error);

/* The last line of its output that says something (no warning), into line[bytes]. */
void child_last_line(const struct child *child, char *line, size_t bytes);

#endif
