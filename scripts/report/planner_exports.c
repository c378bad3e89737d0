/*
 * What the report's page calls of model/, compiled to WebAssembly: so that no formula is written a
 * second time in JavaScript.
 *
 * The page sets inputs and reads outputs by name (planner_input_name(i) is the i-th double of
 * struct planner, likewise outputs), so that no order is written down twice either. Memory is the
 * page's: it hands over pointers, this file keeps nothing. Functions of model/ that take doubles
 * only are exported as they are (build.sh lists them).
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "model/batching.h"
#include "model/capacity.h"
#include "model/cost.h"
#include "model/roofline.h"
#include "model/shape.h"
#include "model/ttft.h"

/* Inputs, all doubles: one a slider. */
struct planner {
  struct cost_input cost;
  double alpha;             /* share of the context whose KV is in storage */
  double n_out_tokens;      /* N_out */
  double sla_ttft_s;        /* what a user accepts to wait for the first token */
  double sla_tpot_s;        /* and for each later one */
  double hbm_bytes_per_s;   /* of one GPU */
  double write_bytes_per_s; /* new KV to storage, of one server */
};

struct planned {
  double kv_bytes_per_request, kv_bytes_total, gpus_offload, gpus_cp, servers_offload, servers_cp;
  double overflow_requests, external_bytes, external;
  double ttft_cp_s, ttft_min_gpu_s, ttft_offload_s;
  double cost_cp_usd_per_hour, cost_offload_gpu_usd_per_hour, cost_offload_external_usd_per_hour;
  double cost_offload_usd_per_hour, cost_ratio, first_saving_concurrency;
  double match_cp_bytes_per_s, match_min_gpu_bytes_per_s;
  double compute_s_per_token, read_s_per_token, write_s_per_token, e, alpha_star;
  double ttft_alpha_s, speedup_alpha, regime;
  double ttft_twice_local_s, ttft_local_s, ttft_external_s;
  double tpot1_s, max_batch_recompute, max_batch_reload, max_sequences;
  double users_per_gpu_recompute, users_per_gpu_reload, batch_gain, tps_gain_bound;
};

#define NAMED(type, member)                                                                        \
  { #member, offsetof(type, member) }
#define OUT(member) NAMED(struct planned, member)
struct named {
  const char *name;
  size_t offset;
};

static const struct named inputs[] = {
    {"context_tokens", offsetof(struct planner, cost.context_tokens)},
    {"concurrency", offsetof(struct planner, cost.concurrency)},
    {"hbm_bytes", offsetof(struct planner, cost.hbm_bytes)},
    {"gpu_usd_per_hour", offsetof(struct planner, cost.gpu_usd_per_hour)},
    {"flops_per_s", offsetof(struct planner, cost.flops_per_s)},
    {"nvme_bytes", offsetof(struct planner, cost.nvme_bytes)},
    {"nvme_bytes_per_s", offsetof(struct planner, cost.nvme_bytes_per_s)},
    {"external_bytes_per_s", offsetof(struct planner, cost.external_bytes_per_s)},
    {"external_usd_per_gb_month", offsetof(struct planner, cost.external_usd_per_gb_month)},
    {"tp_base", offsetof(struct planner, cost.tp_base)},
    {"params", offsetof(struct planner, cost.params)},
    {"weights_bytes", offsetof(struct planner, cost.weights_bytes)},
    {"kv_bytes_per_token", offsetof(struct planner, cost.kv_bytes_per_token)},
    NAMED(struct planner, alpha),
    NAMED(struct planner, n_out_tokens),
    NAMED(struct planner, sla_ttft_s),
    NAMED(struct planner, sla_tpot_s),
    NAMED(struct planner, hbm_bytes_per_s),
    NAMED(struct planner, write_bytes_per_s),
};

static const struct named outputs[] = {
    OUT(kv_bytes_per_request),
    OUT(kv_bytes_total),
    OUT(gpus_offload),
    OUT(gpus_cp),
    OUT(servers_offload),
    OUT(servers_cp),
    OUT(overflow_requests),
    OUT(external_bytes),
    OUT(external),
    OUT(ttft_cp_s),
    OUT(ttft_min_gpu_s),
    OUT(ttft_offload_s),
    OUT(cost_cp_usd_per_hour),
    OUT(cost_offload_gpu_usd_per_hour),
    OUT(cost_offload_external_usd_per_hour),
    OUT(cost_offload_usd_per_hour),
    OUT(cost_ratio),
    OUT(first_saving_concurrency),
    OUT(match_cp_bytes_per_s),
    OUT(match_min_gpu_bytes_per_s),
    OUT(compute_s_per_token),
    OUT(read_s_per_token),
    OUT(write_s_per_token),
    OUT(e),
    OUT(alpha_star),
    OUT(ttft_alpha_s),
    OUT(speedup_alpha),
    OUT(regime),
    OUT(ttft_twice_local_s),
    OUT(ttft_local_s),
    OUT(ttft_external_s),
    OUT(tpot1_s),
    OUT(max_batch_recompute),
    OUT(max_batch_reload),
    OUT(max_sequences),
    OUT(users_per_gpu_recompute),
    OUT(users_per_gpu_reload),
    OUT(batch_gain),
    OUT(tps_gain_bound),
};

enum { N_INPUTS = sizeof inputs / sizeof *inputs, N_OUTPUTS = sizeof outputs / sizeof *outputs };
_Static_assert(sizeof(struct planner) == N_INPUTS * sizeof(double), "an input without its name");
_Static_assert(sizeof(struct planned) == N_OUTPUTS * sizeof(double), "an output without its name");

/* Names and byte offsets; NULL past the last. */
const char *planner_input_name(int i);
int planner_input_offset(int i);
const char *planner_output_name(int i);
int planner_output_offset(int i);

const char *planner_input_name(int i) {
  return i < N_INPUTS ? inputs[i].name : NULL;
}
int planner_input_offset(int i) {
  return (int)inputs[i].offset;
}
const char *planner_output_name(int i) {
  return i < N_OUTPUTS ? outputs[i].name : NULL;
}
int planner_output_offset(int i) {
  return (int)outputs[i].offset;
}

/* The published defaults: the cost model's, an H100's HBM at 3.35 TB/s, the slides' SLA of 400 ms
 * and 40 ms; and assumed ones: 90% reused, 512 output tokens, writes at half the speed of reads. */
void planner_defaults(struct planner *planner);

void planner_defaults(struct planner *planner) {
  *planner = (struct planner){.cost = cost_default_input(),
                              .alpha = 0.9,
                              .n_out_tokens = 512,
                              .sla_ttft_s = 0.4,
                              .sla_tpot_s = 0.04,
                              .hbm_bytes_per_s = 3.35e12};
  planner->write_bytes_per_s = planner->cost.nvme_bytes_per_s / 2;
}

/* The i-th preset's name (NULL past the last); and its parameters and bytes set in the planner, of
 * `weight_bytes` a parameter and `kv_bytes` a KV element. */
const char *planner_model_name(int i);
void planner_set_model(struct planner *planner, int i, double weight_bytes, double kv_bytes);

const char *planner_model_name(int i) {
  return shape_preset_name(i);
}

void planner_set_model(struct planner *planner, int i, double weight_bytes, double kv_bytes) {
  const struct shape *shape = shape_preset(shape_preset_name(i));
  planner->cost.params = shape_params(shape);
  planner->cost.weights_bytes = planner->cost.params * weight_bytes;
  planner->cost.kv_bytes_per_token = shape_kv_bytes_per_token(shape, kv_bytes);
}

/* What was measured on one device and one box, as inputs: effective FLOPS from T = 2 P / F, and
 * bandwidths from R and W, all three of `layers_share` of the model's layers. */
void planner_set_measured(struct planner *planner, double compute_s_per_token,
                          double read_s_per_token, double write_s_per_token, double layers_share);

void planner_set_measured(struct planner *planner, double compute_s_per_token,
                          double read_s_per_token, double write_s_per_token, double layers_share) {
  struct cost_input *cost = &planner->cost;
  double kv_bytes = cost->kv_bytes_per_token * layers_share;
  if (compute_s_per_token > 0)
    cost->flops_per_s = 2 * cost->params * layers_share / compute_s_per_token;
  if (read_s_per_token > 0) cost->nvme_bytes_per_s = kv_bytes / read_s_per_token;
  if (write_s_per_token > 0) planner->write_bytes_per_s = kv_bytes / write_s_per_token;
}

/* ---- what follows -------------------------------------------------------------------- */

/* Rates of the fewest GPUs that run the model, beside the storage of one server: the cost model
 * gives a request the bandwidth of one. */
struct rates {
  double compute_s_per_token, read_s_per_token, write_s_per_token;
};

static struct rates rates_of(const struct planner *planner, const struct cost_result *cost) {
  const struct cost_input *input = &planner->cost;
  double write_bytes_per_s = planner->write_bytes_per_s;
  if (cost->external) write_bytes_per_s = fmin(write_bytes_per_s, input->external_bytes_per_s);
  return (struct rates){cost->ttft_min_gpu_s / input->context_tokens,
                        cost->ttft_offload_s / input->context_tokens,
                        input->kv_bytes_per_token / write_bytes_per_s};
}

static double ttft_at(const struct planner *planner, struct rates rates, double alpha) {
  return ttft_ideal_s(alpha, planner->cost.context_tokens, rates.compute_s_per_token,
                      rates.read_s_per_token, rates.write_s_per_token, NULL);
}

static struct roofline roofline_of(const struct planner *planner, const struct cost_result *cost) {
  const struct cost_input *input = &planner->cost;
  return (struct roofline){.w_active_bytes = input->weights_bytes,
                           .kv_bytes = cost->kv_bytes_per_request,
                           .flops_per_token = 2 * input->params,
                           .bytes_per_s = planner->hbm_bytes_per_s * cost->gpus_offload,
                           .flops_per_s = input->flops_per_s * cost->gpus_offload};
}

/* Continuous batching where a request's prefill takes `ttft1_s`. */
static struct batching batching_of(const struct planner *planner, const struct cost_result *cost,
                                   double ttft1_s) {
  struct roofline roofline = roofline_of(planner, cost);
  return (struct batching){.n_out_tokens = planner->n_out_tokens,
                           .ttft1_s = ttft1_s,
                           .tpot1_s = roofline_step_s(&roofline, 1),
                           .kv1_bytes = cost->kv_bytes_per_request,
                           .hbm_bytes_per_s = roofline.bytes_per_s};
}

/* TTFT at alpha with storage read at `read_bytes_per_s`. */
static double ttft_with(const struct planner *planner, struct rates rates,
                        double read_bytes_per_s) {
  rates.read_s_per_token = planner->cost.kv_bytes_per_token / read_bytes_per_s;
  return ttft_at(planner, rates, planner->alpha);
}

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
  planned->first_saving_concurrency = cost_first_saving_concurrency(input);
  planned->match_cp_bytes_per_s = cost_bandwidth_to_match_cp_bytes_per_s(input);
  planned->match_min_gpu_bytes_per_s = cost_bandwidth_to_match_min_gpu_bytes_per_s(input);
}

static void plan_batch(const struct planner *planner, const struct cost_result *cost,
                       struct planned *planned) {
  const struct cost_input *input = &planner->cost;
  struct batching recompute = batching_of(planner, cost, cost->ttft_min_gpu_s);
  struct batching reload = batching_of(planner, cost, planned->ttft_alpha_s);
  double pool_bytes =
      capacity_pool_bytes(input->hbm_bytes * cost->gpus_offload, input->weights_bytes, 0);
  planned->max_sequences =
      capacity_max_sequences(pool_bytes, input->kv_bytes_per_token, input->context_tokens);
  planned->tpot1_s = recompute.tpot1_s;
  planned->max_batch_recompute =
      fmin(planned->max_sequences, batching_max_batch(&recompute, planner->sla_tpot_s));
  planned->max_batch_reload =
      fmin(planned->max_sequences, batching_max_batch(&reload, planner->sla_tpot_s));
  planned->users_per_gpu_recompute = planned->max_batch_recompute / cost->gpus_offload;
  planned->users_per_gpu_reload = planned->max_batch_reload / cost->gpus_offload;
  planned->batch_gain = batching_gain(&recompute, planned->speedup_alpha);
  planned->tps_gain_bound = batching_tps_gain_bound(&recompute);
}

/* All outputs at one setting. */
void planner_evaluate(const struct planner *planner, struct planned *planned);

void planner_evaluate(const struct planner *planner, struct planned *planned) {
  const struct cost_input *input = &planner->cost;
  struct cost_result cost = cost_model(input);
  struct rates rates = rates_of(planner, &cost);
  enum ttft_regime regime;
  plan_cost(input, &cost, planned);
  planned->compute_s_per_token = rates.compute_s_per_token;
  planned->read_s_per_token = rates.read_s_per_token;
  planned->write_s_per_token = rates.write_s_per_token;
  planned->e = ttft_token_acceleration(rates.compute_s_per_token, rates.read_s_per_token);
  planned->alpha_star = ttft_alpha_star(planned->e);
  planned->ttft_alpha_s = ttft_ideal_s(planner->alpha, input->context_tokens,
                                       rates.compute_s_per_token, rates.read_s_per_token,
                                       rates.write_s_per_token, &regime);
  planned->regime = regime;
  planned->speedup_alpha = cost.ttft_min_gpu_s / planned->ttft_alpha_s;
  planned->ttft_local_s = ttft_with(planner, rates, input->nvme_bytes_per_s);
  planned->ttft_twice_local_s = ttft_with(planner, rates, 2 * input->nvme_bytes_per_s);
  planned->ttft_external_s = ttft_with(planner, rates, input->external_bytes_per_s);
  plan_batch(planner, &cost, planned);
}

/* ---- curves -------------------------------------------------------------------------- */

/* TTFT over alpha: of the ideal model, and its speedup with writes left out (the slides' plot). */
double planner_ttft_s(const struct planner *planner, double alpha);
double planner_speedup(const struct planner *planner, double alpha);

double planner_ttft_s(const struct planner *planner, double alpha) {
  struct cost_result cost = cost_model(&planner->cost);
  return ttft_at(planner, rates_of(planner, &cost), alpha);
}

double planner_speedup(const struct planner *planner, double alpha) {
  struct cost_result cost = cost_model(&planner->cost);
  struct rates rates = rates_of(planner, &cost);
  double e = ttft_token_acceleration(rates.compute_s_per_token, rates.read_s_per_token);
  return ttft_ideal_speedup(alpha, e);
}

/* E[TPOT(B)]: 0 decode alone (the roofline), 1 with every prompt recomputed, 2 with reload at
 * alpha; and US dollars per million output tokens of the same. */
double planner_tpot_s(const struct planner *planner, double batch, int kind);
double planner_usd_per_mtok(const struct planner *planner, double batch, int kind);

double planner_tpot_s(const struct planner *planner, double batch, int kind) {
  struct cost_result cost = cost_model(&planner->cost);
  struct roofline roofline = roofline_of(planner, &cost);
  if (kind == 0) return roofline_step_s(&roofline, batch);
  double ttft1_s = cost.ttft_min_gpu_s;
  if (kind == 2) ttft1_s = ttft_at(planner, rates_of(planner, &cost), planner->alpha);
  struct batching batching = batching_of(planner, &cost, ttft1_s);
  return batching_expected_tpot_s(&batching, batch);
}

double planner_usd_per_mtok(const struct planner *planner, double batch, int kind) {
  struct cost_result cost = cost_model(&planner->cost);
  double usd_per_s = cost.cost_offload_gpu_usd_per_hour / 3600;
  struct roofline roofline = roofline_of(planner, &cost);
  if (kind == 0) return roofline_usd_per_mtok(&roofline, batch, usd_per_s);
  return usd_per_s * planner_tpot_s(planner, batch, kind) / batch * 1e6;
}

/* US dollars an hour over concurrency: 0 context parallelism, 1 the GPUs of offload, 2 offload with
 * its external storage. */
double planner_usd_per_hour(const struct planner *planner, double concurrency, int kind);

double planner_usd_per_hour(const struct planner *planner, double concurrency, int kind) {
  struct cost_input input = planner->cost;
  input.concurrency = concurrency;
  struct cost_result cost = cost_model(&input);
  if (kind == 0) return cost.cost_cp_usd_per_hour;
  return kind == 1 ? cost.cost_offload_gpu_usd_per_hour : cost.cost_offload_usd_per_hour;
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
