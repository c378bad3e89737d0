/*
 * All answers of the planner at one setting: calls of model/, no formula of its own.
 */
#include <math.h>
#include <stddef.h>

#include "model/capacity.h"
#include "model/ttft.h"
#include "scripts/report/planner.h"

struct cost_input planner_cost_input(const struct planner *planner) {
  struct cost_input input = planner->cost;
  input.nvme_bytes *= planner->drives;
  input.nvme_bytes_per_s *= planner->drives;
  return input;
}

struct planner_rates planner_rates(const struct planner *planner, const struct cost_result *cost) {
  const struct cost_input *input = &planner->cost;
  double write_bytes_per_s = planner->drives * planner->drive_write_bytes_per_s;
  if (cost->external) write_bytes_per_s = fmin(write_bytes_per_s, input->external_bytes_per_s);
  return (struct planner_rates){cost->ttft_min_gpu_s / input->context_tokens,
                                cost->ttft_offload_s / input->context_tokens,
                                input->kv_bytes_per_token / write_bytes_per_s};
}

double planner_ttft_at(const struct planner *planner, struct planner_rates rates, double alpha) {
  return ttft_ideal_s(alpha, planner->cost.context_tokens, rates.compute_s_per_token,
                      rates.read_s_per_token, rates.write_s_per_token, NULL);
}

struct roofline planner_roofline(const struct planner *planner, const struct cost_result *cost) {
  const struct cost_input *input = &planner->cost;
  return (struct roofline){.w_active_bytes = input->weights_bytes,
                           .kv_bytes = cost->kv_bytes_per_request,
                           .flops_per_token = 2 * input->params,
                           .bytes_per_s = planner->hbm_bytes_per_s * cost->gpus_offload,
                           .flops_per_s = input->flops_per_s * cost->gpus_offload};
}

struct batching planner_batching(const struct planner *planner, const struct cost_result *cost,
                                 double ttft1_s) {
  struct roofline roofline = planner_roofline(planner, cost);
  return (struct batching){.n_out_tokens = planner->n_out_tokens,
                           .ttft1_s = ttft1_s,
                           .tpot1_s = roofline_step_s(&roofline, 1),
                           .kv1_bytes = cost->kv_bytes_per_request,
                           .hbm_bytes_per_s = roofline.bytes_per_s};
}

static double pool_bytes(const struct planner *planner, const struct cost_result *cost) {
  return capacity_pool_bytes(planner->cost.hbm_bytes * cost->gpus_offload,
                             planner->cost.weights_bytes,
                             planner->overhead_bytes * cost->gpus_offload);
}

double planner_max_sequences(const struct planner *planner, const struct cost_result *cost) {
  return capacity_max_sequences(pool_bytes(planner, cost), planner->cost.kv_bytes_per_token,
                                planner->cost.context_tokens);
}

struct turns planner_turns(const struct planner *planner, struct planner_rates rates) {
  double kv_bytes = planner->cost.kv_bytes_per_token;
  return (struct turns){.user_tokens = planner->prompt_tokens,
                        .output_tokens = planner->n_out_tokens,
                        .output_stored = true,
                        .kv_bytes_per_token = kv_bytes,
                        .compute = {.s_per_token = rates.compute_s_per_token},
                        .read = {.slope_s = rates.read_s_per_token / kv_bytes},
                        .write = {.slope_s = rates.write_s_per_token / kv_bytes}};
}

/* ---- the answers -------------------------------------------------------------------------- */

#define COPY(member) planned->member = cost->member

static void plan_cost(const struct cost_input *input, const struct cost_result *cost,
                      struct planned *planned) {
  COPY(kv_bytes_per_request);
  COPY(kv_bytes_total);
  COPY(gpus_offload);
  COPY(gpus_cp);
  COPY(servers_offload);
  COPY(servers_cp);
  COPY(overflow_requests);
  COPY(external_bytes);
  COPY(external);
  COPY(ttft_cp_s);
  COPY(ttft_min_gpu_s);
  COPY(ttft_offload_s);
  COPY(cost_cp_usd_per_hour);
  COPY(cost_offload_gpu_usd_per_hour);
  COPY(cost_offload_external_usd_per_hour);
  COPY(cost_offload_usd_per_hour);
  COPY(cost_ratio);
  planned->first_saving_requests = cost_first_saving_concurrency(input);
  planned->match_cp_bytes_per_s = cost_bandwidth_to_match_cp_bytes_per_s(input);
  planned->match_min_gpu_bytes_per_s = cost_bandwidth_to_match_min_gpu_bytes_per_s(input);
}

/* TTFT with reads and writes at these speeds, whatever the storage in use. */
static double ttft_with(const struct planner *planner, struct planner_rates rates,
                        double read_bytes_per_s, double write_bytes_per_s) {
  rates.read_s_per_token = planner->cost.kv_bytes_per_token / read_bytes_per_s;
  rates.write_s_per_token = planner->cost.kv_bytes_per_token / write_bytes_per_s;
  return planner_ttft_at(planner, rates, planner->alpha);
}

double planner_ttft_on_drives(const struct planner *planner, struct planner_rates rates,
                              double drives) {
  return ttft_with(planner, rates, drives * planner->cost.nvme_bytes_per_s,
                   drives * planner->drive_write_bytes_per_s);
}

static void plan_ttft(const struct planner *planner, const struct cost_result *cost,
                      struct planner_rates rates, struct planned *planned) {
  const struct cost_input *input = &planner->cost;
  enum ttft_regime regime;
  planned->compute_s_per_token = rates.compute_s_per_token;
  planned->read_s_per_token = rates.read_s_per_token;
  planned->write_s_per_token = rates.write_s_per_token;
  planned->e = ttft_token_acceleration(rates.compute_s_per_token, rates.read_s_per_token);
  planned->alpha_star = ttft_alpha_star(planned->e);
  planned->ttft_reload_s = ttft_ideal_s(planner->alpha, input->context_tokens,
                                        rates.compute_s_per_token, rates.read_s_per_token,
                                        rates.write_s_per_token, &regime);
  planned->regime = regime;
  planned->speedup = cost->ttft_min_gpu_s / planned->ttft_reload_s;
  planned->useful_read_bytes_per_s = tier_useful_read_bytes_per_s(
      planner->alpha, input->kv_bytes_per_token, rates.compute_s_per_token);
  double write_bytes_per_s =
      tier_useful_write_bytes_per_s(input->kv_bytes_per_token, rates.compute_s_per_token);
  planned->drives_enough =
      fmax(1, ceil(fmax(planned->useful_read_bytes_per_s / input->nvme_bytes_per_s,
                        write_bytes_per_s / planner->drive_write_bytes_per_s)));
  planned->ttft_local_s = planner_ttft_on_drives(planner, rates, planner->drives);
  planned->ttft_one_drive_more_s = planner_ttft_on_drives(planner, rates, planner->drives + 1);
  planned->ttft_external_s = ttft_with(
      planner, rates, input->external_bytes_per_s,
      fmin(planner->drives * planner->drive_write_bytes_per_s, input->external_bytes_per_s));
}

static void plan_batch(const struct planner *planner, const struct cost_result *cost,
                       struct planned *planned) {
  struct batching recompute = planner_batching(planner, cost, cost->ttft_min_gpu_s);
  struct batching reload = planner_batching(planner, cost, planned->ttft_reload_s);
  planned->tpot1_s = recompute.tpot1_s;
  planned->max_sequences = planner_max_sequences(planner, cost);
  planned->max_batch = batching_max_batch(&recompute, planner->sla_tpot_s);
  planned->max_batch_reload = batching_max_batch(&reload, planner->sla_tpot_s);
  planned->held_batch =
      batching_held_batch(&recompute, planner->sla_tpot_s, planned->max_sequences);
  planned->held_batch_reload =
      batching_held_batch(&reload, planner->sla_tpot_s, planned->max_sequences);
  planned->users_per_gpu = batching_users_per_gpu(&recompute, planner->sla_tpot_s,
                                                  planned->max_sequences, cost->gpus_offload);
  planned->users_per_gpu_reload = batching_users_per_gpu(
      &reload, planner->sla_tpot_s, planned->max_sequences, cost->gpus_offload);
  planned->batch_gain = batching_gain(&recompute, planned->speedup);
  planned->tps_gain_bound = batching_tps_gain_bound(&recompute);
}

static void plan_turns(const struct planner *planner, struct planner_rates rates,
                       struct planned *planned) {
  struct turns turns = planner_turns(planner, rates);
  struct turns_total total = turns_total(&turns, (int)planner->turns);
  planned->turns_recompute_s = total.recompute_s;
  planned->turns_reload_s = total.reload_s;
  planned->turns_speedup = total.speedup;
  planned->turns_avoided_share = total.avoided_share;
  planned->turns_mean_alpha = total.mean_alpha;
  planned->turns_first_gain = turns_first_gain(&turns, (int)planner->turns);
  planned->turns_stored_bytes = total.stored_bytes;
}

static void plan_tiers(const struct planner *planner, const struct cost_result *cost,
                       struct planned *planned) {
  struct cost_input input = planner_cost_input(planner);
  double prefix = planner->alpha * input.context_tokens;
  struct tier_workload workload = {.n_replicas = planner->replicas,
                                   .n_prefixes = planner->prefixes,
                                   .prefix_tokens = prefix,
                                   .new_tokens = input.context_tokens - prefix,
                                   .zipf_exponent = planner->zipf,
                                   .locality = planner->locality,
                                   .kv_bytes_per_token = input.kv_bytes_per_token,
                                   .compute_s_per_token = planned->compute_s_per_token};
  struct tier tiers[4] = {
      {TIER_S0, pool_bytes(planner, cost), cost->gpus_offload * planner->hbm_bytes_per_s, 0, 0},
      {TIER_S1A, planner->dram_bytes, planner->dram_bytes_per_s, 0, 0},
      {TIER_S1B, cost->servers_offload * input.nvme_bytes, input.nvme_bytes_per_s, 0, 0},
      {TIER_S3, planner->prefixes * prefix * input.kv_bytes_per_token, input.external_bytes_per_s,
       0, input.external_usd_per_gb_month}};
  struct tier_result r[4];
  double share[5];
  for (int i = 0; i < 4; i++) r[i] = tier_evaluate(&tiers[i], &workload);
  planned->working_set_bytes = r[0].working_set_bytes;
  planned->s0_hit_rate = r[0].hit_rate;
  planned->s1a_hit_rate = r[1].hit_rate;
  planned->s1b_hit_rate = r[2].hit_rate;
  planned->s3_hit_rate = r[3].hit_rate;
  planned->s0_ttft_s = r[0].ttft_mean_s;
  planned->s1a_ttft_s = r[1].ttft_mean_s;
  planned->s1b_ttft_s = r[2].ttft_mean_s;
  planned->s3_ttft_s = r[3].ttft_mean_s;
  planned->s3_usd_per_hour = r[3].usd_per_hour;
  planned->cascade_ttft_s = tiers_cascade_ttft_s(tiers, 4, &workload, share);
}

void planner_evaluate(const struct planner *planner, struct planned *planned) {
  struct cost_input input = planner_cost_input(planner);
  struct cost_result cost = cost_model(&input);
  struct planner_rates rates = planner_rates(planner, &cost);
  plan_cost(&input, &cost, planned);
  plan_ttft(planner, &cost, rates, planned);
  plan_batch(planner, &cost, planned);
  plan_turns(planner, rates, planned);
  plan_tiers(planner, &cost, planned);
}
