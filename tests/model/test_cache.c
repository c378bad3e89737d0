/*
 * Prompt caching: vectors, the documents' price lists and RAG example, and that
 * each break-even is where costs are in fact equal.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/cache.h"
#include "model/roofline.h"
#include "vectors.h"

static const struct cache_prices five_minutes = {1, 1.25, 0.1, 5};
static const struct cache_prices one_hour = {1, 2, 0.1, 5};
static const struct cache_prices half_off = {1, 1, 0.5, 5};

Test(cache, matches_the_vectors) {
  json_t *section = vectors_section("cache");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    struct cache_prices p = {.p_in = vectors_number(v, "p_in"),
                             .p_write = vectors_number(v, "p_write"),
                             .p_read = vectors_number(v, "p_read")};
    expect_near(cache_breakeven_calls(&p), vectors_number(v, "breakeven_calls_document"), 1e-12,
                "document");
    expect_near(cache_breakeven_calls_strict(&p), vectors_number(v, "breakeven_calls_strict"),
                1e-12, "strict");
  }
  json_decref(section);
}

Test(cache, the_strict_breakeven_is_where_costs_are_equal) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct cache_prices p = {1, 1 + 2 * prng_unit(seed, 0), 0.9 * prng_unit(seed, 1), 4};
    double calls = cache_breakeven_calls_strict(&p);
    expect_near(cache_cost(&p, 6000, calls), cache_cost_uncached(&p, 6000, calls), 1e-9, "equal");
    cr_expect_lt(cache_savings(&p, 6000, calls * 0.99), 0);
    cr_expect_gt(cache_savings(&p, 6000, calls * 1.01), 0);
    expect_near(cache_breakeven_calls(&p) - calls, p.p_read / (p.p_in - p.p_read), 1e-9,
                "the document's excess");
    double rate = cache_breakeven_hit_rate(&p);
    expect_near(cache_cost_at_hit_rate(&p, 6000, rate), 6000, 1e-9, "break-even hit rate");
    double rented = cache_breakeven_calls_rent(&p, 0.01, 24);
    expect_near(cache_cost(&p, 6000, rented) + cache_rent(0.01, 6000, 24),
                cache_cost_uncached(&p, 6000, rented), 1e-9, "with rent");
  }
  struct cache_prices no_discount = {1, 1, 1, 5};
  cr_expect(isinf(cache_breakeven_calls(&no_discount)));
  cr_expect(isinf(cache_breakeven_calls_strict(&no_discount)));
}

Test(cache, dear_writes_pay_off_later_but_more) {
  cr_expect_lt(cache_breakeven_calls_strict(&half_off),
               cache_breakeven_calls_strict(&five_minutes));
  cr_expect_lt(cache_breakeven_calls_strict(&five_minutes),
               cache_breakeven_calls_strict(&one_hour));
  cr_expect_gt(cache_savings(&five_minutes, 6000, 100), cache_savings(&half_off, 6000, 100));
  expect_near(cache_waste(&five_minutes, 6000), 1500, 1e-12, "a write nobody reads");
  cr_expect_eq(cache_waste(&half_off, 6000), 0.0);
  cr_expect_eq(cache_breakeven_hit_rate(&half_off), 0.0);
  cr_expect_eq(cache_cost(&half_off, 6000, 0), 0.0);
}

Test(cache, ttl) {
  /* Requests every 10 minutes with a TTL of 5: most miss. */
  cr_expect_eq(cache_hit_rate_regular(300, 600), 0.0);
  cr_expect_eq(cache_hit_rate_regular(300, 299), 1.0);
  expect_near(cache_hit_rate_random(300, 600), 1 - exp(-0.5), 1e-12, "random arrivals");
  cr_expect_lt(cache_hit_rate_random(300, 600), 0.5);
  expect_near(cache_hit_rate_random(3600, 1), 1, 1e-12, "busy");
  expect_near(cache_reuses_per_write(0.85), 0.85 / 0.15, 1e-12, "reuses");
}

Test(cache, the_rag_example) {
  struct cache_split s = cache_request_split(&five_minutes, 3000, 5500, 250);
  expect_near(s.cached_cost, 550, 1e-12, "cached input");
  expect_near(s.output_cost, 1250, 1e-12, "output");
  expect_near(s.total_cost, 4800, 1e-12, "total");
  expect_near(s.output_share, 0.26, 0.01, "roughly 26% of the cost");
  expect_near(s.output_tokens_share, 0.03, 0.06, "about 3% of the tokens");
  expect_near(s.cached_share, 0.65, 0.01, "65% of the input");
  struct cache_split all = cache_request_split(&five_minutes, 0, 8500, 250);
  expect_near(s.cacheable_share, 1 - all.total_cost / s.total_cost, 1e-12, "caching the rest");
  cr_expect_gt(s.cacheable_share, s.output_share, "here the cache is the longer lever");
}

Test(cache, a_fallen_hit_rate_raises_the_bill) {
  /* 85% to 40% at the five-minute prices: the prefix costs 2.9 times as much. */
  expect_near(cache_bill_ratio(&five_minutes, 6000, 0, 0.85, 0.40), 0.79 / 0.2725, 1e-9, "prefix");
  /* The documents' +35% needs other costs of about 1.2 p_in per prefix token. */
  expect_near(cache_bill_ratio(&five_minutes, 6000, 1.2 * 6000, 0.85, 0.40), 1.35, 0.01, "bill");
  expect_near(cache_bill_ratio(&half_off, 6000, 10, 0.5, 0.5), 1, 1e-12, "unchanged");
}

Test(cache, output_over_input_is_the_ratio_of_gpu_times) {
  struct roofline r = {.w_active_bytes = 14e9,
                       .kv_bytes = 1e8,
                       .flops_per_token = 14e9,
                       .bytes_per_s = 1.8e12,
                       .flops_per_s = 250e12};
  for (double batch = 1; batch <= 4096; batch *= 2) {
    double amortization = batch * 14e9 / 250e12 / roofline_step_s(&r, batch);
    expect_near(cache_output_input_ratio(14e9, 14e9, amortization),
                roofline_output_input_ratio(&r, batch, 8500), 1e-12, "ratio");
  }
}

Test(cache, a_split_by_hand) {
  struct cache_prices p = {3, 4, 0.5, 10};
  struct cache_split s = cache_request_split(&p, 10, 20, 5);
  expect_near(s.uncached_cost, 30, 1e-12, "uncached");
  expect_near(s.cached_cost, 10, 1e-12, "cached");
  expect_near(s.output_share, 50 / 90.0, 1e-12, "output's cost");
  expect_near(s.output_tokens_share, 5 / 35.0, 1e-12, "output's tokens");
  expect_near(s.cacheable_share, 25 / 90.0, 1e-12, "cacheable");
  expect_near(cache_cost(&p, 2, 3), 2 * (4 + 2 * 0.5), 1e-12, "three calls");
  expect_near(cache_cost_uncached(&p, 2, 3), 18, 1e-12, "uncached");
}
