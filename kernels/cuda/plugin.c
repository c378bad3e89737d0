/*
 * What refill_cuda.so exports: this and nothing else.
 */
#include "kernels/cuda/plugin.h"

#include "kernels/cuda/device_cuda.h"

extern const struct plugin refill_cuda_plugin;

__attribute__((visibility("default"))) const struct plugin refill_cuda_plugin =
    PLUGIN_CONTENT(&device_cuda_plugin_ops, selftest_run, inspect);
