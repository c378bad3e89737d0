/*
 * From rates to R and W, and through the models to what a user asks.
 */
#include "bench/measure/lab_summary.h"

#include <math.h>
#include <stdlib.h>

#include "model/breakeven.h"
#include "model/ttft.h"

#define STEPS 64     /* of alpha */
#define FIT_POINTS 8 /* of each axis */

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

/* The fastest row; one of an emulated drive only where there is no other. */
static const struct lab_row *best_of(const struct storage_lab *lab, int target, enum lab_rw rw) {
  const struct lab_row *best = NULL;
  double most = 0;
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    if (row->target != target || row->setting.rw != rw) continue;
    double rate = median_of(rw == LAB_READ ? &row->read_bytes_per_s : &row->write_bytes_per_s);
    bool more_real = best && best->emulated && !row->emulated;
    bool less_real = best && row->emulated && !best->emulated;
    if (less_real || !(rate > (more_real ? 0 : most))) continue;
    most = rate;
    best = row;
  }
  return best;
}

/* The shortest median latency of a target's reads. */
static double page_latency_s(const struct storage_lab *lab, int target) {
  double least = NAN;
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    if (row->target != target || row->setting.rw != LAB_READ || row->emulated) continue;
    least = fmin(least, latency_quantile_s(&row->read_latency, 0.5));
  }
  return least;
}

/* Where reading alpha N tokens takes as long as computing the rest. */
static double crossover(const struct lab_summary *summary, const struct lab_compute *compute) {
  double alpha[STEPS];
  double read_s[STEPS];
  double compute_s[STEPS];
  double n = summary->n_tokens;
  for (int i = 0; i < STEPS; i++) {
    alpha[i] = i == STEPS - 1 ? 1 - 1 / n : (double)i / STEPS;
    read_s[i] = alpha[i] * n * summary->read_s_per_token;
    compute_s[i] = lab_compute_s(compute, (1 - alpha[i]) * n, alpha[i] * n);
  }
  return ttft_alpha_star_measured(alpha, read_s, compute_s, STEPS);
}

static double pipelined_s(const struct storage_lab *lab, const struct lab_summary *summary,
                          const struct lab_compute *compute) {
  int n = lab->config.layers;
  struct ttft_layer *layers = calloc((size_t)n, sizeof *layers);
  struct ttft_done *done = calloc((size_t)n, sizeof *done);
  double seconds = NAN;
  if (layers && done) {
    double past = summary->alpha * summary->n_tokens;
    double fresh = summary->n_tokens - past;
    for (int i = 0; i < n; i++)
      layers[i] = (struct ttft_layer){.read_s = past * summary->read_s_per_token / n,
                                      .compute_s = lab_compute_s(compute, fresh, past) / n,
                                      .write_s = isnan(summary->write_s_per_token)
                                                     ? 0
                                                     : fresh * summary->write_s_per_token / n};
    struct ttft_bounds bounds = {.window = (int)lab->config.options->window,
                                 .write_window = (int)lab->config.options->write_window};
    seconds = ttft_pipelined(layers, n, bounds, done).first_token_s;
  }
  free(layers);
  free(done);
  return seconds;
}

static bool fit(const struct lab_compute *compute, double n_tokens, struct fit_compute *fitted) {
  struct fit_compute_sample samples[FIT_POINTS * FIT_POINTS];
  int n = 0;
  for (int i = 0; i < FIT_POINTS; i++) {
    for (int k = 0; k < FIT_POINTS; k++) {
      double n_new = fmax(1, floor(n_tokens * ldexp(1, i + 1 - FIT_POINTS)));
      double n_past = floor(n_tokens * k / FIT_POINTS);
      samples[n++] = (struct fit_compute_sample){
          .n_new = n_new, .n_past = n_past, .time_s = lab_compute_s(compute, n_new, n_past)};
    }
  }
  return fit_compute_samples(samples, n, fitted, NULL, NULL);
}

static double break_even(const struct storage_lab *lab, const struct lab_summary *summary,
                         const struct lab_compute *compute) {
  double kv_bytes =
      shape_kv_bytes_per_token(&lab->config.shape, lab->config.kv_element == ELEMENT_BF16 ? 2 : 1) *
      lab->config.layers / lab->config.shape.layers;
  struct breakeven breakeven = {
      .read = {.fixed_s = summary->page_s, .slope_s = summary->read_s_per_token / kv_bytes},
      .kv_bytes_per_token = kv_bytes,
      .new_tokens = fmax(1, summary->read->setting.page_tokens),
      .overlapped = true};
  if (!fit(compute, summary->n_tokens, &breakeven.compute)) return NAN;
  return breakeven_tokens(&breakeven, summary->n_tokens).from_tokens;
}

struct lab_summary lab_summarise(const struct storage_lab *lab, const struct lab_compute *compute,
                                 int index, double alpha) {
  double n = (double)lab->config.options->tokens.values[0];
  struct lab_summary summary = {.read = best_of(lab, index, LAB_READ),
                                .write = best_of(lab, index, LAB_WRITE),
                                .read_s_per_token = NAN,
                                .write_s_per_token = NAN,
                                .page_s = page_latency_s(lab, index),
                                .compute_s_per_token = lab_compute_s(compute, n, 0) / n,
                                .n_tokens = n,
                                .alpha = alpha,
                                .ttft_ideal_s = NAN,
                                .ttft_pipelined_s = NAN,
                                .recompute_s = lab_compute_s(compute, n, 0),
                                .e = NAN,
                                .alpha_star_constant = NAN,
                                .alpha_star = NAN,
                                .break_even_tokens = NAN};
  if (summary.read)
    summary.read_s_per_token =
        lab_row_s_per_token(summary.read, median_of(&summary.read->read_bytes_per_s));
  if (summary.write)
    summary.write_s_per_token =
        lab_row_s_per_token(summary.write, median_of(&summary.write->write_bytes_per_s));
  if (!summary.read || !compute->known) return summary;
  summary.e = ttft_token_acceleration(summary.compute_s_per_token, summary.read_s_per_token);
  summary.alpha_star_constant = ttft_alpha_star(summary.e);
  summary.alpha_star = crossover(&summary, compute);
  if (isnan(alpha)) summary.alpha = fmin(summary.alpha_star, 1 - 1 / n);
  double past = summary.alpha * n;
  double write_s = summary.write ? summary.write_s_per_token : 0;
  summary.ttft_ideal_s = ttft_ideal_s(summary.alpha, n,
                                      lab_compute_s(compute, n - past, past) / (n - past),
                                      summary.read_s_per_token, write_s, NULL);
  summary.ttft_pipelined_s = pipelined_s(lab, &summary, compute);
  summary.break_even_tokens = break_even(lab, &summary, compute);
  return summary;
}
