/*
 * The answers of all models, one table: name in results, section, unit, meaning. Tables, JSON,
 * sensitivity and --vary are loops over it.
 */
#ifndef REFILL_BENCH_PLAN_OUTPUTS_H
#define REFILL_BENCH_PLAN_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/plan/inputs.h"

/* Fields are the names in results; formulas are those of model/, see model/README.md. */
struct plan_outputs {
  /* cost: $ per hour and TTFT: context parallelism, KV offload, fewest GPUs */
  double kv_bytes_per_token, kv_bytes_per_request, kv_bytes_total, gpus_offload, gpus_cp,
      servers_offload, servers_cp, ttft_cp_s, ttft_offload_s, ttft_min_gpu_s, cost_cp_usd_per_hour,
      cost_offload_usd_per_hour, cost_offload_gpu_usd_per_hour, cost_offload_external_usd_per_hour,
      cost_ratio, overflow_requests, external_bytes, first_saving_requests, match_cp_bytes_per_s,
      match_min_gpu_bytes_per_s;
  /* ttft: reload against recompute, one request */
  double compute_s_per_token, read_s_per_token, write_s_per_token, e, alpha_star_constant_t,
      alpha_star, alpha, ttft_recompute_s, ttft_serial_s, ttft_reload_s, speedup, break_even_tokens,
      break_even_to_tokens, break_even_bytes_per_s, useful_read_bytes_per_s,
      useful_write_bytes_per_s;
  /* turns: a conversation, turn by turn */
  double turns_recompute_tokens, turns_reload_tokens, turns_avoided_share, turns_recompute_s,
      turns_reload_s, turns_speedup, turns_mean_alpha, turns_read_bytes, turns_write_bytes,
      turns_stored_bytes, turns_first_gain;
  /* batching: continuous batching */
  double batch, ttft1_s, tpot1_s, ap_s, ah_s, expected_ttft_s, expected_tpot_s, max_batch,
      max_batch_ttft, max_batch_sla, expected_ttft_reload_s, expected_tpot_reload_s,
      max_batch_reload, held_batch, held_batch_reload, users_per_gpu, users_per_gpu_reload,
      batch_gain, tps_gain_bound, ap_over_ah_short, ap_over_ah_long, regime_boundary_tokens,
      user_latency_s, requests_per_s_per_gpu;
  /* decode: decode roofline */
  double step_s, tokens_per_s, naive_tokens_per_s, amortized_from_batch, compute_from_batch,
      roofline_max_batch, usd_per_mtok, usd_per_mtok_accepted, batch_for_traffic,
      prefill_compute_from_tokens, output_input_ratio;
  /* capacity: sequences in HBM */
  double pool_bytes, max_sequences, max_sequences_degraded_20, max_sequences_degraded_35, pressure,
      pool_overflow_bytes, max_context_tokens, min_gpus, paging_gain;
  /* longcontext: this context against the short one */
  double longcontext_kv_x, longcontext_concurrency_x, longcontext_prefill_x, longcontext_step_x,
      longcontext_usd_x, longcontext_usd_per_request, longcontext_requests_per_hour,
      chunking_cost_ratio, chunking_flops_ratio;
  /* cache: prompt caching by its prices */
  double cache_breakeven_calls, cache_breakeven_calls_strict, cache_breakeven_calls_rent,
      cache_savings_usd, cache_waste_usd, cache_breakeven_hit_rate, cache_ttl_hit_rate,
      cache_reuses_per_write, request_usd, request_output_share, request_cacheable_share,
      output_input_price_ratio;
  /* tiers: where the KV is kept */
  double working_set_bytes, s0_hit_rate, s0_ttft_s, s0_usd_per_hour, s1a_hit_rate, s1a_ttft_s,
      s1a_usd_per_hour, s1b_hit_rate, s1b_ttft_s, s1b_usd_per_hour, s3_hit_rate, s3_ttft_s,
      s3_usd_per_hour, cascade_ttft_s;
  /* routing: where a request goes */
  double round_robin_hit_rate, round_robin_ttft_s, prefix_aware_hit_rate, prefix_aware_ttft_s,
      sticky_hit_rate, sticky_ttft_s, shared_store_hit_rate, shared_store_ttft_s,
      hottest_utilization, routing_min_replicas;
  /* moe: mixture of experts */
  double moe_resident_bytes, moe_min_gpus, moe_experts_touched, moe_compute_s, moe_memory_s,
      moe_communication_s, moe_step_s, moe_naive_step_s, moe_link_needed_bytes_per_s,
      moe_latency_slowdown;
  /* disaggregation: prefill apart from decode */
  double transfer_s, transfer_share, prefill_gpus, decode_gpus, prefill_utilization,
      decode_utilization, disaggregated_ttft_s, gates_passed;
  /* goodput: work that counts */
  double usd_per_request, usd_per_accepted, goodput_share, productive_share, speculative_speedup,
      breakeven_acceptance;
  /* wear: drives wear */
  double endurance_bytes, written_bytes_per_request, wear_years, drive_writes_per_day,
      wear_usd_per_mtok, recompute_usd_per_mtok, breakeven_reuses;
  /* in words */
  const char *regime, *zone, *moe_bound;
  bool external;              /* reads come from external storage */
  double compute_gpus;        /* GPUs that T is of: 1 where it was measured, else gpus_offload */
  bool gates[6];              /* of disaggregation, in the document's order */
  struct fit_compute compute; /* as evaluated: all layers, at these inputs */
  struct fit_line read, write;
};

enum plan_section {
  PLAN_COST,
  PLAN_TTFT,
  PLAN_TURNS,
  PLAN_BATCHING,
  PLAN_DECODE,
  PLAN_CAPACITY,
  PLAN_LONGCONTEXT,
  PLAN_CACHE,
  PLAN_TIERS,
  PLAN_ROUTING,
  PLAN_MOE,
  PLAN_DISAGGREGATION,
  PLAN_GOODPUT,
  PLAN_WEAR,
  PLAN_SECTIONS
};

struct plan_output {
  const char *name; /* in results, unit last */
  enum plan_section section;
  enum plan_kind kind;
  size_t offset; /* of the field in struct plan_outputs */
  const char *title;
};

/* The i-th output, NULL past the last; the one called `name`, or NULL. */
const struct plan_output *plan_output_at(int index);
const struct plan_output *plan_output_find(const char *name);
/* The answers that matter most of a section, at most 3: for --vary and sensitivity. NULL past the
 * last. */
const struct plan_output *plan_output_key(enum plan_section section, int index);
double plan_output_get(const struct plan_outputs *outputs, const struct plan_output *output);

#define PLAN_OUTPUTS_MAX 192

/* "cost"; what it is about; the section called name[n], or -1. */
const char *plan_section_name(enum plan_section section);
const char *plan_section_title(enum plan_section section);
int plan_section_find(const char *name, size_t n);

/* What `refill plan --show` takes: a list of sections, or all, or inputs. NULL where it is one,
 * else what is wrong. `shown` (room for PLAN_SECTIONS) and `inputs` may be NULL. */
const char *plan_show_scan(const char *text, bool *shown, bool *inputs);

/* The models on these inputs, at least up to section `last` (those after it may be left at 0:
 * routing and tiers take most of the time). Never fails: what has no meaning is NaN or infinite. */
void plan_evaluate(const struct plan_inputs *inputs, enum plan_section last,
                   struct plan_outputs *outputs);

/* Parts of it, in order: evaluate.c, evaluate_serving.c, evaluate_fleet.c. */
void plan_evaluate_serving(const struct plan_inputs *inputs, struct plan_outputs *outputs);
void plan_evaluate_fleet(const struct plan_inputs *inputs, struct plan_outputs *outputs);

/* TTFT at one alpha, as the ideal model has it over the times of `outputs`. */
struct plan_point {
  double alpha, n_past, n_new, read_s, compute_s, write_s, ttft_s, serial_s, recompute_s;
  const char *regime;
};
struct plan_point plan_point_at(const struct plan_inputs *inputs,
                                const struct plan_outputs *outputs, double alpha);

/* The inputs of model/turns.h, from the same. */
struct turns;
struct turns plan_turns(const struct plan_inputs *inputs, const struct plan_outputs *outputs);

#endif
