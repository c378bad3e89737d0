/*
 * Long contexts: the document's arithmetic for 128K on one GPU, and how each
 * multiplier must behave.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "model/longcontext.h"
#include "vectors.h"

/* Llama-3 8B on an A100 80GB, the document's running example. */
static struct longcontext example(void) {
  const struct shape *shape = shape_preset("llama-3-8b");
  return (struct longcontext){.pool_bytes = 60e9,
                              .kv_bytes_per_token = shape_kv_bytes_per_token(shape, 2),
                              .linear_flops_per_token = shape_linear_flops_per_token(shape),
                              .attention_flops_per_pair = 4.0 * shape->layers * shape->q_heads *
                                                          shape->head_dim,
                              .flops_per_s = 250e12,
                              .weights_bytes = 16e9,
                              .hbm_bytes_per_s = 1.8e12,
                              .n_out_tokens = 250,
                              .usd_per_hour = 1.59,
                              .utilization = 0.7};
}

Test(longcontext, three_requests_of_thirty_seconds) {
  expect_near(longcontext_requests_per_hour(3, 30, 0.65), 230, 0.02, "roughly 230");
  expect_near(longcontext_requests_per_hour(3, 30, 0.80), 290, 0.01, "to 290 an hour");
  expect_near(longcontext_usd_per_request(1.59, longcontext_requests_per_hour(3, 30, 1)), 0.0044,
              0.01, "the naive $0.004");
  expect_near(longcontext_usd_per_request(1.59, 234), 0.0068, 0.01, "at 65%");
  expect_near(longcontext_usd_per_request(1.59, 288), 0.0055, 0.01, "at 80%");
}

Test(longcontext, the_running_examples_capacity) {
  struct longcontext l = example();
  cr_expect_eq(longcontext_at(&l, 131072).max_sequences, 3.0);
  cr_expect_eq(longcontext_at(&l, 2048).max_sequences, 223.0);
  cr_expect_eq(longcontext_at(&l, 600000).max_sequences, 0.0);
  cr_expect(isinf(longcontext_at(&l, 600000).usd_per_request));
}

Test(longcontext, doubling_the_context_more_than_doubles_the_cost) {
  struct longcontext l = example();
  for (double tokens = 2048; tokens <= 65536; tokens *= 2) {
    struct longcontext_multipliers m = longcontext_multipliers(&l, tokens, 2 * tokens);
    expect_near(m.kv, 2, 1e-12, "KV is linear");
    cr_expect(m.concurrency <= 0.5, "concurrency halves");
    cr_expect_gt(m.prefill, 2, "attention is quadratic");
    cr_expect_lt(m.prefill, 4.7, "but not more; the 250 output tokens are not prefilled");
    cr_expect_gt(m.usd_per_request, 2, "worse than 2x");
  }
  struct longcontext_multipliers same = longcontext_multipliers(&l, 8192, 8192);
  cr_expect(same.kv == 1 && same.concurrency == 1 && same.usd_per_request == 1);
}

Test(longcontext, a_full_pool_costs_the_same_step_whatever_the_context) {
  struct longcontext l = example();
  /* The pool is read at each step: 16 + 60 GB; only rounding down changes it. */
  expect_near(longcontext_at(&l, 4096).step_s, 76e9 / 1.8e12, 0.01, "short");
  expect_near(longcontext_at(&l, 32768).step_s, 76e9 / 1.8e12, 0.06, "long");
}

Test(longcontext, residence_and_throughput_agree) {
  struct longcontext l = example();
  l.utilization = 1;
  struct longcontext_point p = longcontext_at(&l, 8192);
  expect_near(p.requests_per_hour, longcontext_requests_per_hour(p.max_sequences, p.request_s, 1),
              1e-12, "Little");
  cr_expect_gt(p.request_s, p.prefill_s + l.n_out_tokens * p.step_s * 0.999);
}

Test(longcontext, chunks_cost_less) {
  struct longcontext l = example();
  l.n_out_tokens = 0;
  double flops = longcontext_chunking_flops_ratio(&l, 80000, 8);
  /* (linear + a 80000/2) / (linear + a 10000/2) */
  double a = l.attention_flops_per_pair;
  expect_near(flops,
              (l.linear_flops_per_token + a * 80001 / 2) /
                  (l.linear_flops_per_token + a * 10001 / 2),
              1e-12, "FLOPs");
  expect_near(longcontext_chunking_cost_ratio(&l, 80000, 8), flops, 1e-12, "without output");
  l.n_out_tokens = 250;
  cr_expect_gt(longcontext_chunking_cost_ratio(&l, 80000, 8), 1);
  expect_near(longcontext_chunking_flops_ratio(&l, 80000, 1), 1, 1e-12, "one chunk");
}

Test(longcontext, small_models_decode_at_the_compute_ceiling) {
  struct longcontext l = example();
  l.flops_per_s = 1e12;
  struct longcontext_point p = longcontext_at(&l, 8192);
  double flops = l.linear_flops_per_token + 8192 * l.attention_flops_per_pair;
  expect_near(p.step_s, p.max_sequences * flops / 1e12, 1e-12, "step");
  double new = 8192 - 250;
  expect_near(p.prefill_s,
              (new *l.linear_flops_per_token + new *(new + 1) / 2 * l.attention_flops_per_pair) /
                  1e12,
              1e-12, "prefill");
}

Test(longcontext, gpu_time_of_a_request_by_hand) {
  struct longcontext l = {.pool_bytes = 100,
                          .kv_bytes_per_token = 2,
                          .linear_flops_per_token = 10,
                          .flops_per_s = 100,
                          .weights_bytes = 20,
                          .hbm_bytes_per_s = 10,
                          .n_out_tokens = 5,
                          .usd_per_hour = 36,
                          .utilization = 0.5};
  /* 15 tokens: 30 bytes, 3 sequences; prefill 10 x 10 / 100; step (20 + 90) / 10. */
  struct longcontext_point p = longcontext_at(&l, 15);
  expect_near(p.gpu_s, 1 + 5 * 11 / 3.0, 1e-12, "GPU time");
  expect_near(p.requests_per_hour, 1800 / p.gpu_s, 1e-12, "requests");
  expect_near(p.usd_per_request, 0.02 * p.gpu_s, 1e-12, "dollars");
}
