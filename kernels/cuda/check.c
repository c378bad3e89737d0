/*
 * What verification needs: CRCs of pages where they stand in device memory, and
 * a past that cannot pass for delivered when it was not.
 */
#include <errno.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

#define SPOIL_STEP_BYTES 512
#define SPOIL_PATTERN UINT64_C(0x3f803f803f803f80) /* 1.0 in bf16, small numbers in E4M3 */

/* ---- spoiling ---- */

/* Pages smaller than a step are spoiled at least once in each half. */
static int64_t step_bytes(const struct cuda *cuda) {
  return cuda->crc.half_bytes < SPOIL_STEP_BYTES ? cuda->crc.half_bytes : SPOIL_STEP_BYTES;
}

/* The first `bytes` of each of n parts. */
static int spoil_parts(struct cuda *cuda, driver_pointer base, int n_parts, int64_t part_bytes,
                       int64_t bytes, struct error *error) {
  const struct kernel_spoil arguments = {
      .base = base,
      .part_bytes = part_bytes,
      .bytes = bytes,
      .step_bytes = step_bytes(cuda),
      .pattern = SPOIL_PATTERN,
  };
  const int64_t spots = (arguments.bytes + arguments.step_bytes - 1) / arguments.step_bytes;
  return launcher_run(&cuda->launcher, KERNEL_refill_spoil,
                      (spots + KERNEL_THREADS - 1) / KERNEL_THREADS, n_parts, &arguments,
                      cuda->compute, error);
}

static int spoil_slot(struct cuda *cuda, driver_pointer slot, struct error *error) {
  return spoil_parts(cuda, slot, 2, (int64_t)cuda->plan.kv_half_bytes,
                     cuda->first_new_page * cuda->crc.half_bytes, error);
}

/* Landing buffers on the GPU; their padding too, which storage writes again. */
static int spoil_landing_there(struct cuda *cuda, struct error *error) {
  const struct pinned *landing = &cuda->landing;
  return spoil_parts(cuda, landing->device, landing->n_buffers, (int64_t)landing->buffer_bytes,
                     cuda->first_new_page * (int64_t)cuda->config.page_stride_bytes, error);
}

static void spoil_landing(struct cuda *cuda) {
  static const uint64_t pattern = SPOIL_PATTERN;
  const int64_t payload_bytes = 2 * cuda->crc.half_bytes;
  for (int buffer = 0; buffer < cuda->landing.n_buffers; buffer++) {
    char *pages = pinned_at(&cuda->landing, buffer);
    for (int64_t page = 0; page < cuda->first_new_page; page++) {
      char *at = pages + (size_t)page * cuda->config.page_stride_bytes;
      for (int64_t i = 0; i < payload_bytes; i += step_bytes(cuda))
        memcpy(at + i, &pattern, sizeof pattern);
    }
  }
}

int cuda_spoil(struct cuda *cuda, struct error *error) {
  int failed = 0;
  for (int slot = 0; slot < cuda->plan.kv_slots && !failed; slot++)
    failed = spoil_slot(cuda, cuda->slots[slot], error);
  if (!failed && cuda->landing.on_device) return spoil_landing_there(cuda, error);
  if (!failed) spoil_landing(cuda);
  return failed;
}

/* ---- CRCs ---- */

/* Remainders of the pages, into small.crcs. */
static int remainders(struct cuda *cuda, int layer, int64_t first_page, int64_t n_pages,
                      struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const driver_pointer slot = cuda_slot(cuda, layer);
  const struct kernel_page_crc arguments = {
      .k = slot,
      .v = slot + cuda->plan.kv_half_bytes,
      .factors = cuda->buffers.factors,
      .out = cuda->buffers.crcs,
      .first_page = first_page,
      .half_bytes = cuda->crc.half_bytes,
      .slice_bytes = cuda->crc.slice_bytes,
  };
  const size_t bytes = (size_t)n_pages * sizeof(uint32_t);
  int failed = launcher_run(&cuda->launcher, KERNEL_refill_page_crc, n_pages, 1, &arguments,
                            cuda->check, error);
  if (!failed)
    failed = gpu_check(
        gpu, gpu->driver.copy_out(cuda->small.crcs, cuda->buffers.crcs, bytes, cuda->check), error,
        "cuMemcpyDtoHAsync(%lld CRCs)", (long long)n_pages);
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.stream_synchronize(cuda->check), error,
                       "cuStreamSynchronize(CRCs)");
  return failed;
}

int cuda_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                uint32_t *crcs, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  int failed = cuda_check_layer(cuda, layer, error);
  if (failed) return failed;
  if (first_page < 0 || n_pages < 0 || n_pages > cuda->plan.pages - first_page)
    return error_set(error, -EINVAL, "no %lld pages from %lld: a layer has %lld",
                     (long long)n_pages, (long long)first_page, (long long)cuda->plan.pages);
  failed = gpu_enter(&cuda->gpu, error);
  if (failed || n_pages == 0) return failed;
  pthread_mutex_lock(&cuda->check_lock);
  failed = remainders(cuda, layer, first_page, n_pages, error);
  for (int64_t i = 0; i < n_pages && !failed; i++)
    crcs[i] = crc_continue(&cuda->crc, crcs[i], cuda->small.crcs[i]);
  pthread_mutex_unlock(&cuda->check_lock);
  return failed;
}
