/*
 * The table of answers.
 */
#include "bench/plan/outputs.h"

#include <string.h>

#define OUT(section_, field_, kind_, title_)                                                       \
  { #field_, PLAN_##section_, PLAN_##kind_, offsetof(struct plan_outputs, field_), title_ }

/* clang-format off */
static const struct plan_output outputs_table[] = {
    OUT(COST, kv_bytes_per_token, BYTES, "KV of one token"),
    OUT(COST, kv_bytes_per_request, BYTES, "KV of one request"),
    OUT(COST, kv_bytes_total, BYTES, "KV of all requests"),
    OUT(COST, gpus_offload, COUNT, "GPUs with offload, the fewest that run"),
    OUT(COST, gpus_cp, COUNT, "GPUs with context parallelism"),
    OUT(COST, servers_offload, COUNT, "servers with offload"),
    OUT(COST, servers_cp, COUNT, "servers with context parallelism"),
    OUT(COST, ttft_cp_s, SECONDS, "TTFT, context parallelism"),
    OUT(COST, ttft_offload_s, SECONDS, "TTFT, offload"),
    OUT(COST, ttft_min_gpu_s, SECONDS, "TTFT, fewest GPUs, recomputing"),
    OUT(COST, cost_cp_usd_per_hour, USD, "an hour, context parallelism"),
    OUT(COST, cost_offload_usd_per_hour, USD, "an hour, offload"),
    OUT(COST, cost_offload_gpu_usd_per_hour, USD, "of it GPUs"),
    OUT(COST, cost_offload_external_usd_per_hour, USD, "of it external storage"),
    OUT(COST, cost_ratio, REAL, "offload over context parallelism"),
    OUT(COST, overflow_requests, COUNT, "requests whose KV local drives hold"),
    OUT(COST, external_bytes, BYTES, "KV beyond local drives"),
    OUT(COST, first_saving_requests, COUNT, "requests from which offload needs fewer GPUs"),
    OUT(COST, match_cp_bytes_per_s, RATE, "bandwidth for the TTFT of context parallelism"),
    OUT(COST, match_min_gpu_bytes_per_s, RATE, "bandwidth for the TTFT of recomputing"),
    OUT(TTFT, compute_s_per_token, SECONDS, "T, to compute a token at N"),
    OUT(TTFT, read_s_per_token, SECONDS, "R, to read it"),
    OUT(TTFT, write_s_per_token, SECONDS, "W, to write it"),
    OUT(TTFT, e, REAL, "token acceleration T/R"),
    OUT(TTFT, alpha_star_constant_t, RATIO, "e/(1+e), crossover at constant T"),
    OUT(TTFT, alpha_star, RATIO, "crossover"),
    OUT(TTFT, alpha, RATIO, "share of the prompt in storage"),
    OUT(TTFT, ttft_recompute_s, SECONDS, "TTFT, recompute"),
    OUT(TTFT, ttft_serial_s, SECONDS, "TTFT, reload then compute"),
    OUT(TTFT, ttft_reload_s, SECONDS, "TTFT, reload while computing"),
    OUT(TTFT, speedup, REAL, "recompute over reload"),
    OUT(TTFT, break_even_tokens, COUNT, "prefix from which reload is faster"),
    OUT(TTFT, break_even_to_tokens, COUNT, "prefix up to which it stays so"),
    OUT(TTFT, break_even_bytes_per_s, RATE, "bandwidth from which reload is faster here"),
    OUT(TTFT, useful_read_bytes_per_s, RATE, "reads faster than this gain nothing here"),
    OUT(TTFT, useful_write_bytes_per_s, RATE, "writes that hide behind compute"),
    OUT(TURNS, turns_recompute_tokens, COUNT, "tokens prefilled, nothing kept"),
    OUT(TURNS, turns_reload_tokens, COUNT, "tokens prefilled, all kept"),
    OUT(TURNS, turns_avoided_share, RATIO, "of prefill avoided"),
    OUT(TURNS, turns_recompute_s, SECONDS, "sum of TTFT, recompute"),
    OUT(TURNS, turns_reload_s, SECONDS, "sum of TTFT, reload"),
    OUT(TURNS, turns_speedup, REAL, "of these sums"),
    OUT(TURNS, turns_mean_alpha, RATIO, "alpha over all prompt tokens"),
    OUT(TURNS, turns_read_bytes, BYTES, "read from storage"),
    OUT(TURNS, turns_write_bytes, BYTES, "written to storage"),
    OUT(TURNS, turns_stored_bytes, BYTES, "KV of the whole conversation"),
    OUT(TURNS, turns_first_gain, COUNT, "first turn at which reload is faster; 0: none"),
    OUT(BATCHING, batch, COUNT, "B, requests together"),
    OUT(BATCHING, ttft1_s, SECONDS, "TTFT of one request alone"),
    OUT(BATCHING, tpot1_s, SECONDS, "TPOT of one request alone"),
    OUT(BATCHING, ap_s, SECONDS, "AP, prefill of one more request, per output token"),
    OUT(BATCHING, ah_s, SECONDS, "AH, KV read of one more request, per output token"),
    OUT(BATCHING, expected_ttft_s, SECONDS, "E[TTFT(B)]"),
    OUT(BATCHING, expected_tpot_s, SECONDS, "E[TPOT(B)]"),
    OUT(BATCHING, max_batch, COUNT, "largest B under the TPOT promised"),
    OUT(BATCHING, max_batch_ttft, COUNT, "largest B under the TTFT promised"),
    OUT(BATCHING, max_batch_sla, COUNT, "largest B under both"),
    OUT(BATCHING, expected_ttft_reload_s, SECONDS, "E[TTFT(B)] with reload"),
    OUT(BATCHING, expected_tpot_reload_s, SECONDS, "E[TPOT(B)] with reload"),
    OUT(BATCHING, max_batch_reload, COUNT, "largest B under the TPOT promised, with reload"),
    OUT(BATCHING, held_batch, COUNT, "largest B that TPOT and HBM allow"),
    OUT(BATCHING, held_batch_reload, COUNT, "the same with reload"),
    OUT(BATCHING, users_per_gpu, REAL, "of these B"),
    OUT(BATCHING, users_per_gpu_reload, REAL, "with reload"),
    OUT(BATCHING, batch_gain, REAL, "B with reload over B without"),
    OUT(BATCHING, tps_gain_bound, REAL, "its limit 1 + AP/AH"),
    OUT(BATCHING, ap_over_ah_short, REAL, "AP/AH of short prompts"),
    OUT(BATCHING, ap_over_ah_long, REAL, "AP/AH of long prompts"),
    OUT(BATCHING, regime_boundary_tokens, COUNT, "prompt length that parts short from long"),
    OUT(BATCHING, user_latency_s, SECONDS, "whole answer, TTFT + N_out TPOT"),
    OUT(BATCHING, requests_per_s_per_gpu, REAL, "at B"),
    OUT(DECODE, step_s, SECONDS, "T_step, the TPOT of each at B"),
    OUT(DECODE, tokens_per_s, REAL, "output tokens/s of the batch"),
    OUT(DECODE, naive_tokens_per_s, REAL, "what FLOPS over FLOPs/token would promise"),
    OUT(DECODE, amortized_from_batch, REAL, "B from which KV reads outweigh weights"),
    OUT(DECODE, compute_from_batch, REAL, "B from which compute is the floor"),
    OUT(DECODE, roofline_max_batch, COUNT, "largest B under the TPOT promised"),
    OUT(DECODE, usd_per_mtok, USD, "a million output tokens"),
    OUT(DECODE, usd_per_mtok_accepted, USD, "a million accepted"),
    OUT(DECODE, batch_for_traffic, REAL, "B that keeps up with the traffic"),
    OUT(DECODE, prefill_compute_from_tokens, REAL, "n_new from which prefill is compute-bound"),
    OUT(DECODE, output_input_ratio, REAL, "GPU time of an output token over an input token"),
    OUT(CAPACITY, pool_bytes, BYTES, "HBM left for KV"),
    OUT(CAPACITY, max_sequences, COUNT, "sequences at this context"),
    OUT(CAPACITY, max_sequences_degraded_20, COUNT, "after 20% fragmentation"),
    OUT(CAPACITY, max_sequences_degraded_35, COUNT, "after 35%"),
    OUT(CAPACITY, pressure, REAL, "demand over pool"),
    OUT(CAPACITY, pool_overflow_bytes, BYTES, "KV that needs a tier below"),
    OUT(CAPACITY, max_context_tokens, COUNT, "longest context for all requests"),
    OUT(CAPACITY, min_gpus, COUNT, "GPUs that hold all of it"),
    OUT(CAPACITY, paging_gain, REAL, "sequences by paging over reserving"),
    OUT(LONGCONTEXT, longcontext_kv_x, REAL, "KV"),
    OUT(LONGCONTEXT, longcontext_concurrency_x, REAL, "concurrency"),
    OUT(LONGCONTEXT, longcontext_prefill_x, REAL, "prefill"),
    OUT(LONGCONTEXT, longcontext_step_x, REAL, "decode step"),
    OUT(LONGCONTEXT, longcontext_usd_x, REAL, "cost of a request"),
    OUT(LONGCONTEXT, longcontext_usd_per_request, USD, "a request at this context"),
    OUT(LONGCONTEXT, longcontext_requests_per_hour, REAL, "requests an hour"),
    OUT(LONGCONTEXT, chunking_cost_ratio, REAL, "one long request over its chunks, cost"),
    OUT(LONGCONTEXT, chunking_flops_ratio, REAL, "the same, prefill FLOPs"),
    OUT(CACHE, cache_breakeven_calls, REAL, "calls from which caching pays, as documented"),
    OUT(CACHE, cache_breakeven_calls_strict, REAL, "the same, a hit costing its read"),
    OUT(CACHE, cache_breakeven_calls_rent, REAL, "the same, with rent over the TTL"),
    OUT(CACHE, cache_savings_usd, USD, "saved by these calls"),
    OUT(CACHE, cache_waste_usd, USD, "lost by a write that nobody reads"),
    OUT(CACHE, cache_breakeven_hit_rate, RATIO, "hit rate from which caching pays"),
    OUT(CACHE, cache_ttl_hit_rate, RATIO, "hits that TTL and gap allow, random arrivals"),
    OUT(CACHE, cache_reuses_per_write, REAL, "reads that follow a write"),
    OUT(CACHE, request_usd, USD, "one request at this hit rate"),
    OUT(CACHE, request_output_share, RATIO, "output's share of its cost"),
    OUT(CACHE, request_cacheable_share, RATIO, "what caching the rest would save"),
    OUT(CACHE, output_input_price_ratio, REAL, "output price over input price"),
    OUT(TIERS, working_set_bytes, BYTES, "KV of all prefixes"),
    OUT(TIERS, s0_hit_rate, RATIO, "hits in HBM"),
    OUT(TIERS, s0_ttft_s, SECONDS, "mean TTFT, HBM"),
    OUT(TIERS, s0_usd_per_hour, USD, "HBM, an hour"),
    OUT(TIERS, s1a_hit_rate, RATIO, "hits in DRAM"),
    OUT(TIERS, s1a_ttft_s, SECONDS, "mean TTFT, DRAM"),
    OUT(TIERS, s1a_usd_per_hour, USD, "DRAM, an hour"),
    OUT(TIERS, s1b_hit_rate, RATIO, "hits on local drives"),
    OUT(TIERS, s1b_ttft_s, SECONDS, "mean TTFT, local drives"),
    OUT(TIERS, s1b_usd_per_hour, USD, "local drives, an hour"),
    OUT(TIERS, s3_hit_rate, RATIO, "hits in shared storage"),
    OUT(TIERS, s3_ttft_s, SECONDS, "mean TTFT, shared storage"),
    OUT(TIERS, s3_usd_per_hour, USD, "shared storage for the working set, an hour"),
    OUT(TIERS, cascade_ttft_s, SECONDS, "mean TTFT, HBM, DRAM, drives and shared in turn"),
    OUT(ROUTING, round_robin_hit_rate, RATIO, "hits, round-robin"),
    OUT(ROUTING, round_robin_ttft_s, SECONDS, "mean TTFT"),
    OUT(ROUTING, prefix_aware_hit_rate, RATIO, "hits, prefix-aware"),
    OUT(ROUTING, prefix_aware_ttft_s, SECONDS, "mean TTFT"),
    OUT(ROUTING, sticky_hit_rate, RATIO, "hits, sticky"),
    OUT(ROUTING, sticky_ttft_s, SECONDS, "mean TTFT"),
    OUT(ROUTING, shared_store_hit_rate, RATIO, "hits, shared store"),
    OUT(ROUTING, shared_store_ttft_s, SECONDS, "mean TTFT"),
    OUT(ROUTING, hottest_utilization, RATIO, "of the busiest replica, prefix-aware"),
    OUT(ROUTING, routing_min_replicas, COUNT, "replicas that this traffic needs"),
    OUT(MOE, moe_resident_bytes, BYTES, "all weights"),
    OUT(MOE, moe_min_gpus, COUNT, "GPUs that hold them"),
    OUT(MOE, moe_experts_touched, REAL, "experts of a layer that the batch touches"),
    OUT(MOE, moe_compute_s, SECONDS, "step, compute alone"),
    OUT(MOE, moe_memory_s, SECONDS, "step, memory alone"),
    OUT(MOE, moe_communication_s, SECONDS, "step, dispatch alone"),
    OUT(MOE, moe_step_s, SECONDS, "decode step"),
    OUT(MOE, moe_naive_step_s, SECONDS, "a dense model of the active parameters"),
    OUT(MOE, moe_link_needed_bytes_per_s, RATE, "link from which dispatch is not the longest"),
    OUT(MOE, moe_latency_slowdown, REAL, "step with the added latency over one without"),
    OUT(DISAGGREGATION, transfer_s, SECONDS, "KV of one request over the link"),
    OUT(DISAGGREGATION, transfer_share, RATIO, "of the TTFT promised"),
    OUT(DISAGGREGATION, prefill_gpus, COUNT, "GPUs of the prefill pool"),
    OUT(DISAGGREGATION, decode_gpus, COUNT, "GPUs of the decode pool"),
    OUT(DISAGGREGATION, prefill_utilization, RATIO, "of the prefill pool"),
    OUT(DISAGGREGATION, decode_utilization, RATIO, "of the decode pool"),
    OUT(DISAGGREGATION, disaggregated_ttft_s, SECONDS, "wait, prefill and transfer"),
    OUT(DISAGGREGATION, gates_passed, COUNT, "of the six gates"),
    OUT(GOODPUT, usd_per_request, USD, "GPU time of one request at B"),
    OUT(GOODPUT, usd_per_accepted, USD, "per accepted result"),
    OUT(GOODPUT, goodput_share, RATIO, "of observed requests within the SLA"),
    OUT(GOODPUT, productive_share, RATIO, "GPU time that becomes accepted output"),
    OUT(GOODPUT, speculative_speedup, REAL, "by speculative decoding"),
    OUT(GOODPUT, breakeven_acceptance, RATIO, "acceptance from which it pays"),
    OUT(WEAR, endurance_bytes, BYTES, "written over a drive's life"),
    OUT(WEAR, written_bytes_per_request, BYTES, "per request"),
    OUT(WEAR, wear_years, REAL, "until worn out at this traffic"),
    OUT(WEAR, drive_writes_per_day, REAL, "DWPD that this traffic means"),
    OUT(WEAR, wear_usd_per_mtok, USD, "a million stored tokens"),
    OUT(WEAR, recompute_usd_per_mtok, USD, "a million recomputed tokens, GPU time"),
    OUT(WEAR, breakeven_reuses, REAL, "reads after which storing has paid"),
};
/* clang-format on */

enum { N_OUTPUTS = sizeof outputs_table / sizeof outputs_table[0] };
_Static_assert(N_OUTPUTS <= PLAN_OUTPUTS_MAX, "arrays of one value an output");

static const struct {
  const char *name, *title;
  const char *keys[3];
} sections[PLAN_SECTIONS] = {
    [PLAN_COST] = {"cost",
                   "$ per hour and TTFT: context parallelism, KV offload, fewest GPUs",
                   {"ttft_offload_s", "cost_offload_usd_per_hour", "cost_ratio"}},
    [PLAN_TTFT] = {"ttft",
                   "reload against recompute, one request",
                   {"alpha_star", "ttft_reload_s", "speedup"}},
    [PLAN_TURNS] = {"turns", "a conversation, turn by turn", {"turns_speedup"}},
    [PLAN_BATCHING] = {"batching",
                       "continuous batching",
                       {"max_batch", "max_batch_reload", "expected_tpot_s"}},
    [PLAN_DECODE] = {"decode", "decode roofline", {"step_s", "usd_per_mtok"}},
    [PLAN_CAPACITY] = {"capacity", "sequences in HBM", {"max_sequences"}},
    [PLAN_LONGCONTEXT] = {"longcontext",
                          "this context against the short one",
                          {"longcontext_usd_per_request"}},
    [PLAN_CACHE] = {"cache", "prompt caching by its prices", {"request_usd"}},
    [PLAN_TIERS] = {"tiers", "where the KV is kept", {"s1b_ttft_s"}},
    [PLAN_ROUTING] = {"routing", "where a request goes", {"sticky_ttft_s"}},
    [PLAN_MOE] = {"moe", "mixture of experts", {"moe_step_s"}},
    [PLAN_DISAGGREGATION] = {"disaggregation",
                             "prefill apart from decode",
                             {"disaggregated_ttft_s"}},
    [PLAN_GOODPUT] = {"goodput", "work that counts", {"usd_per_accepted"}},
    [PLAN_WEAR] = {"wear", "drives wear", {"wear_years"}},
};

const struct plan_output *plan_output_at(int index) {
  return index >= 0 && index < N_OUTPUTS ? &outputs_table[index] : NULL;
}

const struct plan_output *plan_output_find(const char *name) {
  for (int i = 0; i < N_OUTPUTS; i++) {
    if (strcmp(outputs_table[i].name, name) == 0) return &outputs_table[i];
  }
  return NULL;
}

const struct plan_output *plan_output_key(enum plan_section section, int index) {
  const char *name = index < 3 ? sections[section].keys[index] : NULL;
  return name ? plan_output_find(name) : NULL;
}

double plan_output_get(const struct plan_outputs *outputs, const struct plan_output *output) {
  return *(const double *)((const char *)outputs + output->offset);
}

const char *plan_section_name(enum plan_section section) {
  return sections[section].name;
}

const char *plan_section_title(enum plan_section section) {
  return sections[section].title;
}

int plan_section_find(const char *name, size_t n) {
  for (int i = 0; i < PLAN_SECTIONS; i++) {
    if (strlen(sections[i].name) == n && memcmp(sections[i].name, name, n) == 0) return i;
  }
  return -1;
}

const char *plan_show_scan(const char *text, bool *shown, bool *inputs) {
  for (const char *at = text; at;) {
    size_t n = strcspn(at, ",");
    int section = plan_section_find(at, n);
    bool all = n == 3 && memcmp(at, "all", n) == 0;
    bool wants_inputs = n == 6 && memcmp(at, "inputs", n) == 0;
    if (section < 0 && !all && !wants_inputs) return "not a section";
    for (int i = 0; shown && i < PLAN_SECTIONS; i++) shown[i] = shown[i] || all || i == section;
    if (inputs && wants_inputs) *inputs = true;
    at = at[n] == ',' ? at + n + 1 : NULL;
  }
  return NULL;
}
