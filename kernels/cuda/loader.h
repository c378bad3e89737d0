/*
 * The program's side of the cuda device: loads refill_cuda.so on open() and
 * hands over to it. Nothing of CUDA is linked to the program.
 */
#ifndef REFILL_KERNELS_CUDA_LOADER_H
#define REFILL_KERNELS_CUDA_LOADER_H

#include "kernels/device.h"

extern const struct device_ops device_cuda_ops;

#endif
