/*
 * CRC32C in pieces: how the page kernel cuts a page into slices, and how the
 * host joins its result to a CRC begun elsewhere.
 *
 * A CRC is the remainder of the message as a polynomial over GF(2), so remainders of slices add up
 * (XOR) once each is multiplied by x^(8 * bytes that follow it). Bits are reflected: bit 31 is x^0.
 */
#ifndef REFILL_KERNELS_CUDA_CRC_PLAN_H
#define REFILL_KERNELS_CUDA_CRC_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/kernels.h"

struct crc_plan {
  int64_t half_bytes, slice_bytes;
  uint32_t factors[KERNEL_CRC_THREADS];
  uint32_t page_factor; /* x^(8 * payload bytes) */
};

/* For pages whose K (and whose V) takes half_bytes, a multiple of 16. */
void crc_plan(struct crc_plan *plan, int64_t half_bytes);

/* crc continued over a page whose remainder the kernel found: crc32c(crc, page). */
uint32_t crc_continue(const struct crc_plan *plan, uint32_t crc, uint32_t remainder);

/* a * b, and x^(8 * bytes), modulo the polynomial. */
uint32_t crc_multiply(uint32_t a, uint32_t b);
uint32_t crc_power(uint64_t bytes);

#endif
