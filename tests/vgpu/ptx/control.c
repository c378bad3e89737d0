/*
 * Branches, returns, barriers, traps: how they are decoded. Branches and returns move lanes
 * between groups and are carried out by warp.c; they are told by `control`.
 */
#include <errno.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"

/* Never called: warp.c looks at `control` first. */
static enum outcome run_control(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)mask;
  return fault(warp, insn, -1, -EINVAL, "control instruction reached the wrong place");
}

static enum outcome run_trap(struct warp *warp, const struct insn *insn, uint32_t mask) {
  return fault(warp, insn, __builtin_ctz(mask), -EINVAL, "trap");
}

/* __syncwarp: the lanes that it names must have come together. */
static enum outcome run_warp_barrier(struct warp *warp, const struct insn *insn, uint32_t mask) {
  const lane32 *members = place_at(warp, insn->s[0]);
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1 && (members[lane] & warp->live) != mask)
      return fault(warp, insn, lane, -EINVAL, "lanes 0x%08x at a warp barrier for 0x%08x", mask,
                   members[lane]);
  return OUTCOME_GO_ON;
}

static int decode_barrier(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  bool is_bar = opcode_is(decoder, "bar");
  if (take(decoder, "warp")) {
    if (!take(decoder, "sync")) return refuse(decoder, "barrier of this form is not supported");
    insn->run = run_warp_barrier;
    int code = input(decoder, single(decoder, 0), WIDTH_32, &insn->s[0]);
    return code < 0 ? code : all_taken(decoder);
  }
  take(decoder, "cta");
  insn->aligned = take(decoder, "aligned") || is_bar;
  bool arrives = take(decoder, "arrive");
  if (!arrives && !take(decoder, "sync"))
    return refuse(decoder, "barrier of this form is not supported");
  insn->run = run_barrier;
  insn->kind2 = arrives;
  insn->n_inputs = (uint8_t)statement->n_groups;
  if (statement->n_groups < 1 || statement->n_groups > 2 || (arrives && statement->n_groups != 2))
    return refuse(decoder, "wrong number of operands");
  int code = 0;
  for (int i = 0; code == 0 && i < statement->n_groups; i++)
    code = input(decoder, single(decoder, i), WIDTH_32, &insn->s[i]);
  return code < 0 ? code : all_taken(decoder);
}

int decode_control(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  insn->run = run_control;
  if (opcode_is(decoder, "bra")) {
    take(decoder, "uni");
    const struct item *item = single(decoder, 0);
    if (!item || item->kind != ITEM_LABEL) return refuse(decoder, "label expected");
    insn->control = CONTROL_BRANCH;
    insn->branches = true;
    return all_taken(decoder);
  }
  if (opcode_is(decoder, "ret") || opcode_is(decoder, "exit")) {
    take(decoder, "uni");
    insn->control = CONTROL_RETURN;
    return all_taken(decoder);
  }
  if (opcode_is(decoder, "bar") || opcode_is(decoder, "barrier")) return decode_barrier(decoder);
  if (opcode_is(decoder, "trap")) {
    insn->run = run_trap;
    return all_taken(decoder);
  }
  return 0;
}
