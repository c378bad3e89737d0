/*
 * Statistics of samples: medians, bootstrap intervals, outliers. Samples are
 * few (5 to some hundreds) and often bimodal, hence no means and no normality.
 */
#ifndef REFILL_BENCH_MEASURE_STATS_H
#define REFILL_BENCH_MEASURE_STATS_H

#include <stdint.h>

#define STATS_SAMPLES_MAX 1024

/* Samples of one quantity, in the order taken. */
struct samples {
  int n;
  double values[STATS_SAMPLES_MAX];
};

/* A median with its 95% bootstrap interval; NaN where n is 0, a point where n is 1. */
struct interval {
  double median, ci_low, ci_high;
};

/* Appends; past STATS_SAMPLES_MAX the sample is not taken and -ENOSPC returned. */
int samples_add(struct samples *samples, double value);

/* Median of n values (the mean of the middle two where n is even); NaN where n is 0. */
double stats_median(const double *values, int n);

/* The q-quantile, 0 <= q <= 1, linearly interpolated; NaN where n is 0. */
double stats_quantile(const double *values, int n, double q);

/* Percentile bootstrap of the median, 2000 resamples, seeded: equal samples, equal interval. */
struct interval stats_interval(const struct samples *samples, uint64_t seed);

/* Half the interval's width over its median: how well a point is known. */
double interval_relative_half_width(struct interval interval);

/* The same, as a table tells it: NaN for fewer than two samples, which say nothing of it. */
double samples_relative_half_width(const struct samples *samples, uint64_t seed);

/* How many samples are farther from the median than 14.826 median absolute deviations (modified z
 * > 10): told, never dropped. */
int stats_outliers(const struct samples *samples);

/* Spread (max - min) / median; 0 for fewer than two. */
double stats_spread(const struct samples *samples);

#endif
