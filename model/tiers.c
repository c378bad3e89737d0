/*
 * Storage tiers by working set and popularity.
 *
 * The hit rate is that of an ideal cache which keeps the most popular prefixes:
 * LRU under the same popularity reaches somewhat less, so the tiers compare
 * fairly but each figure is an upper bound.
 */
#include "model/tiers.h"

#include <math.h>

#define HOURS_PER_MONTH 730.0
#define BYTES_PER_GB 1e9
#define SUMMED_RANKS 1000

const char *tier_class_name(enum tier_class tier) {
  static const char *const names[TIER_CLASSES] = {"S0", "S1a", "S1b", "S2a", "S2b", "S3"};
  return (unsigned)tier < TIER_CLASSES ? names[tier] : "unknown";
}

bool tier_class_shareable(enum tier_class tier) {
  return tier == TIER_S2A || tier == TIER_S2B || tier == TIER_S3;
}

/* Integral of x^-exponent from a to b. */
static double power_integral(double a, double b, double exponent) {
  if (fabs(exponent - 1.0) < 1e-9) return log(b / a);
  return (pow(b, 1.0 - exponent) - pow(a, 1.0 - exponent)) / (1.0 - exponent);
}

/* Sum of rank^-exponent over ranks 1..n; n need not be whole: its last rank counts in part. */
static double popularity_sum(double n, double exponent) {
  double sum = 0.0;
  double whole = fmin(floor(n), SUMMED_RANKS);
  for (double rank = 1.0; rank <= whole; rank++) sum += pow(rank, -exponent);
  if (n <= SUMMED_RANKS) return sum + (n - whole) * pow(whole + 1.0, -exponent);
  /* By the midpoint rule a rank is the unit interval around it. */
  return sum + power_integral(SUMMED_RANKS + 0.5, n + 0.5, exponent);
}

double tier_popularity_share(double kept, double n, double exponent) {
  if (kept >= n) return 1.0;
  if (kept <= 0.0) return 0.0;
  if (exponent == 0.0) return kept / n;
  return popularity_sum(kept, exponent) / popularity_sum(n, exponent);
}

/* Prefixes that a tier keeps, as one request sees it. */
static double kept_prefixes(const struct tier *tier, const struct tier_workload *w) {
  double prefix_bytes = w->prefix_tokens * w->kv_bytes_per_token;
  double kept = tier->capacity_bytes / prefix_bytes;
  if (tier_class_shareable(tier->kind)) return kept;
  /* Where requests return to their replica, prefixes are kept once and all capacities add up;
   * where they go anywhere (locality 1/replicas) every replica fills with stale copies of the same
   * ones, and the capacities count once. */
  return kept * w->n_replicas * w->locality;
}

/* The chance that a request arrives where its KV is. */
static double reach(const struct tier *tier, const struct tier_workload *w) {
  return tier_class_shareable(tier->kind) ? 1.0 : w->locality;
}

static double hit_ttft_s(const struct tier *tier, const struct tier_workload *w) {
  double read_s = tier->latency_s +
                  w->prefix_tokens * w->kv_bytes_per_token / tier->read_bytes_per_s;
  return fmax(read_s, w->new_tokens * w->compute_s_per_token);
}

static double miss_ttft_s(const struct tier_workload *w) {
  return (w->prefix_tokens + w->new_tokens) * w->compute_s_per_token;
}

struct tier_result tier_evaluate(const struct tier *tier, const struct tier_workload *w) {
  struct tier_result r = {0};
  r.working_set_bytes = w->n_prefixes * w->prefix_tokens * w->kv_bytes_per_token;
  r.alpha = w->prefix_tokens / (w->prefix_tokens + w->new_tokens);
  r.hit_rate = reach(tier, w) *
               tier_popularity_share(kept_prefixes(tier, w), w->n_prefixes, w->zipf_exponent);
  r.ttft_hit_s = hit_ttft_s(tier, w);
  r.ttft_miss_s = miss_ttft_s(w);
  r.ttft_mean_s = r.hit_rate * r.ttft_hit_s + (1.0 - r.hit_rate) * r.ttft_miss_s;
  r.speedup = r.ttft_miss_s / r.ttft_mean_s;
  double copies = tier_class_shareable(tier->kind) ? 1.0 : w->n_replicas;
  r.usd_per_hour = copies * tier->capacity_bytes / BYTES_PER_GB * tier->usd_per_gb_month /
                   HOURS_PER_MONTH;
  r.io_bound = r.ttft_hit_s > w->new_tokens * w->compute_s_per_token;
  return r;
}

double tiers_cascade_ttft_s(const struct tier *tiers, int n, const struct tier_workload *w,
                            double *share) {
  double kept = 0.0, before = 0.0, missed = 1.0, mean_s = 0.0;
  for (int i = 0; i < n; i++) {
    kept += kept_prefixes(&tiers[i], w);
    double upto = tier_popularity_share(kept, w->n_prefixes, w->zipf_exponent);
    share[i] = reach(&tiers[i], w) * (upto - before);
    before = upto;
    missed -= share[i];
    mean_s += share[i] * hit_ttft_s(&tiers[i], w);
  }
  share[n] = fmax(0.0, missed);
  return mean_s + share[n] * miss_ttft_s(w);
}

double tier_useful_read_bytes_per_s(double alpha, double kv_bytes_per_token,
                                    double compute_s_per_token) {
  return alpha * kv_bytes_per_token / ((1.0 - alpha) * compute_s_per_token);
}

double tier_useful_write_bytes_per_s(double kv_bytes_per_token, double compute_s_per_token) {
  return kv_bytes_per_token / compute_s_per_token;
}
