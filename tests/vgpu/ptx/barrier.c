/*
 * Barriers of a block, named ones included, and the order between warps that they make.
 */
#include <errno.h>
#include <string.h>

#include "tests/vgpu/ptx/execute.h"

static uint32_t at_least(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}

/* What this warp did before is now known to those who leave the barrier. */
static void join(struct warp *warp, struct barrier *barrier) {
  for (int i = 0; i < WARPS_MAX; i++)
    barrier->joined[i] = at_least(barrier->joined[i], warp->clocks[i]);
  warp->clocks[warp->index]++;
}

static enum outcome arrive(struct warp *warp, const struct insn *insn, uint32_t id,
                           uint32_t expected) {
  struct block *block = warp->block;
  struct barrier *barrier = &block->barriers[id];
  if (barrier->arrived && barrier->expected != expected)
    return fault(warp, insn, -1, -EINVAL, "barrier %u is for %u threads, others said %u", id,
                 expected, barrier->expected);
  barrier->expected = expected;
  barrier->arrived += LANES;
  join(warp, barrier);
  if (insn->kind2) return OUTCOME_GO_ON; /* bar.arrive does not wait */
  barrier->warps |= 1U << warp->index;
  warp->barrier = (int)id;
  warp->at = insn;
  return OUTCOME_WAITS;
}

enum outcome run_barrier(struct warp *warp, const struct insn *insn, uint32_t mask) {
  int lane = __builtin_ctz(mask);
  uint32_t id = ((const lane32 *)place_at(warp, insn->s[0]))[lane];
  uint32_t expected = (uint32_t)warp->block->n_warps * LANES;
  if (insn->n_inputs == 2) expected = ((const lane32 *)place_at(warp, insn->s[1]))[lane];
  if (mask != warp->live)
    return fault(warp, insn, -1, -EINVAL, "lanes 0x%08x of 0x%08x at a barrier", mask, warp->live);
  if (id >= BARRIERS || expected == 0 || expected % LANES ||
      expected > (uint32_t)warp->block->n_warps * LANES)
    return fault(warp, insn, lane, -EINVAL, "barrier %u for %u threads does not exist", id,
                 expected);
  return arrive(warp, insn, id, expected);
}

void barriers_release(struct block *block) {
  for (int id = 0; id < BARRIERS; id++) {
    struct barrier *barrier = &block->barriers[id];
    if (barrier->arrived == 0 || barrier->arrived < barrier->expected) continue;
    for (int w = 0; w < block->n_warps; w++) {
      struct warp *warp = &block->warps[w];
      if (!(barrier->warps >> w & 1)) continue;
      for (int i = 0; i < WARPS_MAX; i++)
        if (i != w) warp->clocks[i] = at_least(warp->clocks[i], barrier->joined[i]);
      warp->barrier = -1;
    }
    memset(barrier, 0, sizeof *barrier);
  }
}
