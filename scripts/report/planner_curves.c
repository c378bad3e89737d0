/*
 * The planner's plots: one number at a time, by calls of model/.
 */
#include <math.h>

#include "model/ttft.h"
#include "scripts/report/planner.h"

/* Kinds of a curve over batches. */
enum { DECODE, RECOMPUTE, RELOAD };

/* What every curve starts from. */
struct at {
  struct cost_result cost;
  struct planner_rates rates;
};

static struct at at(const struct planner *planner) {
  struct cost_input input = planner_cost_input(planner);
  struct at at = {.cost = cost_model(&input)};
  at.rates = planner_rates(planner, &at.cost);
  return at;
}

/* TTFT with so many local drives. */
double planner_ttft_drives_s(const struct planner *planner, double drives);

double planner_ttft_drives_s(const struct planner *planner, double drives) {
  return planner_ttft_on_drives(planner, at(planner).rates, drives);
}

/* Speedup over alpha of the ideal model, writes left out (the slides' plot). */
double planner_speedup(const struct planner *planner, double alpha);

double planner_speedup(const struct planner *planner, double alpha) {
  struct planner_rates rates = at(planner).rates;
  double e = ttft_token_acceleration(rates.compute_s_per_token, rates.read_s_per_token);
  return ttft_ideal_speedup(alpha, e);
}

static struct batching batching_of(const struct planner *planner, const struct at *now, int kind) {
  double ttft1_s = now->cost.ttft_min_gpu_s;
  if (kind == RELOAD) ttft1_s = planner_ttft_at(planner, now->rates, planner->alpha);
  return planner_batching(planner, &now->cost, ttft1_s);
}

/* E[TPOT(B)]: 0 decode alone (the roofline), 1 with every prompt recomputed, 2 with reload at
 * alpha; and US dollars per million output tokens of the same. */
double planner_tpot_s(const struct planner *planner, double batch, int kind);
double planner_usd_per_mtok(const struct planner *planner, double batch, int kind);

double planner_tpot_s(const struct planner *planner, double batch, int kind) {
  struct at now = at(planner);
  struct roofline roofline = planner_roofline(planner, &now.cost);
  if (kind == DECODE) return roofline_step_s(&roofline, batch);
  struct batching batching = batching_of(planner, &now, kind);
  return batching_expected_tpot_s(&batching, batch);
}

double planner_usd_per_mtok(const struct planner *planner, double batch, int kind) {
  struct at now = at(planner);
  double usd_per_s = now.cost.cost_offload_gpu_usd_per_hour / 3600;
  struct roofline roofline = planner_roofline(planner, &now.cost);
  if (kind == DECODE) return roofline_usd_per_mtok(&roofline, batch, usd_per_s);
  return usd_per_s * planner_tpot_s(planner, batch, kind) / batch * 1e6;
}

/* Users that one GPU serves where each accepts so much TPOT: 1 recomputed, 2 reloaded. */
double planner_users_per_gpu(const struct planner *planner, double sla_tpot_s, int kind);

double planner_users_per_gpu(const struct planner *planner, double sla_tpot_s, int kind) {
  struct at now = at(planner);
  struct batching batching = batching_of(planner, &now, kind);
  double held = planner_max_sequences(planner, &now.cost);
  return batching_users_per_gpu(&batching, sla_tpot_s, held, now.cost.gpus_offload);
}

/* US dollars an hour over concurrency: 0 context parallelism, 1 the GPUs of offload, 2 offload with
 * its external storage. */
double planner_usd_per_hour(const struct planner *planner, double concurrency, int kind);

double planner_usd_per_hour(const struct planner *planner, double concurrency, int kind) {
  struct cost_input input = planner_cost_input(planner);
  input.concurrency = concurrency;
  struct cost_result cost = cost_model(&input);
  if (kind == 0) return cost.cost_cp_usd_per_hour;
  return kind == 1 ? cost.cost_offload_gpu_usd_per_hour : cost.cost_offload_usd_per_hour;
}

/* One number of a conversation's turn: 0 prompt tokens, 1 new tokens, 2 alpha, 3 TTFT recomputed, 4
 * reloaded, 5 speedup. */
double planner_turn(const struct planner *planner, int turn, int what);

double planner_turn(const struct planner *planner, int turn, int what) {
  struct turns turns = planner_turns(planner, at(planner).rates);
  struct turns_point p = turns_at(&turns, turn);
  const double values[] = {p.n_tokens, p.n_new, p.alpha, p.recompute_s, p.reload_s, p.speedup};
  return values[what];
}

/* The roof over a layer's GEMMs, FLOP/s: the peak, or what memory lets n_new tokens use of each
 * bf16 weight (2 FLOPs a token, 2 bytes) where that is less. */
double planner_roof_flops_per_s(double n_new, double peak_flops_per_s, double bytes_per_s);

double planner_roof_flops_per_s(double n_new, double peak_flops_per_s, double bytes_per_s) {
  struct roofline roofline = {.w_active_bytes = 2,
                              .flops_per_token = 2,
                              .bytes_per_s = bytes_per_s,
                              .flops_per_s = peak_flops_per_s};
  return 2 * n_new / roofline_prefill_s(&roofline, n_new);
}
