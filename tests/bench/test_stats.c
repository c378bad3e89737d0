/*
 * Medians, intervals, outliers: against values worked out by hand.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

#include "bench/measure/stats.h"

Test(stats, median_and_quantiles) {
  const double odd[] = {3, 1, 2};
  const double even[] = {4, 1, 3, 2};
  cr_assert_eq(stats_median(odd, 3), 2);
  cr_assert_eq(stats_median(even, 4), 2.5);
  cr_assert(isnan(stats_median(odd, 0)));
  cr_assert_eq(stats_quantile(even, 4, 0), 1);
  cr_assert_eq(stats_quantile(even, 4, 1), 4);
  cr_assert_float_eq(stats_quantile(even, 4, 0.5), 2.5, 1e-12);
  cr_assert_float_eq(stats_quantile(even, 4, 0.25), 1.75, 1e-12);
}

Test(stats, interval_is_repeatable_and_holds_the_median) {
  struct samples samples = {0};
  for (int i = 0; i < 31; i++) samples_add(&samples, 10 + (i * 7 % 31) * 0.1);
  struct interval first = stats_interval(&samples, 5);
  struct interval second = stats_interval(&samples, 5);
  cr_assert_eq(first.ci_low, second.ci_low);
  cr_assert_eq(first.ci_high, second.ci_high);
  cr_assert_leq(first.ci_low, first.median);
  cr_assert_geq(first.ci_high, first.median);
  cr_assert_lt(first.ci_low, first.ci_high);
  cr_assert_gt(first.ci_low, 10.0);
  cr_assert_lt(first.ci_high, 13.0);
}

Test(stats, interval_narrows_with_samples) {
  struct samples few = {0};
  struct samples many = {0};
  for (int i = 0; i < 7; i++) samples_add(&few, 10 + i * 5 % 7);
  for (int i = 0; i < 700; i++) samples_add(&many, 10 + i * 5 % 7);
  cr_assert_lt(interval_relative_half_width(stats_interval(&many, 1)),
               interval_relative_half_width(stats_interval(&few, 1)));
}

Test(stats, interval_of_nothing_and_of_one) {
  struct samples samples = {0};
  cr_assert(isnan(stats_interval(&samples, 1).median));
  samples_add(&samples, 4);
  struct interval one = stats_interval(&samples, 1);
  cr_assert_eq(one.median, 4);
  cr_assert_eq(one.ci_low, 4);
  cr_assert_eq(one.ci_high, 4);
  cr_assert(isnan(samples_relative_half_width(&samples, 1)), "one sample: not known, not 0");
  samples_add(&samples, 4);
  cr_assert_eq(samples_relative_half_width(&samples, 1), 0);
}

Test(stats, outliers_are_told) {
  struct samples samples = {0};
  for (int i = 0; i < 20; i++) samples_add(&samples, 1 + 0.01 * (i % 5));
  cr_assert_eq(stats_outliers(&samples), 0);
  samples_add(&samples, 3);
  cr_assert_eq(stats_outliers(&samples), 1);
  cr_assert_eq(samples.n, 21, "an outlier is told, never dropped");
}

Test(stats, spread_and_room) {
  struct samples samples = {0};
  cr_assert_eq(stats_spread(&samples), 0);
  samples_add(&samples, 1);
  samples_add(&samples, 2);
  samples_add(&samples, 3);
  cr_assert_float_eq(stats_spread(&samples), 1.0, 1e-12);
  while (samples.n < STATS_SAMPLES_MAX) cr_assert_eq(samples_add(&samples, 1), 0);
  cr_assert_eq(samples_add(&samples, 1), -ENOSPC);
}
