/*
 * Break-even: the closed form where there is one, brute force where there is
 * not.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/breakeven.h"
#include "vectors.h"

static struct breakeven constant(double fixed_s, double t, double r, double new_tokens) {
  return (struct breakeven){.compute = {.s_per_token = t},
                            .read = {.fixed_s = fixed_s, .slope_s = r / 1000},
                            .kv_bytes_per_token = 1000,
                            .new_tokens = new_tokens,
                            .overlapped = false};
}

Test(breakeven, constant_costs_give_the_closed_form) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    double t = 1e-5 + 1e-3 * prng_unit(seed, 0), r = t * 0.9 * prng_unit(seed, 1);
    double fixed_s = 1e-4 + 0.1 * prng_unit(seed, 2);
    struct breakeven b = constant(fixed_s, t, r, 1);
    double tokens = breakeven_constant_tokens(fixed_s, t, r);
    struct breakeven_range range = breakeven_tokens(&b, 1e8);
    cr_expect(fabs(range.from_tokens - ceil(tokens)) <= 1, "%g, closed form %g", range.from_tokens,
              tokens);
    cr_expect(isinf(range.to_tokens));
  }
  cr_expect(isinf(breakeven_constant_tokens(1e-3, 1e-5, 1e-5)));
  cr_expect_eq(breakeven_constant_tokens(0, 2e-5, 1e-5), 0.0);
}

Test(breakeven, slow_storage_never_pays_in_turn_but_may_when_overlapped) {
  struct breakeven b = constant(1e-3, 1e-5, 2e-5, 1000);
  cr_expect(isinf(breakeven_tokens(&b, 1e6).from_tokens));
  b.overlapped = true;
  /* Saved compute exceeds the fixed part from 1 ms / 10 us; the read outlasts everything from
   * (1000 T - fixed) / (R - T) on. */
  struct breakeven_range range = breakeven_tokens(&b, 1e6);
  cr_expect_eq(range.from_tokens, 1.0, "1 ms hides behind 10 ms of compute");
  expect_near(range.to_tokens, 900, 0.002, "until the read is longer than all compute");
}

static struct breakeven any(uint64_t seed) {
  return (struct breakeven){
      .compute = {.fixed_s = 1e-3 * prng_unit(seed, 0),
                  .floor_s = 2e-2 * prng_unit(seed, 1),
                  .s_per_token = 1e-4 * prng_unit(seed, 2),
                  .s_per_pair = 1e-8 * prng_unit(seed, 3)},
      .read = {.fixed_s = 5e-2 * prng_unit(seed, 4), .slope_s = 1e-9 * prng_unit(seed, 5)},
      .kv_bytes_per_token = 131072,
      .new_tokens = 1 + (double)prng_below(seed, 6, 500),
      .overlapped = prng_below(seed, 7, 2) == 1};
}

Test(breakeven, the_edges_are_where_the_verdict_changes) {
  int found = 0;
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct breakeven b = any(seed);
    struct breakeven_range range = breakeven_tokens(&b, 20000);
    double first = (double)INFINITY;
    for (double n = 1; n <= 20000 && isinf(first); n++) {
      if (breakeven_reload_s(&b, n) < breakeven_recompute_s(&b, n)) first = n;
    }
    if (isinf(range.from_tokens)) continue;
    found++;
    expect_near(range.from_tokens, first, 0, "the shortest prefix, by trying each");
    if (isinf(range.to_tokens)) continue;
    cr_expect_lt(breakeven_reload_s(&b, range.to_tokens),
                 breakeven_recompute_s(&b, range.to_tokens));
    cr_expect_geq(breakeven_reload_s(&b, range.to_tokens + 1),
                  breakeven_recompute_s(&b, range.to_tokens + 1));
  }
  cr_expect_gt(found, 100);
}

Test(breakeven, at_the_bandwidth_both_take_as_long) {
  int checked = 0;
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct breakeven b = any(seed);
    double rate = breakeven_bytes_per_s(&b, 8000);
    if (isinf(rate)) continue;
    checked++;
    b.read.slope_s = 1 / rate;
    expect_near(breakeven_reload_s(&b, 8000), breakeven_recompute_s(&b, 8000), 1e-9, "equal");
  }
  cr_expect_gt(checked, 100);
  struct breakeven hopeless = constant(10, 1e-5, 0, 1);
  cr_expect(isinf(breakeven_bytes_per_s(&hopeless, 1000)));
}

Test(breakeven, the_last_length_allowed_is_tried) {
  struct breakeven b = constant(9.55e-4, 1e-5, 0, 1);
  cr_expect_eq(breakeven_tokens(&b, 96).from_tokens, 96.0);
  cr_expect(isinf(breakeven_tokens(&b, 95).from_tokens));
  cr_expect_eq(breakeven_tokens(&b, (double)INFINITY).from_tokens, 96.0);
}

Test(breakeven, no_bandwidth_helps_where_compute_is_not_saved) {
  /* All on the weights' floor: recomputing a short prefix costs nothing more. */
  struct breakeven b = {.compute = {.floor_s = 1, .s_per_token = 1e-6},
                        .read = {.fixed_s = 0},
                        .kv_bytes_per_token = 1000,
                        .new_tokens = 10,
                        .overlapped = true};
  cr_expect(isinf(breakeven_bytes_per_s(&b, 1000)));
  cr_expect(isinf(breakeven_tokens(&b, 1e5).from_tokens));
  b.overlapped = false;
  cr_expect(isinf(breakeven_bytes_per_s(&b, 1000)));
}
