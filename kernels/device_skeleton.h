/*
 * The device to copy; registered nowhere. See device_skeleton.c.
 */
#ifndef REFILL_KERNELS_DEVICE_SKELETON_H
#define REFILL_KERNELS_DEVICE_SKELETON_H

#include "kernels/device.h"

extern const struct device_ops device_skeleton_ops;

#endif
