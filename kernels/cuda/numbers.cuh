/*
 * Number formats in kernels: bf16 and E4M3 in groups of eight, one 16-byte or
 * 8-byte access each. The only place that asks for which architecture it is compiled:
 * E4M3 conversion is an instruction from sm_89 on, and integer arithmetic with
 * the same results before.
 */
#ifndef REFILL_KERNELS_CUDA_NUMBERS_CUH
#define REFILL_KERNELS_CUDA_NUMBERS_CUH

#include "kernels/cuda/ptx.cuh"

#define DEVICE static __device__ __forceinline__

/* Eight elements. CUDA's own vector types, since the compiler takes other structs apart into
 * 4-byte accesses. */
typedef uint4 bf16x8;
typedef uint2 e4m3x8;

DEVICE float bf16_low(uint32_t pair) {
  return __uint_as_float(pair << 16);
}
DEVICE float bf16_high(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

DEVICE void unpack(const bf16x8 &in, float (&out)[8]) {
  const uint32_t pairs[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    out[2 * i] = bf16_low(pairs[i]);
    out[2 * i + 1] = bf16_high(pairs[i]);
  }
}

DEVICE bf16x8 pack(const float (&in)[8]) {
  return make_uint4(pack_bf16(in[0], in[1]), pack_bf16(in[2], in[3]), pack_bf16(in[4], in[5]),
                    pack_bf16(in[6], in[7]));
}

/* E4M3 by integers: above 2^-6 the float's bits are rounded to three of mantissa, below that codes
 * are multiples of 2^-9. Values past 448 saturate; not a number stays so. */
DEVICE uint32_t e4m3_from_float(float value) {
  const float size = fabsf(value);
  const uint32_t bits = __float_as_uint(size);
  const uint32_t sign = (__float_as_uint(value) >> 24) & 0x80u;
  if (!(size < 448.0f)) return sign | (size >= 448.0f ? 0x7eu : 0x7fu);
  if (size < 0.015625f) return sign | __float2uint_rn(size * 512.0f);
  return sign | (((bits + 0x7ffffu + ((bits >> 20) & 1u)) >> 20) - (120u << 3));
}

/* A code's exponent is 120 less than a float's in excess; subnormal codes become subnormal
 * floats, and the product is exact for both. The last code is not a number: it must not come back
 * as one, or a wrong page would pass for a large value. */
DEVICE float e4m3_to_float(uint32_t code) {
  const uint32_t magnitude = code & 0x7fu;
  const float size = __uint_as_float(magnitude == 0x7fu ? 0x7fc00000u : magnitude << 20) * 0x1p120f;
  return code & 0x80u ? -size : size;
}

DEVICE uint32_t pack_e4m3(float low, float high) {
#if __CUDA_ARCH__ >= 890
  return pack_e4m3_native(low, high);
#else
  return e4m3_from_float(low) | e4m3_from_float(high) << 8;
#endif
}

DEVICE e4m3x8 pack_fp8(const float (&in)[8]) {
  return make_uint2(pack_e4m3(in[0], in[1]) | pack_e4m3(in[2], in[3]) << 16,
                    pack_e4m3(in[4], in[5]) | pack_e4m3(in[6], in[7]) << 16);
}

DEVICE void unpack_fp8(const e4m3x8 &in, float (&out)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) out[i] = e4m3_to_float((i < 4 ? in.x : in.y) >> 8 * (i % 4));
}

/* The i-th group of eight of an array. */
DEVICE void load8(const void *array, int64_t i, float (&out)[8]) {
  unpack(static_cast<const bf16x8 *>(array)[i], out);
}

DEVICE void store8_bf16(void *array, int64_t i, const float (&values)[8]) {
  static_cast<bf16x8 *>(array)[i] = pack(values);
}

DEVICE void store8_fp8(void *array, int64_t i, const float (&values)[8]) {
  static_cast<e4m3x8 *>(array)[i] = pack_fp8(values);
}

DEVICE void load8_float(const float *array, int64_t i, float (&out)[8]) {
  const float4 a = reinterpret_cast<const float4 *>(array)[2 * i];
  const float4 b = reinterpret_cast<const float4 *>(array)[2 * i + 1];
  out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
  out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

DEVICE float warp_sum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

#endif
