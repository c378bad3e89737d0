/*
 * Storage tiers: popularity against direct summation, limits of the hit rate,
 * and the slides' statement that faster I/O buys nothing below alpha*.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/tiers.h"
#include "model/ttft.h"
#include "vectors.h"

static struct tier_workload workload(void) {
  return (struct tier_workload){.n_replicas = 4,
                                .n_prefixes = 1000,
                                .prefix_tokens = 9000,
                                .new_tokens = 600,
                                .zipf_exponent = 0,
                                .locality = 1,
                                .kv_bytes_per_token = 163840,
                                .compute_s_per_token = 4e-5};
}

static struct tier tier(enum tier_class kind, double capacity_bytes, double read_bytes_per_s) {
  return (struct tier){.kind = kind,
                       .capacity_bytes = capacity_bytes,
                       .read_bytes_per_s = read_bytes_per_s,
                       .usd_per_gb_month = 0.1};
}

Test(tiers, popularity_is_the_sum_over_ranks) {
  static const double exponents[] = {0.5, 0.9, 1.0, 1.2, 2.0};
  for (int e = 0; e < 5; e++) {
    double total = 0, part = 0;
    for (double rank = 1; rank <= 50000; rank++) {
      total += pow(rank, -exponents[e]);
      if (rank <= 4000) part += pow(rank, -exponents[e]);
    }
    expect_near(tier_popularity_share(4000, 50000, exponents[e]), part / total, 1e-6, "share");
  }
  expect_near(tier_popularity_share(250, 1000, 0), 0.25, 1e-12, "all alike");
  expect_near(tier_popularity_share(2, 4, 1), 1.5 / (1 + 0.5 + 1.0 / 3 + 0.25), 1e-12, "by hand");
  cr_expect_eq(tier_popularity_share(5, 5, 1), 1.0);
  cr_expect_eq(tier_popularity_share(0, 5, 1), 0.0);
}

Test(tiers, half_the_working_set_serves_half_of_the_requests) {
  struct tier_workload w = workload();
  double set = w.n_prefixes * w.prefix_tokens * w.kv_bytes_per_token;
  struct tier shared = tier(TIER_S3, set / 2, 50e9);
  struct tier_result r = tier_evaluate(&shared, &w);
  expect_near(r.working_set_bytes, set, 1e-12, "working set");
  expect_near(r.hit_rate, 0.5, 1e-12, "hit rate");
  expect_near(r.alpha, 9000.0 / 9600, 1e-12, "alpha");
  expect_near(r.ttft_miss_s, 9600 * 4e-5, 1e-12, "miss");
  expect_near(r.ttft_mean_s, (r.ttft_hit_s + r.ttft_miss_s) / 2, 1e-12, "mean");
  expect_near(r.usd_per_hour, set / 2 / 1e9 * 0.1 / 730, 1e-12, "cost");
  w.zipf_exponent = 1;
  cr_expect_gt(tier_evaluate(&shared, &w).hit_rate, 0.85, "popular prefixes are kept first");
}

Test(tiers, local_tiers_need_locality_and_shared_ones_do_not) {
  struct tier_workload w = workload();
  double set = w.n_prefixes * w.prefix_tokens * w.kv_bytes_per_token;
  struct tier local = tier(TIER_S1B, set / 4, 14e9), shared = tier(TIER_S2B, set, 14e9);
  struct tier_result sticky = tier_evaluate(&local, &w), pool = tier_evaluate(&shared, &w);
  expect_near(sticky.hit_rate, 1, 1e-12, "four quarters hold all where requests return");
  expect_near(sticky.usd_per_hour, pool.usd_per_hour, 1e-12, "as many bytes, as many dollars");
  w.locality = 0.25; /* round-robin over four replicas */
  expect_near(tier_evaluate(&local, &w).hit_rate, 0.25 * 0.25, 1e-12, "a quarter of a quarter");
  expect_near(tier_evaluate(&shared, &w).hit_rate, 1, 1e-12, "shared: any replica finds it");
  w.n_replicas = 1;
  w.locality = 1;
  expect_near(tier_evaluate(&local, &w).hit_rate, 0.25, 1e-12, "one replica");
}

Test(tiers, a_hit_takes_the_ideal_ttft) {
  struct tier_workload w = workload();
  struct tier t = tier(TIER_S3, 1e15, 20e9);
  double read_s_per_token = w.kv_bytes_per_token / t.read_bytes_per_s;
  double ideal_s =
      ttft_ideal_s(9000.0 / 9600, 9600, w.compute_s_per_token, read_s_per_token, 0, NULL);
  expect_near(tier_evaluate(&t, &w).ttft_hit_s, ideal_s, 1e-12, "ideal TTFT");
  t.latency_s = 1;
  expect_near(tier_evaluate(&t, &w).ttft_hit_s, 1 + 9000 * read_s_per_token, 1e-12, "latency");
}

Test(tiers, below_alpha_star_faster_storage_buys_nothing) {
  struct tier_workload w = workload();
  double alpha = 9000.0 / 9600;
  double useful = tier_useful_read_bytes_per_s(alpha, w.kv_bytes_per_token, w.compute_s_per_token);
  struct tier enough = tier(TIER_S3, 1e15, useful), hbm = tier(TIER_S3, 1e15, 3.35e12);
  struct tier slower = tier(TIER_S3, 1e15, useful / 2);
  expect_near(tier_evaluate(&enough, &w).ttft_hit_s, tier_evaluate(&hbm, &w).ttft_hit_s, 1e-12,
              "enough is as good as HBM");
  cr_expect_not(tier_evaluate(&hbm, &w).io_bound);
  cr_expect(tier_evaluate(&slower, &w).io_bound);
  /* At that bandwidth alpha is alpha*. */
  double e = ttft_token_acceleration(w.compute_s_per_token, w.kv_bytes_per_token / useful);
  expect_near(ttft_alpha_star(e), alpha, 1e-12, "alpha*");
  double write = tier_useful_write_bytes_per_s(w.kv_bytes_per_token, w.compute_s_per_token);
  expect_near(w.kv_bytes_per_token / write, w.compute_s_per_token, 1e-12, "W = T");
}

Test(tiers, a_cascade_of_one_is_the_tier_and_more_tiers_never_hurt) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct tier_workload w = workload();
    w.zipf_exponent = 1.5 * prng_unit(seed, 0);
    double set = w.n_prefixes * w.prefix_tokens * w.kv_bytes_per_token;
    struct tier tiers[3] = {tier(TIER_S0, set * prng_unit(seed, 1) / 8, 3e12),
                            tier(TIER_S1A, set * prng_unit(seed, 2) / 4, 5e10),
                            tier(TIER_S3, set * prng_unit(seed, 3), 4e10)};
    double share[4];
    double one_s = tiers_cascade_ttft_s(tiers, 1, &w, share);
    struct tier_result alone = tier_evaluate(&tiers[0], &w);
    expect_near(one_s, alone.ttft_mean_s, 1e-9, "one tier");
    double two_s = tiers_cascade_ttft_s(tiers, 2, &w, share);
    double three_s = tiers_cascade_ttft_s(tiers, 3, &w, share);
    cr_expect(three_s <= two_s * (1 + 1e-12) && two_s <= one_s * (1 + 1e-12));
    expect_near(share[0] + share[1] + share[2] + share[3], 1, 1e-9, "shares");
  }
}

Test(tiers, classes) {
  cr_expect_str_eq(tier_class_name(TIER_S1A), "S1a");
  cr_expect_not(tier_class_shareable(TIER_S0));
  cr_expect_not(tier_class_shareable(TIER_S1B));
  cr_expect(tier_class_shareable(TIER_S2A));
  cr_expect(tier_class_shareable(TIER_S3));
}

Test(tiers, a_part_of_a_rank_counts_in_part) {
  double all = 1 + 0.5 + 1.0 / 3;
  expect_near(tier_popularity_share(1.5, 3, 1), 1.25 / all, 1e-12, "one and a half");
  expect_near(tier_popularity_share(0.5, 3, 1), 0.5 / all, 1e-12, "half of the first");
}
