/*
 * What the report's page calls of model/, compiled to WebAssembly: so that no formula is written a
 * second time in JavaScript.
 *
 * The page sets inputs and reads outputs by name (planner_input_name(i) is the i-th double of
 * struct planner, likewise outputs), so that no order is written down twice either. Memory is the
 * page's: it hands over pointers, this file keeps nothing. Functions of model/ that take doubles
 * only are exported as they are (build.sh lists them).
 */
#include <stddef.h>

#include "model/shape.h"
#include "scripts/report/planner.h"

#define IN(member)                                                                                 \
  { #member, offsetof(struct planner, member) }
#define COST(name, member)                                                                         \
  { name, offsetof(struct planner, cost.member) }
#define OUT(member)                                                                                \
  { #member, offsetof(struct planned, member) }
struct named {
  const char *name;
  size_t offset;
};

static const struct named inputs[] = {
    COST("context_tokens", context_tokens),
    COST("concurrency", concurrency),
    COST("hbm_bytes", hbm_bytes),
    COST("gpu_usd_per_hour", gpu_usd_per_hour),
    COST("flops_per_s", flops_per_s),
    COST("drive_bytes", nvme_bytes),
    COST("drive_read_bytes_per_s", nvme_bytes_per_s),
    COST("external_bytes_per_s", external_bytes_per_s),
    COST("external_usd_per_gb_month", external_usd_per_gb_month),
    COST("tp_base", tp_base),
    COST("params", params),
    COST("weights_bytes", weights_bytes),
    COST("kv_bytes_per_token", kv_bytes_per_token),
    IN(drives),
    IN(drive_write_bytes_per_s),
    IN(alpha),
    IN(n_out_tokens),
    IN(sla_ttft_s),
    IN(sla_tpot_s),
    IN(hbm_bytes_per_s),
    IN(overhead_bytes),
    IN(turns),
    IN(prompt_tokens),
    IN(replicas),
    IN(prefixes),
    IN(locality),
    IN(zipf),
    IN(dram_bytes),
    IN(dram_bytes_per_s),
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
    OUT(first_saving_requests),
    OUT(match_cp_bytes_per_s),
    OUT(match_min_gpu_bytes_per_s),
    OUT(compute_s_per_token),
    OUT(read_s_per_token),
    OUT(write_s_per_token),
    OUT(e),
    OUT(alpha_star),
    OUT(ttft_reload_s),
    OUT(speedup),
    OUT(regime),
    OUT(useful_read_bytes_per_s),
    OUT(ttft_local_s),
    OUT(ttft_one_drive_more_s),
    OUT(ttft_external_s),
    OUT(drives_enough),
    OUT(tpot1_s),
    OUT(max_batch),
    OUT(max_batch_reload),
    OUT(max_sequences),
    OUT(batch_gain),
    OUT(tps_gain_bound),
    OUT(held_batch),
    OUT(held_batch_reload),
    OUT(users_per_gpu),
    OUT(users_per_gpu_reload),
    OUT(turns_recompute_s),
    OUT(turns_reload_s),
    OUT(turns_speedup),
    OUT(turns_avoided_share),
    OUT(turns_mean_alpha),
    OUT(turns_first_gain),
    OUT(turns_stored_bytes),
    OUT(working_set_bytes),
    OUT(s0_hit_rate),
    OUT(s1a_hit_rate),
    OUT(s1b_hit_rate),
    OUT(s3_hit_rate),
    OUT(s0_ttft_s),
    OUT(s1a_ttft_s),
    OUT(s1b_ttft_s),
    OUT(s3_ttft_s),
    OUT(s3_usd_per_hour),
    OUT(cascade_ttft_s),
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

/* The published defaults: the cost model's, its drives as four of 4 TB and 14 GB/s, an H100's HBM
 * at 3.35 TB/s, the slides' SLA of 400 ms and 40 ms; and assumed ones: 90% reused, 512 output
 * tokens, writes at half the speed of reads, and those of `refill plan` for tiers and
 * conversations. */
void planner_defaults(struct planner *planner);

#define DRIVES 4

void planner_defaults(struct planner *planner) {
  *planner = (struct planner){.cost = cost_default_input(),
                              .drives = DRIVES,
                              .alpha = 0.9,
                              .n_out_tokens = 512,
                              .sla_ttft_s = 0.4,
                              .sla_tpot_s = 0.04,
                              .hbm_bytes_per_s = 3.35e12,
                              .overhead_bytes = 4e9,
                              .turns = 15,
                              .prompt_tokens = 2200,
                              .replicas = 8,
                              .prefixes = 1000,
                              .locality = 1,
                              .dram_bytes = 1e12,
                              .dram_bytes_per_s = 50e9};
  planner->cost.nvme_bytes /= DRIVES;
  planner->cost.nvme_bytes_per_s /= DRIVES;
  planner->drive_write_bytes_per_s = planner->cost.nvme_bytes_per_s / 2;
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

/* What was measured on one device and one box of `drives` drives, as inputs: effective FLOPS from
 * T = 2 P / F, and bandwidths of a drive from R and W, all three of `layers_share` of the model's
 * layers. What is 0 was not measured. */
void planner_set_measured(struct planner *planner, double compute_s_per_token,
                          double read_s_per_token, double write_s_per_token, double layers_share,
                          double drives);

void planner_set_measured(struct planner *planner, double compute_s_per_token,
                          double read_s_per_token, double write_s_per_token, double layers_share,
                          double drives) {
  struct cost_input *cost = &planner->cost;
  double kv_bytes = cost->kv_bytes_per_token * layers_share;
  planner->drives = drives;
  if (compute_s_per_token > 0)
    cost->flops_per_s = 2 * cost->params * layers_share / compute_s_per_token;
  if (read_s_per_token > 0) cost->nvme_bytes_per_s = kv_bytes / read_s_per_token / drives;
  if (write_s_per_token > 0)
    planner->drive_write_bytes_per_s = kv_bytes / write_s_per_token / drives;
}
