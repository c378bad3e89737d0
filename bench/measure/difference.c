/*
 * Bootstrap of the relative change of a median.
 */
#include "bench/measure/difference.h"

#include <math.h>

#include "base/prng.h"

#define RESAMPLES 1000 /* STATS_SAMPLES_MAX at most, so that quantiles can be taken of them */
_Static_assert(RESAMPLES <= STATS_SAMPLES_MAX, "changes are kept as samples");

/* The median of a resample; *draw counts the random numbers used. */
static double resampled_median(const struct samples *samples, uint64_t seed, uint64_t *draw) {
  double values[STATS_SAMPLES_MAX];
  for (int i = 0; i < samples->n; i++)
    values[i] = samples->values[prng_below(seed, (*draw)++, (uint64_t)samples->n)];
  return stats_median(values, samples->n);
}

struct difference difference_of(const struct samples *a, const struct samples *b, uint64_t seed) {
  struct difference d = {.low = NAN, .high = NAN};
  d.median_a = stats_median(a->values, a->n);
  d.median_b = stats_median(b->values, b->n);
  d.change = d.median_a != 0 ? (d.median_b - d.median_a) / fabs(d.median_a) : NAN;
  d.enough = a->n >= DIFFERENCE_SAMPLES_MIN && b->n >= DIFFERENCE_SAMPLES_MIN && isfinite(d.change);
  if (!d.enough) return d;
  double changes[RESAMPLES];
  uint64_t draw = 0;
  for (int i = 0; i < RESAMPLES; i++) {
    double from = resampled_median(a, seed, &draw);
    double to = resampled_median(b, seed, &draw);
    changes[i] = from != 0 ? (to - from) / fabs(from) : 0;
  }
  d.low = stats_quantile(changes, RESAMPLES, 0.025);
  d.high = stats_quantile(changes, RESAMPLES, 0.975);
  d.significant = d.low > 0 || d.high < 0;
  return d;
}
