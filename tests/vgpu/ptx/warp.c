/*
 * A warp: 32 lanes in groups that stand at different instructions.
 *
 * The group with the lowest instruction runs. nvcc lays code out so that lanes that part meet again
 * further down, so the group that is behind catches up and they go on together: the same as the
 * machine's reconvergence for this code. Where it is not, an aligned instruction is met by a
 * part of the warp, which is reported.
 */
#include <errno.h>
#include <inttypes.h>

#include "tests/vgpu/ptx/execute.h"

/* Puts lanes where their pc says: highest first, so that the last group is the one to run. */
static void insert(struct warp *warp, struct lanes lanes) {
  if (!lanes.mask) return;
  int at = warp->n_groups;
  while (at > 0 && warp->groups[at - 1].pc < lanes.pc) at--;
  if (at > 0 && warp->groups[at - 1].pc == lanes.pc) {
    warp->groups[at - 1].mask |= lanes.mask;
    return;
  }
  for (int i = warp->n_groups; i > at; i--) warp->groups[i] = warp->groups[i - 1];
  warp->groups[at] = lanes;
  warp->n_groups++;
}

/* Branch or return of the lanes of `mask`; the others of the group go on. */
static void part(struct warp *warp, const struct insn *insn, uint32_t mask) {
  struct lanes lanes = warp->groups[--warp->n_groups];
  insert(warp, (struct lanes){lanes.pc + 1, lanes.mask & ~mask});
  if (insn->control == CONTROL_BRANCH)
    insert(warp, (struct lanes){insn->target, mask});
  else
    warp->live &= ~mask;
}

static void step(struct warp *warp) {
  int top = warp->n_groups - 1;
  warp->groups[top].pc++;
  if (top > 0 && warp->groups[top - 1].pc == warp->groups[top].pc) {
    warp->groups[top - 1].mask |= warp->groups[top].mask;
    warp->n_groups--;
  }
}

static enum outcome divergent(struct warp *warp, const struct insn *insn, uint32_t mask) {
  return fault(warp, insn, -1, -EINVAL,
               "aligned instruction in a divergent warp: lanes 0x%08x of 0x%08x", mask, warp->live);
}

/* Aligned instructions want all lanes; a barrier also takes a last warp that is not full. */
static bool together(const struct warp *warp, const struct insn *insn, uint32_t mask) {
  if (!insn->aligned || mask == ALL_LANES) return true;
  return insn->run == run_barrier && mask == warp->live &&
         warp->block->n_threads - warp->index * LANES < LANES &&
         mask == (1U << (warp->block->n_threads - warp->index * LANES)) - 1;
}

enum outcome warp_run(struct warp *warp, uint64_t budget) {
  const struct run *run = warp->block->run;
  const struct insn *code = run->kernel->code;
  uint64_t limit = run->options->steps_max ? run->options->steps_max : UINT64_C(1) << 31;
  for (uint64_t done = 0; done < budget; done++) {
    if (warp->n_groups == 0) return OUTCOME_ENDED;
    struct lanes lanes = warp->groups[warp->n_groups - 1];
    if (lanes.pc >= run->kernel->n_code) {
      warp->live &= ~lanes.mask;
      warp->n_groups--;
      continue;
    }
    const struct insn *insn = &code[lanes.pc];
    uint32_t mask = lanes.mask;
    if (insn->predicate >= 0) {
      uint32_t guard = predicate_at(warp, insn->predicate);
      mask &= insn->negated ? ~guard : guard;
    }
    if (++warp->steps > limit)
      return fault(warp, insn, -1, -ETIMEDOUT, "%" PRIu64 " instructions done: endless?", limit);
    if (insn->control != CONTROL_NONE) {
      part(warp, insn, mask);
      continue;
    }
    enum outcome outcome = OUTCOME_GO_ON;
    if (mask) {
      if (!together(warp, insn, mask)) return divergent(warp, insn, mask);
      outcome = insn->run(warp, insn, mask);
      if (outcome == OUTCOME_FAULT) return outcome;
    }
    step(warp);
    if (outcome == OUTCOME_WAITS) return outcome;
  }
  return OUTCOME_GO_ON;
}
