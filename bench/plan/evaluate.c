/*
 * All models on one set of inputs, first part: cost, and one request's TTFT.
 *
 * Measured T, R, W and the cost model's speeds are two ways to say the same, and have to agree: a
 * measured T stands for 2 P / T FLOP/s of the measured device, which is one "GPU" of the cost
 * model; without one, T is that of the fewest GPUs which the cost model finds.
 */
#include <math.h>

#include "bench/plan/outputs.h"
#include "model/breakeven.h"
#include "model/tiers.h"
#include "model/ttft.h"

#define PREFIX_MAX_TOKENS 1e8
#define BISECTIONS 60

static struct cost_input effective(const struct plan_inputs *in) {
  struct cost_input cost = in->cost;
  if (isfinite(in->compute_s_per_token))
    cost.flops_per_s = 2.0 * cost.params / in->compute_s_per_token;
  if (isfinite(in->read_s_per_token))
    cost.nvme_bytes_per_s = cost.kv_bytes_per_token / in->read_s_per_token;
  return cost;
}

static void evaluate_cost(const struct plan_inputs *in, struct plan_outputs *out) {
  struct cost_input cost = effective(in);
  struct cost_result r = cost_model(&cost);
  out->kv_bytes_per_token = cost.kv_bytes_per_token;
  out->kv_bytes_per_request = r.kv_bytes_per_request;
  out->kv_bytes_total = r.kv_bytes_total;
  out->gpus_offload = r.gpus_offload;
  out->gpus_cp = r.gpus_cp;
  out->servers_offload = r.servers_offload;
  out->servers_cp = r.servers_cp;
  out->ttft_cp_s = r.ttft_cp_s;
  out->ttft_offload_s = r.ttft_offload_s;
  out->ttft_min_gpu_s = r.ttft_min_gpu_s;
  out->cost_cp_usd_per_hour = r.cost_cp_usd_per_hour;
  out->cost_offload_usd_per_hour = r.cost_offload_usd_per_hour;
  out->cost_offload_gpu_usd_per_hour = r.cost_offload_gpu_usd_per_hour;
  out->cost_offload_external_usd_per_hour = r.cost_offload_external_usd_per_hour;
  out->cost_ratio = r.cost_ratio;
  out->overflow_requests = r.overflow_requests;
  out->external_bytes = r.external_bytes;
  out->external = r.external;
  out->first_saving_requests = cost_first_saving_concurrency(&cost);
  out->match_cp_bytes_per_s = cost_bandwidth_to_match_cp_bytes_per_s(&cost);
  out->match_min_gpu_bytes_per_s = cost_bandwidth_to_match_min_gpu_bytes_per_s(&cost);
}

/* T of the inputs: measured at fit.n_tokens, carried to this N by the fitted shape. */
static struct fit_compute compute_of(const struct plan_inputs *in, const struct plan_outputs *out) {
  double measured = in->compute_s_per_token;
  if (!isfinite(measured))
    return (struct fit_compute){.s_per_token = out->ttft_min_gpu_s / in->cost.context_tokens};
  if (!in->fit.compute_known) return (struct fit_compute){.s_per_token = measured};
  struct fit_compute fit = in->fit.compute;
  double scale = measured / fit_compute_s_per_token(&fit, in->fit.n_tokens, 0);
  return (struct fit_compute){.fixed_s = fit.fixed_s * scale,
                              .floor_s = fit.floor_s * scale,
                              .s_per_token = fit.s_per_token * scale,
                              .s_per_pair = fit.s_per_pair * scale};
}

/* R or W over bytes: of constant cost, or of the fitted form, which then passes through the
 * measured rate. */
static struct fit_line transfer_of(double slope_s, const struct fit_line *fit, double fit_bytes) {
  if (!fit) return (struct fit_line){.slope_s = slope_s};
  double scale = slope_s * fit_bytes / fit_line_s(fit, fit_bytes);
  return (struct fit_line){.fixed_s = fit->fixed_s * scale, .slope_s = fit->slope_s * scale};
}

static void evaluate_times(const struct plan_inputs *in, struct plan_outputs *out) {
  double kv_bytes = in->cost.kv_bytes_per_token;
  double n = in->cost.context_tokens;
  bool measured = isfinite(in->read_s_per_token) && !out->external;
  out->compute = compute_of(in, out);
  out->compute_gpus = isfinite(in->compute_s_per_token) ? 1 : out->gpus_offload;
  out->compute_s_per_token = fit_compute_s_per_token(&out->compute, n, 0);
  out->read_s_per_token = measured ? in->read_s_per_token : out->ttft_offload_s / n;
  out->write_s_per_token = isfinite(in->write_s_per_token) ? in->write_s_per_token
                           : in->write_bytes_per_s > 0     ? kv_bytes / in->write_bytes_per_s
                                                           : out->read_s_per_token;
  /* KV that is read from external storage has to get there first. */
  if (out->external)
    out->write_s_per_token = fmax(out->write_s_per_token, kv_bytes / in->cost.external_bytes_per_s);
  bool read_fits = measured && in->fit.read_known;
  bool write_fits = isfinite(in->write_s_per_token) && !out->external && in->fit.write_known;
  out->read = transfer_of(out->read_s_per_token / kv_bytes, read_fits ? &in->fit.read : NULL,
                          in->fit.read_bytes);
  out->write = transfer_of(out->write_s_per_token / kv_bytes, write_fits ? &in->fit.write : NULL,
                           in->fit.write_bytes);
}

struct plan_point plan_point_at(const struct plan_inputs *in, const struct plan_outputs *out,
                                double alpha) {
  double n = in->cost.context_tokens;
  double kv_bytes = in->cost.kv_bytes_per_token;
  struct plan_point point = {.alpha = alpha, .n_past = alpha * n, .n_new = n - alpha * n};
  point.read_s = point.n_past > 0 ? fit_line_s(&out->read, point.n_past * kv_bytes) : 0;
  point.compute_s = point.n_new > 0 ? fit_compute_s(&out->compute, point.n_new, point.n_past) : 0;
  point.write_s = point.n_new > 0 ? fit_line_s(&out->write, point.n_new * kv_bytes) : 0;
  point.ttft_s = fmax(point.read_s, fmax(point.compute_s, point.write_s));
  enum ttft_regime regime = REGIME_COMPUTE;
  if (point.read_s > point.compute_s) regime = REGIME_READ;
  if (point.write_s > fmax(point.compute_s, point.read_s)) regime = REGIME_WRITE;
  point.regime = ttft_regime_name(regime);
  point.serial_s = point.read_s + point.compute_s;
  point.recompute_s = fit_compute_s(&out->compute, n, 0);
  return point;
}

/* The alpha at which reading alpha N takes as long as computing the rest: read - compute rises. */
static double crossover(const struct plan_inputs *in, const struct plan_outputs *out) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < BISECTIONS; i++) {
    double middle = 0.5 * (low + high);
    struct plan_point point = plan_point_at(in, out, middle);
    if (point.read_s < point.compute_s)
      low = middle;
    else
      high = middle;
  }
  return 0.5 * (low + high);
}

static void evaluate_ttft(const struct plan_inputs *in, struct plan_outputs *out) {
  evaluate_times(in, out);
  out->e = ttft_token_acceleration(out->compute_s_per_token, out->read_s_per_token);
  out->alpha_star_constant_t = ttft_alpha_star(out->e);
  out->alpha_star = crossover(in, out);
  struct plan_point point = plan_point_at(in, out, in->alpha);
  out->alpha = in->alpha;
  out->ttft_recompute_s = point.recompute_s;
  out->ttft_serial_s = point.serial_s;
  out->ttft_reload_s = point.ttft_s;
  out->speedup = point.recompute_s / point.ttft_s;
  out->regime = point.regime;
  double t = point.n_new > 0 ? point.compute_s / point.n_new : out->compute_s_per_token;
  out->useful_read_bytes_per_s =
      tier_useful_read_bytes_per_s(in->alpha, in->cost.kv_bytes_per_token, t);
  out->useful_write_bytes_per_s =
      tier_useful_write_bytes_per_s(in->cost.kv_bytes_per_token, out->compute_s_per_token);
}

/* The prefix from which reload wins: searched for, which takes longer than all else here. */
static void evaluate_break_even(const struct plan_inputs *in, struct plan_outputs *out) {
  struct breakeven breakeven = {.compute = out->compute,
                                .read = out->read,
                                .kv_bytes_per_token = in->cost.kv_bytes_per_token,
                                .new_tokens = in->new_tokens,
                                .overlapped = true};
  struct breakeven_range range = breakeven_tokens(&breakeven, PREFIX_MAX_TOKENS);
  out->break_even_tokens = range.from_tokens;
  out->break_even_to_tokens = range.to_tokens;
  out->break_even_bytes_per_s =
      breakeven_bytes_per_s(&breakeven, fmax(1, in->alpha * in->cost.context_tokens));
}

void plan_evaluate(const struct plan_inputs *inputs, enum plan_section last,
                   struct plan_outputs *outputs) {
  *outputs = (struct plan_outputs){0};
  evaluate_cost(inputs, outputs);
  evaluate_ttft(inputs, outputs);
  if (last == PLAN_SECTIONS) evaluate_break_even(inputs, outputs);
  if (last > PLAN_TTFT) plan_evaluate_serving(inputs, outputs);
  if (last > PLAN_LONGCONTEXT) plan_evaluate_fleet(inputs, outputs);
}
