/*
 * Products of polynomials modulo CRC32C's, and the slices of a page.
 */
#include "kernels/cuda/crc_plan.h"

#include <assert.h>

#define POLYNOMIAL 0x82f63b78U
#define ONE 0x80000000U    /* x^0 */
#define X_TO_8 0x00800000U /* x^8 */

uint32_t crc_multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 31; i >= 0; i--) {
    if (a >> i & 1U) product ^= b;
    b = (b >> 1) ^ (b & 1U ? POLYNOMIAL : 0U);
  }
  return product;
}

uint32_t crc_power(uint64_t bytes) {
  uint32_t result = ONE;
  for (uint32_t square = X_TO_8; bytes; bytes >>= 1) {
    if (bytes & 1U) result = crc_multiply(result, square);
    square = crc_multiply(square, square);
  }
  return result;
}

void crc_plan(struct crc_plan *plan, int64_t half_bytes) {
  assert(half_bytes > 0 && half_bytes % 16 == 0);
  const int64_t threads = KERNEL_CRC_THREADS / 2;
  plan->half_bytes = half_bytes;
  plan->slice_bytes = ((half_bytes + threads - 1) / threads + 15) / 16 * 16;
  for (int64_t t = 0; t < KERNEL_CRC_THREADS; t++) {
    int64_t end = (t % threads + 1) * plan->slice_bytes;
    if (end > half_bytes) end = half_bytes;
    const int64_t after = half_bytes - end + (t < threads ? half_bytes : 0);
    plan->factors[t] = crc_power((uint64_t)after);
  }
  plan->page_factor = crc_power(2 * (uint64_t)half_bytes);
}

uint32_t crc_continue(const struct crc_plan *plan, uint32_t crc, uint32_t remainder) {
  return ~(remainder ^ crc_multiply(~crc, plan->page_factor));
}
