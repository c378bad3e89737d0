/*
 * The decode roofline: vectors, the worked 7B example where it follows from
 * its own formula, and that closed forms agree with the step they invert.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/roofline.h"
#include "vectors.h"

/* The document's setup: dense 7B, FP16, A100 80GB; KV left out, as its table does. */
static const struct roofline worked = {.w_active_bytes = 14e9,
                                       .kv_bytes = 0,
                                       .flops_per_token = 14e9,
                                       .bytes_per_s = 1.8e12,
                                       .flops_per_s = 250e12};
static const double usd_per_s = 1.59 / 3600;

Test(roofline, matches_the_vectors) {
  json_t *section = vectors_section("decode");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    struct roofline r = {.w_active_bytes = vectors_number(v, "w_active_bytes"),
                         .kv_bytes = vectors_number(v, "kv_bytes"),
                         .flops_per_token = vectors_number(v, "ops_per_token"),
                         .bytes_per_s = vectors_number(v, "bw"),
                         .flops_per_s = vectors_number(v, "flops")};
    expect_near(roofline_step_s(&r, vectors_number(v, "B")), vectors_number(v, "step_s"), 1e-12,
                "step");
  }
  json_decref(section);
}

Test(roofline, the_worked_example_at_batch_one) {
  expect_near(roofline_usd_per_mtok(&worked, 1, usd_per_s), 3.435, 1e-3, "raw, about $3.44");
  expect_near(roofline_usd_per_mtok_accepted(&worked, 1, usd_per_s, 0.9), 3.817, 1e-3,
              "accepted, about $3.82");
  expect_near(roofline_step_s(&worked, 1), 7.78e-3, 1e-3, "about 8 ms");
  /* "Compute-bound" from about 128: true without KV only. */
  expect_near(roofline_compute_from(&worked), 138.9, 1e-3, "compute floor");
  expect_near(roofline_naive_tokens_per_s(&worked), 17857, 1e-4, "naive tokens/s");
}

Test(roofline, production_at_small_batches) {
  /* "Production delivers 800 tokens per second" at batch 4 to 8, short contexts. */
  cr_expect_lt(roofline_tokens_per_s(&worked, 4), 800);
  cr_expect_gt(roofline_tokens_per_s(&worked, 8), 800);
}

Test(roofline, the_worked_example_with_its_kv_never_reaches_the_compute_floor) {
  struct roofline r = worked;
  r.kv_bytes = 1e9; /* 0.5 MB a token at 2K of context */
  cr_expect(isinf(roofline_compute_from(&r)));
  cr_expect_eq(roofline_amortized_from(&r), 14.0);
  static const double batch[] = {1, 8, 32, 128, 256};
  static const double raw_usd[] = {3.68, 0.675, 0.353, 0.272, 0.259};
  for (int i = 0; i < 5; i++) {
    expect_near(roofline_usd_per_mtok(&r, batch[i], usd_per_s), raw_usd[i], 2e-3, "raw cost");
  }
}

static struct roofline any(uint64_t seed) {
  return (struct roofline){.w_active_bytes = 1e9 + 1e11 * prng_unit(seed, 0),
                           .kv_bytes = 1e5 + 1e9 * pow(prng_unit(seed, 1), 4),
                           .flops_per_token = 1e9 + 1e11 * prng_unit(seed, 2),
                           .bytes_per_s = 1e12 + 4e12 * prng_unit(seed, 3),
                           .flops_per_s = 1e14 + 1e15 * prng_unit(seed, 4)};
}

Test(roofline, zones_follow_each_other_at_their_edges) {
  int floors = 0;
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct roofline r = any(seed);
    double amortized = roofline_amortized_from(&r), compute = roofline_compute_from(&r);
    double first = fmin(amortized, compute);
    cr_expect_eq(roofline_zone(&r, first * 0.999), ZONE_WEIGHTS);
    if (amortized < compute) cr_expect_eq(roofline_zone(&r, amortized * 1.0001), ZONE_AMORTIZED);
    if (isinf(compute)) continue;
    floors++;
    cr_expect_eq(roofline_zone(&r, compute * 1.001), ZONE_COMPUTE);
    expect_near(roofline_tokens_per_s(&r, compute * 2), roofline_naive_tokens_per_s(&r), 1e-12,
                "the floor's throughput");
  }
  cr_expect_gt(floors, 20, "the sample holds cases with a compute floor");
}

Test(roofline, cost_never_rises_and_step_never_falls_with_the_batch) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct roofline r = any(seed);
    for (double b = 1; b < 1024; b *= 2) {
      cr_expect_leq(roofline_usd_per_mtok(&r, 2 * b, 1),
                    roofline_usd_per_mtok(&r, b, 1) * (1 + 1e-12));
      cr_expect_geq(roofline_step_s(&r, 2 * b), roofline_step_s(&r, b));
      cr_expect_leq(roofline_tokens_per_s(&r, b), roofline_naive_tokens_per_s(&r) * (1 + 1e-12));
    }
  }
}

Test(roofline, the_largest_batch_meets_the_slo_and_one_more_does_not) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct roofline r = any(seed);
    double slo_s = roofline_step_s(&r, 0) + 0.1 * prng_unit(seed, 9);
    double n = roofline_max_batch(&r, slo_s, (double)INFINITY);
    if (n > 0) cr_expect_leq(roofline_step_s(&r, n), slo_s * (1 + 1e-12));
    cr_expect_gt(roofline_step_s(&r, n + 1), slo_s * (1 - 1e-12));
    cr_expect_leq(roofline_max_batch(&r, slo_s, 3), 3);
    cr_expect_eq(roofline_max_batch(&r, roofline_step_s(&r, 0) * 0.99, 99), 0.0);
  }
}

Test(roofline, traffic_finds_the_batch_that_carries_it) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct roofline r = any(seed);
    double most = fmin(roofline_naive_tokens_per_s(&r), r.bytes_per_s / r.kv_bytes);
    double rate = most * 0.99 * prng_unit(seed, 9);
    double batch = roofline_batch_for_traffic(&r, rate);
    expect_near(roofline_tokens_per_s(&r, batch), rate, 1e-9, "throughput");
    cr_expect(isinf(roofline_batch_for_traffic(&r, most * 1.001)));
  }
}

Test(roofline, prefill_needs_fewer_tokens_than_decode_needs_sequences) {
  expect_near(roofline_prefill_compute_from(&worked), 138.9, 1e-3, "tokens");
  expect_near(roofline_prefill_s(&worked, 10), 7.78e-3, 1e-3, "bound by the weights");
  expect_near(roofline_prefill_s(&worked, 8500), 8500 * 14e9 / 250e12, 1e-12, "bound by compute");
  /* Output tokens cost more than input tokens, the less so the larger the batch. */
  cr_expect_gt(roofline_output_input_ratio(&worked, 1, 8500), 100);
  expect_near(roofline_output_input_ratio(&worked, 256, 8500), 1, 1e-12, "at the floor");
  cr_expect_str_eq(roofline_zone_name(ZONE_WEIGHTS), "weight-bound");
}
