/*
 * The event simulation: without slowdown it is the recurrence; with slowdown
 * it is what can be worked out by hand, and never faster.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/ttft.h"
#include "vectors.h"

#define LAYERS_MAX 128

static const struct ttft_slowdown none = {1, 1, 1};

/* Some stages of some layers take no time at all, as copies on a CPU do. */
static double duration_s(uint64_t seed, uint64_t i) {
  if (prng_below(seed ^ 77, i, 8) == 0) return 0.0;
  return prng_unit(seed, i) * (prng_below(seed ^ 78, i, 16) == 0 ? 1.0 : 1e-2);
}

static int random_pipeline(uint64_t seed, struct ttft_layer *layers, struct ttft_bounds *bounds) {
  int n_layers = 1 + (int)prng_below(seed, 0, 100);
  *bounds = (struct ttft_bounds){.window = 1 + (int)prng_below(seed, 1, 10),
                                 .write_window = 1 + (int)prng_below(seed, 2, 4),
                                 .staged = prng_below(seed, 3, 2) == 1};
  for (int l = 0; l < n_layers; l++) {
    uint64_t i = 10 + 5 * (uint64_t)l;
    layers[l] = (struct ttft_layer){.read_s = duration_s(seed, i),
                                    .compute_s = duration_s(seed, i + 1),
                                    .write_s = duration_s(seed, i + 2)};
    if (!bounds->staged) continue;
    layers[l].h2d_s = duration_s(seed, i + 3);
    layers[l].d2h_s = duration_s(seed, i + 4);
  }
  return n_layers;
}

Test(contended, without_slowdown_it_is_the_recurrence) {
  struct ttft_layer layers[LAYERS_MAX];
  struct ttft_done events[LAYERS_MAX], recurrence[LAYERS_MAX];
  for (uint64_t seed = 0; seed < 2000; seed++) {
    struct ttft_bounds bounds;
    int n = random_pipeline(seed, layers, &bounds);
    struct ttft_prediction want = ttft_pipelined(layers, n, bounds, recurrence);
    struct ttft_prediction got = ttft_contended(layers, n, bounds, none, events);
    expect_near(got.first_token_s, want.first_token_s, 1e-12, "first token");
    expect_near(got.durable_s, want.durable_s, 1e-12, "durable");
    for (int l = 0; l < n; l++) {
      expect_near(events[l].read_s, recurrence[l].read_s, 1e-12, "read");
      expect_near(events[l].landed_s, recurrence[l].landed_s, 1e-12, "landed");
      expect_near(events[l].compute_s, recurrence[l].compute_s, 1e-12, "compute");
      expect_near(events[l].left_s, recurrence[l].left_s, 1e-12, "left");
      expect_near(events[l].write_s, recurrence[l].write_s, 1e-12, "write");
    }
  }
}

Test(contended, two_layers_by_hand) {
  /* Read 0 alone, 0..1. Then read 1 (1 s of work, at half speed) beside compute 0
   * (2 s, at 2/3 speed): both until 3, when read 1 is done and compute 0 has
   * 2 - 4/3 = 2/3 left, alone: 3 2/3. Compute 1 alone: 5 2/3. */
  struct ttft_layer layers[2] = {{.read_s = 1, .compute_s = 2}, {.read_s = 1, .compute_s = 2}};
  struct ttft_bounds bounds = {.window = 2, .write_window = 1, .staged = false};
  struct ttft_slowdown slowdown = {.compute = 1.5, .read = 2, .write = 1};
  struct ttft_done done[2];
  struct ttft_prediction got = ttft_contended(layers, 2, bounds, slowdown, done);
  expect_near(done[0].read_s, 1, 1e-12, "read 0");
  expect_near(done[1].read_s, 3, 1e-12, "read 1");
  expect_near(done[0].compute_s, 3 + 2.0 / 3, 1e-12, "compute 0");
  expect_near(got.first_token_s, 5 + 2.0 / 3, 1e-12, "compute 1");
}

Test(contended, writes_beside_compute_by_hand) {
  /* Compute 0 alone, 0..1; then write 0 (1 s at 1/4) beside compute 1 (1 s at 1/2):
   * compute 1 ends at 3 with half of write 0 done, the rest alone: 3.5; write 1: 4.5. */
  struct ttft_layer layers[2] = {{.compute_s = 1, .write_s = 1}, {.compute_s = 1, .write_s = 1}};
  struct ttft_bounds bounds = {.window = 1, .write_window = 2, .staged = false};
  struct ttft_slowdown slowdown = {.compute = 2, .read = 9, .write = 4};
  struct ttft_done done[2];
  struct ttft_prediction got = ttft_contended(layers, 2, bounds, slowdown, done);
  expect_near(got.first_token_s, 3, 1e-12, "first token");
  expect_near(done[0].write_s, 3.5, 1e-12, "write 0");
  expect_near(got.durable_s, 4.5, 1e-12, "durable");
}

Test(contended, copies_neither_slow_nor_are_slowed) {
  struct ttft_layer layers[2] = {{.h2d_s = 1, .compute_s = 1, .d2h_s = 1},
                                 {.h2d_s = 1, .compute_s = 1, .d2h_s = 1}};
  struct ttft_bounds bounds = {.window = 2, .write_window = 2, .staged = true};
  struct ttft_done done[2];
  struct ttft_prediction got =
      ttft_contended(layers, 2, bounds, (struct ttft_slowdown){5, 5, 5}, done);
  expect_near(got.first_token_s, 3, 1e-12, "first token");
}

Test(contended, a_single_layer_never_meets_company) {
  struct ttft_layer layer = {.read_s = 1, .h2d_s = 2, .compute_s = 3, .d2h_s = 4, .write_s = 5};
  struct ttft_bounds bounds = {.window = 1, .write_window = 1, .staged = true};
  struct ttft_done done;
  struct ttft_prediction got =
      ttft_contended(&layer, 1, bounds, (struct ttft_slowdown){9, 9, 9}, &done);
  expect_near(got.first_token_s, 6, 1e-12, "first token");
  expect_near(got.durable_s, 15, 1e-12, "durable");
}

Test(contended, slowdowns_bound_the_time) {
  struct ttft_layer layers[LAYERS_MAX];
  struct ttft_done done[LAYERS_MAX];
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct ttft_bounds bounds;
    int n = random_pipeline(seed, layers, &bounds);
    double least_s = ttft_pipelined(layers, n, bounds, done).durable_s;
    struct ttft_slowdown slowdown = {1 + prng_unit(seed, 4), 1 + 3 * prng_unit(seed, 5),
                                     1 + 3 * prng_unit(seed, 6)};
    double worst = fmax(slowdown.compute, fmax(slowdown.read, slowdown.write));
    double got_s = ttft_contended(layers, n, bounds, slowdown, done).durable_s;
    cr_expect_geq(got_s, least_s * (1 - 1e-12));
    cr_expect_leq(got_s, least_s * worst * (1 + 1e-12));
  }
}

Test(contended, a_stage_that_is_no_number_shows) {
  struct ttft_layer layers[2] = {{.read_s = 1, .compute_s = (double)NAN},
                                 {.read_s = 1, .compute_s = 1}};
  struct ttft_bounds bounds = {.window = 1, .write_window = 1, .staged = false};
  struct ttft_done done[2];
  cr_expect(isnan(ttft_contended(layers, 2, bounds, none, done).first_token_s));
}
