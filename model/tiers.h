/*
 * Where the KV can be kept: the slides' classes S0 to S3, and what each gives
 * for a working set: hit rate, TTFT, cost. Source: "slides", stratified
 * classification and prefill acceleration; "essay", tiered reuse.
 *
 * A tier that is not shareable is local to one replica: a conversation's KV is
 * where its last turn ran, and helps nobody elsewhere. So hits need requests to
 * return there (`locality`), and only so far do the replicas' capacities add up.
 * Prefixes that many requests share on all replicas are the matter of routing.h.
 */
#ifndef REFILL_MODEL_TIERS_H
#define REFILL_MODEL_TIERS_H

#include <stdbool.h>

/* S0: HBM beside the model. S1a, S1b: the server's own DRAM, SSD. S2a, S2b: shared, as DRAM pool
 * (fast, expensive) or file system (deep, slower). S3: shared, deep and fast. */
enum tier_class { TIER_S0, TIER_S1A, TIER_S1B, TIER_S2A, TIER_S2B, TIER_S3, TIER_CLASSES };

/* "S0", "S1a", "S1b", "S2a", "S2b", "S3". */
const char *tier_class_name(enum tier_class tier);

/* May all replicas read what one has stored? S2 and S3. */
bool tier_class_shareable(enum tier_class tier);

struct tier {
  enum tier_class kind;
  double capacity_bytes;   /* for KV: of one replica, or of the whole pool where shareable */
  double read_bytes_per_s; /* as one request sees it */
  double latency_s;        /* before the first byte */
  double usd_per_gb_month; /* of capacity */
};

struct tier_workload {
  double n_replicas;
  double n_prefixes;    /* distinct prefixes (conversations, documents) that come back */
  double prefix_tokens; /* of each */
  double new_tokens;    /* that each request adds */
  double zipf_exponent; /* popularity of prefixes: 0 all alike, about 1 typical of the web */
  double locality;      /* share of requests that return to the replica which holds their KV:
                           1/replicas under round-robin, 1 under sticky routing */
  double kv_bytes_per_token;
  double compute_s_per_token; /* T, constant */
};

struct tier_result {
  double working_set_bytes; /* n_prefixes x prefix_tokens x KV per token */
  double hit_rate;          /* of requests, steady state, most popular prefixes kept */
  double alpha;             /* of a hit: prefix / (prefix + new) */
  double ttft_hit_s;        /* max(latency + alpha N R, (1-alpha) N T) */
  double ttft_miss_s;       /* N T */
  double ttft_mean_s;
  double speedup;      /* ttft_miss_s / ttft_mean_s */
  double usd_per_hour; /* capacity x price / 730, of all replicas where not shareable */
  bool io_bound;       /* a hit waits for the read, not for compute */
};

struct tier_result tier_evaluate(const struct tier *tier, const struct tier_workload *workload);

/* Share of requests that go to the `kept` most popular of `n` prefixes when popularity falls as
 * rank^-exponent. Whole ranks are summed up to 1000, the tail is integrated (error under 1e-6). */
double tier_popularity_share(double kept, double n, double exponent);

/* Several tiers in order of speed, n >= 1: each keeps the most popular prefixes that those before
 * it do not. share[i] (room for n + 1) is the share of requests served by tier i, share[n] that of
 * misses. Returns the mean TTFT, seconds. Tiers that are not shareable count as in tier_evaluate().
 */
double tiers_cascade_ttft_s(const struct tier *tiers, int n, const struct tier_workload *workload,
                            double *share);

/* The read bandwidth beyond which TTFT no longer falls, since compute is what is waited for:
 * alpha KV / ((1-alpha) T), bytes/s ("no advantage for higher I/O speed": HBM and DRAM buy nothing
 * below alpha*). And the write bandwidth that hides offloading: KV / T (W <= T). */
double tier_useful_read_bytes_per_s(double alpha, double kv_bytes_per_token,
                                    double compute_s_per_token);
double tier_useful_write_bytes_per_s(double kv_bytes_per_token, double compute_s_per_token);

#endif
