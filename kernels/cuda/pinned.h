/*
 * Host memory that storage reads into and the GPU copies from: huge pages,
 * registered with CUDA in pieces, so that copies run beside everything else at the link's
 * speed. Where registering all buffers fails, half as many are tried, down to one: a shorter ring
 * that copies at the link's speed is worth more than a longer one that does not. Where not even one
 * can be registered the memory is used as it is. `refused` says why.
 *
 * Mapped and registered in two steps: between them storage registers the same memory with io_uring,
 * since kernels have refused that for memory which a driver had mapped before.
 *
 * For GPUDirect Storage the same buffers are memory of the GPU itself: pages then move within it.
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
#define PINNED_DEVICE_ALIGNMENT ((size_t)64 << 10) /* of what a GPU shows to other devices */

struct pinned {
  struct gpu *gpu;
  struct memory memory;  /* of the host; or, where on_device: */
  bool on_device;        /* the buffers are on the GPU */
  driver_pointer device; /* the first of them */
  driver_pointer taken;  /* what was allocated for them */
  size_t buffer_bytes;   /* distance between buffers */
  size_t piece_bytes; /* a copy never crosses a multiple of this, counted from its buffer's start */
  int n_mapped;       /* buffers that there are */
  int n_buffers;      /* of them in use: layers share them by turns */
  size_t n_registered; /* pieces, in order of address */
  bool registered;     /* with CUDA; or on_device */
  bool given_up;       /* not one can be: they are used as they are, and it is not tried again */
  double registered_s; /* that registering took, or failing to */
  char refused[160];   /* why not all of them could be; "" they could */
};

/* Maps n_buffers of at least `bytes` each, in pages of stride_bytes, zero-filled: usable memory,
 * not pinned yet. Returns 0 or -ENOMEM with what to make smaller. pinned_close() frees in every
 * case. */
int pinned_open(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                size_t stride_bytes, const struct placement *placement, struct error *error);

/* The same on the GPU, which can then be registered with storage. -ENOMEM with the call's name. */
int pinned_open_device(struct pinned *pinned, struct gpu *gpu, size_t bytes, int n_buffers,
                       size_t stride_bytes, driver_stream stream, struct error *error);

/* Bytes that this takes there. */
static inline size_t pinned_device_bytes(size_t bytes, int n_buffers) {
  return (size_t)n_buffers * memory_round_up(bytes, PINNED_DEVICE_ALIGNMENT) +
         PINNED_DEVICE_ALIGNMENT;
}

/* Registers the buffers in use with CUDA, and asks CUDA of both ends of each piece whether it takes
 * them for pinned memory of the host. Where that is refused, half as many are in use from here on
 * and are registered, or a half of those; where none can be, all stay in use as they are.
 * Does nothing to what is registered, given up, or on_device. Takes seconds where there are many
 * GB. */
void pinned_register(struct pinned *pinned);

/* Gives it back, in reverse; nothing may be copied from or to it at this moment. */
void pinned_unregister(struct pinned *pinned);

void pinned_close(struct pinned *pinned);

/* Bytes of the buffers in use. */
static inline size_t pinned_bytes(const struct pinned *pinned) {
  return pinned->buffer_bytes * (size_t)pinned->n_buffers;
}

/* A buffer's address; one of the GPU's where on_device. */
void *pinned_at(const struct pinned *pinned, int buffer);

/* The size of pieces for pages of stride_bytes: whole pages, and whole 4 KiB, up to 1 GiB; one page
 * where that alone is larger. */
size_t pinned_piece_bytes(size_t stride_bytes);

#endif
