/*
 * Fits: coefficients recovered from exact and from noisy samples, non-negative
 * whatever the data, best against perturbations, refused where unusable.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/fit.h"
#include "vectors.h"

#define N_MAX 64

/* A grid as calibrate measures it, times by `truth` with relative noise. */
static int grid(const struct fit_compute *truth, double noise, uint64_t seed,
                struct fit_compute_sample *samples) {
  static const double news[] = {1, 16, 64, 256, 512, 1024, 4096, 16384};
  static const double pasts[] = {0, 1024, 8192, 65536};
  int n = 0;
  for (int i = 0; i < 8; i++) {
    for (int j = 0; j < 4; j++) {
      double time_s = fit_compute_s(truth, news[i], pasts[j]);
      time_s *= 1 + noise * (2 * prng_unit(seed, (uint64_t)n) - 1);
      samples[n++] = (struct fit_compute_sample){news[i], pasts[j], time_s};
    }
  }
  return n;
}

Test(fit, exact_samples_give_the_coefficients_back) {
  struct fit_compute_sample samples[N_MAX];
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct fit_compute truth = {.fixed_s = 1e-4 + 1e-3 * prng_unit(seed, 0),
                                .floor_s = 4e-3 + 6e-2 * prng_unit(seed, 1),
                                .s_per_token = 5e-5 + 1e-4 * prng_unit(seed, 2),
                                .s_per_pair = 1e-10 + 1e-8 * prng_unit(seed, 3)};
    int n = grid(&truth, 0, seed, samples);
    struct fit_compute fit;
    struct fit_quality quality;
    cr_assert(fit_compute_samples(samples, n, &fit, NULL, &quality));
    expect_near(fit.fixed_s, truth.fixed_s, 1e-6, "fixed");
    expect_near(fit.floor_s, truth.floor_s, 1e-6, "floor");
    expect_near(fit.s_per_token, truth.s_per_token, 1e-6, "per token");
    expect_near(fit.s_per_pair, truth.s_per_pair, 1e-6, "per pair");
    cr_expect_lt(quality.rms, 1e-8);
    expect_near(quality.r_squared, 1, 1e-9, "R squared");
  }
}

Test(fit, noise_moves_predictions_by_no_more_than_the_noise) {
  struct fit_compute_sample samples[N_MAX];
  struct fit_compute truth = {5e-4, 8e-3, 7e-5, 2e-9};
  for (uint64_t seed = 0; seed < 100; seed++) {
    int n = grid(&truth, 0.05, seed, samples);
    struct fit_compute fit;
    struct fit_quality quality;
    double residual[N_MAX];
    cr_assert(fit_compute_samples(samples, n, &fit, residual, &quality));
    cr_expect_lt(quality.rms, 0.05);
    expect_near(residual[quality.largest_at], quality.largest, 0, "the largest residual");
    for (int i = 0; i < n; i++) {
      double model_s = fit_compute_s(&fit, samples[i].n_new, samples[i].n_past);
      expect_near(residual[i] + 1, model_s / samples[i].time_s, 1e-12, "residual");
      double true_s = fit_compute_s(&truth, samples[i].n_new, samples[i].n_past);
      cr_expect(fabs(model_s / true_s - 1) < 0.05, "%g off", model_s / true_s - 1);
    }
  }
}

Test(fit, no_coefficient_is_negative_and_none_can_be_bettered) {
  struct fit_line_sample samples[16];
  for (uint64_t seed = 0; seed < 500; seed++) {
    for (uint64_t i = 0; i < 16; i++) {
      samples[i] = (struct fit_line_sample){(double)i * 1e6, 1e-3 + prng_unit(seed, i)};
    }
    struct fit_line fit;
    struct fit_quality quality;
    cr_assert(fit_line_samples(samples, 16, &fit, NULL, &quality));
    cr_expect(fit.fixed_s >= 0 && fit.slope_s >= 0);
    for (int k = 0; k < 4; k++) {
      struct fit_line other = fit;
      *(k < 2 ? &other.fixed_s : &other.slope_s) *= k % 2 ? 1.001 : 0.999;
      double squares = 0;
      for (int i = 0; i < 16; i++) {
        squares += pow(fit_line_s(&other, samples[i].x) / samples[i].time_s - 1, 2);
      }
      cr_expect_geq(sqrt(squares / 16), quality.rms * (1 - 1e-12));
    }
  }
}

Test(fit, a_line_gives_latency_and_bandwidth) {
  struct fit_line_sample samples[6];
  for (int i = 0; i < 6; i++) {
    double bytes = 4096.0 * (1 << 2 * i);
    samples[i] = (struct fit_line_sample){bytes, 80e-6 + bytes / 7e9};
  }
  struct fit_line fit;
  cr_assert(fit_line_samples(samples, 6, &fit, NULL, NULL));
  expect_near(fit.fixed_s, 80e-6, 1e-9, "latency");
  expect_near(fit_line_rate_per_s(&fit), 7e9, 1e-9, "bandwidth");
  struct fit_line flat = {1, 0};
  cr_expect(isinf(fit_line_rate_per_s(&flat)));
}

Test(fit, a_constant_t_is_found_as_such) {
  struct fit_compute_sample samples[N_MAX];
  struct fit_compute truth = {.s_per_token = 9e-4}, fit;
  int n = grid(&truth, 0, 0, samples);
  cr_assert(fit_compute_samples(samples, n, &fit, NULL, NULL));
  expect_near(fit.s_per_token, 9e-4, 1e-9, "T");
  expect_near(fit_compute_s_per_token(&fit, 512, 30000), 9e-4, 1e-6, "T at a point");
}

Test(fit, few_samples_are_passed_through) {
  struct fit_compute_sample one = {256, 0, 0.5};
  struct fit_compute fit;
  cr_assert(fit_compute_samples(&one, 1, &fit, NULL, NULL));
  expect_near(fit_compute_s(&fit, 256, 0), 0.5, 1e-9, "the sample");
  struct fit_line_sample same[2] = {{10, 2}, {10, 2}};
  struct fit_line line;
  cr_assert(fit_line_samples(same, 2, &line, NULL, NULL));
  expect_near(fit_line_s(&line, 10), 2, 1e-9, "twice the same");
}

Test(fit, what_cannot_be_used_is_refused) {
  struct fit_compute fit = {1, 2, 3, 4};
  struct fit_line line;
  struct fit_compute_sample bad[] = {{0, 0, 1},  {1, -1, 1},          {1, 0, 0},
                                     {1, 0, -1}, {1, 0, (double)NAN}, {(double)INFINITY, 0, 1}};
  for (int i = 0; i < 6; i++) cr_expect_not(fit_compute_samples(&bad[i], 1, &fit, NULL, NULL));
  cr_expect_not(fit_compute_samples(bad, 0, &fit, NULL, NULL));
  cr_expect_not(fit_compute_samples(bad, FIT_SAMPLES_MAX + 1, &fit, NULL, NULL));
  cr_expect_eq(fit.fixed_s, 1, "nothing is written");
  struct fit_line_sample negative = {-1, 1};
  cr_expect_not(fit_line_samples(&negative, 1, &line, NULL, NULL));
}

Test(fit, time_and_quality_by_hand) {
  struct fit_compute f = {.fixed_s = 1, .floor_s = 10, .s_per_token = 2, .s_per_pair = 0.5};
  cr_expect_eq(fit_compute_s(&f, 4, 3), 1 + 10 + 0.5 * (12 + 10));
  cr_expect_eq(fit_compute_s(&f, 6, 0), 1 + 12 + 0.5 * 21);
  cr_expect_eq(fit_compute_s_per_token(&f, 6, 0), 23.5 / 6);
  /* One x, times 1 and 3: least squares of relative errors give 1.2, errors +20% and -60%. */
  struct fit_line_sample samples[2] = {{0, 1}, {0, 3}};
  struct fit_line line;
  double residual[2];
  struct fit_quality quality;
  cr_assert(fit_line_samples(samples, 2, &line, residual, &quality));
  expect_near(line.fixed_s, 1.2, 1e-12, "weighted mean");
  expect_near(residual[0], 0.2, 1e-12, "over");
  expect_near(residual[1], -0.6, 1e-12, "under");
  expect_near(quality.rms, sqrt((0.04 + 0.36) / 2), 1e-12, "rms");
  expect_near(quality.largest, -0.6, 1e-12, "largest");
  cr_expect_eq(quality.largest_at, 1);
  expect_near(quality.r_squared, 1 - (0.04 + 3.24) / 2, 1e-12, "R squared");
}

Test(fit, as_many_samples_as_are_allowed) {
  static struct fit_line_sample samples[FIT_SAMPLES_MAX];
  for (int i = 0; i < FIT_SAMPLES_MAX; i++) samples[i] = (struct fit_line_sample){i, 1 + 2.0 * i};
  struct fit_line line;
  cr_assert(fit_line_samples(samples, FIT_SAMPLES_MAX, &line, NULL, NULL));
  expect_near(line.slope_s, 2, 1e-9, "slope");
}
