/*
 * Goodput: the document's routes A and B, gates one by one, and break-evens
 * that are where the two sides are equal.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/goodput.h"
#include "vectors.h"

static const struct goodput_slo slo = {0.8, 0.05, 30};

Test(goodput, routes_a_and_b) {
  /* 100 requests in 10 s: 58 and 85 accepted for $1.10 and $1.45. */
  struct goodput_request requests[100];
  for (int i = 0; i < 100; i++) requests[i] = (struct goodput_request){0.6, 0.04, 9, i < 58, 0.011};
  struct goodput_result a = goodput_measure(requests, 100, slo, 10);
  expect_near(a.goodput_per_s, 5.8, 1e-12, "A");
  expect_near(a.usd_per_accepted, 0.019, 0.01, "A");
  for (int i = 0; i < 100; i++) {
    requests[i] = (struct goodput_request){i < 85 ? 0.65 : 1.4, 0.042, 9, true, 0.0145};
  }
  struct goodput_result b = goodput_measure(requests, 100, slo, 10);
  expect_near(b.goodput_per_s, 8.5, 1e-12, "B");
  expect_near(b.usd_per_accepted, 0.017, 0.01, "B");
  expect_near(b.cost_usd, 1.45, 1e-12, "all attempts cost");
  cr_expect_eq(b.failed_ttft, 15);
  struct goodput_result sweep[2] = {a, b};
  cr_expect_eq(goodput_best(sweep, 2), 1, "B is the better route though A costs less in all");
}

Test(goodput, each_gate_counts_on_its_own) {
  struct goodput_request requests[] = {{0.8, 0.05, 30, true, 1},    {0.81, 0.05, 30, true, 1},
                                       {0.8, 0.051, 30, true, 1},   {0.8, 0.05, 31, true, 1},
                                       {0.8, 0.05, 30, false, 1},   {9, 9, 99, false, 1},
                                       {(double)NAN, 0, 0, true, 1}};
  struct goodput_result r = goodput_measure(requests, 7, slo, 7);
  cr_expect_eq(r.accepted, 1);
  cr_expect_eq(r.failed_ttft, 3);
  cr_expect_eq(r.failed_tpot, 2);
  cr_expect_eq(r.failed_end_to_end, 2);
  cr_expect_eq(r.failed_quality, 2);
  cr_expect_eq(r.throughput_per_s, 1.0);
  expect_near(r.usd_per_accepted, 7, 1e-12, "failed ones are paid for");
  cr_expect(isinf(goodput_measure(requests + 1, 1, slo, 1).usd_per_accepted));
}

Test(goodput, the_best_point_is_cheapest_then_most) {
  struct goodput_result r[3] = {{.usd_per_accepted = 2, .goodput_per_s = 9},
                                {.usd_per_accepted = 1, .goodput_per_s = 3},
                                {.usd_per_accepted = 1, .goodput_per_s = 4}};
  cr_expect_eq(goodput_best(r, 3), 2);
  cr_expect_eq(goodput_best(r, 1), 0);
}

Test(goodput, utilization_is_not_productive_work) {
  expect_near(goodput_productive_share(0.78, 0, 0, 0, 1), 0.78, 1e-12, "no waste");
  expect_near(goodput_productive_share(0.78, 0.1, 0.2, 0.3, 0.7), 0.78 * 0.9 * 0.8 * 0.7 * 0.7,
              1e-12, "waste");
  expect_near(goodput_usd_with_retries(0.01, 0.8), 0.0125, 1e-12, "retries");
}

Test(goodput, drafts_accepted_are_a_geometric_sum) {
  expect_near(goodput_tokens_per_verification(0.58, 3), 1 + 0.58 + 0.58 * 0.58 + 0.58 * 0.58 * 0.58,
              1e-12, "sum");
  cr_expect_eq(goodput_tokens_per_verification(0, 4), 1.0);
  cr_expect_eq(goodput_tokens_per_verification(1, 4), 5.0);
}

Test(goodput, speculation_pays_only_above_its_breakeven) {
  int within = 0;
  for (uint64_t seed = 0; seed < 500; seed++) {
    double drafted = 1 + (double)prng_below(seed, 0, 6), step_s = 0.02;
    double draft_s = step_s * prng_unit(seed, 1) / 4;
    double verify_s = step_s * (1 + 3 * prng_unit(seed, 2));
    double a = goodput_breakeven_acceptance(drafted, draft_s, verify_s, step_s);
    if (a <= 0 || a >= 1) continue;
    within++;
    expect_near(goodput_speculative_speedup(a, drafted, draft_s, verify_s, step_s), 1, 1e-9,
                "break-even");
    cr_expect_lt(goodput_speculative_speedup(a * 0.99, drafted, draft_s, verify_s, step_s), 1);
  }
  cr_expect_gt(within, 100);
  /* 58% accepted, yet 0.90x: with three drafts at a tenth of a step each, a verification that
   * takes 2.1 steps does it. */
  expect_near(goodput_speculative_speedup(0.58, 3, 0.1, 2.06, 1), 0.90, 0.01, "0.90x");
  cr_expect_eq(goodput_breakeven_acceptance(2, 1, 4, 1), 1.0);
  cr_expect_eq(goodput_breakeven_acceptance(2, 0, 1, 1), 0.0);
}

Test(goodput, quantization_may_lose_some_quality) {
  double rate = goodput_breakeven_pass_rate(0.96, 1.6);
  expect_near(goodput_usd_with_retries(1 / 1.6, rate), goodput_usd_with_retries(1, 0.96), 1e-12,
              "equal cost");
}

Test(goodput, breakevens_by_hand) {
  /* Two drafts, a round of 2.5 steps: 1 + a + a^2 = 2.5. */
  expect_near(goodput_breakeven_acceptance(2, 0.5, 1.5, 1), (sqrt(7) - 1) / 2, 1e-9, "acceptance");
  /* Nearly perfect drafts needed: the search must end at them. */
  expect_near(goodput_breakeven_acceptance(1, 0, 1.999, 1), 0.999, 1e-9, "acceptance");
  struct goodput_result r[2] = {{.usd_per_accepted = 1, .goodput_per_s = 5},
                                {.usd_per_accepted = 1, .goodput_per_s = 4}};
  cr_expect_eq(goodput_best(r, 2), 0);
  r[1] = (struct goodput_result){.usd_per_accepted = 2, .goodput_per_s = 9};
  cr_expect_eq(goodput_best(r, 2), 0, "more but dearer");
}
