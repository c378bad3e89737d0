/*
 * Medians, bootstrap intervals and outliers of small sample sets.
 */
#include "bench/measure/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

#define BOOTSTRAP_RESAMPLES 2000
#define OUTLIER_MADS 14.826 /* modified z-score of 10 */

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left;
  double b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Up to here insertion is faster than qsort() with its calls: resamples are thousands of a few. */
#define FEW 16

static void insert_into(double *sorted, const double *values, int n) {
  for (int i = 0; i < n; i++) {
    int at = i;
    for (; at > 0 && sorted[at - 1] > values[i]; at--) sorted[at] = sorted[at - 1];
    sorted[at] = values[i];
  }
}

/* Sorts n <= STATS_SAMPLES_MAX values into `sorted`. */
static void sort_into(double *sorted, const double *values, int n) {
  if (n <= FEW) {
    insert_into(sorted, values, n);
    return;
  }
  memcpy(sorted, values, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
}

static double median_of_sorted(const double *sorted, int n) {
  return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

int samples_add(struct samples *samples, double value) {
  if (samples->n >= STATS_SAMPLES_MAX) return -ENOSPC;
  samples->values[samples->n++] = value;
  return 0;
}

double stats_median(const double *values, int n) {
  if (n <= 0 || n > STATS_SAMPLES_MAX) return NAN;
  double sorted[STATS_SAMPLES_MAX];
  sort_into(sorted, values, n);
  return median_of_sorted(sorted, n);
}

double stats_quantile(const double *values, int n, double q) {
  if (n <= 0 || n > STATS_SAMPLES_MAX) return NAN;
  double sorted[STATS_SAMPLES_MAX];
  sort_into(sorted, values, n);
  double position = q * (n - 1);
  int below = (int)position;
  if (below >= n - 1) return sorted[n - 1];
  return sorted[below] + (position - below) * (sorted[below + 1] - sorted[below]);
}

struct interval stats_interval(const struct samples *samples, uint64_t seed) {
  int n = samples->n;
  if (n == 0) return (struct interval){NAN, NAN, NAN};
  double median = stats_median(samples->values, n);
  if (n == 1) return (struct interval){median, median, median};
  double medians[BOOTSTRAP_RESAMPLES];
  double resample[STATS_SAMPLES_MAX];
  uint64_t draw = 0;
  for (int i = 0; i < BOOTSTRAP_RESAMPLES; i++) {
    for (int k = 0; k < n; k++)
      resample[k] = samples->values[prng_below(seed, draw++, (uint64_t)n)];
    qsort(resample, (size_t)n, sizeof *resample, compare_doubles);
    medians[i] = median_of_sorted(resample, n);
  }
  qsort(medians, BOOTSTRAP_RESAMPLES, sizeof *medians, compare_doubles);
  return (struct interval){median, medians[(int)(0.025 * BOOTSTRAP_RESAMPLES)],
                           medians[(int)(0.975 * BOOTSTRAP_RESAMPLES) - 1]};
}

double interval_relative_half_width(struct interval interval) {
  if (!(interval.median > 0)) return INFINITY;
  return 0.5 * (interval.ci_high - interval.ci_low) / interval.median;
}

double samples_relative_half_width(const struct samples *samples, uint64_t seed) {
  return samples->n < 2 ? NAN : interval_relative_half_width(stats_interval(samples, seed));
}

int stats_outliers(const struct samples *samples) {
  int n = samples->n;
  if (n < 3) return 0;
  double median = stats_median(samples->values, n);
  double deviations[STATS_SAMPLES_MAX];
  for (int i = 0; i < n; i++) deviations[i] = fabs(samples->values[i] - median);
  double mad = stats_median(deviations, n);
  int outliers = 0;
  for (int i = 0; i < n; i++) outliers += mad > 0 && deviations[i] > OUTLIER_MADS * mad;
  return outliers;
}

double stats_spread(const struct samples *samples) {
  if (samples->n < 2) return 0;
  double low = INFINITY;
  double high = -INFINITY;
  for (int i = 0; i < samples->n; i++) {
    low = fmin(low, samples->values[i]);
    high = fmax(high, samples->values[i]);
  }
  return (high - low) / stats_median(samples->values, samples->n);
}
