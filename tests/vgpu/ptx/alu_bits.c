/*
 * Logic, shifts, fields and permutations of bits; selection.
 *
 * Shift amounts above the width give zero (or all sign bits), they do not wrap: PTX clamps.
 */
#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/lanes.h"

#define LOGIC(bits)                                                                                \
  LANES_2(and_##bits, lane##bits, lane##bits, lane##bits, x &y)                                    \
  LANES_2(or_##bits, lane##bits, lane##bits, lane##bits, x | y)                                    \
  LANES_2(xor_##bits, lane##bits, lane##bits, lane##bits, x ^ y)                                   \
  LANES_1(not_##bits, lane##bits, lane##bits, ~x)                                                  \
  LANES_1(copy_##bits, lane##bits, lane##bits, x)                                                  \
  LANES_2(shl_##bits, lane##bits, lane##bits, lane32,                                              \
          y >= bits ? 0 : (uint64_t)x << (y & (bits - 1)))                                         \
  LANES_2(shr_u##bits, lane##bits, lane##bits, lane32, y >= bits ? 0 : x >> (y & (bits - 1)))      \
  LANES_2(shr_s##bits, lane##bits, lane##bits, lane32,                                             \
          (int##bits##_t)x >> (y >= bits ? bits - 1 : y))                                          \
  static void select_##bits(void *restrict out, const void *const *in) {                           \
    lane##bits *restrict o = out;                                                                  \
    const lane##bits *a = in[0], *b = in[1];                                                       \
    const uint32_t mask = *(const lane32 *)in[2];                                                  \
    for (int lane = 0; lane < LANES; lane++) o[lane] = mask >> lane & 1 ? a[lane] : b[lane];       \
  }
LOGIC(16)
LOGIC(32)
LOGIC(64)

static inline uint32_t reversed(uint32_t x) {
  x = (x >> 1 & 0x55555555U) | (x & 0x55555555U) << 1;
  x = (x >> 2 & 0x33333333U) | (x & 0x33333333U) << 2;
  x = (x >> 4 & 0x0f0f0f0fU) | (x & 0x0f0f0f0fU) << 4;
  return __builtin_bswap32(x);
}

/* Position of the highest bit that differs from the sign; all ones where there is none. */
static inline uint32_t highest(uint32_t x) {
  return x ? 31U - (uint32_t)__builtin_clz(x) : 0xffffffffU;
}

LANES_1(popc_32, lane32, lane32, __builtin_popcount(x))
LANES_1(popc_64, lane32, lane64, __builtin_popcountll(x))
LANES_1(clz_32, lane32, lane32, x ? __builtin_clz(x) : 32)
LANES_1(clz_64, lane32, lane64, x ? __builtin_clzll(x) : 64)
LANES_1(brev_32, lane32, lane32, reversed(x))
LANES_1(brev_64, lane64, lane64,
        (uint64_t)reversed((uint32_t)x) << 32 | reversed((uint32_t)(x >> 32)))
LANES_1(bfind_u32, lane32, lane32, highest(x))
LANES_1(bfind_s32, lane32, lane_s32, highest((uint32_t)(x < 0 ? ~x : x)))
LANES_1(bfind_shift_u32, lane32, lane32, x ? (uint32_t)__builtin_clz(x) : 0xffffffffU)

static inline uint64_t field_mask(uint32_t length) {
  return length >= 64 ? UINT64_MAX : (UINT64_C(1) << length) - 1;
}

static inline uint64_t insert(uint64_t x, uint64_t y, uint32_t position, uint32_t length,
                              uint32_t bits) {
  position &= 255;
  length &= 255;
  if (position >= bits) return y;
  uint64_t mask = field_mask(length) << position;
  return (y & ~mask) | (x << position & mask);
}

static inline uint64_t extract(uint64_t x, uint32_t position, uint32_t length) {
  position &= 255;
  length &= 255;
  return position >= 64 ? 0 : x >> position & field_mask(length);
}

/* The field's top bit fills what is above; it is taken at most at the word's own top bit. */
static inline uint64_t extract_signed(uint64_t x, uint32_t position, uint32_t length,
                                      uint32_t bits) {
  position &= 255;
  length &= 255;
  if (length == 0) return 0;
  uint64_t top = position + length - 1;
  if (top > bits - 1) top = bits - 1;
  uint64_t field = extract(x & field_mask(bits), position, length);
  if (!(x >> top & 1)) return field;
  uint64_t kept = top + 1 > position ? top + 1 - position : 0;
  return field | ~field_mask((uint32_t)kept);
}

LANES_3(bfe_u32, lane32, lane32, lane32, extract(x, y, z))
LANES_3(bfe_s32, lane32, lane32, lane32, extract_signed(x, y, z, 32))

static void bfe_u64(void *restrict out, const void *const *in) {
  const lane64 *x = in[0];
  const lane32 *position = in[1], *length = in[2];
  for (int lane = 0; lane < LANES; lane++)
    ((lane64 *)out)[lane] = extract(x[lane], position[lane], length[lane]);
}

#define INSERT(bits)                                                                               \
  static void bfi_##bits(void *restrict out, const void *const *in) {                              \
    const lane##bits *x = in[0], *y = in[1];                                                       \
    const lane32 *position = in[2], *length = in[3];                                               \
    for (int lane = 0; lane < LANES; lane++)                                                       \
      ((lane##bits *)out)[lane] =                                                                  \
          (lane##bits)insert(x[lane], y[lane], position[lane], length[lane], bits);                \
  }
INSERT(32)
INSERT(64)

/* Each nibble of the selector picks one of eight bytes, or spreads its sign. */
static inline uint32_t permute(uint32_t x, uint32_t y, uint32_t selector) {
  uint64_t bytes = (uint64_t)y << 32 | x;
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t pick = selector >> (4 * i) & 15;
    uint32_t byte = (uint32_t)(bytes >> (8 * (pick & 7))) & 255;
    if (pick & 8) byte = byte & 128 ? 255 : 0;
    value |= byte << (8 * i);
  }
  return value;
}
LANES_3(prmt_32, lane32, lane32, lane32, permute(x, y, z))

static inline uint32_t funnel(uint32_t low, uint32_t high, uint32_t shift, bool left) {
  uint64_t both = (uint64_t)high << 32 | low;
  return (uint32_t)(left ? (both << shift) >> 32 : both >> shift);
}
LANES_3(shf_l_wrap, lane32, lane32, lane32, funnel(x, y, z & 31, true))
LANES_3(shf_r_wrap, lane32, lane32, lane32, funnel(x, y, z & 31, false))
LANES_3(shf_l_clamp, lane32, lane32, lane32, funnel(x, y, z > 32 ? 32 : z, true))
LANES_3(shf_r_clamp, lane32, lane32, lane32, funnel(x, y, z > 32 ? 32 : z, false))

/* Bit i of the table says what comes out for inputs whose bits form i = x y z. */
static void lop3_32(void *restrict out, const void *const *in) {
  const lane32 *x = in[0], *y = in[1], *z = in[2];
  const uint32_t table = ((const lane32 *)in[3])[0];
  for (int lane = 0; lane < LANES; lane++) {
    uint32_t value = 0;
    for (int i = 0; i < 8; i++)
      if (table >> i & 1)
        value |= (i & 4 ? x[lane] : ~x[lane]) & (i & 2 ? y[lane] : ~y[lane]) &
                 (i & 1 ? z[lane] : ~z[lane]);
    ((lane32 *)out)[lane] = value;
  }
}

const struct alu_row *alu_bit_rows(size_t *n) {
  static const struct alu_row rows[] = {
      {"and.b16", "hh", 'h', and_16},
      {"and.b32", "ww", 'w', and_32},
      {"and.b64", "dd", 'd', and_64},
      {"or.b16", "hh", 'h', or_16},
      {"or.b32", "ww", 'w', or_32},
      {"or.b64", "dd", 'd', or_64},
      {"xor.b16", "hh", 'h', xor_16},
      {"xor.b32", "ww", 'w', xor_32},
      {"xor.b64", "dd", 'd', xor_64},
      {"not.b16", "h", 'h', not_16},
      {"not.b32", "w", 'w', not_32},
      {"not.b64", "d", 'd', not_64},
      {"shl.b16", "hw", 'h', shl_16},
      {"shl.b32", "ww", 'w', shl_32},
      {"shl.b64", "dw", 'd', shl_64},
      {"shr.u16", "hw", 'h', shr_u16},
      {"shr.u32", "ww", 'w', shr_u32},
      {"shr.u64", "dw", 'd', shr_u64},
      {"shr.b16", "hw", 'h', shr_u16},
      {"shr.b32", "ww", 'w', shr_u32},
      {"shr.b64", "dw", 'd', shr_u64},
      {"shr.s16", "hw", 'h', shr_s16},
      {"shr.s32", "ww", 'w', shr_s32},
      {"shr.s64", "dw", 'd', shr_s64},
      {"mov.u16", "h", 'h', copy_16},
      {"mov.s16", "h", 'h', copy_16},
      {"mov.u32", "w", 'w', copy_32},
      {"mov.s32", "w", 'w', copy_32},
      {"mov.f32", "w", 'w', copy_32},
      {"mov.u64", "d", 'd', copy_64},
      {"mov.s64", "d", 'd', copy_64},
      {"mov.f64", "d", 'd', copy_64},
      {"selp.b16", "hhp", 'h', select_16},
      {"selp.u16", "hhp", 'h', select_16},
      {"selp.s16", "hhp", 'h', select_16},
      {"selp.b32", "wwp", 'w', select_32},
      {"selp.u32", "wwp", 'w', select_32},
      {"selp.s32", "wwp", 'w', select_32},
      {"selp.f32", "wwp", 'w', select_32},
      {"selp.b64", "ddp", 'd', select_64},
      {"selp.u64", "ddp", 'd', select_64},
      {"selp.s64", "ddp", 'd', select_64},
      {"selp.f64", "ddp", 'd', select_64},
      {"popc.b32", "w", 'w', popc_32},
      {"popc.b64", "d", 'w', popc_64},
      {"clz.b32", "w", 'w', clz_32},
      {"clz.b64", "d", 'w', clz_64},
      {"brev.b32", "w", 'w', brev_32},
      {"brev.b64", "d", 'd', brev_64},
      {"bfind.u32", "w", 'w', bfind_u32},
      {"bfind.s32", "w", 'w', bfind_s32},
      {"bfind.shiftamt.u32", "w", 'w', bfind_shift_u32},
      {"bfe.u32", "www", 'w', bfe_u32},
      {"bfe.s32", "www", 'w', bfe_s32},
      {"bfe.u64", "dww", 'd', bfe_u64},
      {"bfi.b32", "wwww", 'w', bfi_32},
      {"bfi.b64", "ddww", 'd', bfi_64},
      {"prmt.b32", "www", 'w', prmt_32},
      {"shf.l.wrap.b32", "www", 'w', shf_l_wrap},
      {"shf.r.wrap.b32", "www", 'w', shf_r_wrap},
      {"shf.l.clamp.b32", "www", 'w', shf_l_clamp},
      {"shf.r.clamp.b32", "www", 'w', shf_r_clamp},
      {"lop3.b32", "wwww", 'w', lop3_32},
  };
  *n = sizeof rows / sizeof *rows;
  return rows;
}
