/*
 * Integer arithmetic. Overflow wraps, so sums and products are done unsigned. Division by zero
 * gives all ones, as on the machine: lanes that are masked off may divide by anything.
 */
#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/lanes.h"

#define WRAPPING(bits)                                                                             \
  LANES_2(add_##bits, lane##bits, lane##bits, lane##bits, x + y)                                   \
  LANES_2(sub_##bits, lane##bits, lane##bits, lane##bits, x - y)                                   \
  LANES_2(mul_##bits, lane##bits, lane##bits, lane##bits, (uint64_t)x *y)                          \
  LANES_3(mad_##bits, lane##bits, lane##bits, lane##bits, (uint64_t)x *y + z)                      \
  LANES_1(neg_##bits, lane##bits, lane##bits, 0U - x)
WRAPPING(16)
WRAPPING(32)
WRAPPING(64)

#define ORDERED(suffix, type, lane_type)                                                           \
  LANES_2(min_##suffix, lane_type, lane_type, lane_type, (type)x < (type)y ? x : y)                \
  LANES_2(max_##suffix, lane_type, lane_type, lane_type, (type)x > (type)y ? x : y)
ORDERED(s16, int16_t, lane16)
ORDERED(u16, uint16_t, lane16)
ORDERED(s32, int32_t, lane32)
ORDERED(u32, uint32_t, lane32)
ORDERED(s64, int64_t, lane64)
ORDERED(u64, uint64_t, lane64)

static inline int64_t quotient(int64_t x, int64_t y, int64_t lowest) {
  if (y == 0) return -1;
  return x == lowest && y == -1 ? x : x / y;
}

static inline int64_t remainder_of(int64_t x, int64_t y) {
  return y == 0 ? -1 : y == -1 ? 0 : x % y;
}

LANES_2(div_u16, lane16, lane16, lane16, y ? x / y : 0xffff)
LANES_2(rem_u16, lane16, lane16, lane16, y ? x % y : 0xffff)
LANES_2(div_s16, lane16, lane16, lane16, quotient((int16_t)x, (int16_t)y, INT64_MIN))
LANES_2(rem_s16, lane16, lane16, lane16, remainder_of((int16_t)x, (int16_t)y))
LANES_2(div_u32, lane32, lane32, lane32, y ? x / y : 0xffffffffU)
LANES_2(rem_u32, lane32, lane32, lane32, y ? x % y : 0xffffffffU)
LANES_2(div_s32, lane32, lane_s32, lane_s32, quotient(x, y, INT64_MIN))
LANES_2(rem_s32, lane32, lane_s32, lane_s32, remainder_of(x, y))
LANES_2(div_u64, lane64, lane64, lane64, y ? x / y : UINT64_MAX)
LANES_2(rem_u64, lane64, lane64, lane64, y ? x % y : UINT64_MAX)
LANES_2(div_s64, lane64, lane_s64, lane_s64, quotient(x, y, INT64_MIN))
LANES_2(rem_s64, lane64, lane_s64, lane_s64, remainder_of(x, y))

LANES_2(mul_wide_s16, lane32, lane16, lane16, (int32_t)(int16_t)x *(int16_t)y)
LANES_2(mul_wide_u16, lane32, lane16, lane16, (uint32_t)x *y)
LANES_2(mul_wide_s32, lane64, lane_s32, lane_s32, (int64_t)x *y)
LANES_2(mul_wide_u32, lane64, lane32, lane32, (uint64_t)x *y)
LANES_3(mad_wide_s32, lane64, lane_s32, lane64, (uint64_t)((int64_t)x *y) + z)
LANES_3(mad_wide_u32, lane64, lane32, lane64, (uint64_t)x *y + z)
LANES_3(mad_wide_s16, lane32, lane16, lane32, (uint32_t)((int32_t)(int16_t)x *(int16_t)y) + z)
LANES_3(mad_wide_u16, lane32, lane16, lane32, (uint32_t)x *y + z)

__extension__ typedef __int128 wide_int;
__extension__ typedef unsigned __int128 wide_unsigned;

LANES_2(mul_hi_u32, lane32, lane32, lane32, ((uint64_t)x * y) >> 32)
LANES_2(mul_hi_s32, lane32, lane_s32, lane_s32, (uint64_t)((int64_t)x *y) >> 32)
LANES_2(mul_hi_u64, lane64, lane64, lane64, ((wide_unsigned)x * y) >> 64)
LANES_2(mul_hi_s64, lane64, lane_s64, lane_s64, (wide_unsigned)((wide_int)x *y) >> 64)
LANES_3(mad_hi_u32, lane32, lane32, lane32, (((uint64_t)x * y) >> 32) + z)
LANES_3(mad_hi_s32, lane32, lane_s32, lane32, (uint32_t)((uint64_t)((int64_t)x *y) >> 32) + z)

LANES_1(abs_s16, lane16, lane16, (int16_t)x < 0 ? 0 - (int)x : (int)x)
LANES_1(abs_s32, lane32, lane32, (int32_t)x < 0 ? 0U - x : x)
LANES_1(abs_s64, lane64, lane64, (int64_t)x < 0 ? 0U - x : x)

static inline int32_t clamped(int64_t value) {
  return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}
LANES_2(add_sat, lane32, lane_s32, lane_s32, clamped((int64_t)x + y))
LANES_2(sub_sat, lane32, lane_s32, lane_s32, clamped((int64_t)x - y))

static inline uint32_t dot4(uint32_t x, uint32_t y, bool x_signed, bool y_signed) {
  int32_t sum = 0;
  for (int i = 0; i < 4; i++) {
    int32_t a = (int32_t)(x >> (8 * i) & 255), b = (int32_t)(y >> (8 * i) & 255);
    sum += (x_signed ? (int8_t)a : a) * (y_signed ? (int8_t)b : b);
  }
  return (uint32_t)sum;
}
LANES_3(dp4a_ss, lane32, lane32, lane32, dot4(x, y, true, true) + z)
LANES_3(dp4a_uu, lane32, lane32, lane32, dot4(x, y, false, false) + z)

static const struct alu_row rows[] = {
    {"add.s16", "hh", 'h', add_16},
    {"add.u16", "hh", 'h', add_16},
    {"add.s32", "ww", 'w', add_32},
    {"add.u32", "ww", 'w', add_32},
    {"add.s64", "dd", 'd', add_64},
    {"add.u64", "dd", 'd', add_64},
    {"add.sat.s32", "ww", 'w', add_sat},
    {"sub.s16", "hh", 'h', sub_16},
    {"sub.u16", "hh", 'h', sub_16},
    {"sub.s32", "ww", 'w', sub_32},
    {"sub.u32", "ww", 'w', sub_32},
    {"sub.s64", "dd", 'd', sub_64},
    {"sub.u64", "dd", 'd', sub_64},
    {"sub.sat.s32", "ww", 'w', sub_sat},
    {"mul.lo.s16", "hh", 'h', mul_16},
    {"mul.lo.u16", "hh", 'h', mul_16},
    {"mul.lo.s32", "ww", 'w', mul_32},
    {"mul.lo.u32", "ww", 'w', mul_32},
    {"mul.lo.s64", "dd", 'd', mul_64},
    {"mul.lo.u64", "dd", 'd', mul_64},
    {"mul.hi.u32", "ww", 'w', mul_hi_u32},
    {"mul.hi.s32", "ww", 'w', mul_hi_s32},
    {"mul.hi.u64", "dd", 'd', mul_hi_u64},
    {"mul.hi.s64", "dd", 'd', mul_hi_s64},
    {"mul.wide.s16", "hh", 'w', mul_wide_s16},
    {"mul.wide.u16", "hh", 'w', mul_wide_u16},
    {"mul.wide.s32", "ww", 'd', mul_wide_s32},
    {"mul.wide.u32", "ww", 'd', mul_wide_u32},
    {"mad.lo.s16", "hhh", 'h', mad_16},
    {"mad.lo.u16", "hhh", 'h', mad_16},
    {"mad.lo.s32", "www", 'w', mad_32},
    {"mad.lo.u32", "www", 'w', mad_32},
    {"mad.lo.s64", "ddd", 'd', mad_64},
    {"mad.lo.u64", "ddd", 'd', mad_64},
    {"mad.hi.u32", "www", 'w', mad_hi_u32},
    {"mad.hi.s32", "www", 'w', mad_hi_s32},
    {"mad.wide.s16", "hhw", 'w', mad_wide_s16},
    {"mad.wide.u16", "hhw", 'w', mad_wide_u16},
    {"mad.wide.s32", "wwd", 'd', mad_wide_s32},
    {"mad.wide.u32", "wwd", 'd', mad_wide_u32},
    {"div.s16", "hh", 'h', div_s16},
    {"div.u16", "hh", 'h', div_u16},
    {"div.s32", "ww", 'w', div_s32},
    {"div.u32", "ww", 'w', div_u32},
    {"div.s64", "dd", 'd', div_s64},
    {"div.u64", "dd", 'd', div_u64},
    {"rem.s16", "hh", 'h', rem_s16},
    {"rem.u16", "hh", 'h', rem_u16},
    {"rem.s32", "ww", 'w', rem_s32},
    {"rem.u32", "ww", 'w', rem_u32},
    {"rem.s64", "dd", 'd', rem_s64},
    {"rem.u64", "dd", 'd', rem_u64},
    {"min.s16", "hh", 'h', min_s16},
    {"min.u16", "hh", 'h', min_u16},
    {"min.s32", "ww", 'w', min_s32},
    {"min.u32", "ww", 'w', min_u32},
    {"min.s64", "dd", 'd', min_s64},
    {"min.u64", "dd", 'd', min_u64},
    {"max.s16", "hh", 'h', max_s16},
    {"max.u16", "hh", 'h', max_u16},
    {"max.s32", "ww", 'w', max_s32},
    {"max.u32", "ww", 'w', max_u32},
    {"max.s64", "dd", 'd', max_s64},
    {"max.u64", "dd", 'd', max_u64},
    {"neg.s16", "h", 'h', neg_16},
    {"neg.s32", "w", 'w', neg_32},
    {"neg.s64", "d", 'd', neg_64},
    {"abs.s16", "h", 'h', abs_s16},
    {"abs.s32", "w", 'w', abs_s32},
    {"abs.s64", "d", 'd', abs_s64},
    {"dp4a.s32.s32", "www", 'w', dp4a_ss},
    {"dp4a.u32.u32", "www", 'w', dp4a_uu},
};

const struct alu_row *alu_int_rows(size_t *n) {
  *n = sizeof rows / sizeof *rows;
  return rows;
}
