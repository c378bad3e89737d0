/*
 * What verification needs of pages in device memory: their CRC32C where they
 * lie, so that the copy from the host is checked too, and a pattern over the past
 * before a run, so that a page which fails to arrive cannot pass for one that did.
 *
 * Neither is in a timed region. The CRC: each thread walks its slice byte by byte through a table,
 * then moves its remainder to its place by one product of polynomials; remainders add up (XOR).
 * About 6 instructions a byte: 43 GB in about 10 ms of issue slots, the table's bank conflicts
 * (about 3 on average) make that 30 ms; reading takes 15.
 */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/numbers.cuh"

#define POLYNOMIAL 0x82f63b78u /* CRC32C, reflected: bit 31 is x^0 */

DEVICE uint32_t times_x(uint32_t a) {
  return (a >> 1) ^ (a & 1u ? POLYNOMIAL : 0u);
}

/* a * b modulo the polynomial. */
DEVICE uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 31; i >= 0; i--) {
    if (a >> i & 1u) product ^= b;
    b = times_x(b);
  }
  return product;
}

DEVICE uint32_t crc_word(const uint32_t *table, uint32_t crc, uint32_t word) {
  crc ^= word;
#pragma unroll
  for (int i = 0; i < 4; i++) crc = (crc >> 8) ^ table[crc & 0xffu];
  return crc;
}

/* Remainder of bytes [begin, end), multiples of 16. */
DEVICE uint32_t crc_slice(const uint32_t *table, const char *data, int64_t begin, int64_t end) {
  uint32_t crc = 0;
  for (int64_t at = begin; at < end; at += 16) {
    const uint4 words = *reinterpret_cast<const uint4 *>(data + at);
    crc = crc_word(table, crc, words.x);
    crc = crc_word(table, crc, words.y);
    crc = crc_word(table, crc, words.z);
    crc = crc_word(table, crc, words.w);
  }
  return crc;
}

extern "C" __global__ void __launch_bounds__(KERNEL_CRC_THREADS)
    refill_page_crc(const __grid_constant__ kernel_page_crc a) {
  __shared__ uint32_t table[256];
  __shared__ uint32_t parts[KERNEL_CRC_THREADS / 32];
  for (uint32_t byte = threadIdx.x; byte < 256; byte += KERNEL_CRC_THREADS) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = times_x(crc);
    table[byte] = crc;
  }
  __syncthreads();
  const bool is_v = threadIdx.x >= KERNEL_CRC_THREADS / 2;
  const int64_t slice = threadIdx.x % (KERNEL_CRC_THREADS / 2);
  const int64_t begin = min(slice * a.slice_bytes, a.half_bytes);
  const int64_t end = min(begin + a.slice_bytes, a.half_bytes);
  const int64_t page_at = (a.first_page + (int64_t)blockIdx.x) * a.half_bytes;
  const char *data = static_cast<const char *>(is_v ? a.v : a.k) + page_at;
  uint32_t crc = multiply(crc_slice(table, data, begin, end), a.factors[threadIdx.x]);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    crc ^= __shfl_xor_sync(0xffffffffu, crc, distance);
  }
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = crc;
  __syncthreads();
  if (threadIdx.x > 0) return;
#pragma unroll
  for (int i = 1; i < KERNEL_CRC_THREADS / 32; i++) crc ^= parts[i];
  a.out[blockIdx.x] = crc;
}

/* 32 bytes of HBM traffic for each 512 of KV: 43 GB in 1 ms. */
extern "C" __global__ void __launch_bounds__(KERNEL_THREADS)
    refill_spoil(const __grid_constant__ kernel_spoil a) {
  const int64_t at = ((int64_t)blockIdx.x * KERNEL_THREADS + threadIdx.x) * a.step_bytes;
  if (at >= a.bytes) return;
  char *part = static_cast<char *>(a.base) + (int64_t)blockIdx.y * a.part_bytes;
  *reinterpret_cast<ulonglong2 *>(part + at) = make_ulonglong2(a.pattern, a.pattern);
}
