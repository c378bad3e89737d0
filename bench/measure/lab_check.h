/*
 * Checking what a pass read and wrote, beside the timed path and not on it.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_CHECK_H
#define REFILL_BENCH_MEASURE_LAB_CHECK_H

#include "bench/measure/lab_lane.h"

/* A pass begins; `spare_cpus` processors were idle in the one before (NaN unknown). */
void lab_check_begin(struct lab_bench *bench, double spare_cpus);

/* A read has landed in `slot`: it is checked, waits for that, or is given back unchecked. */
void lab_check_landed(struct lab_bench *bench, struct lab_lane *lane, int slot);

/* A written page was read back into `slot`. */
void lab_check_back(struct lab_bench *bench, struct lab_lane *lane, int slot);

/* True while there are pages to check and the time for it. */
bool lab_check_is_due(struct lab_bench *bench);

/* Checks a piece of the page that waits longest: some microseconds. */
void lab_check_piece(struct lab_bench *bench);

/* The pass is over, its clock stopped: checks all that still lies in the buffers, and notes what
 * processors were idle. */
void lab_check_end(struct lab_bench *bench);

#endif
