/*
 * A launch: its blocks, in the order of the schedule, on one or more threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vgpu/ptx/execute.h"

#define THREADS_MAX 64

static void block_close(struct block *block) {
  for (int w = 0; block->warps && w < block->n_warps; w++) {
    struct warp *warp = &block->warps[w];
    free(warp->file);
    free(warp->local);
    for (int lane = 0; lane < LANES; lane++) free(warp->copies[lane]);
  }
  free(block->warps);
  free(block->shared);
  shadow_close(&block->shadow);
}

static int block_open(struct block *block, struct run *run) {
  const struct ptx_kernel *kernel = run->kernel;
  const struct ptx_launch *launch = run->launch;
  *block = (struct block){.run = run};
  block->n_threads = (int)(launch->block[0] * launch->block[1] * launch->block[2]);
  block->n_warps = (block->n_threads + LANES - 1) / LANES;
  block->shared_bytes = kernel->info.shared_static_bytes + launch->shared_bytes;
  block->shared = aligned_alloc(64, (block->shared_bytes + 127) / 64 * 64);
  block->warps = calloc((size_t)block->n_warps, sizeof *block->warps);
  if (!block->shared || !block->warps || shadow_open(&block->shadow, block->shared_bytes) < 0)
    return -ENOMEM;
  for (int w = 0; w < block->n_warps; w++) {
    block->warps[w].file = aligned_alloc(64, (kernel->file_bytes + 63) / 64 * 64);
    block->warps[w].local = malloc(2 * kernel->info.local_bytes * LANES + 1);
    if (!block->warps[w].file || !block->warps[w].local) return -ENOMEM;
  }
  return 0;
}

/* The n-th block to run: from either end, or all over the grid. */
static void choose_block(struct block *block, uint64_t n) {
  const struct run *run = block->run;
  if (run->options->schedule == PTX_REVERSE) n = run->n_blocks - 1 - n;
  if (run->options->schedule == PTX_RANDOM && run->n_blocks > 2 && run->n_blocks % 7919 != 0)
    n = (n * 7919 + run->options->seed % run->n_blocks) % run->n_blocks;
  block->random = (run->options->seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + n * 2 + 1;
  const unsigned *grid = run->launch->grid;
  block->index[0] = (unsigned)(n % grid[0]);
  block->index[1] = (unsigned)(n / grid[0] % grid[1]);
  block->index[2] = (unsigned)(n / grid[0] / grid[1]);
}

static void *run_blocks(void *argument) {
  struct run *run = argument;
  struct block block;
  if (block_open(&block, run) < 0) {
    int expected = 0;
    if (__atomic_compare_exchange_n(&run->failed, &expected, 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
      error_set(run->error, -ENOMEM, "no memory to run a block of %s", run->kernel->info.name);
    block_close(&block);
    return NULL;
  }
  uint64_t steps = 0;
  for (;;) {
    uint64_t n = __atomic_fetch_add(&run->next_block, 1, __ATOMIC_RELAXED);
    if (n >= run->n_blocks) break;
    choose_block(&block, n);
    int code = block_run(&block);
    for (int w = 0; w < block.n_warps; w++) steps += block.warps[w].steps;
    if (code < 0) break;
  }
  __atomic_fetch_add(&run->steps, steps, __ATOMIC_RELAXED);
  block_close(&block);
  return NULL;
}

static int threads_wanted(const struct run *run) {
  long threads = run->options->threads ? run->options->threads : sysconf(_SC_NPROCESSORS_ONLN);
  if ((uint64_t)threads > run->n_blocks) threads = (long)run->n_blocks;
  return threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (int)threads;
}

static int check_launch(const struct ptx_kernel *kernel, const struct ptx_launch *launch,
                        struct error *error) {
  const struct ptx_kernel_info *info = &kernel->info;
  uint64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (launch->grid[i] == 0 || launch->block[i] == 0 || launch->block[i] > 1024)
      return error_set(error, -EINVAL, "kernel %s: grid or block of 0, or block over 1024",
                       info->name);
    threads *= launch->block[i];
  }
  uint64_t allowed = info->block_max[0]
                         ? (uint64_t)info->block_max[0] * info->block_max[1] * info->block_max[2]
                         : 1024;
  if (threads > allowed || threads > 1024)
    return error_set(error, -EINVAL, "kernel %s: %d threads in a block, at most %d", info->name,
                     (int)threads, (int)allowed);
  if (info->block_required && memcmp(info->block_max, launch->block, sizeof launch->block) != 0)
    return error_set(error, -EINVAL, "kernel %s: the block is not what .reqntid asks for",
                     info->name);
  if (info->shared_static_bytes + launch->shared_bytes > SHARED_BYTES_MAX)
    return error_set(error, -EINVAL, "kernel %s: %zu bytes of shared memory, at most %d",
                     info->name, info->shared_static_bytes + launch->shared_bytes,
                     SHARED_BYTES_MAX);
  return 0;
}

static void run_all(struct run *run) {
  pthread_t threads[THREADS_MAX];
  int wanted = threads_wanted(run), started = 0;
  while (started < wanted - 1 && pthread_create(&threads[started], NULL, run_blocks, run) == 0)
    started++;
  run_blocks(run);
  for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
}

int ptx_run(const struct ptx_kernel *kernel, const struct ptx_launch *launch, struct arena *arena,
            const struct ptx_options *options, struct ptx_statistics *statistics,
            struct error *error) {
  int code = check_launch(kernel, launch, error);
  if (code < 0) return code;
  struct error first = {0};
  struct run run = {.kernel = kernel,
                    .launch = launch,
                    .options = options,
                    .n_blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2],
                    .next_block = options->first_block,
                    .error = &first};
  if (arena_view_begin(arena, &run.memory) < 0) return error_set(error, -ENOMEM, "no memory");
  run_all(&run);
  arena_view_end(&run.memory);
  if (statistics) statistics->warp_instructions += run.steps;
  return first.code ? error_set(error, first.code, "%s", first.message) : 0;
}
