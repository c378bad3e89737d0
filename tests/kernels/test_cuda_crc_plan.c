/*
 * CRC32C in slices: what the page kernel and the host do together must be the
 * CRC of the page. The kernel's part is done here by the portable CRC of each slice.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "kernels/cuda/crc_plan.h"

enum { HALF_MAX = 70000 };

/* Remainder of a slice: no initial value, no inversion at the end. */
static uint32_t remainder_of(const unsigned char *data, size_t bytes) {
  /* crc32c(c, data) = ~(data + ~c * x^n), so with c = ~0 the initial value is gone. */
  return ~crc32c_portable(0xffffffffU, data, bytes);
}

/* What the kernel writes for a page. */
static uint32_t kernel_result(const struct crc_plan *plan, const unsigned char *page) {
  uint32_t sum = 0;
  for (int64_t t = 0; t < KERNEL_CRC_THREADS; t++) {
    const int64_t slice = t % (KERNEL_CRC_THREADS / 2);
    int64_t begin = slice * plan->slice_bytes, end = begin + plan->slice_bytes;
    if (begin > plan->half_bytes) begin = plan->half_bytes;
    if (end > plan->half_bytes) end = plan->half_bytes;
    const unsigned char *half = page + (t < KERNEL_CRC_THREADS / 2 ? 0 : plan->half_bytes);
    sum ^= crc_multiply(remainder_of(half + begin, (size_t)(end - begin)), plan->factors[t]);
  }
  return sum;
}

Test(cuda_crc_plan, slices_join_to_the_page) {
  static unsigned char page[2 * HALF_MAX];
  static const int64_t halves[] = {16, 128, 1008, 1024, 1040, 16384, 65536};
  prng_fill(page, sizeof page, 7, 0);
  for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
    struct crc_plan plan;
    crc_plan(&plan, halves[i]);
    const uint32_t want = crc32c(0x1234U, page, 2 * (size_t)halves[i]);
    cr_expect_eq(crc_continue(&plan, 0x1234U, kernel_result(&plan, page)), want, "half of %d bytes",
                 (int)halves[i]);
  }
}

Test(cuda_crc_plan, a_flipped_bit_in_any_slice_shows) {
  unsigned char page[2048];
  struct crc_plan plan;
  crc_plan(&plan, 1024);
  prng_fill(page, sizeof page, 1, 0);
  const uint32_t want = kernel_result(&plan, page);
  for (size_t at = 0; at < sizeof page; at += 97) {
    page[at] ^= 4;
    cr_expect_neq(kernel_result(&plan, page), want, "byte %d", (int)at);
    page[at] ^= 4;
  }
}

Test(cuda_crc_plan, slices_cover_each_half_once) {
  for (int64_t half = 16; half < 5000; half += 16) {
    struct crc_plan plan;
    crc_plan(&plan, half);
    cr_expect_eq(plan.slice_bytes % 16, 0);
    cr_expect_geq(plan.slice_bytes * (KERNEL_CRC_THREADS / 2), half);
  }
}

Test(cuda_crc_plan, powers_multiply) {
  cr_expect_eq(crc_power(0), 0x80000000U);
  cr_expect_eq(crc_multiply(crc_power(3), crc_power(1000)), crc_power(1003));
  cr_expect_eq(crc_multiply(0x80000000U, 0xdeadbeefU), 0xdeadbeefU);
}
