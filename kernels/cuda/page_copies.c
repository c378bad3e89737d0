/*
 * Pages between host memory and the KV cache, by the copy engines alone.
 *
 * A stored page is K rows then V rows; the cache holds all K rows of a layer, then all V rows. So
 * adjacent pages are two strided copies, one for K and one for V, whose rows are half a page each
 * (32 KiB for 16 tokens of Llama-3-70B): no kernel, no staging on the device, nothing taken from
 * compute. The pipeline brings a layer's past in one call, so each of the two holds all its pages
 * (up to a registered piece of 1 GiB): 1 MiB and more from 512 stored tokens of that model on.
 *
 * On an H100: PCIe gen 5 x16 moves about 50 GB/s one way from pinned memory; 8192 tokens of one
 * Llama-3-70B layer (33.5 MB) take 0.67 ms.
 */
#include <assert.h>

#include "kernels/cuda/cuda_device.h"

/* One strided copy of n pages' K or V halves. */
struct half_copy {
  char *page; /* in a buffer: of the host, or on_device */
  driver_pointer device;
  size_t stride_bytes, half_bytes;
  int64_t n;
  bool on_device;
};

static int enqueue(struct cuda *cuda, enum cuda_direction direction, const struct half_copy *h,
                   driver_stream stream, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const bool in = direction == CUDA_TO_DEVICE;
  const unsigned kind = h->on_device ? DRIVER_MEMORY_DEVICE : DRIVER_MEMORY_HOST;
  char *host = h->on_device ? NULL : h->page;
  const driver_pointer page = h->on_device ? (driver_pointer)(uintptr_t)h->page : 0;
  const struct driver_copy_2d copy = {
      .source_kind = in ? kind : DRIVER_MEMORY_DEVICE,
      .source_host = in ? host : NULL,
      .source_device = in ? page : h->device,
      .source_pitch_bytes = in ? h->stride_bytes : h->half_bytes,
      .target_kind = in ? DRIVER_MEMORY_DEVICE : kind,
      .target_host = in ? NULL : host,
      .target_device = in ? h->device : page,
      .target_pitch_bytes = in ? h->half_bytes : h->stride_bytes,
      .width_bytes = h->half_bytes,
      .height = (size_t)h->n,
  };
  driver_result result =
      gpu->driver.copy_2d((const struct CUDA_MEMCPY2D_st *)(const void *)&copy, stream);
  return gpu_check(gpu, result, error, "cuMemcpy2DAsync(%s, %lld x %zu bytes)", in ? "in" : "out",
                   (long long)h->n, h->half_bytes);
}

int cuda_copy_pages(struct cuda *cuda, enum cuda_direction direction, const struct pinned *pinned,
                    int buffer, int64_t buffer_page, driver_pointer slot, int64_t first_page,
                    int64_t n_pages, driver_stream stream, struct error *error) {
  const size_t stride = cuda->config.page_stride_bytes;
  const size_t half = (size_t)cuda->crc.half_bytes;
  const int64_t per_piece = (int64_t)(pinned->piece_bytes / stride);
  assert(per_piece > 0);
  for (int64_t done = 0; done < n_pages;) {
    const int64_t at = buffer_page + done; /* a copy may not leave its registered piece */
    int64_t n = per_piece - at % per_piece;
    if (n > n_pages - done) n = n_pages - done;
    char *held = (char *)pinned_at(pinned, buffer) + (size_t)at * stride;
    const driver_pointer page = slot + (driver_pointer)(first_page + done) * half;
    const bool there = pinned->on_device;
    const struct half_copy k = {held, page, stride, half, n, there};
    const struct half_copy v = {held + half, page + cuda->plan.kv_half_bytes, stride, half, n,
                                there};
    int failed = enqueue(cuda, direction, &k, stream, error);
    if (!failed) failed = enqueue(cuda, direction, &v, stream, error);
    if (failed) return failed;
    done += n;
  }
  return 0;
}
