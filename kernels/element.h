/*
 * Storage formats of numbers: bf16 and E4M3 <-> float, rounding to nearest even.
 */
#ifndef REFILL_KERNELS_ELEMENT_H
#define REFILL_KERNELS_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum element { ELEMENT_BF16, ELEMENT_FP8_E4M3 };

static inline size_t element_bytes(enum element element) {
  return element == ELEMENT_BF16 ? 2 : 1;
}

static inline const char *element_name(enum element element) {
  return element == ELEMENT_BF16 ? "bf16" : "fp8";
}

typedef uint16_t bf16; /* the upper half of a float */

static inline float bf16_to_float(bf16 value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

static inline bf16 bf16_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return (bf16)((bits >> 16) | 0x40U); /* quiet NaN */
  return (bf16)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

typedef uint8_t e4m3; /* sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinity */

/* What a code is worth; exact in bf16 too. 0x7f and 0xff are not numbers. */
static inline float e4m3_to_float(e4m3 code) {
  const uint32_t magnitude = code & 0x7fU;
  const uint32_t bits = magnitude == 0x7fU ? 0x7fc00000U : magnitude << 20;
  float size;
  memcpy(&size, &bits, sizeof size);
  size *= 0x1p120F; /* the exponent's bias is 120 less than a float's; subnormals come out right */
  return code & 0x80U ? -size : size;
}

/* Saturates at 448, as the GPU's conversion does; not a number stays so. */
static inline e4m3 e4m3_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 24 & 0x80U, size = bits & 0x7fffffffU;
  if (size > 0x7f800000U) return (e4m3)(sign | 0x7fU);
  if (size >= 0x43e00000U) return (e4m3)(sign | 0x7eU); /* 448 and more */
  if (size < 0x3c800000U) { /* under 2^-6, codes are multiples of 2^-9: adding 1.5 2^14 rounds */
    float positive;
    memcpy(&positive, &size, sizeof positive);
    const float rounded = positive + 0x1.8p14F;
    memcpy(&bits, &rounded, sizeof bits);
    return (e4m3)(sign | (bits & 0xfU));
  }
  return (e4m3)(sign | (((size + 0x7ffffU + (size >> 20 & 1U)) >> 20) - (120U << 3)));
}

#endif
