/*
 * All models on one set of inputs, second part: conversations, batching, decode, capacity, long
 * contexts, on the fewest GPUs that run the model (gpus_offload).
 */
#include <math.h>

#include "bench/plan/outputs.h"
#include "model/batching.h"
#include "model/capacity.h"
#include "model/longcontext.h"
#include "model/roofline.h"
#include "model/turns.h"

/* Of all GPUs together. */
static double flops_per_s(const struct plan_inputs *in, const struct plan_outputs *out) {
  if (isfinite(in->compute_s_per_token))
    return out->gpus_offload * 2.0 * in->cost.params / in->compute_s_per_token;
  return out->gpus_offload * in->cost.flops_per_s;
}

struct turns plan_turns(const struct plan_inputs *in, const struct plan_outputs *out) {
  return (struct turns){.system_tokens = in->system_tokens,
                        .user_tokens = in->prompt_tokens,
                        .output_tokens = in->output_tokens,
                        .output_stored = true,
                        .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                        .compute = out->compute,
                        .read = out->read,
                        .write = out->write};
}

static void evaluate_turns(const struct plan_inputs *in, struct plan_outputs *out) {
  struct turns turns = plan_turns(in, out);
  struct turns_total total = turns_total(&turns, (int)in->turns);
  out->turns_recompute_tokens = total.recompute_tokens;
  out->turns_reload_tokens = total.reload_tokens;
  out->turns_avoided_share = total.avoided_share;
  out->turns_recompute_s = total.recompute_s;
  out->turns_reload_s = total.reload_s;
  out->turns_speedup = total.speedup;
  out->turns_mean_alpha = total.mean_alpha;
  out->turns_read_bytes = total.read_bytes;
  out->turns_write_bytes = total.write_bytes;
  out->turns_stored_bytes = total.stored_bytes;
  out->turns_first_gain = turns_first_gain(&turns, (int)in->turns);
}

static struct roofline roofline_of(const struct plan_inputs *in, const struct plan_outputs *out) {
  return (struct roofline){.w_active_bytes = in->cost.weights_bytes,
                           .kv_bytes = out->kv_bytes_per_request,
                           .flops_per_token = 2.0 * in->cost.params,
                           .bytes_per_s = out->gpus_offload * in->hbm_bytes_per_s,
                           .flops_per_s = flops_per_s(in, out)};
}

static void evaluate_batching(const struct plan_inputs *in, struct plan_outputs *out) {
  struct roofline roofline = roofline_of(in, out);
  struct batching batching = {
      .n_out_tokens = in->output_tokens,
      .ttft1_s = out->ttft_recompute_s * out->compute_gpus / out->gpus_offload,
      .tpot1_s = in->tpot_s > 0 ? in->tpot_s : roofline_step_s(&roofline, 1),
      .kv1_bytes = out->kv_bytes_per_request,
      .hbm_bytes_per_s = out->gpus_offload * in->hbm_bytes_per_s};
  struct batching reload = batching_accelerated(&batching, out->speedup);
  out->batch = in->batch;
  out->ttft1_s = batching.ttft1_s;
  out->tpot1_s = batching.tpot1_s;
  out->ap_s = batching_ap_s(&batching);
  out->ah_s = batching_ah_s(&batching);
  out->expected_ttft_s = batching_expected_ttft_s(&batching, in->batch);
  out->expected_tpot_s = batching_expected_tpot_s(&batching, in->batch);
  out->max_batch = batching_max_batch(&batching, in->sla_tpot_s);
  out->max_batch_ttft = batching_max_batch_ttft(&batching, in->sla_ttft_s);
  out->max_batch_sla = batching_max_batch_sla(&batching, in->sla_ttft_s, in->sla_tpot_s);
  out->expected_ttft_reload_s = batching_expected_ttft_s(&reload, in->batch);
  out->expected_tpot_reload_s = batching_expected_tpot_s(&reload, in->batch);
  out->max_batch_reload = batching_max_batch(&reload, in->sla_tpot_s);
  out->held_batch = batching_held_batch(&batching, in->sla_tpot_s, out->max_sequences);
  out->held_batch_reload = batching_held_batch(&reload, in->sla_tpot_s, out->max_sequences);
  out->users_per_gpu =
      batching_users_per_gpu(&batching, in->sla_tpot_s, out->max_sequences, out->gpus_offload);
  out->users_per_gpu_reload =
      batching_users_per_gpu(&reload, in->sla_tpot_s, out->max_sequences, out->gpus_offload);
  out->batch_gain = batching_gain(&batching, out->speedup);
  out->tps_gain_bound = batching_tps_gain_bound(&batching);
  out->user_latency_s =
      batching_user_latency_s(out->expected_ttft_s, in->output_tokens, out->expected_tpot_s);
  out->requests_per_s_per_gpu =
      batching_point(&batching, in->batch, out->gpus_offload).requests_per_s_per_gpu;
  struct batching_ratio ratio = {.linear_flops_per_token = 2.0 * in->cost.params,
                                 .attention_flops_per_pair = in->attention_flops_per_pair,
                                 .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                                 .flops_per_s = roofline.flops_per_s,
                                 .hbm_bytes_per_s = roofline.bytes_per_s,
                                 .n_in_tokens = in->cost.context_tokens,
                                 .n_out_tokens = in->output_tokens};
  out->ap_over_ah_short = batching_ap_over_ah_short(&ratio);
  out->ap_over_ah_long = batching_ap_over_ah_long(&ratio);
  out->regime_boundary_tokens = batching_regime_boundary_tokens(&ratio);
}

static void evaluate_decode(const struct plan_inputs *in, struct plan_outputs *out) {
  struct roofline roofline = roofline_of(in, out);
  double usd_per_s = out->gpus_offload * in->cost.gpu_usd_per_hour / 3600.0;
  out->step_s = roofline_step_s(&roofline, in->batch);
  out->tokens_per_s = roofline_tokens_per_s(&roofline, in->batch);
  out->naive_tokens_per_s = roofline_naive_tokens_per_s(&roofline);
  out->amortized_from_batch = roofline_amortized_from(&roofline);
  out->compute_from_batch = roofline_compute_from(&roofline);
  out->roofline_max_batch = roofline_max_batch(&roofline, in->sla_tpot_s, out->max_sequences);
  out->usd_per_mtok = roofline_usd_per_mtok(&roofline, in->batch, usd_per_s);
  out->usd_per_mtok_accepted =
      roofline_usd_per_mtok_accepted(&roofline, in->batch, usd_per_s, in->pass_rate);
  out->batch_for_traffic =
      roofline_batch_for_traffic(&roofline, in->requests_per_s * in->output_tokens);
  out->prefill_compute_from_tokens = roofline_prefill_compute_from(&roofline);
  out->output_input_ratio =
      roofline_output_input_ratio(&roofline, in->batch, in->cost.context_tokens);
  out->zone = roofline_zone_name(roofline_zone(&roofline, in->batch));
}

static void evaluate_capacity(const struct plan_inputs *in, struct plan_outputs *out) {
  double kv_bytes = in->cost.kv_bytes_per_token;
  double n = in->cost.context_tokens;
  double overhead_bytes = out->gpus_offload * in->overhead_bytes;
  double pool_bytes = capacity_pool_bytes(out->gpus_offload * in->cost.hbm_bytes,
                                          in->cost.weights_bytes, overhead_bytes);
  double low = capacity_effective_bytes(pool_bytes, CAPACITY_DEGRADATION_LOW);
  double high = capacity_effective_bytes(pool_bytes, CAPACITY_DEGRADATION_HIGH);
  out->pool_bytes = pool_bytes;
  out->max_sequences = capacity_max_sequences(pool_bytes, kv_bytes, n);
  out->max_sequences_degraded_20 = capacity_max_sequences(low, kv_bytes, n);
  out->max_sequences_degraded_35 = capacity_max_sequences(high, kv_bytes, n);
  out->pressure = capacity_pressure(pool_bytes, kv_bytes, in->cost.concurrency, n);
  out->pool_overflow_bytes = capacity_overflow_bytes(pool_bytes, kv_bytes, in->cost.concurrency, n);
  out->max_context_tokens = capacity_max_context_tokens(pool_bytes, kv_bytes, in->cost.concurrency);
  out->min_gpus = capacity_min_gpus(in->cost.hbm_bytes, in->overhead_bytes, in->cost.weights_bytes,
                                    out->kv_bytes_total);
  out->paging_gain = capacity_paging_gain(in->reserved_tokens, in->output_tokens, in->page_tokens);
}

static void evaluate_longcontext(const struct plan_inputs *in, struct plan_outputs *out) {
  struct longcontext lc = {.pool_bytes = out->pool_bytes,
                           .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                           .linear_flops_per_token = 2.0 * in->cost.params,
                           .attention_flops_per_pair = in->attention_flops_per_pair,
                           .flops_per_s = flops_per_s(in, out),
                           .weights_bytes = in->cost.weights_bytes,
                           .hbm_bytes_per_s = out->gpus_offload * in->hbm_bytes_per_s,
                           .n_out_tokens = in->output_tokens,
                           .usd_per_hour = out->gpus_offload * in->cost.gpu_usd_per_hour,
                           .utilization = in->utilization};
  double n = in->cost.context_tokens;
  struct longcontext_point point = longcontext_at(&lc, n);
  struct longcontext_multipliers x = longcontext_multipliers(&lc, in->base_tokens, n);
  out->longcontext_kv_x = x.kv;
  out->longcontext_concurrency_x = x.concurrency;
  out->longcontext_prefill_x = x.prefill;
  out->longcontext_step_x = x.step;
  out->longcontext_usd_x = x.usd_per_request;
  out->longcontext_usd_per_request = point.usd_per_request;
  out->longcontext_requests_per_hour = point.requests_per_hour;
  out->chunking_cost_ratio = longcontext_chunking_cost_ratio(&lc, n, in->chunks);
  out->chunking_flops_ratio = longcontext_chunking_flops_ratio(&lc, n, in->chunks);
}

void plan_evaluate_serving(const struct plan_inputs *inputs, struct plan_outputs *outputs) {
  evaluate_turns(inputs, outputs);
  evaluate_capacity(inputs, outputs);
  evaluate_batching(inputs, outputs);
  evaluate_decode(inputs, outputs);
  evaluate_longcontext(inputs, outputs);
}
