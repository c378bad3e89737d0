/*
 * Mixture of experts: the document's 671B example, where communication becomes
 * the bound, and the limits in which an MoE is a dense model.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/moe.h"
#include "vectors.h"

/* DeepSeek-V3 style on eight H200: 671B total, 37B active, 8 of 256 experts, 58 MoE layers. */
static struct moe deep(void) {
  return (struct moe){.params_total = 671e9,
                      .params_active = 37e9,
                      .experts = 256,
                      .experts_active = 8,
                      .layers = 58,
                      .hidden = 7168,
                      .weight_bytes = 1,
                      .dispatch_bytes = 1,
                      .combine_bytes = 2,
                      .kv_bytes = 70272.0 * 4096,
                      .n_gpus = 8,
                      .hbm_bytes = 141e9,
                      .hbm_bytes_per_s = 4.8e12,
                      .flops_per_s = 1e15,
                      .link_bytes_per_s = 450e9,
                      .link_latency_s = 5e-6};
}

Test(moe, residency_of_671b) {
  struct moe m = deep();
  expect_near(moe_resident_bytes(&m), 671e9, 1e-12, "671 GB in FP8");
  cr_expect_eq(moe_min_gpus(&m), 5.0);
  m.hbm_bytes = 80e9;
  cr_expect_eq(moe_min_gpus(&m), 9.0);
  cr_expect_not(moe_step(&m, 1).fits, "eight H100 do not hold it");
}

Test(moe, total_and_active_follow_from_the_split) {
  struct moe m = deep();
  double shared = moe_params_shared(&m), expert = moe_params_per_expert(&m);
  expect_near(shared + m.experts * expert, m.params_total, 1e-12, "total");
  expect_near(shared + m.experts_active * expert, m.params_active, 1e-12, "active");
  cr_expect_gt(shared, 0);
}

Test(moe, a_batch_touches_more_and_more_experts) {
  struct moe m = deep();
  expect_near(moe_experts_touched(&m, 1), 8, 1e-12, "one token");
  expect_near(moe_weight_bytes_read(&m, 1), 37e9, 1e-12, "active bytes");
  double before = 0;
  for (double batch = 1; batch < 1000; batch *= 2) {
    double touched = moe_experts_touched(&m, batch);
    cr_expect(touched > before && touched <= 256, "%g experts", touched);
    before = touched;
  }
  expect_near(moe_weight_bytes_read(&m, 1e6), 671e9, 1e-9, "a large batch reads all");
}

Test(moe, microseconds_on_nvlink_milliseconds_on_ethernet) {
  struct moe m = deep();
  m.link_latency_s = 0;
  double nvlink_s = moe_dispatch_s(&m, 256);
  /* 32 tokens a GPU x 8 experts x 7168 x 3 bytes, 7/8 of them elsewhere. */
  expect_near(nvlink_s, 32.0 * 8 * 7168 * 3 * 7 / 8 / 450e9, 1e-12, "by hand");
  cr_expect(nvlink_s > 1e-6 && nvlink_s < 100e-6, "NVLink: %g s", nvlink_s);
  m.link_bytes_per_s = 25e9 / 8;
  cr_expect(moe_dispatch_s(&m, 256) > 1e-3, "25 Gbps Ethernet");
  expect_near(moe_dispatch_s(&m, 256) / nvlink_s, 450 / 3.125, 1e-12, "144 times");
}

Test(moe, the_verdict_follows_the_link) {
  struct moe m = deep();
  cr_expect_eq(moe_step(&m, 64).bound, MOE_MEMORY);
  cr_expect(moe_step(&m, 64).fits);
  m.link_bytes_per_s = 25e9 / 8;
  struct moe_step slow = moe_step(&m, 256);
  cr_expect_eq(slow.bound, MOE_COMMUNICATION);
  cr_expect_gt(slow.communication_share, 0.5);
  m.link_bytes_per_s = 450e9;
  m.kv_bytes = 0;
  cr_expect_eq(moe_step(&m, 1e5).bound, MOE_COMPUTE);
  cr_expect_str_eq(moe_bound_name(MOE_COMMUNICATION), "communication-bound");
}

Test(moe, at_the_link_needed_communication_equals_the_rest) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct moe m = deep();
    m.link_latency_s = 5e-6 * prng_unit(seed, 0);
    double batch = 1 + (double)prng_below(seed, 1, 512);
    m.link_bytes_per_s = moe_link_needed_bytes_per_s(&m, batch);
    struct moe_step s = moe_step(&m, batch);
    expect_near(s.communication_s, fmax(s.compute_s, s.memory_s), 1e-9, "balance");
    m.link_bytes_per_s *= 0.99;
    cr_expect_eq(moe_step(&m, batch).bound, MOE_COMMUNICATION);
  }
  struct moe m = deep();
  m.link_latency_s = 1;
  cr_expect(isinf(moe_link_needed_bytes_per_s(&m, 8)));
}

Test(moe, one_gpu_with_all_experts_active_is_a_dense_model) {
  struct moe m = deep();
  m.n_gpus = 1;
  struct moe_step s = moe_step(&m, 1);
  cr_expect_eq(s.communication_s, 0.0);
  expect_near(s.step_s, moe_naive_step_s(&m, 1), 1e-12, "batch 1 reads the active weights");
  cr_expect_gt(moe_step(&m, 64).step_s, moe_naive_step_s(&m, 64));
}

Test(moe, slow_networks_multiply_the_step) {
  /* A thousand all-reduces in each second of work, 9 ms more for each (the document: 5 to 15). */
  expect_near(moe_latency_slowdown(1, 1000, 9e-3), 10, 1e-9, "10x slower");
  cr_expect_eq(moe_latency_slowdown(30e-3, 160, 0), 1.0);
}

Test(moe, one_step_by_hand) {
  struct moe m = {.params_total = 110,
                  .params_active = 30,
                  .experts = 10,
                  .experts_active = 2,
                  .layers = 3,
                  .hidden = 4,
                  .weight_bytes = 2,
                  .dispatch_bytes = 1,
                  .combine_bytes = 2,
                  .kv_bytes = 5,
                  .n_gpus = 2,
                  .hbm_bytes = 112,
                  .hbm_bytes_per_s = 10,
                  .flops_per_s = 60,
                  .link_bytes_per_s = 12,
                  .link_latency_s = 0.5};
  cr_expect_eq(moe_params_per_expert(&m), 10.0);
  cr_expect_eq(moe_params_shared(&m), 10.0);
  struct moe_step s = moe_step(&m, 1);
  expect_near(s.compute_s, 2 * 30.0 / (2 * 60), 1e-12, "compute");
  expect_near(s.memory_s, (30 * 2 + 5) / 20.0, 1e-12, "memory");
  /* Half a token a GPU, 2 experts, 4 elements, 3 bytes, half of it remote: 6 bytes; 1 s latency. */
  expect_near(s.communication_s, 3 * (6 / 12.0 + 1), 1e-12, "communication");
  expect_near(s.step_s, 3.25 + 4.5, 1e-12, "step");
  expect_near(s.communication_share, 4.5 / 7.75, 1e-12, "share");
  expect_near(moe_naive_step_s(&m, 1), 3.25, 1e-12, "a dense model of the active parameters");
  cr_expect_not(s.fits, "220 bytes of weights and 5 of KV, in 224");
  m.hbm_bytes = 112.5;
  cr_expect(moe_step(&m, 1).fits, "exactly");
}
