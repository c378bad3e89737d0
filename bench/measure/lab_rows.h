/*
 * The cross product of a lab's list-valued options, as rows.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_ROWS_H
#define REFILL_BENCH_MEASURE_LAB_ROWS_H

#include "bench/measure/storage_lab.h"

/* Lists the rows into lab->rows (allocated). -EINVAL where there are none or more than
 * LAB_ROWS_MAX, with their number. What cannot be measured on a target is listed with its reason.
 */
int lab_rows_plan(struct storage_lab *lab, struct error *error);

/* Files for new pages that the options' rows need. */
int lab_rows_outputs(const struct options *options);

#endif
