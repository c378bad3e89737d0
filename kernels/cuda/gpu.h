/*
 * The GPU that was chosen: its limits, the primary context, and the one place
 * where the driver's answers are judged.
 *
 * The primary context is used because cuBLASLt and cuDNN use the runtime, and the runtime uses it.
 * A context is current per thread: every function that the pipeline may call from a thread of its
 * own begins with gpu_enter().
 *
 * A GPU reports a fault at some later call. So each operation is noted in a short ring, failed ones
 * too, and an error message tells, beside the call that saw the fault, what came before it.
 */
#ifndef REFILL_KERNELS_CUDA_GPU_H
#define REFILL_KERNELS_CUDA_GPU_H

#include <pthread.h>
#include <stdbool.h>

#include "kernels/cuda/driver.h"

#define GPU_NOTES 8
#define GPU_NOTE_BYTES 96

struct gpu {
  struct driver driver;
  driver_device device;
  driver_context context;
  bool retained;
  int ordinal;
  char name[96];
  char pci_bus_id[32];
  int major, minor; /* compute capability */
  int multiprocessors, shared_optin_bytes;
  int l2_bytes, clock_khz, memory_clock_khz, memory_bus_bits; /* 0: not told */
  bool one_by_one; /* REFILL_CUDA_SYNC is set: see gpu_settle() */

  pthread_mutex_t lock; /* of what follows */
  bool has_lock;
  char notes[GPU_NOTES][GPU_NOTE_BYTES];
  unsigned n_notes; /* ever; the newest is (n_notes - 1) % GPU_NOTES */
};

/* Opens GPU `index` ("0", "1"; NULL or empty: 0) as the driver numbers them. `driver_file` as in
 * driver_open(). Returns 0 or -ENOTSUP / -EINVAL with what to do. gpu_close() frees in every case.
 */
int gpu_open(struct gpu *gpu, const char *index, const char *driver_file, struct error *error);
void gpu_close(struct gpu *gpu);

/* Makes the context current on the calling thread. */
int gpu_enter(struct gpu *gpu, struct error *error);

/* Judges the result of one driver call, described as "cuMemAlloc(2 bytes) for weights": notes it,
 * and returns 0, -EAGAIN for not ready, -ENOMEM, or -EIO with a message that holds the call, the
 * error's name and, for faults, what came before. */
int gpu_check(struct gpu *gpu, driver_result result, struct error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Whether a fault has ended the context. CUDA then returns that fault from every call until the
 * process ends: no lesser form of anything would work better, and trying one only hides the cause.
 * Waits for all work. */
bool gpu_is_broken(struct gpu *gpu);

/* Notes an operation that another library enqueues. */
void gpu_note(struct gpu *gpu, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After work was enqueued: waits for it where REFILL_CUDA_SYNC=1 asks for that, so that a fault is
 * told by the call that caused it and not by a later one. For finding a fault, never for
 * measuring. */
int gpu_settle(struct gpu *gpu, driver_stream stream, struct error *error);

/* Free and total device memory, bytes. */
int gpu_memory(struct gpu *gpu, size_t *free_bytes, size_t *total_bytes, struct error *error);

#endif
