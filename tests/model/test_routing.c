/*
 * Routing: the document's chatbot, that replicas dilute round-robin's cache and
 * no other, and saturation.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/routing.h"
#include "vectors.h"

/* Eight replicas, one prefix of 6,000 tokens, ten conversations. */
static struct routing_workload chatbot(void) {
  return (struct routing_workload){.n_replicas = 8,
                                   .n_prefixes = 1,
                                   .n_sessions = 10,
                                   .shared_tokens = 6000,
                                   .history_tokens = 3000,
                                   .new_tokens = 200,
                                   .requests_per_s = 0.5,
                                   .ttl_s = 300,
                                   .kv_bytes_per_token = 131072,
                                   .cache_bytes = 60e9,
                                   .hot_share = 1,
                                   .replica_requests_per_s = (double)INFINITY,
                                   .spill_at = 0.9};
}

Test(routing, the_documents_table) {
  expect_near(routing_random_hit_rate(8), 0.12, 0.05, "about 12%, 1 in 8");
  /* 1,200 ms at 1/8 and 300 ms at 85% say what a hit and a miss take; sticky's 250 follows. */
  double hit_s = routing_ttft_hit_s(0.125, 1.2, 0.85, 0.3);
  double miss_s = routing_ttft_miss_s(0.125, 1.2, 0.85, 0.3);
  expect_near(routing_ttft_s(0.125, hit_s, miss_s), 1.2, 1e-12, "round-robin");
  expect_near(routing_ttft_s(0.85, hit_s, miss_s), 0.3, 1e-12, "prefix-aware");
  expect_near(routing_ttft_s(0.90, hit_s, miss_s), 0.25, 0.06, "sticky: 238 ms");
  /* Its 60% and 65% are savings at a read price of a quarter. */
  expect_near(routing_savings(0.85, 0.125, 0.25), 0.60, 1e-3, "prefix-aware");
  expect_near(routing_savings(0.90, 0.125, 0.25), 0.65, 0.02, "sticky");
  expect_near(routing_savings(0.85, 0.125, 0.10), 0.735, 1e-3, "at a tenth it is 73%");
}

Test(routing, sessions_keep_their_history_only_where_they_return) {
  struct routing_workload w = chatbot();
  struct routing_result any = routing_evaluate(ROUTE_ROUND_ROBIN, &w);
  struct routing_result sticky = routing_evaluate(ROUTE_STICKY, &w);
  struct routing_result store = routing_evaluate(ROUTE_SHARED_STORE, &w);
  expect_near(any.history_hit_rate, sticky.history_hit_rate / 8, 1e-12, "one in eight");
  expect_near(store.history_hit_rate, sticky.history_hit_rate, 1e-12, "the store needs no routing");
  cr_expect_gt(sticky.hit_rate, any.hit_rate);
  cr_expect_geq(store.hit_rate, sticky.hit_rate);
  expect_near(store.alpha, store.hit_rate * 9000 / 9200, 1e-12, "alpha");
}

Test(routing, more_replicas_dilute_round_robin_only) {
  struct routing_workload w = chatbot();
  w.n_prefixes = 20;
  w.hot_share = 0.05;
  double before_any = 2, before_sticky = 2;
  struct routing_result first = routing_evaluate(ROUTE_SHARED_STORE, &w);
  for (double n = 1; n <= 64; n *= 2) {
    w.n_replicas = n;
    double any = routing_evaluate(ROUTE_ROUND_ROBIN, &w).hit_rate;
    double sticky = routing_evaluate(ROUTE_STICKY, &w).shared_hit_rate;
    cr_expect(any < before_any && sticky < before_sticky, "%g replicas", n);
    before_any = any;
    before_sticky = sticky;
    expect_near(routing_evaluate(ROUTE_SHARED_STORE, &w).hit_rate, first.hit_rate, 1e-12, "store");
    expect_near(routing_evaluate(ROUTE_PREFIX_AWARE, &w).shared_hit_rate, first.shared_hit_rate,
                1e-12, "prefix-aware");
  }
}

Test(routing, one_replica_makes_all_policies_equal) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct routing_workload w = chatbot();
    w.n_replicas = 1;
    w.n_prefixes = 1 + (double)prng_below(seed, 0, 100);
    w.cache_bytes = 1e9 + 1e11 * prng_unit(seed, 1);
    w.ttl_s = 1000 * prng_unit(seed, 2);
    double hit = routing_evaluate(ROUTE_ROUND_ROBIN, &w).hit_rate;
    cr_expect(hit >= 0 && hit <= 1);
    for (int p = 0; p < ROUTE_POLICIES; p++) {
      expect_near(routing_evaluate((enum routing_policy)p, &w).hit_rate, hit, 1e-12, "hit rate");
    }
  }
}

Test(routing, copies_crowd_each_other_out) {
  struct routing_workload w = chatbot();
  w.n_prefixes = 1000;
  w.hot_share = 0.001;
  w.requests_per_s = 1000;
  w.ttl_s = 3600;
  struct routing_result any = routing_evaluate(ROUTE_ROUND_ROBIN, &w);
  struct routing_result aware = routing_evaluate(ROUTE_PREFIX_AWARE, &w);
  expect_near(any.resident_bytes, 8 * aware.resident_bytes, 1e-12, "eight copies of everything");
  cr_expect_gt(aware.shared_hit_rate, 7 * any.shared_hit_rate);
}

Test(routing, a_hot_prefix_saturates_its_replica) {
  struct routing_workload w = chatbot();
  w.replica_requests_per_s = 0.25; /* half of what the one prefix brings */
  struct routing_result r = routing_evaluate(ROUTE_PREFIX_AWARE, &w);
  expect_near(r.hottest_utilization, 2, 1e-12, "twice what it can do");
  expect_near(r.spill_rate, 1 - 0.9 / 2, 1e-12, "all over 90% goes elsewhere");
  w.replica_requests_per_s = (double)INFINITY;
  cr_expect_lt(r.hit_rate, routing_evaluate(ROUTE_PREFIX_AWARE, &w).hit_rate);
  cr_expect_eq(routing_evaluate(ROUTE_PREFIX_AWARE, &w).spill_rate, 0.0);
  expect_near(routing_spilled_hit_rate(0.8, 0.5, 8), 0.45, 1e-12, "half hits one in eight");
  cr_expect_eq(routing_spilled_hit_rate(0.8, 0, 8), 0.8);
}

Test(routing, replicas_needed) {
  struct routing_workload w = chatbot();
  w.requests_per_s = 10;
  w.replica_requests_per_s = 2;
  cr_expect_eq(routing_min_replicas(ROUTE_ROUND_ROBIN, &w), 6.0);
  cr_expect(isinf(routing_min_replicas(ROUTE_PREFIX_AWARE, &w)), "one prefix, one replica");
  w.hot_share = 0.1;
  cr_expect_eq(routing_min_replicas(ROUTE_PREFIX_AWARE, &w), 6.0);
  cr_expect_str_eq(routing_policy_name(ROUTE_STICKY), "sticky");
}

Test(routing, hit_rates_by_hand) {
  struct routing_workload w = chatbot();
  w.requests_per_s = 0.04;
  w.ttl_s = 50;
  /* One prefix: 0.04 requests/s, 2 within the TTL; over 8 replicas a quarter of one. */
  struct routing_result any = routing_evaluate(ROUTE_ROUND_ROBIN, &w);
  expect_near(any.shared_hit_rate, 1 - exp(-0.25), 1e-12, "shared");
  expect_near(any.history_hit_rate, (1 - exp(-0.2)) / 8, 1e-12, "a tenth of the rate, one in 8");
  expect_near(any.hit_rate, (6 * any.shared_hit_rate + 3 * any.history_hit_rate) / 9, 1e-12,
              "of 6,000 and 3,000 tokens");
  expect_near(any.resident_bytes, (6000 + 10 * 3000) * 131072.0, 1e-12, "resident");
  w.cache_bytes = any.resident_bytes / 4;
  expect_near(routing_evaluate(ROUTE_ROUND_ROBIN, &w).shared_hit_rate, any.shared_hit_rate / 4,
              1e-12, "a quarter is kept");
}
