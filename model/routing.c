/*
 * Routing and cache locality.
 *
 * An entry is found when the request reaches a replica that (1) has seen it
 * within the TTL and (2) had room to keep it. (1) is 1 - exp(-rate ttl) for the
 * rate at which that replica meets that entry, arrivals being random; (2) is
 * capacity over what the replica would like to keep. Policies differ in that
 * rate and in how many copies fill the caches. Averages only: neither skew
 * among replicas (but for the hottest prefix) nor eviction order is modelled.
 */
#include "model/routing.h"

#include <math.h>

const char *routing_policy_name(enum routing_policy policy) {
  static const char *const names[ROUTE_POLICIES] = {"round-robin", "prefix-aware", "sticky",
                                                    "shared-store"};
  return (unsigned)policy < ROUTE_POLICIES ? names[policy] : "unknown";
}

/* Chance that an entry met `rate_per_s` times a second was met within the TTL. */
static double within_ttl(double rate_per_s, double ttl_s) {
  return -expm1(-rate_per_s * ttl_s);
}

/* How often one place that may hold it meets a given shared prefix. */
static double prefix_rate_per_s(enum routing_policy policy, const struct routing_workload *w) {
  double rate = w->requests_per_s / w->n_prefixes;
  if (policy == ROUTE_PREFIX_AWARE || policy == ROUTE_SHARED_STORE) return rate;
  return rate / w->n_replicas;
}

/* KV that one replica (or the store) would keep if it had room. */
static double resident_bytes(enum routing_policy policy, const struct routing_workload *w) {
  double shared = w->n_prefixes * w->shared_tokens * w->kv_bytes_per_token;
  double history = w->n_sessions * w->history_tokens * w->kv_bytes_per_token;
  switch (policy) {
  case ROUTE_PREFIX_AWARE: /* everything once, spread over the replicas */
    return (shared + history) / w->n_replicas;
  case ROUTE_STICKY: /* every replica meets every shared prefix, but only its own sessions */
    return shared + history / w->n_replicas;
  default: /* round-robin: copies everywhere; the store: everything in one place */
    return shared + history;
  }
}

static double hottest_utilization(enum routing_policy policy, const struct routing_workload *w) {
  double share = 1.0 / w->n_replicas;
  if (policy == ROUTE_PREFIX_AWARE) share = fmax(share, w->hot_share);
  return share * w->requests_per_s / w->replica_requests_per_s;
}

/* Share of all requests that the hottest replica must turn away. */
static double spill_rate(enum routing_policy policy, const struct routing_workload *w,
                         double hottest) {
  if (policy != ROUTE_PREFIX_AWARE && policy != ROUTE_STICKY) return 0.0;
  if (hottest <= w->spill_at) return 0.0;
  double share = policy == ROUTE_PREFIX_AWARE ? fmax(1.0 / w->n_replicas, w->hot_share) : 1.0;
  return share * (1.0 - w->spill_at / hottest);
}

struct routing_result routing_evaluate(enum routing_policy policy,
                                       const struct routing_workload *w) {
  struct routing_result r = {0};
  r.resident_bytes = resident_bytes(policy, w);
  double room = policy == ROUTE_SHARED_STORE ? w->n_replicas * w->cache_bytes : w->cache_bytes;
  double kept = r.resident_bytes > room ? room / r.resident_bytes : 1.0;
  double session_rate = w->requests_per_s / w->n_sessions;

  r.hottest_utilization = hottest_utilization(policy, w);
  r.spill_rate = spill_rate(policy, w, r.hottest_utilization);
  r.shared_hit_rate = kept * within_ttl(prefix_rate_per_s(policy, w), w->ttl_s);
  r.history_hit_rate = kept * within_ttl(session_rate, w->ttl_s);
  if (policy == ROUTE_ROUND_ROBIN) {
    r.history_hit_rate *= routing_random_hit_rate(w->n_replicas);
  } else if (policy != ROUTE_SHARED_STORE) {
    r.history_hit_rate = routing_spilled_hit_rate(r.history_hit_rate, r.spill_rate, w->n_replicas);
  }
  if (policy == ROUTE_PREFIX_AWARE) {
    r.shared_hit_rate = routing_spilled_hit_rate(r.shared_hit_rate, r.spill_rate, w->n_replicas);
  }
  double found = r.shared_hit_rate * w->shared_tokens + r.history_hit_rate * w->history_tokens;
  double reusable = w->shared_tokens + w->history_tokens;
  r.hit_rate = found / reusable;
  r.alpha = found / (reusable + w->new_tokens);
  return r;
}

double routing_random_hit_rate(double n_replicas) {
  return 1.0 / n_replicas;
}

double routing_ttft_s(double hit_rate, double ttft_hit_s, double ttft_miss_s) {
  return hit_rate * ttft_hit_s + (1.0 - hit_rate) * ttft_miss_s;
}

/* A mean falls by (miss - hit) per unit of hit rate: a line through both points. */
static double ttft_at(double hit, double hit_a, double mean_a_s, double hit_b, double mean_b_s) {
  double slope_s = (mean_b_s - mean_a_s) / (hit_b - hit_a);
  return mean_a_s + (hit - hit_a) * slope_s;
}

double routing_ttft_hit_s(double hit_a, double mean_a_s, double hit_b, double mean_b_s) {
  return ttft_at(1.0, hit_a, mean_a_s, hit_b, mean_b_s);
}

double routing_ttft_miss_s(double hit_a, double mean_a_s, double hit_b, double mean_b_s) {
  return ttft_at(0.0, hit_a, mean_a_s, hit_b, mean_b_s);
}

double routing_input_cost(double hit_rate, double read_price) {
  return 1.0 - hit_rate * (1.0 - read_price);
}

double routing_savings(double hit_rate, double baseline_hit_rate, double read_price) {
  return 1.0 - routing_input_cost(hit_rate, read_price) /
                   routing_input_cost(baseline_hit_rate, read_price);
}

double routing_spilled_hit_rate(double hit_rate, double spill_rate, double n_replicas) {
  return (1.0 - spill_rate) * hit_rate + spill_rate * hit_rate / n_replicas;
}

double routing_min_replicas(enum routing_policy policy, const struct routing_workload *w) {
  double per_replica = w->spill_at * w->replica_requests_per_s;
  if (policy == ROUTE_PREFIX_AWARE && w->hot_share * w->requests_per_s > per_replica) {
    return INFINITY;
  }
  return fmax(1.0, ceil(w->requests_per_s / per_replica));
}
