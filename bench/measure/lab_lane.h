/*
 * One member's share of a pass: its requests, its memory, and the checks of what landed there.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_LANE_H
#define REFILL_BENCH_MEASURE_LAB_LANE_H

#include "bench/measure/lab_pass.h"

/* What a slot of memory holds or receives. */
struct lab_slot {
  uint64_t at_bytes; /* within the member's data or output */
  size_t bytes;      /* 0: nothing since the pass began */
  size_t useful_bytes;
  int stream;
};

/* The next page to read or write; a slot is free. The tag is the slot's index in lane->slots. */
void lab_lane_read(struct lab_bench *bench, struct lab_lane *lane, int stream,
                   struct io_request *request);
void lab_lane_write(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request);

/* Checks what lies in a read slot; adds to the result's counts. */
void lab_lane_check(const struct lab_lane *lane, int slot, struct lab_pass_result *result);

/* Forgets what read slots hold. */
void lab_lane_forget(struct lab_lane *lane, int queue_depth);

#endif
