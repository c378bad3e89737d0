/*
 * mov in its untyped forms (between formats, packing and unpacking), and generic addresses.
 */
#include <errno.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"
#include "tests/vgpu/ptx/lanes.h"

void lanes_store(struct warp *warp, int32_t place, const void *values, int width, uint32_t mask) {
  unsigned char *target = place_at(warp, place);
  if (mask == ALL_LANES) {
    memcpy(target, values, (size_t)width * LANES);
    return;
  }
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1)
      memcpy(target + lane * width, (const unsigned char *)values + lane * width, (size_t)width);
}

enum outcome run_alu(struct warp *warp, const struct insn *insn, uint32_t mask) {
  _Alignas(64) unsigned char out[WIDTH_64 * LANES];
  const void *in[4];
  for (int i = 0; i < insn->n_inputs; i++) in[i] = place_at(warp, insn->s[i]);
  insn->by.alu(out, in);
  if (mask == ALL_LANES && insn->width == WIDTH_32)
    memcpy(place_at(warp, insn->d[0]), out, WIDTH_32 * LANES);
  else
    lanes_store(warp, insn->d[0], out, insn->width, mask);
  return OUTCOME_GO_ON;
}

/* mov.b64 %rd, {%r1, %r2}: the first is the lowest part. */
static enum outcome run_join(struct warp *warp, const struct insn *insn, uint32_t mask) {
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    uint64_t value = 0;
    for (int i = 0; i < insn->n_elements; i++)
      value |= lane_value(place_at(warp, insn->s[i]), insn->kind, lane) << (8 * insn->kind * i);
    lane_set(place_at(warp, insn->d[0]), insn->width, lane, value);
  }
  return OUTCOME_GO_ON;
}

static enum outcome run_part(struct warp *warp, const struct insn *insn, uint32_t mask) {
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    uint64_t value = lane_value(place_at(warp, insn->s[0]), insn->width, lane);
    for (int i = 0; i < insn->n_elements; i++)
      lane_set(place_at(warp, insn->d[i]), insn->kind, lane, value >> (8 * insn->kind * i));
  }
  return OUTCOME_GO_ON;
}

static int decode_vector(struct decoder *decoder, int width) {
  const struct statement *statement = decoder->statement;
  struct insn *insn = decoder->insn;
  bool joins = statement->groups[1].count > 1;
  const struct group *vector = &statement->groups[joins];
  insn->run = joins ? run_join : run_part;
  insn->width = (uint8_t)width;
  insn->n_elements = (uint8_t)vector->count;
  insn->kind = (uint8_t)(width / vector->count);
  if (vector->count > 4 || insn->kind < WIDTH_16 || insn->kind * vector->count != width)
    return refuse(decoder, "vector of this size not supported");
  int code = 0;
  for (int i = 0; code == 0 && i < vector->count; i++) {
    const struct item *item = &statement->items[vector->first + i];
    code = joins ? input(decoder, item, insn->kind, &insn->s[i])
                 : result(decoder, item, insn->kind, &insn->d[i]);
  }
  if (code == 0)
    code = joins ? result(decoder, single(decoder, 0), width, &insn->d[0])
                 : input(decoder, single(decoder, 1), width, &insn->s[0]);
  return code < 0 ? code : 1;
}

LANES_1(copy_16, lane16, lane16, x)
LANES_1(copy_32, lane32, lane32, x)
LANES_1(copy_64, lane64, lane64, x)
LANES_2(add_64, lane64, lane64, lane64, x + y)

static int decode_copy(struct decoder *decoder, int width) {
  struct insn *insn = decoder->insn;
  insn->run = run_alu;
  insn->by.alu = width == WIDTH_16 ? copy_16 : width == WIDTH_32 ? copy_32 : copy_64;
  insn->width = (uint8_t)width;
  insn->n_inputs = 1;
  int code = result(decoder, single(decoder, 0), width, &insn->d[0]);
  if (code == 0) code = input(decoder, single(decoder, 1), width, &insn->s[0]);
  return code < 0 ? code : 1;
}

/* cvta.SPACE.u64 makes an address generic, cvta.to.SPACE.u64 the other way round. */
static int decode_cvta(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  bool back = take(decoder, "to"), wide = take(decoder, "u64");
  uint64_t window = 0;
  if (take(decoder, "shared") || take(decoder, "shared::cta"))
    window = WINDOW_SHARED;
  else if (take(decoder, "local"))
    window = WINDOW_LOCAL;
  else if (!take(decoder, "global") && !take(decoder, "const"))
    return refuse(decoder, "space not supported");
  if (!wide) return refuse(decoder, "32-bit generic addresses do not exist here");
  insn->run = run_alu;
  insn->by.alu = add_64;
  insn->width = WIDTH_64;
  insn->n_inputs = 2;
  int code = result(decoder, single(decoder, 0), WIDTH_64, &insn->d[0]);
  if (code == 0) code = input(decoder, single(decoder, 1), WIDTH_64, &insn->s[0]);
  if (code == 0) code = constant(decoder, back ? 0 - window : window, WIDTH_64, &insn->s[1]);
  return code < 0 ? code : all_taken(decoder);
}

static enum outcome run_isspacep(struct warp *warp, const struct insn *insn, uint32_t mask) {
  const lane64 *address = place_at(warp, insn->s[0]);
  uint32_t value = 0;
  for (int lane = 0; lane < LANES; lane++) {
    uint64_t a = address[lane];
    enum space space = a >> 56 == 1 ? SPACE_SHARED : a >> 56 == 2 ? SPACE_LOCAL : SPACE_GLOBAL;
    value |= (uint32_t)(space == (enum space)insn->space) << lane;
  }
  predicate_set(warp, insn->d[0], mask, value);
  return OUTCOME_GO_ON;
}

static int decode_isspacep(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  insn->run = run_isspacep;
  bool shared = take(decoder, "shared") || take(decoder, "shared::cta");
  insn->space = shared                    ? SPACE_SHARED
                : take(decoder, "local")  ? SPACE_LOCAL
                : take(decoder, "global") ? SPACE_GLOBAL
                                          : SPACE_GENERIC;
  if (insn->space == SPACE_GENERIC) return refuse(decoder, "space not supported");
  int code = result(decoder, single(decoder, 0), WIDTH_PREDICATE, &insn->d[0]);
  if (code == 0) code = input(decoder, single(decoder, 1), WIDTH_64, &insn->s[0]);
  return code < 0 ? code : all_taken(decoder);
}

int decode_move(struct decoder *decoder) {
  if (opcode_is(decoder, "cvta")) return decode_cvta(decoder);
  if (opcode_is(decoder, "isspacep")) return decode_isspacep(decoder);
  if (!opcode_is(decoder, "mov")) return 0;
  static const char *types[] = {"mov.b16", "mov.b32", "mov.b64"};
  static const int widths[] = {WIDTH_16, WIDTH_32, WIDTH_64};
  const struct statement *statement = decoder->statement;
  for (int i = 0; i < 3; i++)
    if (token_is(&statement->opcode, types[i])) {
      if (statement->n_groups != 2) return refuse(decoder, "wrong number of operands");
      bool vector = statement->groups[0].count > 1 || statement->groups[1].count > 1;
      return vector ? decode_vector(decoder, widths[i]) : decode_copy(decoder, widths[i]);
    }
  return 0;
}
