/*
 * The ideal and the pipelined model: vectors, continuity at alpha*, limits,
 * monotonicity, and bounds that hold for every schedule.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "model/ttft.h"
#include "vectors.h"

#define LAYERS_MAX 128

Test(ttft, ideal_matches_the_vectors) {
  json_t *section = vectors_section("ttft");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    double t = vectors_number(v, "T"), r = vectors_number(v, "R"), w = vectors_number(v, "W");
    double e = ttft_token_acceleration(t, r);
    expect_near(e, vectors_number(v, "e"), 1e-12, "e");
    expect_near(ttft_alpha_star(e), vectors_number(v, "alpha_star"), 1e-12, "alpha*");
    double ideal_s =
        ttft_ideal_s(vectors_number(v, "alpha"), vectors_number(v, "n_tokens"), t, r, w, NULL);
    expect_near(ideal_s, vectors_number(v, "ttft_s"), 1e-12, "ideal TTFT");
  }
  json_decref(section);
}

/* One pipelined vector: layers, bounds, and what must come out. */
static void check_pipelined(const json_t *v) {
  static const char *const keys[] = {"read_s", "h2d_s", "compute_s", "d2h_s", "write_s"};
  double stage[5][LAYERS_MAX];
  int n_layers = 0;
  for (int s = 0; s < 5; s++) {
    int n = vectors_array(v, keys[s], stage[s], LAYERS_MAX);
    if (n > n_layers) n_layers = n;
  }
  struct ttft_layer layers[LAYERS_MAX];
  for (int l = 0; l < n_layers; l++) {
    layers[l] =
        (struct ttft_layer){stage[0][l], stage[1][l], stage[2][l], stage[3][l], stage[4][l]};
  }
  struct ttft_bounds bounds = {.window = vectors_count(v, "window"),
                               .write_window = vectors_count(v, "write_window"),
                               .staged = json_is_true(json_object_get(v, "staged"))};
  struct ttft_done done[LAYERS_MAX];
  struct ttft_prediction got = ttft_pipelined(layers, n_layers, bounds, done);
  expect_near(got.first_token_s, vectors_number(v, "first_token_s"), 1e-12, "first token");
  expect_near(got.durable_s, vectors_number(v, "durable_s"), 1e-12, "durable");
  expect_near(done[n_layers - 1].compute_s, got.first_token_s, 0, "timeline");
}

Test(ttft, pipelined_matches_the_vectors) {
  json_t *section = vectors_section("pipelined");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    check_pipelined(v);
  }
  json_decref(section);
}

Test(ttft, read_and_compute_meet_at_alpha_star) {
  for (uint64_t i = 0; i < 1000; i++) {
    double t = 1e-6 + prng_unit(1, i), r = 1e-6 + prng_unit(2, i);
    double star = ttft_alpha_star(ttft_token_acceleration(t, r));
    expect_near(star * r, (1 - star) * t, 1e-9, "read and compute at alpha*");
    double below_s = ttft_ideal_s(star * (1 - 1e-9), 1000, t, r, 0, NULL);
    double above_s = ttft_ideal_s(fmin(star * (1 + 1e-9), 1), 1000, t, r, 0, NULL);
    expect_near(below_s, above_s, 1e-4, "continuity at alpha*");
    double best_s = ttft_ideal_s(star, 1000, t, r, 0, NULL);
    cr_expect(best_s <= below_s && best_s <= above_s, "alpha* is where TTFT is least");
  }
}

Test(ttft, speedup_is_recompute_over_ideal) {
  for (uint64_t i = 0; i < 1000; i++) {
    double alpha = prng_unit(3, i) * 0.999, e = 0.1 + 30 * prng_unit(4, i), t = 1e-4;
    double ideal_s = ttft_ideal_s(alpha, 8192, t, t / e, 0, NULL);
    expect_near(ttft_ideal_speedup(alpha, e), 8192 * t / ideal_s, 1e-9, "speedup");
  }
  expect_near(ttft_ideal_speedup(0.9, 9), 10, 1e-12, "the slides' best case at e = 9: 1 + e");
}

Test(ttft, limits) {
  cr_expect_eq(ttft_alpha_star(0), 0.0);
  cr_expect_eq(ttft_alpha_star((double)INFINITY), 1.0);
  cr_expect_eq(ttft_ideal_speedup(0, 9), 1.0);
  cr_expect_eq(ttft_ideal_speedup(1, 9), 9.0);
  cr_expect_eq(ttft_serial_s(0, 100, 0.5, 0.1), 50.0);
  cr_expect_eq(ttft_serial_s(1, 100, 0.5, 0.1), 10.0);
}

Test(ttft, regime_names_the_term_that_wins) {
  enum ttft_regime regime;
  ttft_ideal_s(0.5, 10, 1, 2, 0, &regime);
  cr_expect_eq(regime, REGIME_READ);
  ttft_ideal_s(0.5, 10, 2, 1, 0, &regime);
  cr_expect_eq(regime, REGIME_COMPUTE);
  ttft_ideal_s(0.5, 10, 1, 1, 3, &regime);
  cr_expect_eq(regime, REGIME_WRITE);
  ttft_ideal_s(0.5, 10, 1, 1, 1, &regime);
  cr_expect_eq(regime, REGIME_COMPUTE);
  cr_expect_str_eq(ttft_regime_name(REGIME_H2D), "h2d");
  cr_expect_str_eq(ttft_regime_name(REGIME_D2H), "d2h");
  struct ttft_layer layers[2] = {{1, 2, 3, 4, 5}, {1, 9, 3, 4, 5}};
  cr_expect_eq(ttft_busiest_stage_s(layers, 2, &regime), 11.0);
  cr_expect_eq(regime, REGIME_H2D);
}

static double uniform(uint64_t stream, uint64_t i) {
  return prng_unit(stream, i) * 1e-2;
}

static int random_pipeline(uint64_t seed, struct ttft_layer *layers, struct ttft_bounds *bounds) {
  int n_layers = 1 + (int)prng_below(seed, 0, 32);
  bounds->window = 1 + (int)prng_below(seed, 1, 8);
  bounds->write_window = 1 + (int)prng_below(seed, 2, 4);
  bounds->staged = prng_below(seed, 3, 2) == 1;
  for (int l = 0; l < n_layers; l++) {
    uint64_t i = 10 + 5 * (uint64_t)l;
    layers[l] =
        (struct ttft_layer){uniform(seed, i), 0, uniform(seed, i + 1), 0, uniform(seed, i + 2)};
    if (!bounds->staged) continue;
    layers[l].h2d_s = uniform(seed, i + 3);
    layers[l].d2h_s = uniform(seed, i + 4);
  }
  return n_layers;
}

Test(ttft, pipelined_lies_between_the_busiest_stage_and_all_stages_in_turn) {
  struct ttft_layer layers[LAYERS_MAX];
  struct ttft_done done[LAYERS_MAX];
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct ttft_bounds bounds;
    int n = random_pipeline(seed, layers, &bounds);
    double sum_s = 0;
    for (int l = 0; l < n; l++) {
      sum_s += layers[l].read_s + layers[l].h2d_s + layers[l].compute_s + layers[l].d2h_s +
               layers[l].write_s;
    }
    struct ttft_prediction got = ttft_pipelined(layers, n, bounds, done);
    cr_expect_leq(ttft_busiest_stage_s(layers, n, NULL), got.durable_s * (1 + 1e-12));
    cr_expect_leq(got.durable_s, sum_s * (1 + 1e-12));
    cr_expect_leq(got.first_token_s, got.durable_s);
  }
}

Test(ttft, wider_windows_and_shorter_stages_never_slow_the_pipeline) {
  struct ttft_layer layers[LAYERS_MAX];
  struct ttft_done done[LAYERS_MAX];
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct ttft_bounds bounds;
    int n = random_pipeline(seed, layers, &bounds);
    double base_s = ttft_pipelined(layers, n, bounds, done).first_token_s;
    struct ttft_bounds wider = bounds;
    wider.window++;
    cr_expect_leq(ttft_pipelined(layers, n, wider, done).first_token_s, base_s);
    wider.write_window++;
    cr_expect_leq(ttft_pipelined(layers, n, wider, done).first_token_s, base_s);
    layers[n / 2].read_s /= 2;
    layers[n / 2].compute_s /= 2;
    cr_expect_leq(ttft_pipelined(layers, n, bounds, done).first_token_s, base_s);
  }
}

Test(ttft, with_many_layers_the_pipeline_tends_to_the_ideal) {
  static struct ttft_layer layers[4096];
  static struct ttft_done done[4096];
  double gap = 1;
  for (int n = 16; n <= 4096; n *= 4) {
    for (int l = 0; l < n; l++) layers[l] = (struct ttft_layer){0.8 / n, 0, 1.0 / n, 0, 0.5 / n};
    struct ttft_bounds bounds = {.window = 4, .write_window = 2, .staged = false};
    double error = ttft_pipelined(layers, n, bounds, done).first_token_s - 1.0;
    cr_expect(error >= 0 && error < gap / 3, "%d layers: %g over the ideal", n, error);
    gap = error;
  }
}

Test(ttft, measured_alpha_star) {
  double alpha[] = {0.0, 0.5, 1.0}, read_s[] = {0, 5, 10}, compute_s[] = {20, 10, 0};
  expect_near(ttft_alpha_star_measured(alpha, read_s, compute_s, 3), 2.0 / 3, 1e-12, "crossing");
  double slow_s[] = {30, 31, 32};
  cr_expect_eq(ttft_alpha_star_measured(alpha, slow_s, compute_s, 3), 0.0);
  double fast_s[] = {-1, -1, -1};
  cr_expect_eq(ttft_alpha_star_measured(alpha, fast_s, compute_s, 3), 1.0);
  double equal_s[] = {0, 10, 20};
  cr_expect_eq(ttft_alpha_star_measured(alpha, equal_s, compute_s, 3), 0.5);
  cr_expect_eq(ttft_alpha_star_measured(alpha, fast_s, compute_s, 1), 1.0);
}

Test(ttft, constant_costs_give_the_closed_form_alpha_star) {
  double alpha[101], read_s[101], compute_s[101];
  for (int i = 0; i <= 100; i++) {
    alpha[i] = i / 100.0;
    read_s[i] = alpha[i] * 8192 * 1e-5;
    compute_s[i] = (1 - alpha[i]) * 8192 * 7e-5;
  }
  expect_near(ttft_alpha_star_measured(alpha, read_s, compute_s, 101), ttft_alpha_star(7), 1e-9,
              "alpha*");
}

Test(ttft, error_is_positive_where_the_model_says_longer) {
  expect_near(ttft_error(1.1, 1.0), 0.1, 1e-12, "over");
  expect_near(ttft_error(3.0, 4.0), -0.25, 1e-12, "under");
  cr_expect_eq(ttft_error(2.0, 2.0), 0.0);
}

Test(ttft, the_reader_waits_for_its_window_by_hand) {
  struct ttft_layer layers[2] = {{.read_s = 1, .compute_s = 5}, {.read_s = 2, .compute_s = 5}};
  struct ttft_done done[2];
  struct ttft_bounds bounds = {.window = 1, .write_window = 1, .staged = false};
  ttft_pipelined(layers, 2, bounds, done);
  cr_expect_eq(done[1].read_s, 8.0, "after compute 0, in place");
  bounds.staged = true;
  ttft_pipelined(layers, 2, bounds, done);
  cr_expect_eq(done[1].read_s, 3.0, "after the copy of layer 0, staged");
  bounds.staged = false;
  bounds.window = 2;
  ttft_pipelined(layers, 2, bounds, done);
  cr_expect_eq(done[1].read_s, 3.0, "at once");
}
