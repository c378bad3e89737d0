/*
 * The whole working set, each block by its CRC, after the last round and beside every clock: what
 * the timed passes had no time to check.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_WHOLE_H
#define REFILL_BENCH_MEASURE_LAB_WHOLE_H

#include "bench/measure/storage_lab.h"

/* Seconds that this is expected to take. */
double lab_whole_s(const struct storage_lab *lab);

/* Reads all data that rows have read from, once, in about limit_s seconds at most, and notes it in
 * each target; what is wrong is counted in the first row that read from there. `before` is told
 * that row. Targets of which no CRCs are known, and what an engine cannot do, are left out. -EINTR
 * where `interrupted` says so; a failure of a drive is the run's. */
int lab_whole_check(struct storage_lab *lab, double limit_s, int (*interrupted)(void),
                    void (*before)(void *context, const struct lab_row *row), void *context,
                    struct error *error);

#endif
