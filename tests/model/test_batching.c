/*
 * Continuous batching: vectors, the SLA's edge, limits, and the regimes.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/batching.h"
#include "vectors.h"

Test(batching, matches_the_vectors) {
  json_t *section = vectors_section("batching");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    struct batching b = {.n_out_tokens = vectors_number(v, "n_out"),
                         .ttft1_s = vectors_number(v, "ttft1_s"),
                         .tpot1_s = vectors_number(v, "tpot1_s"),
                         .kv1_bytes = vectors_number(v, "kv1_bytes"),
                         .hbm_bytes_per_s = vectors_number(v, "hbm_bytes_per_s")};
    double n = vectors_number(v, "B");
    expect_near(batching_expected_ttft_s(&b, n), vectors_number(v, "expected_ttft_s"), 1e-12,
                "E[TTFT]");
    expect_near(batching_expected_tpot_s(&b, n), vectors_number(v, "expected_tpot_s"), 1e-12,
                "E[TPOT]");
    expect_near(batching_max_batch(&b, vectors_number(v, "sla_tpot_s")),
                vectors_number(v, "max_batch"), 0, "B_max");
    expect_near(batching_gain(&b, vectors_number(v, "x")), vectors_number(v, "batch_gain"), 1e-12,
                "gain");
    expect_near(batching_tps_gain_bound(&b), vectors_number(v, "tps_gain_bound"), 1e-12, "bound");
  }
  json_decref(section);
}

Test(batching, users_are_bound_by_the_sla_or_by_memory) {
  /* AP + AH = 3 ms: 1 + floor((40 - 10) / 3) = 11 requests keep 40 ms. */
  struct batching b = {.n_out_tokens = 100,
                       .ttft1_s = 0.2,
                       .tpot1_s = 0.010,
                       .kv1_bytes = 1e9,
                       .hbm_bytes_per_s = 1e12};
  expect_near(batching_held_batch(&b, 0.0401, 50), 11, 0, "the SLA binds");
  expect_near(batching_held_batch(&b, 0.0401, 6), 6, 0, "memory binds");
  expect_near(batching_users_per_gpu(&b, 0.0401, 6, 8), 0.75, 0, "six users of eight GPUs");
}

static struct batching any(uint64_t seed) {
  return (struct batching){.n_out_tokens = 1 + (double)prng_below(seed, 0, 500),
                           .ttft1_s = 1e-3 + prng_unit(seed, 1),
                           .tpot1_s = 1e-3 + 0.02 * prng_unit(seed, 2),
                           .kv1_bytes = 1e6 + 1e9 * prng_unit(seed, 3),
                           .hbm_bytes_per_s = 3.35e12};
}

Test(batching, the_largest_batch_meets_the_sla_and_one_more_does_not) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    struct batching b = any(seed);
    double sla_s = b.tpot1_s * (1.001 + 9 * prng_unit(seed, 4));
    double n = batching_max_batch(&b, sla_s);
    cr_expect_leq(batching_expected_tpot_s(&b, n), sla_s * (1 + 1e-12));
    cr_expect_gt(batching_expected_tpot_s(&b, n + 1), sla_s);
    double sla_ttft_s = b.ttft1_s * (1.001 + prng_unit(seed, 5));
    double m = batching_max_batch_ttft(&b, sla_ttft_s);
    cr_expect_leq(batching_expected_ttft_s(&b, m), sla_ttft_s * (1 + 1e-12));
    cr_expect_gt(batching_expected_ttft_s(&b, m + 1), sla_ttft_s);
    cr_expect_eq(batching_max_batch_sla(&b, sla_ttft_s, sla_s), fmin(n, m));
  }
  struct batching b = any(1);
  cr_expect_eq(batching_max_batch(&b, b.tpot1_s * 0.99), 0.0);
  cr_expect_eq(batching_max_batch(&b, b.tpot1_s), 1.0);
  cr_expect_eq(batching_max_batch_ttft(&b, b.ttft1_s * 0.99), 0.0);
}

Test(batching, the_gain_grows_to_its_bound) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct batching b = any(seed);
    expect_near(batching_gain(&b, 1), 1, 1e-12, "no speedup, no gain");
    double before = 1;
    for (double x = 2; x < 1e6; x *= 3) {
      double gain = batching_gain(&b, x);
      cr_expect_gt(gain, before);
      cr_expect_lt(gain, batching_tps_gain_bound(&b));
      before = gain;
    }
    expect_near(batching_gain(&b, (double)INFINITY), batching_tps_gain_bound(&b), 1e-12, "limit");
    struct batching faster = batching_accelerated(&b, 4);
    expect_near((batching_ap_s(&b) + batching_ah_s(&b)) /
                    (batching_ap_s(&faster) + batching_ah_s(&faster)),
                batching_gain(&b, 4), 1e-12, "gain of the accelerated server");
  }
}

Test(batching, concurrent_prefills_are_binomial) {
  double total = 0, mean = 0;
  for (int k = 0; k <= 32; k++) {
    double p = batching_prefills_probability(32, 64, k);
    total += p;
    mean += k * p;
  }
  expect_near(total, 1, 1e-12, "sum");
  expect_near(mean, 32.0 / 64, 1e-12, "mean B/N_out");
  cr_expect_eq(batching_prefills_probability(4, 64, 5), 0.0);
  cr_expect_eq(batching_prefills_probability(4, 64, -1), 0.0);
  cr_expect_eq(batching_prefills_probability(4, 1, 4), 1.0);
  /* The expected number of additional prefills of the other B-1 is what E[TTFT] adds. */
  struct batching b = any(3);
  double others = 0;
  for (int k = 0; k <= 31; k++) others += k * batching_prefills_probability(31, b.n_out_tokens, k);
  expect_near(batching_expected_ttft_s(&b, 32), b.ttft1_s * (1 + others), 1e-9, "E[TTFT]");
}

Test(batching, efficiency_rises_and_experience_falls_with_the_batch) {
  struct batching b = any(7);
  struct batching_point before = batching_point(&b, 1, 2);
  for (double n = 2; n < 64; n++) {
    struct batching_point now = batching_point(&b, n, 2);
    cr_expect_lt(now.user_tokens_per_s, before.user_tokens_per_s);
    cr_expect_gt(now.requests_per_s_per_gpu, before.requests_per_s_per_gpu);
    before = now;
  }
  expect_near(batching_user_latency_s(0.5, 100, 0.02), 2.5, 1e-12, "TTFT + N_out TPOT");
}

Test(batching, short_and_long_prompts) {
  const struct shape *shape = shape_preset("llama-3-70b");
  struct batching_ratio r = {.linear_flops_per_token = shape_linear_flops_per_token(shape),
                             .attention_flops_per_pair = 4.0 * shape->layers * shape->q_heads *
                                                         shape->head_dim,
                             .kv_bytes_per_token = shape_kv_bytes_per_token(shape, 2),
                             .flops_per_s = 7e14,
                             .hbm_bytes_per_s = 3.35e12,
                             .n_in_tokens = 3500,
                             .n_out_tokens = 64};
  /* The same from the definition, AP and AH of a request with that prompt. */
  struct batching b = {
      .n_out_tokens = 64,
      .ttft1_s = (3500 * r.linear_flops_per_token + r.attention_flops_per_pair * 3500 * 3500 / 2) /
                 7e14,
      .kv1_bytes = 3500 * r.kv_bytes_per_token,
      .hbm_bytes_per_s = 3.35e12};
  expect_near(batching_ap_over_ah(&r), batching_tps_gain_bound(&b) - 1, 1e-12, "AP/AH");
  double boundary = batching_regime_boundary_tokens(&r);
  expect_near(boundary, 104448, 1e-12, "12.75 d");
  r.n_in_tokens = boundary;
  expect_near(batching_ap_over_ah_short(&r), batching_ap_over_ah_long(&r), 1e-12, "boundary");
  /* The slides' 6 d: multi-head attention, FFN 4 d with two matrices, attention not halved. */
  double d = 768;
  r.linear_flops_per_token = 2 * 12 * d * d;
  r.attention_flops_per_pair = 4 * d;
  expect_near(batching_regime_boundary_tokens(&r) / 2, 6 * d, 1e-12, "6 d");
}

Test(batching, a_point_by_hand) {
  struct batching b = {
      .n_out_tokens = 10, .ttft1_s = 1, .tpot1_s = 0.05, .kv1_bytes = 1e9, .hbm_bytes_per_s = 1e11};
  /* AP 0.1, AH 0.01: TPOT(3) = 0.27, TTFT(3) = 1.2, a request takes 3.9 s. */
  struct batching_point p = batching_point(&b, 3, 2);
  expect_near(p.user_tokens_per_s, 1 / 0.27, 1e-12, "tokens/s of a user");
  expect_near(p.requests_per_s_per_gpu, 3 / 3.9 / 2, 1e-12, "requests");
  expect_near(p.output_tokens_per_s_gpu, 30 / 3.9 / 2, 1e-12, "tokens");
}
