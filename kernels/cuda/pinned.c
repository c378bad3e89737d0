/*
 * Mapping and registering.
 */
#include "kernels/cuda/pinned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"

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

/* Gives pieces back, last first, until n are left. */
static void keep(struct pinned *pinned, size_t n) {
  while (pinned->n_registered > n) {
    pinned->n_registered--;
    (void)pinned->gpu->driver.host_unregister(piece_address(pinned, pinned->n_registered));
  }
}

void pinned_unregister(struct pinned *pinned) {
  if (pinned->on_device) return;
  keep(pinned, 0);
  pinned->registered = false;
  pinned->registered_s = 0;
}

/* Whether the driver takes the byte for pinned memory of the host: a copy from any other would be
 * staged and synchronous, and nothing would say so. Memory that it does not know is an error. */
static int check_kind(struct pinned *pinned, const char *at, struct error *error) {
  struct gpu *gpu = pinned->gpu;
  unsigned kind = 0;
  driver_result result = gpu->driver.pointer_get_attribute(&kind, DRIVER_POINTER_MEMORY_TYPE,
                                                           (driver_pointer)(uintptr_t)at);
  int failed = gpu_check(gpu, result, error, "cuPointerGetAttribute(registered memory)");
  if (failed || kind == DRIVER_MEMORY_HOST) return failed;
  return error_set(error, -EIO, "registered memory is of kind %u, not the pinned host's (%d)", kind,
                   DRIVER_MEMORY_HOST);
}

static int register_piece(struct pinned *pinned, size_t i, struct error *error) {
  struct gpu *gpu = pinned->gpu;
  const size_t bytes = piece_at(pinned, i % pieces_of_buffer(pinned));
  char *piece = piece_address(pinned, i);
  int failed = gpu_check(gpu, gpu->driver.host_register(piece, bytes, 0), error,
                         "cuMemHostRegister(%zu bytes)", bytes);
  if (failed) return failed;
  pinned->n_registered++;
  failed = check_kind(pinned, piece, error);
  if (!failed) failed = check_kind(pinned, piece + bytes - 1, error);
  if (failed) keep(pinned, i);
  return failed;
}

/* Of the first n buffers, and of no other. */
static int register_buffers(struct pinned *pinned, int n, struct error *error) {
  const size_t wanted = pieces_of_buffer(pinned) * (size_t)n;
  int failed = 0;
  keep(pinned, wanted);
  while (pinned->n_registered < wanted && !failed)
    failed = register_piece(pinned, pinned->n_registered, error);
  return failed;
}

/* "; ulimit -l is 8192, this takes 2097152" (KiB both) where that may be why; "" else. */
static void hint_limit(const struct pinned *pinned, char *text, size_t bytes) {
  struct rlimit limit;
  text[0] = '\0';
  const size_t wanted = pinned_bytes(pinned);
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= wanted) return;
  snprintf(text, bytes, "; ulimit -l is %llu, this takes %zu",
           (unsigned long long)limit.rlim_cur / 1024, (wanted + 1023) / 1024);
}

/* The first refusal, since that is of what was asked for. */
static void refuse(struct pinned *pinned, const struct error *why) {
  char hint[64];
  if (pinned->refused[0]) return;
  hint_limit(pinned, hint, sizeof hint);
  snprintf(pinned->refused, sizeof pinned->refused, "%.100s%s", why->message, hint);
}

void pinned_register(struct pinned *pinned) {
  const double start_s = clock_now_s();
  int n = pinned->n_buffers, failed = 0;
  if (pinned->registered || pinned->given_up) return;
  do {
    struct error error = {0};
    failed = register_buffers(pinned, n, &error);
    if (failed) refuse(pinned, &error);
  } while (failed && (n /= 2) > 0);
  if (failed) keep(pinned, 0);
  pinned->given_up = failed != 0;
  pinned->registered = !failed;
  if (!failed) pinned->n_buffers = n;
  pinned->registered_s = clock_now_s() - start_s;
}

int pinned_open(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                size_t stride_bytes, const struct placement *placement, struct error *error) {
  *pinned = (struct pinned){.gpu = gpu, .n_mapped = n_buffers, .n_buffers = n_buffers};
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
  return memory_map(&pinned->memory, total, placement, 1, error);
}

/* Zero-filled too: padding of pages is written to storage. */
int pinned_open_device(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                       size_t stride_bytes, driver_stream stream, struct error *error) {
  const size_t total = pinned_device_bytes(bytes, n_buffers);
  *pinned =
      (struct pinned){.gpu = gpu, .n_mapped = n_buffers, .n_buffers = n_buffers, .on_device = true};
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
  if (pinned->memory.address) pinned_unregister(pinned);
  memory_unmap(&pinned->memory);
}

void *pinned_at(const struct pinned *pinned, int buffer) {
  char *first = pinned->on_device ? (char *)(uintptr_t)pinned->device : pinned->memory.address;
  return first + (size_t)buffer * pinned->buffer_bytes;
}
