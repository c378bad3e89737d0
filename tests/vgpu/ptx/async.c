/*
 * cp.async, at both extremes of what the machine may do: the copy happens at once ("eager", the
 * source must be ready and the target no longer in use) or only when it is waited for ("lazy", a
 * weak wait leaves the target unwritten). Until then nobody may touch the target, in both modes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"

static enum outcome copy_now(struct warp *warp, int lane, const struct async_copy *copy) {
  unsigned char *target = shared_bytes(warp, copy->insn, lane, copy->target, copy->bytes, true);
  if (!target) return OUTCOME_FAULT;
  if (copy->source_bytes) {
    const unsigned char *source =
        global_bytes(warp, copy->insn, lane, copy->source, copy->source_bytes, false);
    if (!source) return OUTCOME_FAULT;
    memcpy(target, source, copy->source_bytes);
  }
  memset(target + copy->source_bytes, 0, (size_t)(copy->bytes - copy->source_bytes));
  return OUTCOME_GO_ON;
}

static enum outcome keep(struct warp *warp, int lane, const struct async_copy *copy) {
  if (warp->n_copies[lane] == warp->copies_room[lane]) {
    int room = warp->copies_room[lane] ? warp->copies_room[lane] * 2 : 64;
    struct async_copy *grown = realloc(warp->copies[lane], (size_t)room * sizeof *grown);
    if (!grown) return fault(warp, copy->insn, lane, -ENOMEM, "no memory for cp.async");
    warp->copies[lane] = grown;
    warp->copies_room[lane] = room;
  }
  warp->copies[lane][warp->n_copies[lane]++] = *copy;
  shared_pending(warp, copy->target, copy->bytes, 1);
  return OUTCOME_GO_ON;
}

static uint64_t second_address(const struct warp *warp, const struct insn *insn, int lane) {
  const void *lanes = place_at(warp, insn->s[1]);
  uint64_t base = insn->address_wide2 ? ((const lane64 *)lanes)[lane]
                                      : ((const lane32 *)lanes)[lane];
  return base + (uint64_t)insn->offset2;
}

static enum outcome issue(struct warp *warp, const struct insn *insn, int lane) {
  struct async_copy copy = {.target = (uint32_t)lane_address(warp, insn, lane),
                            .bytes = insn->width,
                            .source_bytes = insn->width,
                            .group = warp->copy_group[lane],
                            .source = second_address(warp, insn, lane),
                            .insn = insn};
  if (insn->n_inputs == 3) {
    uint32_t bytes = ((const lane32 *)place_at(warp, insn->s[2]))[lane];
    if (bytes != 0 && bytes != copy.bytes)
      return fault(warp, insn, lane, -EINVAL, "cp.async of %u of %d bytes is not supported", bytes,
                   copy.bytes);
    copy.source_bytes = (uint8_t)bytes;
  }
  if (copy.source % copy.bytes)
    return fault(warp, insn, lane, -EFAULT, "misaligned cp.async source 0x%" PRIx64, copy.source);
  /* The target is checked when the copy is issued, in both modes: it must be free by then. */
  if (!shared_bytes(warp, insn, lane, copy.target, copy.bytes, true)) return OUTCOME_FAULT;
  if (!warp->block->run->options->lazy_copies) {
    if (copy_now(warp, lane, &copy) != OUTCOME_GO_ON) return OUTCOME_FAULT;
  } else {
    memset(warp->block->shared + copy.target, 0xff, copy.bytes);
  }
  return keep(warp, lane, &copy);
}

static enum outcome run_issue(struct warp *warp, const struct insn *insn, uint32_t mask) {
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1 && issue(warp, insn, lane) != OUTCOME_GO_ON) return OUTCOME_FAULT;
  return OUTCOME_GO_ON;
}

static enum outcome run_commit(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)insn;
  for (int lane = 0; lane < LANES; lane++) warp->copy_group[lane] += mask >> lane & 1;
  return OUTCOME_GO_ON;
}

/* Completes a lane's copies of all but its latest `allowed` groups (-1: of all). */
static enum outcome complete(struct warp *warp, int lane, int64_t allowed) {
  int kept = 0;
  for (int i = 0; i < warp->n_copies[lane]; i++) {
    const struct async_copy copy = warp->copies[lane][i];
    if (allowed >= 0 && (int64_t)copy.group >= (int64_t)warp->copy_group[lane] - allowed) {
      warp->copies[lane][kept++] = copy;
      continue;
    }
    shared_pending(warp, copy.target, copy.bytes, -1);
    if (warp->block->run->options->lazy_copies && copy_now(warp, lane, &copy) != OUTCOME_GO_ON)
      return OUTCOME_FAULT;
  }
  warp->n_copies[lane] = kept;
  return OUTCOME_GO_ON;
}

static enum outcome run_wait(struct warp *warp, const struct insn *insn, uint32_t mask) {
  for (int lane = 0; lane < LANES; lane++)
    if (mask >> lane & 1 && complete(warp, lane, insn->offset) != OUTCOME_GO_ON)
      return OUTCOME_FAULT;
  return OUTCOME_GO_ON;
}

static int decode_copy(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  bool whole = take(decoder, "cg");
  bool to_shared = take(decoder, "shared") || take(decoder, "shared::cta");
  if ((!whole && !take(decoder, "ca")) || !to_shared || !take(decoder, "global"))
    return refuse(decoder, "cp.async of this form is not supported");
  take(decoder, "L2::64B");
  take(decoder, "L2::128B");
  take(decoder, "L2::256B");
  const struct item *size = single(decoder, 2);
  if (!size || size->kind != ITEM_IMMEDIATE ||
      (size->value != 16 && (whole || (size->value != 4 && size->value != 8))))
    return refuse(decoder, "cp.async of this size does not exist");
  insn->run = run_issue;
  insn->width = (uint8_t)size->value;
  insn->n_inputs = 2;
  int code = address(decoder, 1);
  if (code < 0) return code;
  insn->s[1] = insn->s[0];
  insn->offset2 = insn->offset;
  insn->address_wide2 = insn->address_wide;
  code = address(decoder, 0);
  if (code == 0 && statement->n_groups == 4) {
    insn->n_inputs = 3;
    code = input(decoder, single(decoder, 3), WIDTH_32, &insn->s[2]);
  }
  return code < 0 ? code : all_taken(decoder);
}

int decode_async(struct decoder *decoder) {
  if (!opcode_is(decoder, "cp") || !take(decoder, "async")) return 0;
  struct insn *insn = decoder->insn;
  if (take(decoder, "commit_group")) {
    insn->run = run_commit;
    return all_taken(decoder);
  }
  bool all = take(decoder, "wait_all");
  if (!all && !take(decoder, "wait_group")) return decode_copy(decoder);
  insn->run = run_wait;
  insn->offset = -1;
  if (!all) {
    const struct item *groups = single(decoder, 0);
    if (!groups || groups->kind != ITEM_IMMEDIATE) return refuse(decoder, "a number is expected");
    insn->offset = (int64_t)groups->value;
  }
  return all_taken(decoder);
}
