/*
 * Making, copying and overwriting a probe's memory.
 */
#include "kernels/cuda/scratch.h"

#define FLUSH_L2_TIMES 2
#define COPY_L2_TIMES 4 /* source and target each: an eighth could be hits, were it not for LRU */
#define L2_BYTES_LEAST ((size_t)4 << 20) /* where the driver tells less, or nothing */

static int allocate(struct gpu *gpu, driver_pointer *pointer, size_t bytes, struct error *error) {
  return gpu_check(gpu, gpu->driver.memory_alloc(pointer, bytes), error,
                   "cuMemAlloc(%zu bytes, more than the L2 cache holds)", bytes);
}

/* Weights, as often as they fit. */
static int fill_source(struct scratch *scratch, struct error *error) {
  struct cuda *cuda = scratch->cuda;
  struct gpu *gpu = &cuda->gpu;
  const size_t most = cuda->plan.weights.bytes;
  int failed = 0;
  for (size_t done = 0; done < scratch->bytes && !failed;) {
    const size_t left = scratch->bytes - done, n = left < most ? left : most;
    failed = gpu_check(
        gpu, gpu->driver.copy_within(scratch->source + done, cuda->sets[0], n, cuda->compute),
        error, "cuMemcpyDtoDAsync(%zu bytes of weights)", n);
    done += n;
  }
  return failed ? failed : cuda_synchronise(cuda, error);
}

int scratch_open(struct scratch *scratch, struct cuda *cuda, bool to_copy, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const size_t told_bytes = gpu->l2_bytes > 0 ? (size_t)gpu->l2_bytes : 0;
  const size_t l2_bytes = told_bytes > L2_BYTES_LEAST ? told_bytes : L2_BYTES_LEAST;
  *scratch = (struct scratch){.cuda = cuda,
                              .bytes = (to_copy ? COPY_L2_TIMES : FLUSH_L2_TIMES) * l2_bytes};
  int failed = allocate(gpu, &scratch->target, scratch->bytes, error);
  if (!failed && to_copy) failed = allocate(gpu, &scratch->source, scratch->bytes, error);
  if (!failed && to_copy) failed = fill_source(scratch, error);
  if (failed) scratch_close(scratch);
  return failed;
}

void scratch_close(struct scratch *scratch) {
  if (scratch->source) (void)scratch->cuda->gpu.driver.memory_free(scratch->source);
  if (scratch->target) (void)scratch->cuda->gpu.driver.memory_free(scratch->target);
  *scratch = (struct scratch){0};
}

int scratch_copy(const struct scratch *scratch, driver_stream stream, struct error *error) {
  struct gpu *gpu = &scratch->cuda->gpu;
  return gpu_check(
      gpu, gpu->driver.copy_within(scratch->target, scratch->source, scratch->bytes, stream), error,
      "cuMemcpyDtoDAsync(%zu bytes)", scratch->bytes);
}

int scratch_flush_l2(const struct scratch *scratch, driver_stream stream, struct error *error) {
  struct gpu *gpu = &scratch->cuda->gpu;
  return gpu_check(gpu, gpu->driver.fill(scratch->target, 0, scratch->bytes, stream), error,
                   "cuMemsetD8Async(%zu bytes, to flush the L2 cache)", scratch->bytes);
}
