/*
 * Disaggregated prefill and decode: is it worth it, and how large would the
 * pools be? A gate passes where the condition speaks for disaggregation, so
 * that all six must pass.
 */
#include "model/disaggregation.h"

#include <math.h>

double disaggregation_transfer_s(double kv_bytes, double link_bytes_per_s, double latency_s) {
  return latency_s + kv_bytes / link_bytes_per_s;
}

const char *disaggregation_gate_name(enum disaggregation_gate gate) {
  static const char *const names[N_GATES] = {"TTFT is dominated by long-prompt prefill",
                                             "prefill bursts interrupt decode",
                                             "traffic keeps both pools utilized",
                                             "KV transfer fits into the TTFT target",
                                             "pools scale independently",
                                             "multi-step failures can be diagnosed"};
  return (unsigned)gate < N_GATES ? names[gate] : "unknown";
}

struct disaggregation_limits disaggregation_default_limits(void) {
  return (struct disaggregation_limits){.prompt_tokens_min = 2000,
                                        .prefill_share_min = 0.5,
                                        .interference_min = 1.1,
                                        .utilization_min = 0.5,
                                        .transfer_share_max = 0.5};
}

/* Gate 1. Short prompts with TTFT within its SLO gain nothing, and nor does a
 * TTFT that is mostly queueing. */
static bool prefill_dominates(const struct disaggregation_state *state,
                              const struct disaggregation_limits *limits) {
  bool slow = state->ttft_s > state->ttft_slo_s;
  bool lengthy = state->prompt_tokens >= limits->prompt_tokens_min;
  return (lengthy || slow) && state->prefill_s >= limits->prefill_share_min * state->ttft_s;
}

struct disaggregation_verdict disaggregation_check(const struct disaggregation_state *state,
                                                   const struct disaggregation_limits *limits) {
  struct disaggregation_verdict v = {0};
  v.transfer_s =
      disaggregation_transfer_s(state->kv_bytes, state->link_bytes_per_s, state->link_latency_s);
  v.transfer_share = v.transfer_s / state->ttft_slo_s;
  double lower_utilization = fmin(state->prefill_utilization, state->decode_utilization);
  v.passed[GATE_PREFILL_DOMINATES] = prefill_dominates(state, limits);
  v.passed[GATE_INTERFERENCE] = state->tpot_burst_s >= limits->interference_min * state->tpot_s;
  v.passed[GATE_TRAFFIC] = lower_utilization >= limits->utilization_min;
  v.passed[GATE_TRANSFER] = v.transfer_share <= limits->transfer_share_max;
  v.passed[GATE_AUTOSCALING] = state->scales_independently;
  v.passed[GATE_DEBUGGING] = state->failures_diagnosable;
  for (int g = 0; g < N_GATES; g++) v.n_passed += v.passed[g];
  v.ready = v.n_passed == N_GATES;
  return v;
}

/* Whole GPUs for `busy_gpus` of steady work; a pool has at least one. */
static double pool_gpus(double busy_gpus, double target_utilization) {
  return fmax(1.0, ceil(busy_gpus / target_utilization));
}

struct disaggregation_pools disaggregation_pools(double requests_per_s, double prefill_gpu_s,
                                                 double n_out_tokens, double decode_gpu_s_per_token,
                                                 double target_utilization) {
  double prefill_busy = requests_per_s * prefill_gpu_s;
  double decode_busy = requests_per_s * n_out_tokens * decode_gpu_s_per_token;
  struct disaggregation_pools p = {.prefill_gpus = pool_gpus(prefill_busy, target_utilization),
                                   .decode_gpus = pool_gpus(decode_busy, target_utilization)};
  p.prefill_utilization = prefill_busy / p.prefill_gpus;
  p.decode_utilization = decode_busy / p.decode_gpus;
  p.prefill_share = p.prefill_gpus / (p.prefill_gpus + p.decode_gpus);
  return p;
}

double disaggregation_improvement(double before_s, double after_s) {
  return (before_s - after_s) / before_s;
}

double disaggregation_ttft_s(double prefill_s, double utilization, double transfer_s) {
  if (utilization >= 1.0) return INFINITY;
  double wait_s = utilization / (2.0 * (1.0 - utilization)) * prefill_s;
  return wait_s + prefill_s + transfer_s;
}
