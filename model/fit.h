/*
 * The models' inputs from measurements: compute time over (n_new, n_past),
 * transfer time over bytes, by least squares with residuals.
 *
 * Errors are relative ((model - observed) / observed): samples span from
 * microseconds to minutes, and an absolute fit would follow the longest alone.
 * No coefficient is ever negative: a negative time means nothing, and would be
 * the first thing to be extrapolated wrongly.
 */
#ifndef REFILL_MODEL_FIT_H
#define REFILL_MODEL_FIT_H

#include <stdbool.h>

#define FIT_SAMPLES_MAX 4096

/* compute(n_new, n_past) = fixed + max(floor, n_new s_per_token) + pairs s_per_pair, seconds, all
 * layers; pairs = n_new n_past + n_new (n_new+1)/2 (causal attention). The floor is the time to
 * read the weights, which bounds small n_new. A constant T is {.s_per_token = T}. */
struct fit_compute {
  double fixed_s;
  double floor_s;
  double s_per_token;
  double s_per_pair;
};
double fit_compute_s(const struct fit_compute *fit, double n_new, double n_past);

/* T(n_new, n_past) = compute / n_new, s/token. */
double fit_compute_s_per_token(const struct fit_compute *fit, double n_new, double n_past);

/* y = fixed + x slope, seconds: R(bytes) and W(bytes) with slope in s/byte, or TPOT(B) over B - 1
 * with slope AP + AH (the slides' measured TPOT overhead). */
struct fit_line {
  double fixed_s;
  double slope_s;
};
double fit_line_s(const struct fit_line *fit, double x);

/* 1 / slope: bytes/s beyond the fixed part; INFINITY where the slope is 0. */
double fit_line_rate_per_s(const struct fit_line *fit);

/* How well a fit describes its samples, relative errors. */
struct fit_quality {
  double rms;       /* root of the mean square */
  double largest;   /* by magnitude, signed */
  int largest_at;   /* index of that sample */
  double r_squared; /* 1 - squares of errors / squares about the mean, in seconds */
};

struct fit_compute_sample {
  double n_new, n_past; /* tokens, n_new >= 1 */
  double time_s;        /* > 0 */
};
struct fit_line_sample {
  double x;
  double time_s; /* > 0 */
};

/* Fit samples[n], 1 <= n <= FIT_SAMPLES_MAX. residual[n] takes each sample's relative error;
 * residual and quality may be NULL. False, and nothing written, where n is out of range or a
 * sample is negative, not finite, or takes no time. With fewer samples than coefficients the
 * result passes through them but predicts little. */
bool fit_compute_samples(const struct fit_compute_sample *samples, int n, struct fit_compute *fit,
                         double *residual, struct fit_quality *quality);
bool fit_line_samples(const struct fit_line_sample *samples, int n, struct fit_line *fit,
                      double *residual, struct fit_quality *quality);

#endif
