/*
 * Did it change? Two sets of samples of one quantity, taken at different times, on different drives
 * or boxes.
 *
 * Samples are few and often bimodal, so nothing is assumed of their distribution: the relative
 * change of the median is bootstrapped, both sides resampled. Equal samples, equal answer.
 */
#ifndef REFILL_BENCH_MEASURE_DIFFERENCE_H
#define REFILL_BENCH_MEASURE_DIFFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/measure/stats.h"

#define DIFFERENCE_SAMPLES_MIN                                                                     \
  4 /* on each side: below, an interval of the median means nothing                                \
     */

struct difference {
  double median_a, median_b; /* NaN without samples */
  double change;             /* median_b / median_a - 1; NaN where median_a is 0 */
  double low, high;          /* its 95% interval; NaN where there are too few samples */
  bool enough;               /* samples on both sides */
  bool significant;          /* enough, and 0 is outside the interval */
};

struct difference difference_of(const struct samples *a, const struct samples *b, uint64_t seed);

#endif
