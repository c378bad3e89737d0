/*
 * cvt: every conversion goes through a lane array of int64 or of double, which hold all values of
 * all formats exactly; the four that address arithmetic consists of have loops of their own.
 */
#include <errno.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"
#include "tests/vgpu/ptx/lanes.h"
#include "tests/vgpu/ptx/number.h"

enum format {
  FORMAT_NONE,
  FORMAT_U8,
  FORMAT_S8,
  FORMAT_U16,
  FORMAT_S16,
  FORMAT_U32,
  FORMAT_S32,
  FORMAT_U64,
  FORMAT_S64,
  FORMAT_F16,
  FORMAT_BF16,
  FORMAT_F32,
  FORMAT_F64,
  FORMAT_E4M3X2,
  FORMAT_E5M2X2,
  FORMAT_F16X2,
  FORMAT_BF16X2,
  FORMAT_COUNT
};

static const struct {
  const char *name;
  int bits;
} formats[FORMAT_COUNT] = {
    {"", 0},     {"u8", 8},      {"s8", 8},      {"u16", 16},   {"s16", 16},   {"u32", 32},
    {"s32", 32}, {"u64", 64},    {"s64", 64},    {"f16", 16},   {"bf16", 16},  {"f32", 32},
    {"f64", 64}, {"e4m3x2", 16}, {"e5m2x2", 16}, {"f16x2", 32}, {"bf16x2", 32}};

static bool is_integer(enum format format) {
  return format <= FORMAT_S64;
}
static bool is_signed(enum format format) {
  return format == FORMAT_S8 || format == FORMAT_S16 || format == FORMAT_S32 ||
         format == FORMAT_S64;
}

/* ---- one value ------------------------------------------------------------------------- */

static int64_t integer_of(uint64_t bits, enum format format) {
  switch (format) {
  case FORMAT_U8:
    return (uint8_t)bits;
  case FORMAT_S8:
    return (int8_t)bits;
  case FORMAT_U16:
    return (uint16_t)bits;
  case FORMAT_S16:
    return (int16_t)bits;
  case FORMAT_U32:
    return (uint32_t)bits;
  case FORMAT_S32:
    return (int32_t)bits;
  default:
    return (int64_t)bits;
  }
}

static double double_of(uint64_t bits, enum format format) {
  double value;
  switch (format) {
  case FORMAT_F16:
    return (double)float_of_f16((uint32_t)bits);
  case FORMAT_BF16:
    return (double)float_of_bf16((uint32_t)bits);
  case FORMAT_F32:
    return (double)float_of_bits((uint32_t)bits);
  case FORMAT_F64:
    memcpy(&value, &bits, sizeof value);
    return value;
  case FORMAT_U64:
    return (double)bits;
  default:
    return (double)integer_of(bits, format);
  }
}

static double to_integer(double x, enum rounding rounding) {
  return rounding == ROUND_NEAREST ? rint(x)
         : rounding == ROUND_ZERO  ? trunc(x)
         : rounding == ROUND_DOWN  ? floor(x)
                                   : ceil(x);
}

/* Out of range goes to the nearest end, NaN to zero (64-bit NaN: the lowest; not needed). */
static uint64_t clamped(double x, enum format format) {
  int bits = formats[format].bits;
  if (isnan(x)) return 0;
  if (is_signed(format)) {
    double end = ldexp(1.0, bits - 1);
    if (x >= end) return (UINT64_C(1) << (bits - 1)) - 1;
    if (x < -end) return UINT64_C(1) << (bits - 1);
    return (uint64_t)(int64_t)x;
  }
  if (x <= 0.0) return 0;
  if (x >= ldexp(1.0, bits)) return UINT64_MAX;
  return (uint64_t)x;
}

static uint64_t saturated_integer(int64_t x, enum format from, enum format to) {
  int bits = formats[to].bits;
  if (bits == 64 || (from == FORMAT_U64 && x < 0)) return (uint64_t)x;
  int64_t high = (INT64_C(1) << (is_signed(to) ? bits - 1 : bits)) - 1;
  int64_t low = is_signed(to) ? -high - 1 : 0;
  return (uint64_t)(x > high ? high : x < low ? low : x);
}

static uint64_t float_bits(double x, enum format to, enum rounding rounding) {
  uint64_t bits;
  switch (to) {
  case FORMAT_F16:
    return f16_of_float((float)x, rounding);
  case FORMAT_BF16:
    return bf16_of_float((float)x, rounding == ROUND_ZERO);
  case FORMAT_F64:
    memcpy(&bits, &x, sizeof bits);
    return bits;
  default:
    break;
  }
  float nearest = (float)x;
  if (rounding == ROUND_ZERO && fabs((double)nearest) > fabs(x))
    nearest = nextafterf(nearest, 0.0F);
  if (rounding == ROUND_DOWN && (double)nearest > x) nearest = nextafterf(nearest, -INFINITY);
  if (rounding == ROUND_UP && (double)nearest < x) nearest = nextafterf(nearest, INFINITY);
  return bits_of_float(nearest);
}

/* ---- running --------------------------------------------------------------------------- */

enum flags { ROUND_TO_INTEGER = 4, SATURATE = 8, FLUSH = 16, RELU = 32 }; /* beside a rounding */

static uint64_t convert_one(uint64_t bits, const struct insn *insn) {
  enum format to = (enum format)insn->kind, from = (enum format)insn->kind2;
  enum rounding rounding = (enum rounding)(insn->n_elements & 3);
  if (is_integer(to) && is_integer(from)) {
    int64_t x = integer_of(bits, from);
    return insn->n_elements & SATURATE ? saturated_integer(x, from, to) : (uint64_t)x;
  }
  if (from == FORMAT_U64 && to == FORMAT_F32) return bits_of_float((float)bits);
  if (from == FORMAT_S64 && to == FORMAT_F32) return bits_of_float((float)(int64_t)bits);
  double x = double_of(bits, from);
  if (insn->n_elements & FLUSH && from == FORMAT_F32) x = (double)flushed((float)x);
  if (is_integer(to)) return clamped(to_integer(x, rounding), to);
  if (insn->n_elements & ROUND_TO_INTEGER) x = to_integer(x, rounding);
  if (insn->n_elements & SATURATE) x = x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
  if (insn->n_elements & RELU) x = x > 0.0 || isnan(x) ? x : 0.0;
  return float_bits(x, to, rounding);
}

/* An integer result fills a wider register by its sign. */
static uint64_t widened(uint64_t bits, enum format format) {
  return is_integer(format) ? (uint64_t)integer_of(bits, format) : bits;
}

static enum outcome run_convert(struct warp *warp, const struct insn *insn, uint32_t mask) {
  void *target = place_at(warp, insn->d[0]);
  const void *source = place_at(warp, insn->s[0]);
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1) {
      uint64_t bits = convert_one(lane_value(source, insn->dw[1], lane), insn);
      lane_set(target, insn->dw[0], lane, widened(bits, (enum format)insn->kind));
    }
  return OUTCOME_GO_ON;
}

/* Two floats into one register: the first operand is the upper half. */
static enum outcome run_pack(struct warp *warp, const struct insn *insn, uint32_t mask) {
  const lane_f32 *high = place_at(warp, insn->s[0]), *low = place_at(warp, insn->s[1]);
  void *target = place_at(warp, insn->d[0]);
  enum rounding rounding = (enum rounding)(insn->n_elements & 3);
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    float x = high[lane], y = low[lane];
    if (insn->n_elements & RELU) {
      x = x > 0.0F || isnan(x) ? x : 0.0F;
      y = y > 0.0F || isnan(y) ? y : 0.0F;
    }
    uint32_t bits;
    if (insn->kind == FORMAT_BF16X2)
      bits = (uint32_t)bf16_of_float(x, rounding == ROUND_ZERO) << 16 |
             bf16_of_float(y, rounding == ROUND_ZERO);
    else if (insn->kind == FORMAT_F16X2)
      bits = (uint32_t)f16_of_float(x, rounding) << 16 | f16_of_float(y, rounding);
    else if (insn->kind == FORMAT_E4M3X2)
      bits = (uint32_t)e4m3_of_float(x) << 8 | e4m3_of_float(y);
    else
      bits = (uint32_t)e5m2_of_float(x) << 8 | e5m2_of_float(y);
    lane_set(target, insn->dw[0], lane, bits);
  }
  return OUTCOME_GO_ON;
}

/* Two FP8 numbers to two halves, which hold them exactly; and back. */
static enum outcome run_halves(struct warp *warp, const struct insn *insn, uint32_t mask) {
  const void *source = place_at(warp, insn->s[0]);
  void *target = place_at(warp, insn->d[0]);
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    uint32_t bits = (uint32_t)lane_value(source, insn->dw[1], lane), packed;
    if (insn->kind == FORMAT_F16X2) {
      float (*read)(uint32_t) = insn->kind2 == FORMAT_E4M3X2 ? float_of_e4m3 : float_of_e5m2;
      packed = (uint32_t)f16_of_float(read(bits >> 8 & 255), ROUND_NEAREST) << 16 |
               f16_of_float(read(bits & 255), ROUND_NEAREST);
    } else {
      uint8_t (*write)(float) = insn->kind == FORMAT_E4M3X2 ? e4m3_of_float : e5m2_of_float;
      packed = (uint32_t)write(float_of_f16(bits >> 16)) << 8 | write(float_of_f16(bits & 0xffffU));
    }
    lane_set(target, insn->dw[0], lane, packed);
  }
  return OUTCOME_GO_ON;
}

/* ---- decoding -------------------------------------------------------------------------- */

static enum format find_format(const struct token *part) {
  for (int i = 1; i < FORMAT_COUNT; i++)
    if (token_is(part, formats[i].name)) return (enum format)i;
  return FORMAT_NONE;
}

LANES_1(widen_s32, lane64, lane_s32, (int64_t)x)
LANES_1(widen_u32, lane64, lane32, x)
LANES_1(narrow_64, lane32, lane64, x)
LANES_1(bf16_f32, lane_f32, lane16, float_of_bf16(x))

static bool decode_frequent(struct decoder *decoder, const struct item *to,
                            const struct item *from) {
  static const struct alu_row rows[] = {{"cvt.s64.s32", "w", 'd', widen_s32},
                                        {"cvt.u64.u32", "w", 'd', widen_u32},
                                        {"cvt.u32.u64", "d", 'w', narrow_64},
                                        {"cvt.f32.bf16", "h", 'w', bf16_f32}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int in = *rows[i].in == 'w' ? WIDTH_32 : *rows[i].in == 'd' ? WIDTH_64 : WIDTH_16;
    int out = rows[i].out == 'w' ? WIDTH_32 : WIDTH_64;
    if (!token_is(&decoder->statement->opcode, rows[i].opcode) || to->width != out ||
        from->kind != ITEM_REGISTER || from->width != in)
      continue;
    decoder->insn->run = run_alu;
    decoder->insn->by.alu = rows[i].run;
    decoder->insn->width = (uint8_t)out;
    decoder->insn->n_inputs = 1;
    decoder->insn->d[0] = to->place;
    decoder->insn->s[0] = from->place;
    return true;
  }
  return false;
}

static int decode_rounding(struct decoder *decoder, bool to_float) {
  static const char *modes[] = {"rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi"};
  int flags = 0;
  bool rounds = false;
  for (int i = 0; i < 8; i++)
    if (take(decoder, modes[i])) {
      flags = i < 4 ? i : (i - 4) | ROUND_TO_INTEGER;
      rounds = true;
    }
  if (take(decoder, "sat")) flags |= SATURATE;
  if (take(decoder, "ftz")) flags |= FLUSH;
  if (take(decoder, "relu")) flags |= RELU;
  bool saturates = take(decoder, "satfinite");
  enum format to = (enum format)decoder->insn->kind, from = (enum format)decoder->insn->kind2;
  if ((to == FORMAT_E4M3X2 || to == FORMAT_E5M2X2) != saturates)
    return refuse(decoder, "satfinite goes with FP8, and only with it");
  bool needs = is_integer(to) != is_integer(from) ||
               (to_float && formats[to].bits < formats[from].bits);
  if (needs && !rounds) return refuse(decoder, "a rounding is required");
  decoder->insn->n_elements = (uint8_t)flags;
  return 0;
}

int decode_convert(struct decoder *decoder) {
  if (!opcode_is(decoder, "cvt")) return 0;
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  const struct item *to = single(decoder, 0), *from = to ? single(decoder, 1) : NULL;
  if (!from || decoder->n_parts < 3) return refuse(decoder, "wrong operands");
  int last = decoder->n_parts - 1;
  insn->kind = (uint8_t)find_format(&decoder->parts[last - 1]);
  insn->kind2 = (uint8_t)find_format(&decoder->parts[last]);
  if (!insn->kind || !insn->kind2) return refuse(decoder, "conversion not supported");
  decoder->taken[last] = decoder->taken[last - 1] = true;
  if (decode_frequent(decoder, to, from)) return 1;
  if (decode_rounding(decoder, !is_integer((enum format)insn->kind)) < 0) return -EINVAL;
  insn->dw[0] = to->kind == ITEM_SINK ? WIDTH_64 : to->width;
  insn->dw[1] = from->kind == ITEM_REGISTER ? from->width : WIDTH_64;
  int to_bits = formats[insn->kind].bits, from_bits = formats[insn->kind2].bits;
  bool packs = insn->kind >= FORMAT_E4M3X2 && insn->kind2 == FORMAT_F32;
  bool halves = insn->kind >= FORMAT_E4M3X2 && insn->kind2 >= FORMAT_E4M3X2;
  if (packs != (statement->n_groups == 3) || (!packs && statement->n_groups != 2))
    return refuse(decoder, "wrong number of operands");
  if (!packs && !halves && (insn->kind >= FORMAT_E4M3X2 || insn->kind2 >= FORMAT_E4M3X2))
    return refuse(decoder, "conversion not supported");
  if (insn->dw[0] * 8 < to_bits || insn->dw[1] * 8 < from_bits ||
      (!is_integer((enum format)insn->kind) && insn->dw[0] * 8 != to_bits))
    return refuse(decoder, "register of another width expected");
  insn->run = packs ? run_pack : halves ? run_halves : run_convert;
  int code = result(decoder, to, insn->dw[0], &insn->d[0]);
  if (code == 0) code = input(decoder, from, insn->dw[1], &insn->s[0]);
  if (code == 0 && packs) code = input(decoder, single(decoder, 2), WIDTH_32, &insn->s[1]);
  return code < 0 ? code : all_taken(decoder);
}
