/*
 * The `playback` device: a profile's pace under real storage I/O. See device_playback.c.
 */
#ifndef REFILL_KERNELS_PLAYBACK_DEVICE_PLAYBACK_H
#define REFILL_KERNELS_PLAYBACK_DEVICE_PLAYBACK_H

#include <stddef.h>

#include "kernels/device.h"

extern const struct device_ops device_playback_ops;

/* open() with the memory that the KV cache may take given instead of asked of the kernel, so that
 * tests can force a cache that does not hold all layers. */
int device_playback_open_within(struct device **device, const struct device_config *config,
                                size_t available_bytes, struct error *error);

#endif
