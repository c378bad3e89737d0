/*
 * Synthetic weights in place, so that 80 GB need no transfer. The formula is
 * that of kernels/weights.h, bit for bit: product and sum are rounded apart.
 *
 * On an H100: 2 bytes written an element, about 12 integer operations each (64-bit products are
 * four of them): bound by arithmetic at about 1.5 T elements/s, so a 70B layer (856 M elements)
 * takes 0.6 ms.
 */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/numbers.cuh"

DEVICE uint64_t random_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/* Elements [8 i, 8 i + 8): two draws of four. */
DEVICE bf16x8 weights_at(const kernel_weights &a, int64_t i) {
  float values[8];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint64_t bits = random_bits(a.stream, (uint64_t)(2 * i + half));
#pragma unroll
    for (int lane = 0; lane < 4; lane++) {
      const float u = (float)(int16_t)(uint16_t)(bits >> (16 * lane)) * (1.0f / 32768.0f);
      values[4 * half + lane] = __fadd_rn(a.offset, __fmul_rn(a.scale, u));
    }
  }
  return pack(values);
}

extern "C" __global__ void __launch_bounds__(KERNEL_THREADS)
    refill_weights_bf16(const __grid_constant__ kernel_weights a) {
  const int64_t i = (int64_t)blockIdx.x * KERNEL_THREADS + threadIdx.x;
  if (i * KERNEL_VECTOR < a.count) static_cast<bf16x8 *>(a.out)[i] = weights_at(a, i);
}

extern "C" __global__ void __launch_bounds__(KERNEL_THREADS)
    refill_weights_fp8(const __grid_constant__ kernel_weights a) {
  const int64_t i = (int64_t)blockIdx.x * KERNEL_THREADS + threadIdx.x;
  if (i * KERNEL_VECTOR >= a.count) return;
  float values[8];
  unpack(weights_at(a, i), values);
#pragma unroll
  for (int j = 0; j < 8; j++) values[j] *= a.inverse_scale;
  store8_fp8(a.out, i, values);
}
