/*
 * Time to first token: the slides' ideal and the pipeline's recurrence.
 *
 * The ideal takes only the three sums (read, write, compute) and assumes that
 * they overlap wholly: it is a lower bound that many layers approach. The
 * recurrence adds what a real pipeline cannot overlap: the first layer's read,
 * the bounded window of the reader and the bounded leaving buffers. The event
 * simulation in which stages slow each other is in contended.c.
 */
#include "model/ttft.h"

#include <math.h>
#include <stddef.h>

const char *ttft_regime_name(enum ttft_regime regime) {
  switch (regime) {
  case REGIME_READ:
    return "read";
  case REGIME_H2D:
    return "h2d";
  case REGIME_WRITE:
    return "write";
  case REGIME_D2H:
    return "d2h";
  case REGIME_COMPUTE:
    return "compute";
  }
  return "unknown";
}

double ttft_token_acceleration(double compute_s_per_token, double read_s_per_token) {
  return compute_s_per_token / read_s_per_token;
}

double ttft_alpha_star(double e) {
  /* Reading that costs nothing is worth any share: the limit, not inf/inf. */
  return isinf(e) ? 1.0 : e / (1.0 + e);
}

double ttft_ideal_s(double alpha, double n_tokens, double compute_s_per_token,
                    double read_s_per_token, double write_s_per_token, enum ttft_regime *regime) {
  double read_s = alpha * n_tokens * read_s_per_token;
  double write_s = (1.0 - alpha) * n_tokens * write_s_per_token;
  double longest_s = (1.0 - alpha) * n_tokens * compute_s_per_token;
  enum ttft_regime winner = REGIME_COMPUTE;
  if (read_s > longest_s) {
    longest_s = read_s;
    winner = REGIME_READ;
  }
  if (write_s > longest_s) {
    longest_s = write_s;
    winner = REGIME_WRITE;
  }
  if (regime) *regime = winner;
  return longest_s;
}

double ttft_serial_s(double alpha, double n_tokens, double compute_s_per_token,
                     double read_s_per_token) {
  return alpha * n_tokens * read_s_per_token + (1.0 - alpha) * n_tokens * compute_s_per_token;
}

double ttft_ideal_speedup(double alpha, double e) {
  return alpha <= ttft_alpha_star(e) ? 1.0 / (1.0 - alpha) : e / alpha;
}

double ttft_busiest_stage_s(const struct ttft_layer *layers, int n_layers,
                            enum ttft_regime *regime) {
  struct {
    enum ttft_regime regime;
    double sum_s;
  } stages[] = {
      {REGIME_COMPUTE, 0}, {REGIME_READ, 0}, {REGIME_WRITE, 0}, {REGIME_H2D, 0}, {REGIME_D2H, 0}};
  for (int l = 0; l < n_layers; l++) {
    stages[0].sum_s += layers[l].compute_s;
    stages[1].sum_s += layers[l].read_s;
    stages[2].sum_s += layers[l].write_s;
    stages[3].sum_s += layers[l].h2d_s;
    stages[4].sum_s += layers[l].d2h_s;
  }
  int busiest = 0;
  for (int s = 1; s < 5; s++) {
    if (stages[s].sum_s > stages[busiest].sum_s) busiest = s;
  }
  if (regime) *regime = stages[busiest].regime;
  return stages[busiest].sum_s;
}

/* When the slot that layer `layer` reads into is free again: at once for the
 * first `window` layers. */
static double slot_free_s(const struct ttft_done *done, int layer, struct ttft_bounds bounds) {
  int earlier = layer - bounds.window;
  if (earlier < 0) return 0.0;
  return bounds.staged ? done[earlier].landed_s : done[earlier].compute_s;
}

struct ttft_prediction ttft_pipelined(const struct ttft_layer *layers, int n_layers,
                                      struct ttft_bounds bounds, struct ttft_done *done) {
  struct ttft_done last = {0};
  for (int l = 0; l < n_layers; l++) {
    const struct ttft_layer *layer = &layers[l];
    int leaving = l - bounds.write_window;
    double buffer_free_s = leaving >= 0 ? done[leaving].write_s : 0.0;
    struct ttft_done *now = &done[l];
    now->read_s = fmax(last.read_s, slot_free_s(done, l, bounds)) + layer->read_s;
    now->landed_s = fmax(last.landed_s, now->read_s) + layer->h2d_s;
    now->compute_s = fmax(fmax(last.compute_s, now->landed_s), buffer_free_s) + layer->compute_s;
    now->left_s = fmax(last.left_s, now->compute_s) + layer->d2h_s;
    now->write_s = fmax(last.write_s, now->left_s) + layer->write_s;
    last = *now;
  }
  return (struct ttft_prediction){.first_token_s = last.compute_s,
                                  .durable_s = fmax(last.compute_s, last.write_s)};
}

double ttft_alpha_star_measured(const double *alpha, const double *read_s, const double *compute_s,
                                int n) {
  double before_s = 0.0; /* read - compute at the sample before */
  for (int i = 0; i < n; i++) {
    double lead_s = read_s[i] - compute_s[i];
    if (lead_s == 0.0) return alpha[i];
    if (lead_s > 0.0) {
      if (i == 0) return 0.0;
      return alpha[i - 1] + (alpha[i] - alpha[i - 1]) * before_s / (before_s - lead_s);
    }
    before_s = lead_s;
  }
  return 1.0;
}

double ttft_error(double model_s, double observed_s) {
  return (model_s - observed_s) / observed_s;
}
