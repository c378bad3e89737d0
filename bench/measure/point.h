/*
 * A point of a sweep: one condition (N, alpha, policy) and all samples taken of it.
 *
 * Every quantity that a group of runs yields is a metric; one table gives each its name in
 * results. Adding one is a line in the enum and a line in the table.
 */
#ifndef REFILL_BENCH_MEASURE_POINT_H
#define REFILL_BENCH_MEASURE_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/measure/stats.h"
#include "bench/options.h"
#include "io/cold.h"
#include "model/ttft.h"

enum metric {
  METRIC_FIRST_TOKEN,
  METRIC_DURABLE,
  /* each stage alone, all layers */
  METRIC_READ_ALONE,
  METRIC_H2D_ALONE,
  METRIC_COMPUTE_ALONE,
  METRIC_D2H_ALONE,
  METRIC_WRITE_ALONE,
  /* reads and writes beside each other, without compute */
  METRIC_READ_TOGETHER,
  METRIC_WRITE_TOGETHER,
  /* what the models say of this group, and how wrong they are */
  METRIC_IDEAL,
  METRIC_PIPELINED,
  METRIC_CONTENDED,
  METRIC_OWN, /* the pipelined model fed with the overlapped run's own intervals */
  METRIC_ERROR_IDEAL,
  METRIC_ERROR_PIPELINED,
  METRIC_ERROR_CONTENDED,
  METRIC_ERROR_OWN,
  METRIC_ERROR_DURABLE,
  /* what the stages do to each other */
  METRIC_SLOWDOWN_COMPUTE,
  METRIC_SLOWDOWN_READ,
  METRIC_SLOWDOWN_WRITE,
  METRIC_EFFICIENCY,
  METRIC_EFFICIENCY_DURABLE,
  /* the middle layer in the overlapped run */
  METRIC_MIDDLE_READ,
  METRIC_MIDDLE_COMPUTE,
  METRICS
};

struct point {
  int64_t n_tokens, n_past, n_new;
  double alpha_asked, alpha;
  enum policy policy;
  int groups;
  struct samples metrics[METRICS];
  int64_t wrong_pages; /* over all runs, read and written */
  int64_t checked_pages;
  bool checked; /* false: nothing could be checked (emulated drive) */
  bool cold_known;
  struct cold_result cold; /* the worst of its groups */
  int32_t token;           /* of the last run */
  int held_down;           /* runs during which the device's clocks were held down */
};

/* The field's name in results: "first_token_s". */
const char *metric_name(enum metric metric);

/* Median of a metric; NaN without samples. */
double point_median(const struct point *point, enum metric metric);

/* "recompute", "serial", "overlap". */
const char *policy_name(enum policy policy);

/* Seconds per token of each stage alone, from medians; NaN where the stage did not run. */
struct point_rates {
  double compute_s_per_token, read_s_per_token, write_s_per_token;
  double storage_read_s_per_token, h2d_s_per_token, storage_write_s_per_token, d2h_s_per_token;
};
struct point_rates point_rates(const struct point *point);

/* The term of the ideal model that wins, from the medians of the stages alone. */
enum ttft_regime point_regime(const struct point *point);

/* Why the pipelined model is off by more than twice the spread of its legs. */
enum point_deviation {
  DEVIATION_NONE,       /* it is not */
  DEVIATION_CONTENTION, /* the stages slowed each other down */
  DEVIATION_DRIFT,      /* the box was faster or slower in the later groups */
  DEVIATION_CACHE,      /* reads were faster beside compute than alone */
  DEVIATION_UNKNOWN
};
enum point_deviation point_deviation(const struct point *point);
const char *point_deviation_name(enum point_deviation deviation);

#endif
