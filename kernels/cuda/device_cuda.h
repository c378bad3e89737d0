/*
 * The cuda device as the plugin offers it.
 */
#ifndef REFILL_KERNELS_CUDA_DEVICE_CUDA_H
#define REFILL_KERNELS_CUDA_DEVICE_CUDA_H

#include "kernels/device.h"

extern const struct device_ops device_cuda_plugin_ops;

#endif
