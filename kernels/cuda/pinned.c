/*
 * Mapping and registering.
 */
#include "kernels/cuda/pinned.h"

#include <errno.h>
#include <stdio.h>

#define PAGE_BYTES 4096
#define SHARE_MAX 0.8 /* of the memory that can be had: pinned pages cannot be swapped out */

size_t pinned_piece_bytes(size_t stride_bytes) {
  size_t unit = stride_bytes; /* the least common multiple of stride and page */
  while (unit % PAGE_BYTES != 0) unit += stride_bytes;
  return unit >= PINNED_PIECE_BYTES ? unit : PINNED_PIECE_BYTES / unit * unit;
}

/* Bytes of the i-th piece of a buffer; 0 past its end. */
static size_t piece_at(const struct pinned *pinned, size_t i) {
  const size_t begin = i * pinned->piece_bytes;
  if (begin >= pinned->buffer_bytes) return 0;
  const size_t left = pinned->buffer_bytes - begin;
  return left < pinned->piece_bytes ? left : pinned->piece_bytes;
}

static size_t pieces_of_buffer(const struct pinned *pinned) {
  return (pinned->buffer_bytes + pinned->piece_bytes - 1) / pinned->piece_bytes;
}

static char *piece_address(const struct pinned *pinned, size_t n) {
  const size_t per_buffer = pieces_of_buffer(pinned);
  return (char *)pinned->memory.address + n / per_buffer * pinned->buffer_bytes +
         n % per_buffer * pinned->piece_bytes;
}

static void unregister_all(struct pinned *pinned) {
  while (pinned->n_registered > 0) {
    pinned->n_registered--;
    (void)pinned->gpu->driver.host_unregister(piece_address(pinned, pinned->n_registered));
  }
  pinned->registered = false;
}

static void register_all(struct pinned *pinned) {
  struct gpu *gpu = pinned->gpu;
  const size_t per_buffer = pieces_of_buffer(pinned);
  const size_t n = per_buffer * (size_t)pinned->n_buffers;
  struct error error = {0};
  for (size_t i = 0; i < n; i++) {
    const size_t bytes = piece_at(pinned, i % per_buffer);
    driver_result result = gpu->driver.host_register(piece_address(pinned, i), bytes, 0);
    if (gpu_check(gpu, result, &error, "cuMemHostRegister(%zu bytes)", bytes) != 0) {
      unregister_all(pinned);
      snprintf(pinned->refused, sizeof pinned->refused, "%.150s", error.message);
      return;
    }
    pinned->n_registered++;
  }
  pinned->registered = true;
}

int pinned_open(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                size_t stride_bytes, const struct placement *placement, struct error *error) {
  *pinned = (struct pinned){.gpu = gpu, .n_buffers = n_buffers};
  pinned->buffer_bytes = memory_round_up(bytes, PAGE_BYTES);
  pinned->piece_bytes = pinned_piece_bytes(stride_bytes);
  const size_t total = pinned->buffer_bytes * (size_t)n_buffers;
  const size_t available = memory_available_bytes();
  if (available > 0 && (double)total > SHARE_MAX * (double)available)
    return error_set(error, -ENOMEM,
                     "%d buffers of %.2f GiB for pages on their way to the GPU need %.1f GiB of "
                     "host memory, %.1f GiB can be had: use fewer --tokens, --window or "
                     "--write-window",
                     n_buffers, (double)pinned->buffer_bytes / 0x1p30, (double)total / 0x1p30,
                     SHARE_MAX * (double)available / 0x1p30);
  int failed = memory_map(&pinned->memory, total, placement, 1, error);
  if (!failed) register_all(pinned);
  return failed;
}

/* Zero-filled too: padding of pages is written to storage. */
int pinned_open_device(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                       size_t stride_bytes, driver_stream stream, struct error *error) {
  const size_t total = pinned_device_bytes(bytes, n_buffers);
  *pinned = (struct pinned){.gpu = gpu, .n_buffers = n_buffers, .on_device = true};
  pinned->buffer_bytes = memory_round_up(bytes, PINNED_DEVICE_ALIGNMENT);
  pinned->piece_bytes = pinned_piece_bytes(stride_bytes);
  int failed = gpu_check(gpu, gpu->driver.memory_alloc(&pinned->taken, total), error,
                         "cuMemAlloc(%zu bytes) for storage to reach", total);
  if (failed) return failed;
  pinned->device = memory_round_up(pinned->taken, PINNED_DEVICE_ALIGNMENT);
  pinned->registered = true;
  return gpu_check(gpu, gpu->driver.fill(pinned->taken, 0, total, stream), error,
                   "cuMemsetD8Async(%zu bytes) for storage to reach", total);
}

void pinned_close(struct pinned *pinned) {
  if (pinned->taken) (void)pinned->gpu->driver.memory_free(pinned->taken);
  pinned->taken = 0;
  if (pinned->memory.address) unregister_all(pinned);
  memory_unmap(&pinned->memory);
}

void *pinned_at(const struct pinned *pinned, int buffer) {
  char *first = pinned->on_device ? (char *)(uintptr_t)pinned->device : pinned->memory.address;
  return first + (size_t)buffer * pinned->buffer_bytes;
}
