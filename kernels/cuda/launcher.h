/*
 * Loads the kernels, in the best form that this GPU and driver take, and
 * launches them with every limit checked beforehand.
 */
#ifndef REFILL_KERNELS_CUDA_LAUNCHER_H
#define REFILL_KERNELS_CUDA_LAUNCHER_H

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/images.h"

enum kernel {
#define KERNEL_ID(name, module, arguments, threads, shared) KERNEL_##name,
  KERNEL_TABLE(KERNEL_ID)
#undef KERNEL_ID
      KERNELS
};

struct launcher {
  struct gpu *gpu;
  driver_module modules[MODULES];
  driver_function functions[KERNELS];
  enum image_form form; /* that runs */
  char refused[160];    /* why a better form does not; empty where the best runs */
};

/* Loads all modules in one form and resolves every kernel; a form that fails for any reason but
 * memory is followed by the next one. Returns 0, -ENOMEM, or -ENOTSUP with the driver's words. */
int launcher_open(struct launcher *launcher, struct gpu *gpu, struct error *error);
void launcher_close(struct launcher *launcher);

/* Enqueues a kernel on `stream`; `arguments` is its struct of kernels.h. A grid of no blocks is
 * nothing to do. */
int launcher_run(const struct launcher *launcher, enum kernel kernel, int64_t grid_x,
                 int64_t grid_y, const void *arguments, driver_stream stream, struct error *error);

const char *kernel_name(enum kernel kernel);

#endif
