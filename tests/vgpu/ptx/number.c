/*
 * Half and FP8 formats.
 *
 * Rounding to p bits of mantissa is done on the value scaled so that the last kept bit counts
 * one: rint() there is exactly round to nearest even, for subnormal numbers too.
 */
#include "tests/vgpu/ptx/number.h"

/* `value` rounded to `mantissa` bits with exponents from `lowest` up; exact in double. */
static double rounded(double value, int mantissa, int lowest, enum rounding rounding) {
  int exponent;
  if (value == 0.0) return value;
  frexp(value, &exponent);
  exponent -= 1; /* value = m * 2^exponent, 1 <= m < 2 */
  if (exponent < lowest) exponent = lowest;
  double unit = ldexp(1.0, exponent - mantissa), scaled = value / unit;
  switch (rounding) {
  case ROUND_NEAREST:
    scaled = rint(scaled);
    break;
  case ROUND_ZERO:
    scaled = trunc(scaled);
    break;
  case ROUND_DOWN:
    scaled = floor(scaled);
    break;
  case ROUND_UP:
    scaled = ceil(scaled);
    break;
  }
  return scaled * unit;
}

/* Bits of a value that the format holds exactly. */
static uint32_t encode(double value, int mantissa, int lowest) {
  int exponent;
  value = fabs(value);
  if (value == 0.0) return 0;
  frexp(value, &exponent);
  exponent -= 1;
  if (exponent < lowest) return (uint32_t)ldexp(value, mantissa - lowest); /* subnormal */
  uint32_t fraction = (uint32_t)ldexp(value, mantissa - exponent) - (1U << mantissa);
  return (uint32_t)(exponent - lowest + 1) << mantissa | fraction;
}

static float decode(uint32_t bits, int mantissa, int lowest) {
  uint32_t exponent = bits >> mantissa, fraction = bits & ((1U << mantissa) - 1);
  if (exponent == 0) return (float)ldexp(fraction, lowest - mantissa);
  return (float)ldexp(fraction + (1U << mantissa), (int)exponent - 1 + lowest - mantissa);
}

float float_of_f16(uint32_t bits) {
  float sign = bits & 0x8000U ? -1.0F : 1.0F;
  if ((bits & 0x7c00U) == 0x7c00U) return bits & 0x3ffU ? NAN : sign * INFINITY;
  return sign * decode(bits & 0x7fffU, 10, -14);
}

uint16_t f16_of_float(float value, enum rounding rounding) {
  uint16_t sign = signbit(value) ? 0x8000U : 0;
  if (isnan(value)) return 0x7fff;
  double kept = rounded(value, 10, -14, rounding);
  if (fabs(kept) > 65504.0) return (uint16_t)(sign | (rounding == ROUND_ZERO ? 0x7bffU : 0x7c00U));
  return (uint16_t)(sign | encode(kept, 10, -14));
}

float float_of_e4m3(uint32_t bits) {
  float sign = bits & 0x80U ? -1.0F : 1.0F;
  if ((bits & 0x7fU) == 0x7fU) return NAN;
  return sign * decode(bits & 0x7fU, 3, -6);
}

uint8_t e4m3_of_float(float value) {
  uint8_t sign = signbit(value) ? 0x80U : 0;
  if (isnan(value)) return 0x7f;
  double kept = rounded(value, 3, -6, ROUND_NEAREST);
  if (fabs(kept) > 448.0) return sign | 0x7eU;
  return (uint8_t)(sign | encode(kept, 3, -6));
}

float float_of_e5m2(uint32_t bits) {
  float sign = bits & 0x80U ? -1.0F : 1.0F;
  if ((bits & 0x7cU) == 0x7cU) return bits & 3U ? NAN : sign * INFINITY;
  return sign * decode(bits & 0x7fU, 2, -14);
}

uint8_t e5m2_of_float(float value) {
  uint8_t sign = signbit(value) ? 0x80U : 0;
  if (isnan(value)) return 0x7f;
  double kept = rounded(value, 2, -14, ROUND_NEAREST);
  if (fabs(kept) > 57344.0) return sign | 0x7bU;
  return (uint8_t)(sign | encode(kept, 2, -14));
}
