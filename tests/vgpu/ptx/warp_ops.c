/*
 * What lanes of a warp do together: shuffles, votes, reductions.
 *
 * All lanes that the mask names must be there, and all that are there must be named: a shuffle
 * that reads from a lane that does not take part has no defined result.
 */
#include <errno.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"

/* Lanes that never existed (a last warp that is not full) may be named. */
static bool members_agree(struct warp *warp, const struct insn *insn, uint32_t mask,
                          int32_t members_place) {
  const lane32 *members = place_at(warp, members_place);
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1 && (members[lane] & warp->live) != mask) {
      fault(warp, insn, lane, -EINVAL,
            "lanes 0x%08x take part, the mask names 0x%08x: divergent warp, or wrong mask", mask,
            members[lane]);
      return false;
    }
  return true;
}

/* ---- shfl ------------------------------------------------------------------------------ */

enum shuffle { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BUTTERFLY, SHUFFLE_INDEX };

/* As in the PTX manual: c holds the clamp (bits 0-4) and the segment mask (bits 8-12). */
static int shuffle_source(enum shuffle kind, int lane, uint32_t b, uint32_t c, bool *valid) {
  int segment = (int)(c >> 8 & 31), clamp = (int)(c & 31), shift = (int)(b & 31);
  int highest = (lane & segment) | (clamp & ~segment), lowest = lane & segment, source = lane;
  switch (kind) {
  case SHUFFLE_UP:
    source = lane - shift;
    *valid = source >= highest;
    return source;
  case SHUFFLE_DOWN:
    source = lane + shift;
    break;
  case SHUFFLE_BUTTERFLY:
    source = lane ^ shift;
    break;
  case SHUFFLE_INDEX:
    source = lowest | (shift & ~segment);
    break;
  }
  *valid = source <= highest;
  return source;
}

static enum outcome run_shuffle(struct warp *warp, const struct insn *insn, uint32_t mask) {
  if (!members_agree(warp, insn, mask, insn->s[3])) return OUTCOME_FAULT;
  const lane32 *a = place_at(warp, insn->s[0]), *b = place_at(warp, insn->s[1]),
               *c = place_at(warp, insn->s[2]);
  uint32_t out[LANES], valid_mask = 0;
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    bool valid;
    int source = shuffle_source((enum shuffle)insn->kind, lane, b[lane], c[lane], &valid);
    if (!valid) source = lane;
    if (!(mask >> source & 1))
      return fault(warp, insn, lane, -EINVAL, "shuffle from lane %d, which does not take part",
                   source);
    out[lane] = a[source];
    valid_mask |= (uint32_t)valid << lane;
  }
  lanes_store(warp, insn->d[0], out, WIDTH_32, mask);
  if (insn->n_elements == 2) predicate_set(warp, insn->d[1], mask, valid_mask);
  return OUTCOME_GO_ON;
}

static int decode_shuffle(struct decoder *decoder) {
  static const char *kinds[] = {"up", "down", "bfly", "idx"};
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  int kind = -1;
  for (int i = 0; i < 4; i++)
    if (take(decoder, kinds[i])) kind = i;
  if (kind < 0 || !take(decoder, "sync") || !take(decoder, "b32") || statement->n_groups != 5)
    return refuse(decoder, "shfl of this form is not supported");
  insn->run = run_shuffle;
  insn->kind = (uint8_t)kind;
  insn->n_elements = (uint8_t)statement->groups[0].count;
  int code = result(decoder, &statement->items[0], WIDTH_32, &insn->d[0]);
  if (code == 0 && insn->n_elements == 2)
    code = result(decoder, &statement->items[1], WIDTH_PREDICATE, &insn->d[1]);
  for (int i = 0; code == 0 && i < 4; i++)
    code = input(decoder, single(decoder, i + 1), WIDTH_32, &insn->s[i]);
  return code < 0 ? code : all_taken(decoder);
}

/* ---- vote, redux, activemask ------------------------------------------------------------ */

enum vote { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT };

static enum outcome run_vote(struct warp *warp, const struct insn *insn, uint32_t mask) {
  if (!members_agree(warp, insn, mask, insn->s[1])) return OUTCOME_FAULT;
  uint32_t votes = (predicate_at(warp, insn->s[0]) ^ (insn->sign ? ALL_LANES : 0)) & mask;
  if (insn->kind == VOTE_BALLOT) {
    uint32_t out[LANES];
    for (int lane = 0; lane < LANES; lane++) out[lane] = votes;
    lanes_store(warp, insn->d[0], out, WIDTH_32, mask);
    return OUTCOME_GO_ON;
  }
  bool value = insn->kind == VOTE_ALL   ? votes == mask
               : insn->kind == VOTE_ANY ? votes != 0
                                        : votes == mask || votes == 0;
  predicate_set(warp, insn->d[0], mask, value ? ALL_LANES : 0);
  return OUTCOME_GO_ON;
}

static int decode_vote(struct decoder *decoder) {
  static const char *kinds[] = {"all", "any", "uni", "ballot"};
  struct insn *insn = decoder->insn;
  int kind = -1;
  for (int i = 0; i < 4; i++)
    if (take(decoder, kinds[i])) kind = i;
  bool ballot = kind == VOTE_BALLOT;
  const struct item *item = single(decoder, 1);
  if (kind < 0 || !item || !take(decoder, "sync") || !take(decoder, ballot ? "b32" : "pred"))
    return refuse(decoder, "vote of this form is not supported");
  struct item plain = *item;
  plain.negated = false;
  insn->run = run_vote;
  insn->kind = (uint8_t)kind;
  insn->sign = item->negated;
  int code = result(decoder, single(decoder, 0), ballot ? WIDTH_32 : WIDTH_PREDICATE, &insn->d[0]);
  if (code == 0) code = input(decoder, &plain, WIDTH_PREDICATE, &insn->s[0]);
  if (code == 0) code = input(decoder, single(decoder, 2), WIDTH_32, &insn->s[1]);
  return code < 0 ? code : all_taken(decoder);
}

enum reduction { REDUCE_ADD, REDUCE_MIN, REDUCE_MAX, REDUCE_AND, REDUCE_OR, REDUCE_XOR };

static uint32_t reduce(const struct insn *insn, uint32_t a, uint32_t b) {
  bool less = insn->sign ? (int32_t)a < (int32_t)b : a < b;
  switch ((enum reduction)insn->kind) {
  case REDUCE_ADD:
    return a + b;
  case REDUCE_MIN:
    return less ? a : b;
  case REDUCE_MAX:
    return less ? b : a;
  case REDUCE_AND:
    return a & b;
  case REDUCE_OR:
    return a | b;
  case REDUCE_XOR:
    return a ^ b;
  }
  return a;
}

static enum outcome run_redux(struct warp *warp, const struct insn *insn, uint32_t mask) {
  if (!members_agree(warp, insn, mask, insn->s[1])) return OUTCOME_FAULT;
  const lane32 *a = place_at(warp, insn->s[0]);
  uint32_t sum = 0, out[LANES];
  bool first = true;
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    sum = first ? a[lane] : reduce(insn, sum, a[lane]);
    first = false;
  }
  for (int lane = 0; lane < LANES; lane++) out[lane] = sum;
  lanes_store(warp, insn->d[0], out, WIDTH_32, mask);
  return OUTCOME_GO_ON;
}

static int decode_redux(struct decoder *decoder) {
  static const char *kinds[] = {"add", "min", "max", "and", "or", "xor"};
  struct insn *insn = decoder->insn;
  int kind = -1, bits;
  char type;
  if (take_type(decoder, &type, &bits) < 0) return -EINVAL;
  for (int i = 0; i < 6; i++)
    if (take(decoder, kinds[i])) kind = i;
  if (kind < 0 || bits != 32 || !take(decoder, "sync"))
    return refuse(decoder, "redux of this form is not supported");
  insn->run = run_redux;
  insn->kind = (uint8_t)kind;
  insn->sign = type == 's';
  int code = result(decoder, single(decoder, 0), WIDTH_32, &insn->d[0]);
  for (int i = 0; code == 0 && i < 2; i++)
    code = input(decoder, single(decoder, i + 1), WIDTH_32, &insn->s[i]);
  return code < 0 ? code : all_taken(decoder);
}

static enum outcome run_activemask(struct warp *warp, const struct insn *insn, uint32_t mask) {
  uint32_t out[LANES];
  for (int lane = 0; lane < LANES; lane++) out[lane] = mask;
  lanes_store(warp, insn->d[0], out, WIDTH_32, mask);
  return OUTCOME_GO_ON;
}

int decode_warp(struct decoder *decoder) {
  if (opcode_is(decoder, "shfl")) return decode_shuffle(decoder);
  if (opcode_is(decoder, "vote")) return decode_vote(decoder);
  if (opcode_is(decoder, "redux")) return decode_redux(decoder);
  if (!token_is(&decoder->statement->opcode, "activemask.b32")) return 0;
  decoder->insn->run = run_activemask;
  int code = result(decoder, single(decoder, 0), WIDTH_32, &decoder->insn->d[0]);
  return code < 0 ? code : 1;
}
