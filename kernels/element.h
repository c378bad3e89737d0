/*
 * Storage formats of numbers, and bf16 <-> float (round to nearest even).
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

#endif
