/*
 * Arithmetic on float and double. Products and sums are rounded apart (the file is compiled with
 * -ffp-contract=off); only fma is fused. The machine's approximations (ex2.approx and its kin) are
 * computed to full precision: what they may be off by is the kernels' tolerance to allow.
 */
#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/lanes.h"
#include "tests/vgpu/ptx/number.h"

/* min and max return the number where one input is not one. */
static inline float smaller(float x, float y) {
  return x != x ? y : y != y ? x : x < y ? x : y;
}
static inline float larger(float x, float y) {
  return x != x ? y : y != y ? x : x > y ? x : y;
}

/* A function without and with .ftz, which takes and gives zero for subnormal numbers. */
#define FLOAT_1(name, expression)                                                                  \
  static inline float name##_of(float x) {                                                         \
    return expression;                                                                             \
  }                                                                                                \
  LANES_1(name, lane_f32, lane_f32, name##_of(x))                                                  \
  LANES_1(name##_ftz, lane_f32, lane_f32, flushed(name##_of(flushed(x))))

#define FLOAT_2(name, expression)                                                                  \
  static inline float name##_of(float x, float y) {                                                \
    return expression;                                                                             \
  }                                                                                                \
  LANES_2(name, lane_f32, lane_f32, lane_f32, name##_of(x, y))                                     \
  LANES_2(name##_ftz, lane_f32, lane_f32, lane_f32, flushed(name##_of(flushed(x), flushed(y))))

FLOAT_1(f_neg, -x)
FLOAT_1(f_abs, fabsf(x))
FLOAT_1(f_ex2, exp2f(x))
FLOAT_1(f_lg2, log2f(x))
FLOAT_1(f_rcp, 1.0F / x)
FLOAT_1(f_sqrt, sqrtf(x))
FLOAT_1(f_rsqrt, 1.0F / sqrtf(x))
FLOAT_1(f_sin, sinf(x))
FLOAT_1(f_cos, cosf(x))
FLOAT_1(f_tanh, tanhf(x))
FLOAT_2(f_add, x + y)
FLOAT_2(f_sub, x - y)
FLOAT_2(f_mul, x *y)
FLOAT_2(f_div, x / y)
FLOAT_2(f_min, smaller(x, y))
FLOAT_2(f_max, larger(x, y))
LANES_3(fma_f32, lane_f32, lane_f32, lane_f32, fmaf(x, y, z))
LANES_3(fma_ftz, lane_f32, lane_f32, lane_f32, flushed(fmaf(flushed(x), flushed(y), flushed(z))))
LANES_2(copysign_f32, lane32, lane32, lane32, (x & 0x80000000U) | (y & 0x7fffffffU))

static inline float saturated(float x) {
  return x > 0.0F ? (x < 1.0F ? x : 1.0F) : 0.0F;
}
LANES_2(add_sat, lane_f32, lane_f32, lane_f32, saturated(x + y))
LANES_2(mul_sat, lane_f32, lane_f32, lane_f32, saturated(x *y))
LANES_3(fma_sat, lane_f32, lane_f32, lane_f32, saturated(fmaf(x, y, z)))

LANES_2(add_f64, lane_f64, lane_f64, lane_f64, x + y)
LANES_2(sub_f64, lane_f64, lane_f64, lane_f64, x - y)
LANES_2(mul_f64, lane_f64, lane_f64, lane_f64, x *y)
LANES_2(div_f64, lane_f64, lane_f64, lane_f64, x / y)
LANES_1(neg_f64, lane_f64, lane_f64, -x)
LANES_1(abs_f64, lane_f64, lane_f64, fabs(x))
LANES_1(sqrt_f64, lane_f64, lane_f64, sqrt(x))
LANES_1(rcp_f64, lane_f64, lane_f64, 1.0 / x)
LANES_3(fma_f64, lane_f64, lane_f64, lane_f64, fma(x, y, z))

#define PLAIN_AND_FTZ(opcode, in, name)                                                            \
  {opcode ".f32", in, 'w', name}, {                                                                \
    opcode ".ftz.f32", in, 'w', name##_ftz                                                         \
  }

const struct alu_row *alu_float_rows(size_t *n) {
  static const struct alu_row rows[] = {
      PLAIN_AND_FTZ("add", "ww", f_add),
      PLAIN_AND_FTZ("add.rn", "ww", f_add),
      PLAIN_AND_FTZ("sub", "ww", f_sub),
      PLAIN_AND_FTZ("sub.rn", "ww", f_sub),
      PLAIN_AND_FTZ("mul", "ww", f_mul),
      PLAIN_AND_FTZ("mul.rn", "ww", f_mul),
      PLAIN_AND_FTZ("div.rn", "ww", f_div),
      PLAIN_AND_FTZ("div.full", "ww", f_div),
      PLAIN_AND_FTZ("div.approx", "ww", f_div),
      PLAIN_AND_FTZ("min", "ww", f_min),
      PLAIN_AND_FTZ("max", "ww", f_max),
      PLAIN_AND_FTZ("neg", "w", f_neg),
      PLAIN_AND_FTZ("abs", "w", f_abs),
      PLAIN_AND_FTZ("ex2.approx", "w", f_ex2),
      PLAIN_AND_FTZ("lg2.approx", "w", f_lg2),
      PLAIN_AND_FTZ("rcp.approx", "w", f_rcp),
      PLAIN_AND_FTZ("rcp.rn", "w", f_rcp),
      PLAIN_AND_FTZ("sqrt.approx", "w", f_sqrt),
      PLAIN_AND_FTZ("sqrt.rn", "w", f_sqrt),
      PLAIN_AND_FTZ("rsqrt.approx", "w", f_rsqrt),
      PLAIN_AND_FTZ("sin.approx", "w", f_sin),
      PLAIN_AND_FTZ("cos.approx", "w", f_cos),
      {"tanh.approx.f32", "w", 'w', f_tanh},
      {"tanh.approx.ftz.f32", "w", 'w', f_tanh_ftz},
      {"fma.rn.f32", "www", 'w', fma_f32},
      {"fma.rn.ftz.f32", "www", 'w', fma_ftz},
      {"fma.rn.sat.f32", "www", 'w', fma_sat},
      {"mad.rn.f32", "www", 'w', fma_f32},
      {"add.sat.f32", "ww", 'w', add_sat},
      {"mul.sat.f32", "ww", 'w', mul_sat},
      {"copysign.f32", "ww", 'w', copysign_f32},
      {"add.f64", "dd", 'd', add_f64},
      {"add.rn.f64", "dd", 'd', add_f64},
      {"sub.f64", "dd", 'd', sub_f64},
      {"sub.rn.f64", "dd", 'd', sub_f64},
      {"mul.f64", "dd", 'd', mul_f64},
      {"mul.rn.f64", "dd", 'd', mul_f64},
      {"div.rn.f64", "dd", 'd', div_f64},
      {"neg.f64", "d", 'd', neg_f64},
      {"abs.f64", "d", 'd', abs_f64},
      {"sqrt.rn.f64", "d", 'd', sqrt_f64},
      {"rcp.rn.f64", "d", 'd', rcp_f64},
      {"fma.rn.f64", "ddd", 'd', fma_f64},
  };
  *n = sizeof rows / sizeof *rows;
  return rows;
}
