/*
 * The `cpu` device: real layers on the host's cores. GEMMs by oneDNN, attention
 * on AMX tiles or AVX-512 where the CPU has them, KV in pages in place.
 */
#ifndef REFILL_KERNELS_CPU_DEVICE_CPU_H
#define REFILL_KERNELS_CPU_DEVICE_CPU_H

#include "kernels/cpu/isa.h"
#include "kernels/device.h"

extern const struct device_ops device_cpu_ops;

/* device_cpu_ops.open() with the vector instructions of `isa` at most, for this device's own
 * kernels (oneDNN chooses for itself). For tests of each path. */
int device_cpu_open_isa(struct device **device, const struct device_config *config, enum isa isa,
                        struct error *error);

#endif
