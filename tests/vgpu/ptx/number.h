/*
 * The number formats of the machine, as conversions to and from float. Written from the formats'
 * definitions: the kernels' conversions must not be checked against themselves.
 */
#ifndef REFILL_TESTS_VGPU_PTX_NUMBER_H
#define REFILL_TESTS_VGPU_PTX_NUMBER_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum rounding { ROUND_NEAREST, ROUND_ZERO, ROUND_DOWN, ROUND_UP };

static inline float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float flushed(float x) {
  return fabsf(x) < FLT_MIN ? copysignf(0.0F, x) : x;
}

static inline float float_of_bf16(uint32_t bits) {
  return float_of_bits((bits & 0xffffU) << 16);
}

/* Nearest even, or towards zero; NaN becomes 0x7fff as on the machine. */
static inline uint16_t bf16_of_float(float value, bool to_zero) {
  uint32_t bits = bits_of_float(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fff;
  if (!to_zero) bits += 0x7fffU + (bits >> 16 & 1U);
  return (uint16_t)(bits >> 16);
}

/* IEEE half. */
float float_of_f16(uint32_t bits);
uint16_t f16_of_float(float value, enum rounding rounding);

/* FP8: 4 bits of exponent and 3 of mantissa, no infinity, largest 448, NaN 0x7f; or 5 and 2,
 * largest 57344. Conversion saturates (satfinite), rounds to nearest even. */
float float_of_e4m3(uint32_t bits);
uint8_t e4m3_of_float(float value);
float float_of_e5m2(uint32_t bits);
uint8_t e5m2_of_float(float value);

#endif
