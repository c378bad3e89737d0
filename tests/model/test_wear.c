/*
 * Wear: a drive by hand, and that rates, years and drive writes per day say the
 * same thing.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/wear.h"
#include "vectors.h"

Test(wear, a_drive_by_hand) {
  /* 3.84 TB at 1 DWPD for 5 years: the 7,008 TBW of such datasheets. */
  double endurance = wear_endurance_bytes(3.84e12, 1, 5);
  expect_near(endurance, 7008e12, 1e-12, "TBW");
  /* A 70B model's 4,096 new tokens: 1.34 GB. */
  expect_near(wear_bytes_per_request(4096, 0, 327680, 1), 1.34217728e9, 1e-12, "per request");
  expect_near(wear_bytes_per_request(4000, 96, 327680, 2), 2.68435456e9, 1e-12, "amplified");
  /* One such request a second wears it out in two months. */
  expect_near(wear_years(endurance, 1.34217728e9), 0.1656, 1e-3, "years");
  expect_near(wear_usd_per_mtok(700.8, endurance, 327680, 1), 0.032768, 1e-9, "dollars");
  expect_near(wear_recompute_usd_per_mtok(3.6, 2e-4), 0.2, 1e-12, "GPU");
  expect_near(wear_breakeven_reuses(0.032768, 0.2), 0.16384, 1e-12, "the first reuse pays");
}

Test(wear, the_rated_rate_lasts_the_rated_years) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    double capacity = 1e12 + 3e13 * prng_unit(seed, 0), dwpd = 0.3 + 3 * prng_unit(seed, 1);
    double endurance = wear_endurance_bytes(capacity, dwpd, 5);
    double rate = wear_sustainable_bytes_per_s(endurance, 5);
    expect_near(wear_years(endurance, rate), 5, 1e-12, "years");
    expect_near(wear_drive_writes_per_day(rate, capacity), dwpd, 1e-12, "DWPD");
    expect_near(wear_years(endurance, 2 * rate), 2.5, 1e-12, "twice as fast");
  }
  cr_expect(isinf(wear_years(1e15, 0)));
}
