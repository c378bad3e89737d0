/*
 * A counter-based generator: element i of stream `seed` is a pure function of
 * (seed, i), so that every device makes the same weights and prompts in any
 * order and in parallel. splitmix64's finaliser over seed and counter.
 */
#ifndef REFILL_BASE_PRNG_H
#define REFILL_BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

/* 64 uniformly distributed bits for element `index` of stream `seed`. */
static inline uint64_t prng_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Uniform in [-1, 1): exactly representable in float (24 bits). */
static inline float prng_symmetric(uint64_t seed, uint64_t index) {
  return (float)((int32_t)(prng_bits(seed, index) >> 40) - (1 << 23)) * (1.0F / (1 << 23));
}

/* Uniform in [0, 1) with 53 bits. */
static inline double prng_unit(uint64_t seed, uint64_t index) {
  return (double)(prng_bits(seed, index) >> 11) * 0x1.0p-53;
}

/* Uniform in [0, bound), bound >= 1. */
static inline uint64_t prng_below(uint64_t seed, uint64_t index, uint64_t bound) {
  return (uint64_t)(((__uint128_t)prng_bits(seed, index) * bound) >> 64);
}

/* A seed for a named sub-stream: streams of different `stream` do not overlap in practice. */
static inline uint64_t prng_stream(uint64_t seed, uint64_t stream) {
  return prng_bits(seed ^ UINT64_C(0x5265666c6c4b5621), stream);
}

/* Fills `bytes` (any alignment) with the stream's bits: byte k is byte k%8 (little endian) of
 * element first_index + k/8. Memory speed. */
void prng_fill(void *data, size_t bytes, uint64_t seed, uint64_t first_index);

#endif
