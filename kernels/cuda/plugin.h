/*
 * The seam between the program and refill_cuda.so: one exported object, with
 * what is needed to refuse a plugin of another build.
 */
#ifndef REFILL_KERNELS_CUDA_PLUGIN_H
#define REFILL_KERNELS_CUDA_PLUGIN_H

#include <stdint.h>

#include "kernels/device.h"

#define PLUGIN_SYMBOL "refill_cuda_plugin"
#define PLUGIN_FILE "refill_cuda.so"
#define PLUGIN_MAGIC UINT32_C(0x52464355) /* "RFCU" */

struct plugin {
  uint32_t magic;
  uint32_t config_bytes, device_bytes, ops_bytes; /* sizes of the structs that both sides use */
  const struct device_ops *ops;
};

/* What this build of the headers would put there. */
#define PLUGIN_CONTENT(operations)                                                                 \
  {                                                                                                \
    PLUGIN_MAGIC, sizeof(struct device_config), sizeof(struct device), sizeof(struct device_ops),  \
        (operations)                                                                               \
  }

#endif
