/*
 * The plugin's own tests, for a machine where it has never run: one step a process.
 */
#ifndef REFILL_KERNELS_CUDA_SELFTEST_H
#define REFILL_KERNELS_CUDA_SELFTEST_H

#include "kernels/cuda/steps.h"
#include "kernels/device.h"

struct selftest {
  const char *index;               /* of the GPU, as in device_config.argument */
  const char *directory;           /* of libraries, or NULL */
  enum device_attention attention; /* of the layer's steps */
};

/* Runs one step and writes what was found ("largest difference 0.003, 0.02 is allowed") to
 * found[bytes]. Returns 0, -ENOTSUP where this GPU or box cannot, -EBADMSG for a wrong number, or
 * the failing call's error. */
int selftest_run(const struct selftest *test, enum cuda_step step, char *found, size_t bytes,
                 struct error *error);

#endif
