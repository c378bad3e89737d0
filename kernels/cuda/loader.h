/*
 * The program's side of the cuda device: loads refill_cuda.so on open() and
 * hands over to it. Nothing of CUDA is linked to the program.
 */
#ifndef REFILL_KERNELS_CUDA_LOADER_H
#define REFILL_KERNELS_CUDA_LOADER_H

#include "kernels/cuda/inspect.h"
#include "kernels/cuda/selftest.h"
#include "kernels/device.h"

extern const struct device_ops device_cuda_ops;

/* selftest_run() and inspect() of the plugin; -ENOTSUP where it cannot be loaded. Each loads the
 * plugin, and with it the driver, into this process. */
int loader_selftest(const struct selftest *test, enum cuda_step step, char *found, size_t bytes,
                    struct error *error);
int loader_inspect(const struct selftest *test, inspect_tell *tell, void *context,
                   struct error *error);

#endif
