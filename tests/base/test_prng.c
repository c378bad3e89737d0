/* base/prng.h and base/prng.c: pinned values, prng_fill() against prng_bits(). */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/prng.h"

/* splitmix64 of seed 0, as published with it; later devices must agree. */
Test(prng, bits_are_splitmix64) {
  cr_expect_eq(prng_bits(0, 0), UINT64_C(0xe220a8397b1dcdaf));
  cr_expect_eq(prng_bits(0, 1), UINT64_C(0x6e789e6aa1b965f4));
  cr_expect_eq(prng_bits(0, 2), UINT64_C(0x06c45d188009454f));
}

Test(prng, fill_writes_the_streams_bytes) {
  unsigned char data[240];
  for (size_t offset = 0; offset < 9; offset++) {
    for (size_t bytes = 0; bytes <= 220; bytes++) {
      memset(data, 0xa5, sizeof(data));
      prng_fill(data + offset, bytes, 7, 1000);
      for (size_t k = 0; k < sizeof(data); k++) {
        unsigned char expected = 0xa5; /* nothing outside is touched */
        if (k >= offset && k < offset + bytes) {
          size_t byte = k - offset;
          expected = (unsigned char)(prng_bits(7, 1000 + byte / 8) >> (8 * (byte % 8)));
        }
        cr_assert_eq(data[k], expected, "byte %zu of %zu at %zu", k, bytes, offset);
      }
    }
  }
}

Test(prng, fill_continues_at_an_index) {
  unsigned char whole[256];
  unsigned char part[128];
  prng_fill(whole, sizeof(whole), 3, 5);
  prng_fill(part, sizeof(part), 3, 5 + 16);
  cr_assert_arr_eq(part, whole + 128, sizeof(part));
}

Test(prng, numbers_are_in_range_and_even) {
  double sum = 0.0;
  double sum_unit = 0.0;
  size_t count_of[10] = {0};
  enum { N = 100000 };
  for (uint64_t i = 0; i < N; i++) {
    float x = prng_symmetric(11, i);
    double u = prng_unit(12, i);
    cr_assert(x >= -1.0F && x < 1.0F);
    cr_assert(u >= 0.0 && u < 1.0);
    sum += (double)x;
    sum_unit += u;
    count_of[prng_below(13, i, 10)]++;
  }
  /* Five standard deviations of the mean. */
  cr_expect(fabs(sum / N) < 5.0 * 0.577 / sqrt(N), "%g", sum / N);
  cr_expect(fabs(sum_unit / N - 0.5) < 5.0 * 0.289 / sqrt(N), "%g", sum_unit / N);
  for (int i = 0; i < 10; i++) cr_expect(count_of[i] > 9500 && count_of[i] < 10500);
}

Test(prng, below_one_is_zero) {
  for (uint64_t i = 0; i < 100; i++) cr_assert_eq(prng_below(1, i, 1), 0);
}

Test(prng, streams_and_seeds_differ) {
  cr_expect_neq(prng_bits(1, 0), prng_bits(2, 0));
  cr_expect_neq(prng_stream(1, 0), prng_stream(1, 1));
  cr_expect_neq(prng_stream(1, 0), prng_stream(2, 0));
  cr_expect_neq(prng_stream(1, 0), prng_bits(1, 0));
}
