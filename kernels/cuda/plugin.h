/*
 * The seam between the program and refill_cuda.so: one exported object, with
 * what is needed to refuse a plugin of another build.
 */
#ifndef REFILL_KERNELS_CUDA_PLUGIN_H
#define REFILL_KERNELS_CUDA_PLUGIN_H

#include <stdint.h>

#include "kernels/cuda/inspect.h"
#include "kernels/cuda/selftest.h"
#include "kernels/device.h"

#define PLUGIN_SYMBOL "refill_cuda_plugin"
#define PLUGIN_FILE "refill_cuda.so"
#define PLUGIN_MAGIC UINT32_C(0x52464356) /* "RFCV" */

struct plugin {
  uint32_t magic;
  uint32_t config_bytes, device_bytes, ops_bytes; /* sizes of the structs that both sides use */
  const struct device_ops *ops;
  int (*selftest)(const struct selftest *test, enum cuda_step step, char *found, size_t bytes,
                  struct error *error);
  void (*inspect)(const struct selftest *test, inspect_tell *tell, void *context);
};

/* What this build of the headers would put there. */
#define PLUGIN_CONTENT(operations, self_test, inspection)                                          \
  {                                                                                                \
    PLUGIN_MAGIC, sizeof(struct device_config), sizeof(struct device), sizeof(struct device_ops),  \
        (operations), (self_test), (inspection)                                                    \
  }

#endif
