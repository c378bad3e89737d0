/*
 * Memory of the GPU for probes, several times what the L2 cache holds: copying it is at HBM's rate,
 * and overwriting it leaves none of a part's operands in the cache.
 *
 * The KV cache would do for long prompts only: 128 tokens of Llama-3-8B are 16 MiB, all of which
 * the L2 cache of an H100 (50 MB) serves. What is here is made when a probe begins, of the reserve
 * that memory_plan.c leaves, and given back at its end; a run needs none of it.
 */
#ifndef REFILL_KERNELS_CUDA_SCRATCH_H
#define REFILL_KERNELS_CUDA_SCRATCH_H

#include "kernels/cuda/cuda_device.h"

struct scratch {
  struct cuda *cuda;
  driver_pointer source, target; /* (bytes) each; source 0: it was not wanted */
  size_t bytes;
};

/* Makes it; `to_copy`: with a source, filled with weights (copies of zeros would cost less power
 * than others, and clocks would rise). Returns 0 or the driver's refusal, -ENOMEM above all, with
 * nothing left allocated. */
int scratch_open(struct scratch *scratch, struct cuda *cuda, bool to_copy, struct error *error);
void scratch_close(struct scratch *scratch);

/* Enqueues a copy of source to target: 2 * bytes of memory traffic, each time all of it. */
int scratch_copy(const struct scratch *scratch, driver_stream stream, struct error *error);

/* Enqueues overwriting target. */
int scratch_flush_l2(const struct scratch *scratch, driver_stream stream, struct error *error);

#endif
