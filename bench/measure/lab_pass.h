/*
 * One pass of the storage lab: pages read, written, or both, from and to a target's members at
 * full depth, for a time or for K requests; nothing is computed beside it.
 *
 * One thread drives a ring for each member. Pages are walked in a seeded order over the whole
 * working set, which no read-ahead helps and no cache smaller than it holds; writes are in order,
 * as a prefill makes them.
 *
 * Every page that was read is looked at in places, and as many are checked whole as that costs
 * nothing: there are more buffers than requests, so that a page waits in its own until the thread
 * has nothing else to do or, where no processor is idle beside it, until the clock has stopped
 * (lab_check.c). What that leaves out is counted, so that a row says what share was checked. A
 * pass that checks nothing is made beside, so that their rates tell what checking costs. Written
 * pages are read back when the pass is over.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_PASS_H
#define REFILL_BENCH_MEASURE_LAB_PASS_H

#include <sched.h>

#include "bench/measure/lab_target.h"
#include "bench/measure/latency.h"
#include "io/engine.h"
#include "io/page_pool.h"

#define LAB_ENGINE_BYTES 96
#define LAB_STREAMS_MAX 256
#define LAB_PLACE_BYTES (PATH_MAX + 64)    /* how a file is named to a person */
#define LAB_BACK_BYTES ((uint64_t)4 << 30) /* of a pass's new pages, read back after it */

enum lab_rw { LAB_READ, LAB_WRITE, LAB_MIXED };
enum lab_layout {
  LAB_LAYER_MAJOR,
  LAB_TOKEN_MAJOR,
  LAB_FILE_PER_PAGE, /* each page of a layer is a file: opened, moved and closed in its time */
  LAB_LAYOUTS
};
enum lab_sync { LAB_SYNC_NEVER, LAB_SYNC_END, LAB_SYNC_LAYER };

/* Which of the pages that a pass reads are checked. */
enum lab_check {
  LAB_CHECK_LAST, /* those that lie in the buffers when it is over */
  LAB_CHECK_IDLE, /* and those that it costs no rate to check: see lab_check.c */
  LAB_CHECK_ALL   /* each, before its buffer is used again: on the timed path if need be */
};

/* What a row varies. */
struct lab_setting {
  char engine[LAB_ENGINE_BYTES];
  size_t payload_bytes; /* one layer's share of a page: K and V of its tokens */
  double page_tokens;   /* that it holds */
  int layers;
  int queue_depth; /* of each member */
  enum lab_layout layout;
  enum lab_rw rw;
  enum lab_sync sync;       /* of writes: fdatasync never, at the pass's end, after each layer */
  bool fresh;               /* write to an empty file, not one written before */
  bool preallocate;         /* its blocks are allocated before */
  int64_t pages_per_layer;  /* of one request, over all members */
  int streams;              /* requests at once; 0: one that ends with the time */
  bool fair;                /* streams take turns by page; else first come, first served */
  double write_bytes_per_s; /* of LAB_MIXED: what a prefill would produce */
  uint64_t seed;
  double io_timeout_s;
};

/* How pages lie in a member. */
struct lab_geometry {
  uint64_t unit_bytes; /* a page (layer-major), or a page of all layers (token-major) */
  uint64_t n_units;
  int pieces;          /* of a unit: 1, or one for each layer */
  size_t slot_bytes;   /* the largest request */
  size_t buffer_bytes; /* that a read, or reading a written page back, takes */
  int n_hold;          /* read pages that may wait to be checked, in buffers beside the queue's */
  uint64_t n_writes;   /* pages that an output holds, each write_bytes */
  size_t write_bytes;  /* of one written page */
  int64_t sync_pages;  /* that each member writes of a layer of a request: what its sync covers */
};

/* Where a wrong byte was first seen. */
struct lab_wrong {
  char path[LAB_PLACE_BYTES]; /* "": nowhere */
  uint64_t offset_bytes;      /* of its block in the file */
  uint64_t page;
};

struct lab_pass_result {
  double seconds;     /* first submission to last completion, syncs included */
  double cpu_s;       /* of the process, without checks */
  double check_s;     /* of the pass that went into checking pages */
  double check_cpu_s; /* of a processor, likewise: less, where others had it meanwhile */
  double spare_cpus;  /* processors that were idle, or busy with checks; NaN unknown */
  uint64_t read_bytes, write_bytes;
  uint64_t useful_read_bytes; /* without what rounding to blocks adds */
  int64_t checked_blocks, wrong_blocks;
  struct lab_wrong wrong;
  int64_t short_count, retry_count;
  int n_streams;
  double stream_s[LAB_STREAMS_MAX];
  struct latency read_latency, write_latency; /* submission to completion of one request */
};

/* One member: its ring, its memory, and where it stands. */
struct lab_lane {
  const struct lab_member *member;
  const struct lab_output *output; /* NULL: none, or pages are files */
  const struct lab_pages *pages;   /* NULL: they are not */
  struct io_engine *engine;
  struct page_pool reads; /* queue_depth + n_hold slots */
  struct page_pool writes;
  struct lab_slot *slots; /* [reads.n_slots + queue_depth] reads, then writes */
  int *held;              /* [n_hold] read slots that wait to be checked, a ring */
  int held_first, n_held;
  size_t held_done_bytes; /* of the first of them, that were checked */
  struct io_request *requests;
  struct io_completion *completions;
  uint32_t *order;                            /* [n_units] */
  uint64_t read_base_bytes, write_base_bytes; /* where data and output begin in their files */
  uint64_t read_cursor, write_cursor;
  uint64_t write_first;                      /* cursor at the pass's start */
  uint64_t writes_left;                      /* before an output is full */
  uint64_t reads_left;                       /* before the lane's pass ends; UINT64_MAX: never */
  uint64_t back_first, back_step, back_left; /* pages that are still to be read back */
  int under_way;
  int64_t unsynced;
  bool sync_due, syncing;
  uint64_t issued, completed, read_bytes; /* since the pass began */
};

struct lab_bench {
  struct lab_setting setting;
  struct lab_geometry geometry;
  int n_lanes;
  struct lab_lane lanes[LAB_MEMBERS_MAX];
  bool gave_up; /* a drive did not answer in time: nobody waits for it again */
  bool bound;   /* the thread was: where it may run else */
  cpu_set_t unbound;
  /* of the pass under way */
  struct lab_pass_result *result;
  double now_s, start_s, deadline_s;
  enum lab_check check;
  bool checks_in_time; /* pages are checked before it is over */
  double idle_start_s; /* of all processors */
  bool over;
  bool reading_back;   /* the pages that the pass wrote */
  uint32_t generation; /* of written pages: the pass that wrote them */
  uint64_t n_issued;   /* requests so far: which is the oldest */
  int64_t stream_left[LAB_STREAMS_MAX], stream_open[LAB_STREAMS_MAX];
  int next_stream;
};

/* -EINVAL where the members are too small for one page (message names both), or hold more than
 * 2^32 - 1. */
int lab_geometry_of(struct lab_geometry *geometry, const struct lab_target *target,
                    const struct lab_setting *setting, struct error *error);

/* Memory that a row needs for its pages, of each member. */
uint64_t lab_buffers_bytes(const struct lab_setting *setting, const struct lab_geometry *geometry);

/* Engines, memory and order for a setting: everything that a pass needs. Until it is closed the
 * calling thread runs near the members, where --bind says so and all are on one node. */
int lab_bench_open(struct lab_bench *bench, struct lab_target *target,
                   const struct lab_setting *setting, struct error *error);
void lab_bench_close(struct lab_bench *bench);

/* One pass of about time_s seconds (or of all streams), going on in the order where the last one
 * ended. `spare_cpus`: that were idle in a pass before it (NaN unknown).
 * Allocates nothing. */
int lab_bench_pass(struct lab_bench *bench, double time_s, enum lab_check check, double spare_cpus,
                   struct lab_pass_result *result, struct error *error);

/* Bytes that the pass read through the drive of a lane: through those of all members that are on
 * it, since a drive counts them together. */
uint64_t lab_bench_drive_bytes(const struct lab_bench *bench, int lane);

/* After a pass that wrote: reads its pages back, all of them up to a bound (LAB_BACK_BYTES), beyond
 * it evenly spread ones, and checks them; adds to the result's counts. What was written over
 * within the pass is gone. */
int lab_bench_read_back(struct lab_bench *bench, struct lab_pass_result *result,
                        struct error *error);

#endif
