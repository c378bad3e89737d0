/*
 * One pass of the storage lab: pages read, written, or both, from and to a target's members at
 * full depth, for a time or for K requests; nothing is computed beside it.
 *
 * One thread drives a ring for each member. Pages are walked in a seeded order over the whole
 * working set, which no read-ahead helps and no cache smaller than it holds; writes are in order,
 * as a prefill makes them. Checking is off the timed path: what still lies in the buffers at a
 * pass's end is checked then, and a pass that checks every page as it lands is made beside, so
 * that its rate tells what checking costs.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_PASS_H
#define REFILL_BENCH_MEASURE_LAB_PASS_H

#include "base/placement.h"
#include "bench/measure/lab_target.h"
#include "bench/measure/latency.h"
#include "io/engine.h"
#include "io/page_pool.h"

#define LAB_ENGINE_BYTES 96
#define LAB_STREAMS_MAX 256

enum lab_rw { LAB_READ, LAB_WRITE, LAB_MIXED };
enum lab_layout { LAB_LAYER_MAJOR, LAB_TOKEN_MAJOR };
enum lab_sync { LAB_SYNC_NEVER, LAB_SYNC_END, LAB_SYNC_LAYER };

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
  int64_t pages_per_layer;  /* of one request: what a layer's sync covers, what a stream reads */
  int streams;              /* requests at once; 0: one that ends with the time */
  bool fair;                /* streams take turns by page; else first come, first served */
  double write_bytes_per_s; /* of LAB_MIXED: what a prefill would produce */
  uint64_t seed;
  double io_timeout_s;
  const struct placement *placement;
};

/* How pages lie in a member. */
struct lab_geometry {
  uint64_t unit_bytes; /* a page (layer-major), or a page of all layers (token-major) */
  uint64_t n_units;
  int pieces;         /* of a unit: 1, or one for each layer */
  size_t slot_bytes;  /* the largest request */
  uint64_t n_writes;  /* pages that an output holds, each write_bytes */
  size_t write_bytes; /* of one written page */
};

struct lab_pass_result {
  double seconds; /* first submission to last completion, syncs included */
  double cpu_s;   /* of the process */
  uint64_t read_bytes, write_bytes;
  uint64_t useful_read_bytes; /* without what rounding to blocks adds */
  int64_t checked_blocks, wrong_blocks;
  int64_t short_count, retry_count;
  int n_streams;
  double stream_s[LAB_STREAMS_MAX];
  struct latency read_latency, write_latency; /* submission to completion of one request */
};

/* One member: its ring, its memory, and where it stands. */
struct lab_lane {
  const struct lab_member *member;
  const struct lab_output *output;
  struct io_engine *engine;
  struct page_pool reads, writes;
  struct lab_slot *slots; /* [2 queue_depth] reads, then writes */
  struct io_request *requests;
  struct io_completion *completions;
  uint32_t *order; /* [n_units] */
  uint64_t read_cursor, write_cursor;
  uint64_t write_first; /* cursor at the pass's start */
  uint64_t writes_left; /* before an output is full */
  int under_way;
  int64_t unsynced;
  bool sync_due, syncing;
  uint64_t issued, completed; /* since the pass began */
};

struct lab_bench {
  struct lab_setting setting;
  struct lab_geometry geometry;
  int n_lanes;
  struct lab_lane lanes[LAB_MEMBERS_MAX];
  /* of the pass under way */
  struct lab_pass_result *result;
  double now_s, start_s, deadline_s;
  bool verify, over;
  int64_t stream_left[LAB_STREAMS_MAX], stream_open[LAB_STREAMS_MAX];
  int next_stream;
  uint64_t mixed_written;
};

/* -EINVAL where the members are too small for one page (message names both). */
int lab_geometry_of(struct lab_geometry *geometry, const struct lab_target *target,
                    const struct lab_setting *setting, struct error *error);

/* Engines, memory and order for a setting: everything that a pass needs. */
int lab_bench_open(struct lab_bench *bench, struct lab_target *target,
                   const struct lab_setting *setting, struct error *error);
void lab_bench_close(struct lab_bench *bench);

/* One pass of about time_s seconds (or of all streams), going on in the order where the last one
 * ended. `verify`: every page read is checked as it lands, inside the time. Allocates nothing. */
int lab_bench_pass(struct lab_bench *bench, double time_s, bool verify,
                   struct lab_pass_result *result, struct error *error);

/* After a pass that wrote: reads pages back and checks them; adds to the result. */
int lab_bench_check_writes(struct lab_bench *bench, struct lab_pass_result *result,
                           struct error *error);

#endif
