/*
 * A block: its warps take turns in the order of the schedule until all have ended.
 */
#include <errno.h>
#include <string.h>

#include "tests/vgpu/ptx/execute.h"

static uint64_t next_random(struct block *block) {
  block->random ^= block->random << 13;
  block->random ^= block->random >> 7;
  block->random ^= block->random << 17;
  return block->random;
}

static void set_special(struct warp *warp, enum special which, int lane, uint32_t value) {
  ((lane32 *)(void *)(warp->file + SPECIAL_PLACE(which)))[lane] = value;
}

static void start_specials(struct warp *warp) {
  const struct block *block = warp->block;
  const struct ptx_launch *launch = block->run->launch;
  for (int lane = 0; lane < LANES; lane++) {
    unsigned thread = (unsigned)(warp->index * LANES + lane);
    set_special(warp, SPECIAL_TID_X, lane, thread % launch->block[0]);
    set_special(warp, SPECIAL_TID_Y, lane, thread / launch->block[0] % launch->block[1]);
    set_special(warp, SPECIAL_TID_Z, lane, thread / launch->block[0] / launch->block[1]);
    for (unsigned i = 0; i < 3; i++) {
      set_special(warp, SPECIAL_NTID_X + i, lane, launch->block[i]);
      set_special(warp, SPECIAL_CTAID_X + i, lane, block->index[i]);
      set_special(warp, SPECIAL_NCTAID_X + i, lane, launch->grid[i]);
    }
    set_special(warp, SPECIAL_LANEID, lane, (uint32_t)lane);
    set_special(warp, SPECIAL_WARPID, lane, (uint32_t)warp->index);
    set_special(warp, SPECIAL_LT, lane, (1U << lane) - 1);
    set_special(warp, SPECIAL_LE, lane, (2U << lane) - 1);
    set_special(warp, SPECIAL_GT, lane, ~((2U << lane) - 1));
    set_special(warp, SPECIAL_GE, lane, ~((1U << lane) - 1));
    set_special(warp, SPECIAL_DYNAMIC_BYTES, lane, (uint32_t)launch->shared_bytes);
    set_special(warp, SPECIAL_TOTAL_BYTES, lane, (uint32_t)block->shared_bytes);
  }
}

static void start_warp(struct block *block, int index) {
  struct warp *warp = &block->warps[index];
  int threads = block->n_threads - index * LANES;
  warp->block = block;
  warp->index = index;
  warp->constants = block->run->kernel->constants;
  warp->live = threads >= LANES ? ALL_LANES : (1U << threads) - 1;
  warp->groups[0] = (struct lanes){0, warp->live};
  warp->n_groups = 1;
  warp->barrier = -1;
  warp->steps = 0;
  memset(warp->clocks, 0, sizeof warp->clocks);
  warp->clocks[index] = 1;
  memset(warp->n_copies, 0, sizeof warp->n_copies);
  memset(warp->copy_group, 0, sizeof warp->copy_group);
  /* Whatever a register holds that nobody wrote: an odd number, a NaN, an address of nothing. */
  memset(warp->file, 0xff, block->run->kernel->file_bytes);
  const size_t local_bytes = block->run->kernel->info.local_bytes * LANES;
  memset(warp->local, 0xff, local_bytes);
  memset(warp->local + local_bytes, 0, local_bytes);
  start_specials(warp);
}

/* Nobody can go on: some wait at barriers that the others never reach. */
static int stuck(struct block *block, const struct warp *ended) {
  for (int w = 0; w < block->n_warps; w++) {
    struct warp *warp = &block->warps[w];
    if (warp->barrier < 0) continue;
    if (ended)
      fault(warp, warp->at, -1, -EDEADLK, "barrier %d is not reached by warp %d, which has ended",
            warp->barrier, ended->index);
    else
      fault(warp, warp->at, -1, -EDEADLK, "barrier %d is not reached by all warps", warp->barrier);
    return -1;
  }
  return -1;
}

static int scheduled(struct block *block, int turn) {
  enum ptx_schedule schedule = block->run->options->schedule;
  if (schedule == PTX_REVERSE) return block->n_warps - 1 - turn;
  return schedule == PTX_RANDOM ? (int)(next_random(block) % (uint64_t)block->n_warps) : turn;
}

static uint64_t budget(struct block *block) {
  if (block->run->options->schedule != PTX_RANDOM) return UINT64_MAX;
  return 1 + next_random(block) % 200;
}

int block_run(struct block *block) {
  struct run *run = block->run;
  memset(block->shared, 0xff, block->shared_bytes);
  memset(block->barriers, 0, sizeof block->barriers);
  shadow_clear(&block->shadow);
  for (int w = 0; w < block->n_warps; w++) start_warp(block, w);
  for (;;) {
    for (int turn = 0; turn < block->n_warps; turn++) {
      struct warp *warp = &block->warps[scheduled(block, turn)];
      if (warp->n_groups == 0 || warp->barrier >= 0) continue;
      if (warp_run(warp, budget(block)) == OUTCOME_FAULT) return -1;
      if (__atomic_load_n(&run->failed, __ATOMIC_ACQUIRE)) return -1;
    }
    barriers_release(block);
    bool runnable = false, waits = false;
    const struct warp *ended = NULL;
    for (int w = 0; w < block->n_warps; w++) {
      const struct warp *warp = &block->warps[w];
      if (warp->n_groups == 0)
        ended = warp;
      else if (warp->barrier >= 0)
        waits = true;
      else
        runnable = true;
    }
    if (!runnable && !waits) return 0;
    if (!runnable) return stuck(block, ended);
  }
}
