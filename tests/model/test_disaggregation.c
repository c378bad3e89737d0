/*
 * Disaggregation: the document's transfer and improvement, each gate failing
 * on its own, and pools that carry their traffic.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/disaggregation.h"
#include "vectors.h"

/* A workload that passes all gates: the document's 40K-token prompts. */
static struct disaggregation_state ready_state(void) {
  return (struct disaggregation_state){.prompt_tokens = 40000,
                                       .ttft_s = 2.8,
                                       .ttft_slo_s = 1.5,
                                       .prefill_s = 1.5,
                                       .tpot_s = 0.038,
                                       .tpot_burst_s = 0.045,
                                       .prefill_utilization = 0.65,
                                       .decode_utilization = 0.80,
                                       .kv_bytes = 4e9,
                                       .link_bytes_per_s = 50e9,
                                       .scales_independently = true,
                                       .failures_diagnosable = true};
}

static struct disaggregation_verdict check(struct disaggregation_state state) {
  struct disaggregation_limits limits = disaggregation_default_limits();
  return disaggregation_check(&state, &limits);
}

Test(disaggregation, transfer_of_500_mb_over_25_gbps) {
  double transfer_s = disaggregation_transfer_s(500e6, 25e9 / 8, 0);
  expect_near(transfer_s, 0.160, 1e-12, "about 160 ms");
  cr_expect_gt(transfer_s / 0.300, 0.5, "more than half of a 300 ms target");
  expect_near(disaggregation_transfer_s(0, 1e9, 1e-3), 1e-3, 1e-12, "latency alone");
}

Test(disaggregation, ttft_improves_by_57_percent) {
  expect_near(disaggregation_improvement(2.8, 1.2), 0.57, 0.01, "TTFT");
  expect_near(disaggregation_improvement(0.045, 0.038), 7.0 / 45, 1e-12, "TPOT");
}

Test(disaggregation, a_ready_workload_passes_all_gates) {
  struct disaggregation_verdict v = check(ready_state());
  cr_expect(v.ready);
  cr_expect_eq(v.n_passed, 6);
  expect_near(v.transfer_s, 0.080, 1e-12, "80 ms");
}

/* Exactly the named gate fails. */
static void expect_only(struct disaggregation_state state, enum disaggregation_gate gate) {
  struct disaggregation_verdict v = check(state);
  cr_expect_not(v.ready);
  for (int g = 0; g < N_GATES; g++) {
    cr_expect_eq(v.passed[g], g != (int)gate, "%s", disaggregation_gate_name(gate));
  }
}

Test(disaggregation, each_gate_fails_alone) {
  struct disaggregation_state s = ready_state();
  s.prompt_tokens = 1500;
  s.ttft_s = 1.4; /* short prompts, TTFT within the SLO */
  expect_only(s, GATE_PREFILL_DOMINATES);
  s = ready_state();
  s.prefill_s = 0.5; /* TTFT is queueing */
  expect_only(s, GATE_PREFILL_DOMINATES);
  s = ready_state();
  s.tpot_burst_s = s.tpot_s;
  expect_only(s, GATE_INTERFERENCE);
  s = ready_state();
  s.prefill_utilization = 0.2;
  expect_only(s, GATE_TRAFFIC);
  s = ready_state();
  s.link_bytes_per_s = 25e9 / 8;
  expect_only(s, GATE_TRANSFER);
  s = ready_state();
  s.scales_independently = false;
  expect_only(s, GATE_AUTOSCALING);
  s = ready_state();
  s.failures_diagnosable = false;
  expect_only(s, GATE_DEBUGGING);
}

Test(disaggregation, pools_carry_their_traffic_and_are_not_larger_than_needed) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    double rate = 0.1 + 50 * prng_unit(seed, 0), prefill = 0.01 + 5 * prng_unit(seed, 1);
    double decode = 1e-4 + 0.01 * prng_unit(seed, 2), target = 0.5 + 0.4 * prng_unit(seed, 3);
    struct disaggregation_pools p = disaggregation_pools(rate, prefill, 500, decode, target);
    cr_expect_leq(p.prefill_utilization, target * (1 + 1e-12));
    cr_expect_leq(p.decode_utilization, target * (1 + 1e-12));
    if (p.prefill_gpus > 1) cr_expect_gt(rate * prefill / (p.prefill_gpus - 1), target);
    if (p.decode_gpus > 1) cr_expect_gt(rate * 500 * decode / (p.decode_gpus - 1), target);
    cr_expect(p.prefill_share > 0 && p.prefill_share < 1);
  }
}

Test(disaggregation, waiting_grows_without_bound) {
  expect_near(disaggregation_ttft_s(1, 0, 0.08), 1.08, 1e-12, "idle");
  expect_near(disaggregation_ttft_s(1, 0.5, 0), 1.5, 1e-12, "half utilised");
  cr_expect_gt(disaggregation_ttft_s(1, 0.99, 0), 50);
  cr_expect(isinf(disaggregation_ttft_s(1, 1, 0)));
}

Test(disaggregation, either_long_prompts_or_a_slow_ttft_open_the_first_gate) {
  struct disaggregation_state s = ready_state();
  s.prompt_tokens = 1500; /* short, but TTFT is over its SLO */
  cr_expect(check(s).passed[GATE_PREFILL_DOMINATES]);
  s = ready_state();
  s.ttft_s = 1.4; /* within the SLO, but prompts are long */
  cr_expect(check(s).passed[GATE_PREFILL_DOMINATES]);
  expect_near(check(s).transfer_share, 0.08 / 1.5, 1e-12, "share of the target");
  expect_near(disaggregation_ttft_s(0.6, 0.5, 0.1), 0.3 + 0.6 + 0.1, 1e-12, "wait");
}

Test(disaggregation, a_gate_met_exactly_is_passed) {
  struct disaggregation_state s = ready_state();
  s.prompt_tokens = 2000;
  s.ttft_s = 1.5;
  s.prefill_s = 0.75;
  s.prefill_utilization = 0.5;
  s.link_bytes_per_s = s.kv_bytes / 0.75;
  cr_expect(check(s).ready);
}
