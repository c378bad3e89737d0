/*
 * The storage lab as tables, as JSON, and as an answer.
 */
#ifndef REFILL_BENCH_PRESENT_STORAGE_REPORT_H
#define REFILL_BENCH_PRESENT_STORAGE_REPORT_H

#include <jansson.h>

#include "bench/measure/lab_summary.h"
#include "bench/present/table.h"
#include "bench/present/warnings.h"

/* One row each; and one line a target, at `alpha` (NaN: at each target's alpha*). */
struct table *storage_rows_table(const struct storage_lab *lab);
struct table *storage_targets_table(const struct storage_lab *lab,
                                    const struct lab_compute *compute, double alpha);

void storage_to_json(const struct storage_lab *lab, const struct lab_compute *compute,
                     json_t *result);

void storage_warn(const struct storage_lab *lab, const struct lab_compute *compute,
                  struct warnings *warnings);

/* Each row's fio command, a line each. */
void storage_print_fio(const struct storage_lab *lab, FILE *stream);

/* What stays in the targets for later runs: space, where, and how to remove it. */
void storage_tell_kept(const struct storage_lab *lab, FILE *stream);

/* How a row read or wrote: "uring, 1.00 MiB, depth 32"; "" for NULL. */
void storage_name_setting(const struct lab_row *row, char *text, size_t bytes);

/* Which target is fastest, by what setting, and what that comes to; also how often and how long
 * was measured. */
#define STORAGE_ANSWER_BYTES 1024
char *storage_answer(const struct storage_lab *lab, const struct lab_compute *compute, double alpha,
                     char text[STORAGE_ANSWER_BYTES]);

#endif
