/*
 * setp, and logic on predicates. A predicate is a mask of 32 lanes in one word, so that logic on
 * predicates is one operation and a guard costs one load.
 */
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"
#include "tests/vgpu/ptx/number.h"

#define TEST(name, lane_type, type, expression)                                                    \
  static uint32_t name(const void *a, const void *b) {                                             \
    uint32_t mask = 0;                                                                             \
    for (int lane = 0; lane < LANES; lane++) {                                                     \
      const type x = (type)((const lane_type *)a)[lane], y = (type)((const lane_type *)b)[lane];   \
      mask |= (uint32_t)(expression) << lane;                                                      \
    }                                                                                              \
    return mask;                                                                                   \
  }

#define TESTS(suffix, lane_type, type)                                                             \
  TEST(eq_##suffix, lane_type, type, x == y)                                                       \
  TEST(ne_##suffix, lane_type, type, x != y)                                                       \
  TEST(lt_##suffix, lane_type, type, x < y)                                                        \
  TEST(le_##suffix, lane_type, type, x <= y)                                                       \
  TEST(gt_##suffix, lane_type, type, x > y)                                                        \
  TEST(ge_##suffix, lane_type, type, x >= y)

/* Of floats: "ne" is ordered here (false for NaN), and the unordered ones are true for NaN. */
#define FLOAT_TESTS(suffix, lane_type, type)                                                       \
  TEST(eq_##suffix, lane_type, type, x == y)                                                       \
  TEST(ne_##suffix, lane_type, type, x<y || x> y)                                                  \
  TEST(lt_##suffix, lane_type, type, x < y)                                                        \
  TEST(le_##suffix, lane_type, type, x <= y)                                                       \
  TEST(gt_##suffix, lane_type, type, x > y)                                                        \
  TEST(ge_##suffix, lane_type, type, x >= y)                                                       \
  TEST(equ_##suffix, lane_type, type, !(x < y || x > y))                                           \
  TEST(neu_##suffix, lane_type, type, !(x == y))                                                   \
  TEST(ltu_##suffix, lane_type, type, !(x >= y))                                                   \
  TEST(leu_##suffix, lane_type, type, !(x > y))                                                    \
  TEST(gtu_##suffix, lane_type, type, !(x <= y))                                                   \
  TEST(geu_##suffix, lane_type, type, !(x < y))                                                    \
  TEST(num_##suffix, lane_type, type, x == x && y == y)                                            \
  TEST(nan_##suffix, lane_type, type, x != x || y != y)

TESTS(s16, lane16, int16_t)
TESTS(u16, lane16, uint16_t)
TESTS(s32, lane32, int32_t)
TESTS(u32, lane32, uint32_t)
TESTS(s64, lane64, int64_t)
TESTS(u64, lane64, uint64_t)
FLOAT_TESTS(f32, lane_f32, float)
FLOAT_TESTS(f64, lane_f64, double)

#define ROW(suffix)                                                                                \
  { eq_##suffix, ne_##suffix, lt_##suffix, le_##suffix, gt_##suffix, ge_##suffix }
#define FLOAT_ROW(suffix)                                                                          \
  {                                                                                                \
    eq_##suffix, ne_##suffix, lt_##suffix, le_##suffix, gt_##suffix, ge_##suffix, equ_##suffix,    \
        neu_##suffix, ltu_##suffix, leu_##suffix, gtu_##suffix, geu_##suffix, num_##suffix,        \
        nan_##suffix                                                                               \
  }

static test_fn find_test(int comparison, char kind, int bits) {
  static const test_fn integers[6][6] = {ROW(u16), ROW(s16), ROW(u32),
                                         ROW(s32), ROW(u64), ROW(s64)};
  static const test_fn floats[2][14] = {FLOAT_ROW(f32), FLOAT_ROW(f64)};
  if (kind == 'f')
    return bits == 32 ? floats[0][comparison] : bits == 64 ? floats[1][comparison] : NULL;
  int row = bits == 16 ? 0 : bits == 32 ? 2 : bits == 64 ? 4 : -1;
  if (row < 0 || comparison >= 6 || (kind == 'b' && comparison >= 2)) return NULL;
  return integers[row + (kind == 's')][comparison];
}

/* ---- running --------------------------------------------------------------------------- */

enum logic { LOGIC_NONE, LOGIC_AND, LOGIC_OR, LOGIC_XOR, LOGIC_NOT, LOGIC_COPY };

static uint32_t combine(enum logic logic, uint32_t a, uint32_t b) {
  switch (logic) {
  case LOGIC_AND:
    return a & b;
  case LOGIC_OR:
    return a | b;
  case LOGIC_XOR:
    return a ^ b;
  case LOGIC_NOT:
    return ~a;
  case LOGIC_NONE:
  case LOGIC_COPY:
    break;
  }
  return a;
}

static enum outcome run_setp(struct warp *warp, const struct insn *insn, uint32_t mask) {
  uint32_t value = insn->by.test(place_at(warp, insn->s[0]), place_at(warp, insn->s[1]));
  uint32_t other = ~value;
  if (insn->kind != LOGIC_NONE) {
    uint32_t third = predicate_at(warp, insn->s[2]) ^ (insn->sign ? ALL_LANES : 0);
    value = combine((enum logic)insn->kind, value, third);
    other = combine((enum logic)insn->kind, other, third);
  }
  predicate_set(warp, insn->d[0], mask, value);
  if (insn->n_elements == 2) predicate_set(warp, insn->d[1], mask, other);
  return OUTCOME_GO_ON;
}

/* With .ftz subnormal inputs count as zero. */
static enum outcome run_setp_ftz(struct warp *warp, const struct insn *insn, uint32_t mask) {
  float x[LANES], y[LANES];
  for (int lane = 0; lane < LANES; lane++) {
    x[lane] = flushed(((const lane_f32 *)place_at(warp, insn->s[0]))[lane]);
    y[lane] = flushed(((const lane_f32 *)place_at(warp, insn->s[1]))[lane]);
  }
  predicate_set(warp, insn->d[0], mask, insn->by.test(x, y));
  return OUTCOME_GO_ON;
}

static enum outcome run_logic(struct warp *warp, const struct insn *insn, uint32_t mask) {
  uint32_t a = predicate_at(warp, insn->s[0]), b = predicate_at(warp, insn->s[1]);
  predicate_set(warp, insn->d[0], mask, combine((enum logic)insn->kind, a, b));
  return OUTCOME_GO_ON;
}

/* ---- decoding -------------------------------------------------------------------------- */

static int decode_setp(struct decoder *decoder) {
  static const char *comparisons[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                      "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  static const char *same[] = {"lo", "ls", "hi", "hs"}; /* unsigned lt, le, gt, ge */
  struct insn *insn = decoder->insn;
  char kind;
  int bits, comparison = -1;
  if (take_type(decoder, &kind, &bits) < 0) return -1;
  for (int i = 0; i < 14; i++)
    if (take(decoder, comparisons[i])) comparison = i;
  for (int i = 0; i < 4; i++)
    if (take(decoder, same[i])) comparison = i + 2;
  insn->kind = take(decoder, "and")   ? LOGIC_AND
               : take(decoder, "or")  ? LOGIC_OR
               : take(decoder, "xor") ? LOGIC_XOR
                                      : LOGIC_NONE;
  insn->run = take(decoder, "ftz") ? run_setp_ftz : run_setp;
  if (comparison >= 0) insn->by.test = find_test(comparison, kind, bits);
  if (!insn->by.test) return refuse(decoder, "comparison not supported");
  const struct statement *statement = decoder->statement;
  bool third = insn->kind != LOGIC_NONE;
  if (statement->n_groups != 3 + third) return refuse(decoder, "wrong number of operands");
  if (insn->run == run_setp_ftz && (third || statement->groups[0].count == 2))
    return refuse(decoder, "setp.ftz with a third predicate is not supported");
  insn->n_elements = (uint8_t)statement->groups[0].count;
  for (int i = 0; i < insn->n_elements && i < 2; i++)
    if (result(decoder, &statement->items[i], WIDTH_PREDICATE, &insn->d[i]) < 0) return -1;
  if (input(decoder, single(decoder, 1), bits / 8, &insn->s[0]) < 0 ||
      input(decoder, single(decoder, 2), bits / 8, &insn->s[1]) < 0)
    return -1;
  if (third) {
    const struct item *item = single(decoder, 3);
    if (!item) return -1;
    struct item plain = *item;
    insn->sign = plain.negated;
    plain.negated = false;
    if (input(decoder, &plain, WIDTH_PREDICATE, &insn->s[2]) < 0) return -1;
  }
  return all_taken(decoder);
}

int decode_compare(struct decoder *decoder) {
  static const struct {
    const char *opcode;
    enum logic logic;
    int n_inputs;
  } rows[] = {{"and.pred", LOGIC_AND, 2},
              {"or.pred", LOGIC_OR, 2},
              {"xor.pred", LOGIC_XOR, 2},
              {"not.pred", LOGIC_NOT, 1},
              {"mov.pred", LOGIC_COPY, 1}};
  if (opcode_is(decoder, "setp")) return decode_setp(decoder) < 0 ? -22 : 1;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!token_is(&decoder->statement->opcode, rows[i].opcode)) continue;
    struct insn *insn = decoder->insn;
    insn->run = run_logic;
    insn->kind = (uint8_t)rows[i].logic;
    int code = result(decoder, single(decoder, 0), WIDTH_PREDICATE, &insn->d[0]);
    for (int s = 0; code == 0 && s < rows[i].n_inputs; s++) {
      const struct item *item = single(decoder, s + 1);
      if (item && item->kind == ITEM_IMMEDIATE) /* mov.pred %p, 0 or -1 */
        code = constant(decoder, item->value ? ALL_LANES : 0, WIDTH_32, &insn->s[s]);
      else
        code = input(decoder, item, WIDTH_PREDICATE, &insn->s[s]);
    }
    if (rows[i].n_inputs == 1) insn->s[1] = insn->s[0];
    return code < 0 ? code : 1;
  }
  return 0;
}
