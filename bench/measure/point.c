/*
 * Names and derived quantities of a point.
 */
#include "bench/measure/point.h"

#include <math.h>

static const char *const METRIC_NAMES[METRICS] = {
    [METRIC_FIRST_TOKEN] = "first_token_s",
    [METRIC_DURABLE] = "durable_s",
    [METRIC_READ_ALONE] = "read_alone_s",
    [METRIC_H2D_ALONE] = "h2d_alone_s",
    [METRIC_COMPUTE_ALONE] = "compute_alone_s",
    [METRIC_D2H_ALONE] = "d2h_alone_s",
    [METRIC_WRITE_ALONE] = "write_alone_s",
    [METRIC_READ_TOGETHER] = "read_together_s",
    [METRIC_WRITE_TOGETHER] = "write_together_s",
    [METRIC_IDEAL] = "model_ideal_s",
    [METRIC_PIPELINED] = "model_pipelined_s",
    [METRIC_CONTENDED] = "model_contended_s",
    [METRIC_OWN] = "model_own_intervals_s",
    [METRIC_ERROR_IDEAL] = "error_ideal",
    [METRIC_ERROR_PIPELINED] = "error_pipelined",
    [METRIC_ERROR_CONTENDED] = "error_contended",
    [METRIC_ERROR_OWN] = "error_own_intervals",
    [METRIC_ERROR_DURABLE] = "error_durable",
    [METRIC_SLOWDOWN_COMPUTE] = "slowdown_compute",
    [METRIC_SLOWDOWN_READ] = "slowdown_read",
    [METRIC_SLOWDOWN_WRITE] = "slowdown_write",
    [METRIC_EFFICIENCY] = "overlap_efficiency",
    [METRIC_EFFICIENCY_DURABLE] = "overlap_efficiency_durable",
    [METRIC_MIDDLE_READ] = "middle_layer_read_s",
    [METRIC_MIDDLE_COMPUTE] = "middle_layer_compute_s",
};

const char *metric_name(enum metric metric) {
  return METRIC_NAMES[metric];
}

double point_median(const struct point *point, enum metric metric) {
  return stats_median(point->metrics[metric].values, point->metrics[metric].n);
}

const char *policy_name(enum policy policy) {
  static const char *const names[] = {
      [POLICY_RECOMPUTE] = "recompute", [POLICY_SERIAL] = "serial", [POLICY_OVERLAP] = "overlap"};
  return names[policy];
}

/* Per token, NaN where nothing was measured or there are no tokens. */
static double per_token(const struct point *point, enum metric metric, int64_t tokens) {
  double seconds = point_median(point, metric);
  return tokens > 0 && seconds > 0 ? seconds / (double)tokens : NAN;
}

struct point_rates point_rates(const struct point *point) {
  struct point_rates rates = {
      .compute_s_per_token = per_token(point, METRIC_COMPUTE_ALONE, point->n_new),
      .storage_read_s_per_token = per_token(point, METRIC_READ_ALONE, point->n_past),
      .h2d_s_per_token = per_token(point, METRIC_H2D_ALONE, point->n_past),
      .storage_write_s_per_token = per_token(point, METRIC_WRITE_ALONE, point->n_new),
      .d2h_s_per_token = per_token(point, METRIC_D2H_ALONE, point->n_new),
  };
  rates.read_s_per_token = fmax(rates.storage_read_s_per_token, rates.h2d_s_per_token);
  rates.write_s_per_token = fmax(rates.storage_write_s_per_token, rates.d2h_s_per_token);
  return rates;
}

struct regime_term {
  enum metric metric;
  enum ttft_regime regime;
};

/* The stage that takes longest alone. */
static struct regime_term longest_term(const struct point *point) {
  static const struct regime_term terms[] = {{METRIC_COMPUTE_ALONE, REGIME_COMPUTE},
                                             {METRIC_READ_ALONE, REGIME_READ},
                                             {METRIC_H2D_ALONE, REGIME_H2D},
                                             {METRIC_D2H_ALONE, REGIME_D2H},
                                             {METRIC_WRITE_ALONE, REGIME_WRITE}};
  struct regime_term longest = terms[0];
  double longest_s = -1;
  for (unsigned i = 0; i < sizeof terms / sizeof *terms; i++) {
    double seconds = point_median(point, terms[i].metric);
    if (!(seconds > longest_s)) continue;
    longest_s = seconds;
    longest = terms[i];
  }
  return longest;
}

enum ttft_regime point_regime(const struct point *point) {
  return longest_term(point).regime;
}

static enum metric binding_leg(const struct point *point) {
  return longest_term(point).metric;
}

/* Relative difference of the medians of the later and the earlier half of the samples. */
static double drift_of(const struct samples *samples) {
  int half = samples->n / 2;
  if (half < 2) return 0;
  double early = stats_median(samples->values, half);
  double late = stats_median(samples->values + samples->n - half, half);
  return fabs(late - early) / early;
}

enum point_deviation point_deviation(const struct point *point) {
  const struct samples *binding = &point->metrics[binding_leg(point)];
  double error = fabs(point_median(point, METRIC_ERROR_PIPELINED));
  if (binding->n < 2) return DEVIATION_NONE; /* one sample has no spread to compare with */
  if (!(error > 2 * stats_spread(binding)) || error < 0.02) return DEVIATION_NONE;
  double slowest = fmax(
      point_median(point, METRIC_SLOWDOWN_COMPUTE),
      fmax(point_median(point, METRIC_SLOWDOWN_READ), point_median(point, METRIC_SLOWDOWN_WRITE)));
  if (point_median(point, METRIC_ERROR_PIPELINED) < 0 && slowest > 1 + error / 2)
    return DEVIATION_CONTENTION;
  if (drift_of(&point->metrics[METRIC_FIRST_TOKEN]) > error / 2) return DEVIATION_DRIFT;
  if (point_median(point, METRIC_SLOWDOWN_READ) < 1 - error / 2) return DEVIATION_CACHE;
  return DEVIATION_UNKNOWN;
}

const char *point_deviation_name(enum point_deviation deviation) {
  static const char *const names[] = {[DEVIATION_NONE] = "none",
                                      [DEVIATION_CONTENTION] = "contention",
                                      [DEVIATION_DRIFT] = "drift",
                                      [DEVIATION_CACHE] = "cache",
                                      [DEVIATION_UNKNOWN] = "unexplained"};
  return names[deviation];
}
