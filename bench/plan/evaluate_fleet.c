/*
 * All models on one set of inputs, third part: prices, tiers, routing, experts, pools, wear.
 */
#include <math.h>

#include "bench/plan/outputs.h"
#include "model/cache.h"
#include "model/disaggregation.h"
#include "model/goodput.h"
#include "model/moe.h"
#include "model/routing.h"
#include "model/tiers.h"
#include "model/wear.h"

#define PER_MTOK 1e-6

static void evaluate_cache(const struct plan_inputs *in, struct plan_outputs *out) {
  struct cache_prices prices = {.p_in = in->price_in * PER_MTOK,
                                .p_write = in->price_write * PER_MTOK,
                                .p_read = in->price_read * PER_MTOK,
                                .p_out = in->price_out * PER_MTOK};
  double prefix = in->alpha * in->cost.context_tokens;
  double other = in->cost.context_tokens - prefix;
  out->cache_breakeven_calls = cache_breakeven_calls(&prices);
  out->cache_breakeven_calls_strict = cache_breakeven_calls_strict(&prices);
  out->cache_breakeven_calls_rent =
      cache_breakeven_calls_rent(&prices, in->rent * PER_MTOK, in->ttl_s / 3600.0);
  out->cache_savings_usd = cache_savings(&prices, prefix, in->calls);
  out->cache_waste_usd = cache_waste(&prices, prefix);
  out->cache_breakeven_hit_rate = cache_breakeven_hit_rate(&prices);
  out->cache_ttl_hit_rate = cache_hit_rate_random(in->ttl_s, in->gap_s);
  out->cache_reuses_per_write = cache_reuses_per_write(in->hit_rate);
  struct cache_split split = cache_request_split(&prices, other + (1 - in->hit_rate) * prefix,
                                                 in->hit_rate * prefix, in->output_tokens);
  out->request_usd = split.total_cost;
  out->request_output_share = split.output_share;
  out->request_cacheable_share = split.cacheable_share;
  out->output_input_price_ratio = in->price_out / in->price_in;
}

static void evaluate_tiers(const struct plan_inputs *in, struct plan_outputs *out) {
  double prefix = in->alpha * in->cost.context_tokens;
  struct tier_workload workload = {.n_replicas = in->replicas,
                                   .n_prefixes = in->prefixes,
                                   .prefix_tokens = prefix,
                                   .new_tokens = in->cost.context_tokens - prefix,
                                   .zipf_exponent = in->zipf,
                                   .locality = in->locality,
                                   .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                                   .compute_s_per_token = out->compute_s_per_token};
  double local_bytes_per_s = in->cost.kv_bytes_per_token / out->read_s_per_token;
  struct tier tiers[4] = {
      {TIER_S0, out->pool_bytes, out->gpus_offload * in->hbm_bytes_per_s, 0, in->hbm_usd},
      {TIER_S1A, in->dram_bytes, in->dram_bytes_per_s, 0, in->dram_usd},
      {TIER_S1B, out->servers_offload * in->cost.nvme_bytes,
       out->external ? in->cost.nvme_bytes_per_s : local_bytes_per_s, 0, in->nvme_usd},
      {TIER_S3, in->prefixes * prefix * in->cost.kv_bytes_per_token, in->cost.external_bytes_per_s,
       0, in->cost.external_usd_per_gb_month}};
  struct tier_result r[4];
  for (int i = 0; i < 4; i++) r[i] = tier_evaluate(&tiers[i], &workload);
  out->working_set_bytes = r[0].working_set_bytes;
  out->s0_hit_rate = r[0].hit_rate;
  out->s0_ttft_s = r[0].ttft_mean_s;
  out->s0_usd_per_hour = r[0].usd_per_hour;
  out->s1a_hit_rate = r[1].hit_rate;
  out->s1a_usd_per_hour = r[1].usd_per_hour;
  out->s1a_ttft_s = r[1].ttft_mean_s;
  out->s1b_hit_rate = r[2].hit_rate;
  out->s1b_ttft_s = r[2].ttft_mean_s;
  out->s1b_usd_per_hour = r[2].usd_per_hour;
  out->s3_hit_rate = r[3].hit_rate;
  out->s3_ttft_s = r[3].ttft_mean_s;
  out->s3_usd_per_hour = r[3].usd_per_hour;
  double share[5];
  out->cascade_ttft_s = tiers_cascade_ttft_s(tiers, 4, &workload, share);
}

static void evaluate_routing(const struct plan_inputs *in, struct plan_outputs *out) {
  double past = in->alpha * in->cost.context_tokens;
  double capacity = in->batch / (out->expected_ttft_s + in->output_tokens * out->expected_tpot_s);
  struct routing_workload workload = {.n_replicas = in->replicas,
                                      .n_prefixes = in->prefixes,
                                      .n_sessions = in->sessions,
                                      .shared_tokens = fmin(in->system_tokens, past),
                                      .history_tokens = fmax(0, past - in->system_tokens),
                                      .new_tokens = in->cost.context_tokens - past,
                                      .requests_per_s = in->requests_per_s,
                                      .ttl_s = in->ttl_s,
                                      .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                                      .cache_bytes = in->cost.nvme_bytes * out->servers_offload,
                                      .hot_share = in->hot_share,
                                      .replica_requests_per_s = capacity,
                                      .spill_at = 0.9};
  double *hits[] = {&out->round_robin_hit_rate, &out->prefix_aware_hit_rate, &out->sticky_hit_rate,
                    &out->shared_store_hit_rate};
  double *ttfts[] = {&out->round_robin_ttft_s, &out->prefix_aware_ttft_s, &out->sticky_ttft_s,
                     &out->shared_store_ttft_s};
  for (int i = 0; i < ROUTE_POLICIES; i++) {
    struct routing_result r = routing_evaluate((enum routing_policy)i, &workload);
    *hits[i] = r.hit_rate;
    *ttfts[i] = routing_ttft_s(r.hit_rate, out->ttft_reload_s, out->ttft_recompute_s);
    if (i == ROUTE_PREFIX_AWARE) out->hottest_utilization = r.hottest_utilization;
  }
  out->routing_min_replicas = routing_min_replicas(ROUTE_ROUND_ROBIN, &workload);
}

static void evaluate_moe(const struct plan_inputs *in, struct plan_outputs *out) {
  double flops = isfinite(in->compute_s_per_token) ? 2.0 * in->cost.params / in->compute_s_per_token
                                                   : in->cost.flops_per_s;
  struct moe moe = {.params_total = in->cost.params,
                    .params_active = fmin(in->params_active, in->cost.params),
                    .experts = in->experts,
                    .experts_active = in->experts_active,
                    .layers = in->moe_layers,
                    .hidden = in->hidden,
                    .weight_bytes = in->cost.weights_bytes / in->cost.params,
                    .dispatch_bytes = 1,
                    .combine_bytes = 2,
                    .kv_bytes = out->kv_bytes_per_request,
                    .n_gpus = out->gpus_offload,
                    .hbm_bytes = in->cost.hbm_bytes,
                    .hbm_bytes_per_s = in->hbm_bytes_per_s,
                    .flops_per_s = flops,
                    .link_bytes_per_s = in->link_bytes_per_s,
                    .link_latency_s = in->link_latency_s};
  struct moe_step step = moe_step(&moe, in->batch);
  out->moe_resident_bytes = moe_resident_bytes(&moe);
  out->moe_min_gpus = moe_min_gpus(&moe);
  out->moe_experts_touched = moe_experts_touched(&moe, in->batch);
  out->moe_compute_s = step.compute_s;
  out->moe_memory_s = step.memory_s;
  out->moe_communication_s = step.communication_s;
  out->moe_step_s = step.step_s;
  out->moe_naive_step_s = moe_naive_step_s(&moe, in->batch);
  out->moe_link_needed_bytes_per_s = moe_link_needed_bytes_per_s(&moe, in->batch);
  out->moe_latency_slowdown =
      moe_latency_slowdown(step.step_s, 2 * in->moe_layers, in->added_latency_s);
  out->moe_bound = moe_bound_name(step.bound);
}

static void evaluate_disaggregation(const struct plan_inputs *in, struct plan_outputs *out) {
  struct disaggregation_pools pools = disaggregation_pools(
      in->requests_per_s, out->compute_gpus * out->ttft_recompute_s, in->output_tokens,
      out->gpus_offload * out->step_s / in->batch, in->utilization);
  struct disaggregation_state state = {.prompt_tokens = in->cost.context_tokens,
                                       .ttft_s = out->expected_ttft_s,
                                       .ttft_slo_s = in->sla_ttft_s,
                                       .prefill_s = out->ttft1_s,
                                       .tpot_s = out->tpot1_s,
                                       .tpot_burst_s = in->tpot_burst_s > 0 ? in->tpot_burst_s
                                                                            : out->expected_tpot_s,
                                       .prefill_utilization = pools.prefill_utilization,
                                       .decode_utilization = pools.decode_utilization,
                                       .kv_bytes = out->kv_bytes_per_request,
                                       .link_bytes_per_s = in->link_bytes_per_s,
                                       .link_latency_s = in->link_latency_s,
                                       .scales_independently = in->autoscaling > 0.5,
                                       .failures_diagnosable = in->debugging > 0.5};
  struct disaggregation_limits limits = disaggregation_default_limits();
  struct disaggregation_verdict verdict = disaggregation_check(&state, &limits);
  _Static_assert(N_GATES == sizeof out->gates / sizeof out->gates[0], "one flag a gate");
  for (int i = 0; i < N_GATES; i++) out->gates[i] = verdict.passed[i];
  out->transfer_s = verdict.transfer_s;
  out->transfer_share = verdict.transfer_share;
  out->gates_passed = verdict.n_passed;
  out->prefill_gpus = pools.prefill_gpus;
  out->decode_gpus = pools.decode_gpus;
  out->prefill_utilization = pools.prefill_utilization;
  out->decode_utilization = pools.decode_utilization;
  out->disaggregated_ttft_s =
      disaggregation_ttft_s(out->ttft1_s, pools.prefill_utilization, out->transfer_s);
}

/* Of the requests that were observed, those that meet both promises at this batch's TPOT. */
static double goodput_share(const struct plan_inputs *in, const struct plan_outputs *out) {
  struct goodput_request requests[PLAN_REQUESTS_MAX];
  struct goodput_slo slo = {in->sla_ttft_s, in->sla_tpot_s, INFINITY};
  int n = in->requests.n;
  for (int i = 0; i < n; i++)
    requests[i] = (struct goodput_request){.ttft_s = in->requests.ttft_s[i],
                                           .tpot_s = out->expected_tpot_reload_s,
                                           .quality_ok = true};
  return n > 0 ? (double)goodput_measure(requests, n, slo, 1).accepted / n : NAN;
}

static void evaluate_goodput(const struct plan_inputs *in, struct plan_outputs *out) {
  double usd_per_s = out->gpus_offload * in->cost.gpu_usd_per_hour / 3600.0;
  double gpu_s = out->ttft1_s + in->output_tokens * out->step_s / in->batch;
  out->usd_per_request = usd_per_s * gpu_s;
  out->usd_per_accepted = goodput_usd_with_retries(out->usd_per_request, in->pass_rate);
  out->goodput_share = goodput_share(in, out);
  out->productive_share = goodput_productive_share(in->utilization, 0, 0, 0, in->pass_rate);
  double draft_s = in->draft_share * out->step_s;
  out->speculative_speedup =
      goodput_speculative_speedup(in->acceptance, in->drafted, draft_s, out->step_s, out->step_s);
  out->breakeven_acceptance =
      goodput_breakeven_acceptance(in->drafted, draft_s, out->step_s, out->step_s);
}

static void evaluate_wear(const struct plan_inputs *in, struct plan_outputs *out) {
  double capacity_bytes = out->servers_offload * in->cost.nvme_bytes;
  double n_new = (1 - in->alpha) * in->cost.context_tokens;
  out->endurance_bytes =
      wear_endurance_bytes(capacity_bytes, in->writes_per_day, in->warranty_years);
  out->written_bytes_per_request = wear_bytes_per_request(
      n_new, in->output_tokens, in->cost.kv_bytes_per_token, in->write_amplification);
  double bytes_per_s = in->requests_per_s * out->written_bytes_per_request;
  out->wear_years = wear_years(out->endurance_bytes, bytes_per_s);
  out->drive_writes_per_day = wear_drive_writes_per_day(bytes_per_s, capacity_bytes);
  out->wear_usd_per_mtok = wear_usd_per_mtok(in->drive_usd * out->servers_offload,
                                             out->endurance_bytes, in->cost.kv_bytes_per_token,
                                             in->write_amplification);
  out->recompute_usd_per_mtok = wear_recompute_usd_per_mtok(
      out->compute_gpus * in->cost.gpu_usd_per_hour, out->compute_s_per_token);
  out->breakeven_reuses =
      wear_breakeven_reuses(out->wear_usd_per_mtok, out->recompute_usd_per_mtok);
}

void plan_evaluate_fleet(const struct plan_inputs *inputs, struct plan_outputs *outputs) {
  evaluate_cache(inputs, outputs);
  evaluate_tiers(inputs, outputs);
  evaluate_routing(inputs, outputs);
  evaluate_moe(inputs, outputs);
  evaluate_disaggregation(inputs, outputs);
  evaluate_goodput(inputs, outputs);
  evaluate_wear(inputs, outputs);
}
