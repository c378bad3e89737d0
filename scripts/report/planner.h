/*
 * The planner of the report's page: its inputs and answers, shared by planner_exports.c (names,
 * starts), planner_evaluate.c (answers) and planner_curves.c (plots). Compiled to WebAssembly.
 */
#ifndef REFILL_SCRIPTS_REPORT_PLANNER_H
#define REFILL_SCRIPTS_REPORT_PLANNER_H

#include "model/batching.h"
#include "model/cost.h"
#include "model/roofline.h"
#include "model/tiers.h"
#include "model/turns.h"

/* Inputs, all doubles: one a slider, but for the overhead and the popularity, which stay. */
struct planner {
  struct cost_input cost;         /* its drive figures are of one drive: see planner_cost_input() */
  double drives;                  /* local drives of a server */
  double drive_write_bytes_per_s; /* new KV to one of them */
  double alpha;                   /* share of the context whose KV is in storage */
  double n_out_tokens;            /* N_out */
  double sla_ttft_s;              /* what a user accepts to wait for the first token */
  double sla_tpot_s;              /* and for each later one */
  double hbm_bytes_per_s;         /* of one GPU */
  double overhead_bytes;          /* of one GPU's HBM: activations, graphs, buffers */
  double turns, prompt_tokens;    /* of a conversation; its answers have N_out tokens */
  double replicas, prefixes, locality, zipf; /* see model/tiers.h */
  double dram_bytes, dram_bytes_per_s;       /* of one server, for KV */
};

struct planned {
  double kv_bytes_per_request, kv_bytes_total, gpus_offload, gpus_cp, servers_offload, servers_cp;
  double overflow_requests, external_bytes, external;
  double ttft_cp_s, ttft_min_gpu_s, ttft_offload_s;
  double cost_cp_usd_per_hour, cost_offload_gpu_usd_per_hour, cost_offload_external_usd_per_hour;
  double cost_offload_usd_per_hour, cost_ratio, first_saving_requests;
  double match_cp_bytes_per_s, match_min_gpu_bytes_per_s;
  double compute_s_per_token, read_s_per_token, write_s_per_token, e, alpha_star;
  double ttft_reload_s, speedup, regime, useful_read_bytes_per_s;
  double ttft_local_s, ttft_one_drive_more_s, ttft_external_s, drives_enough;
  double tpot1_s, max_batch, max_batch_reload, max_sequences, batch_gain, tps_gain_bound;
  /* the same batches, at most what HBM holds, and shared by the GPUs */
  double held_batch, held_batch_reload, users_per_gpu, users_per_gpu_reload;
  double turns_recompute_s, turns_reload_s, turns_speedup, turns_avoided_share, turns_mean_alpha;
  double turns_first_gain, turns_stored_bytes;
  double working_set_bytes, s0_hit_rate, s1a_hit_rate, s1b_hit_rate, s3_hit_rate;
  double s0_ttft_s, s1a_ttft_s, s1b_ttft_s, s3_ttft_s, s3_usd_per_hour, cascade_ttft_s;
};

/* Every answer at one setting (planner_evaluate.c). */
void planner_evaluate(const struct planner *planner, struct planned *planned);

/* ---- what answers and curves are made of -------------------------------------------------- */

/* The cost model's input: capacity and bandwidth of all drives of a server. */
struct cost_input planner_cost_input(const struct planner *planner);

/* Rates of the fewest GPUs that run the model, beside the storage of one server: the cost model
 * gives a request the bandwidth of one. */
struct planner_rates {
  double compute_s_per_token, read_s_per_token, write_s_per_token;
};
struct planner_rates planner_rates(const struct planner *planner, const struct cost_result *cost);

/* TTFT of the ideal model. */
double planner_ttft_at(const struct planner *planner, struct planner_rates rates, double alpha);

/* The same at the planner's alpha with so many local drives, whatever storage is in use. */
double planner_ttft_on_drives(const struct planner *planner, struct planner_rates rates,
                              double drives);

/* One decode step on the GPUs of the offload set-up. */
struct roofline planner_roofline(const struct planner *planner, const struct cost_result *cost);

/* Continuous batching where a request's prefill takes `ttft1_s`. */
struct batching planner_batching(const struct planner *planner, const struct cost_result *cost,
                                 double ttft1_s);

/* Sequences that the HBM of the offload set-up holds beside the weights. */
double planner_max_sequences(const struct planner *planner, const struct cost_result *cost);

/* A conversation with constant rates. */
struct turns planner_turns(const struct planner *planner, struct planner_rates rates);

#endif
