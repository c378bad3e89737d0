/*
 * Arithmetic on bf16, alone or two in a register. Each operation is done in float and rounded to
 * bf16 once, which is what the machine's fused and unfused operations give.
 */
#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/lanes.h"
#include "tests/vgpu/ptx/number.h"

static inline float smaller(float x, float y) {
  return x != x ? y : y != y ? x : x < y ? x : y;
}
static inline float larger(float x, float y) {
  return x != x ? y : y != y ? x : x > y ? x : y;
}

static inline uint32_t bf16_bits(double value) {
  /* From double: float of it rounded first could round twice, so the sticky bit is kept. */
  float nearest = (float)value;
  if (isfinite(nearest) && (double)nearest != value) {
    uint32_t bits = bits_of_float(nearest);
    if (fabs((double)nearest) > fabs(value)) bits -= 1; /* truncate ... */
    return bf16_of_float(float_of_bits(bits | 1U), false);
  }
  return bf16_of_float(nearest, false);
}

#define HALF_1(name, expression)                                                                   \
  static inline uint32_t name##_of(uint32_t a) {                                                   \
    float x = float_of_bf16(a);                                                                    \
    return bf16_bits((double)(expression));                                                        \
  }                                                                                                \
  LANES_1(name##_1, lane16, lane16, name##_of(x))                                                  \
  LANES_1(name##_2, lane32, lane32, name##_of(x) | name##_of(x >> 16) << 16)

#define HALF_2(name, expression)                                                                   \
  static inline uint32_t name##_of(uint32_t a, uint32_t b) {                                       \
    float x = float_of_bf16(a), y = float_of_bf16(b);                                              \
    return bf16_bits((double)(expression));                                                        \
  }                                                                                                \
  LANES_2(name##_1, lane16, lane16, lane16, name##_of(x, y))                                       \
  LANES_2(name##_2, lane32, lane32, lane32, name##_of(x, y) | name##_of(x >> 16, y >> 16) << 16)

HALF_1(neg, -x)
HALF_1(abs, fabsf(x))
HALF_2(add, (double)x + (double)y)
HALF_2(sub, (double)x - (double)y)
HALF_2(mul, (double)x *(double)y)
HALF_2(min, smaller(x, y))
HALF_2(max, larger(x, y))

static inline uint32_t fma_of(uint32_t a, uint32_t b, uint32_t c) {
  return bf16_bits((double)float_of_bf16(a) * (double)float_of_bf16(b) + (double)float_of_bf16(c));
}
LANES_3(fma_1, lane16, lane16, lane16, fma_of(x, y, z))
LANES_3(fma_2, lane32, lane32, lane32, fma_of(x, y, z) | fma_of(x >> 16, y >> 16, z >> 16) << 16)

#define ONE_AND_TWO(opcode, name)                                                                  \
  {opcode ".bf16", "hh", 'h', name##_1}, {                                                         \
    opcode ".bf16x2", "ww", 'w', name##_2                                                          \
  }

const struct alu_row *alu_half_rows(size_t *n) {
  static const struct alu_row rows[] = {
      ONE_AND_TWO("add", add),
      ONE_AND_TWO("add.rn", add),
      ONE_AND_TWO("sub", sub),
      ONE_AND_TWO("sub.rn", sub),
      ONE_AND_TWO("mul", mul),
      ONE_AND_TWO("mul.rn", mul),
      ONE_AND_TWO("min", min),
      ONE_AND_TWO("max", max),
      {"neg.bf16", "h", 'h', neg_1},
      {"neg.bf16x2", "w", 'w', neg_2},
      {"abs.bf16", "h", 'h', abs_1},
      {"abs.bf16x2", "w", 'w', abs_2},
      {"fma.rn.bf16", "hhh", 'h', fma_1},
      {"fma.rn.bf16x2", "www", 'w', fma_2},
  };
  *n = sizeof rows / sizeof *rows;
  return rows;
}
