/*
 * Host memory that storage reads into and the GPU copies from: huge pages,
 * registered with CUDA in pieces, so that copies run beside everything else at the link's
 * speed. Where registering fails the memory is used as it is, and `refused` says why.
 *
 * One buffer a layer. A copy may not cross two registrations, so each buffer is registered on its
 * own, in pieces of at most 1 GiB (larger ones take seconds and fail more easily) that hold whole
 * pages.
 */
#ifndef REFILL_KERNELS_CUDA_PINNED_H
#define REFILL_KERNELS_CUDA_PINNED_H

#include "base/memory.h"
#include "kernels/cuda/gpu.h"

#define PINNED_PIECE_BYTES (UINT64_C(1) << 30)

struct pinned {
  struct gpu *gpu;
  struct memory memory;
  size_t buffer_bytes; /* distance between buffers */
  size_t piece_bytes; /* a copy never crosses a multiple of this, counted from its buffer's start */
  int n_buffers;
  size_t n_registered; /* pieces, in order of address */
  bool registered;
  char refused[160];
};

/* Maps n_buffers of at least `bytes` each, in pages of stride_bytes, zero-filled. Returns 0 or
 * -ENOMEM with what to make smaller. pinned_close() frees in every case. */
int pinned_open(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                size_t stride_bytes, const struct placement *placement, struct error *error);
void pinned_close(struct pinned *pinned);

void *pinned_at(const struct pinned *pinned, int buffer);

/* The size of pieces for pages of stride_bytes: whole pages, and whole 4 KiB, up to 1 GiB; one page
 * where that alone is larger. */
size_t pinned_piece_bytes(size_t stride_bytes);

#endif
