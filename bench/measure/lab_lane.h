/*
 * One member's share of a pass: its requests, its memory, and how a request is named to a person.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_LANE_H
#define REFILL_BENCH_MEASURE_LAB_LANE_H

#include "bench/measure/lab_pass.h"

#define LAB_TAG_SYNC UINT64_MAX /* no slot's */

/* What a slot of memory holds or receives. */
struct lab_slot {
  uint64_t at_bytes; /* within the member's data or output */
  size_t bytes;      /* 0: nothing since the pass began, or checked */
  size_t useful_bytes;
  uint64_t page;
  int layer; /* of a page of all layers; -1: the page is of one */
  int stream;
  uint64_t issued; /* which request of the pass, from 1; 0: not under way */
};

/* What each block of a written page begins with: one of an earlier pass, or of a page that was
 * written in part, is found. The page's number stands in every LAB_STAMP_BYTES of it alone: to
 * touch each block while the clock runs doubled the processor time of large writes. */
#define LAB_STAMP_BYTES ((size_t)128 << 10)
struct lab_stamp {
  uint64_t page;
  uint32_t generation;
  uint32_t slot;
};

/* Opens a lane over a member: memory, order and engine; the bench has setting and geometry. */
int lab_lane_open(struct lab_bench *bench, struct lab_lane *lane, const struct lab_member *member,
                  struct error *error);

/* Waits for what is under way, for timeout_s at most, and frees all. What a drive has not answered
 * by then keeps its memory until the process ends. */
void lab_lane_close(struct lab_lane *lane, double timeout_s);

/* The next page to read, to write, or (false: none left) to read back; a slot is free. The tag is
 * the slot's index in lane->slots. */
void lab_lane_read(struct lab_bench *bench, struct lab_lane *lane, int stream,
                   struct io_request *request);
void lab_lane_write(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request);
bool lab_lane_read_back(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request);

/* Stamps all that a lane will write with the pass that begins. */
void lab_lane_stamp(struct lab_lane *lane, uint32_t generation);

/* Which of its pages a lane is to read back. */
void lab_lane_plan_back(const struct lab_bench *bench, struct lab_lane *lane);

/* True for the tag of a read. */
bool lab_lane_is_read(const struct lab_lane *lane, uint64_t tag);

/* Slots of reads and writes. */
int lab_lane_slots(const struct lab_lane *lane);

/* The file that holds byte at_bytes of a lane's data (`written`: of its new pages), and where. */
void lab_lane_place(const struct lab_bench *bench, const struct lab_lane *lane, bool written,
                    uint64_t at_bytes, char path[LAB_PLACE_BYTES], uint64_t *offset_bytes);

/* Notes `code` with what was asked: direction, bytes, file, offset and page. `why` follows. */
int lab_lane_fault(const struct lab_bench *bench, const struct lab_lane *lane, uint64_t tag,
                   int code, const char *why, struct error *error);

/* -ETIMEDOUT, naming the oldest request under way and how many wait with it. */
int lab_lane_hangs(const struct lab_bench *bench, struct error *error);

#endif
