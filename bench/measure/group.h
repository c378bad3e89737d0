/*
 * A group: the legs of one point, run directly after each other (read alone, write
 * alone, both together, compute alone, the overlapped run), so that what the models are fed
 * with and what they predict saw the same mood of the box.
 */
#ifndef REFILL_BENCH_MEASURE_GROUP_H
#define REFILL_BENCH_MEASURE_GROUP_H

#include <stdint.h>

#include "base/error.h"
#include "bench/measure/pipeline.h"
#include "bench/measure/point.h"
#include "bench/measure/rig.h"

/* Room for one group, made once. */
struct group {
  int (*interrupted)(void); /* asked before each leg: then -EINTR; NULL: never */
  double deadline_s;        /* on clock_now_s(), asked before each leg: then -ETIME; 0: none */
  double read_wall_s, write_wall_s; /* of the legs alone: first submission to last completion */
  struct rig *rig;                  /* the caller's */
  struct pipeline_run run;       /* the leg under way; after group_measure(): the overlapped run */
  struct ttft_layer *alone;      /* [layers] each stage alone */
  struct ttft_layer *overlapped; /* [layers] the overlapped run's own intervals */
  struct ttft_layer *scratch;    /* [layers] */
  struct ttft_done *done;        /* [layers] */
  int64_t wrong_pages;           /* of all legs that ran, a first look and warm-ups included */
};

/* Returns 0 or -ENOMEM. Free with group_free(), safe on a zeroed struct. */
int group_init(struct group *group, struct rig *rig, struct error *error);
void group_free(struct group *group);

/* Runs one group and adds its samples to the point. `index` is the group's number: odd ones run the
 * legs alone in reverse order, so that a drift does not always favour the same leg.
 * `verify_written`: read new KV back from the sink too. A wrong page is counted, not an error. */
int group_measure(struct group *group, struct point *point, int index, bool verify_sink,
                  struct error *error);

/* One leg or several together, verified where it reads; spans are left in group->run. */
int group_leg(struct group *group, struct point *point, unsigned legs, struct error *error);

/* The slowdowns that explain a run's intervals by those of the legs alone: each stage goes at full
 * speed while no other works, and at 1/slowdown beside others; 1 where too little lay beside others
 * to tell. */
struct ttft_slowdown group_slowdown(const struct pipeline_run *run, const struct ttft_layer *alone,
                                    const struct ttft_layer *overlapped);

#endif
