/*
 * Kernel images: what the driver is given, and the PTX that it stands for.
 */
#ifndef REFILL_TESTS_VGPU_IMAGE_H
#define REFILL_TESTS_VGPU_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/cuda/driver_types.h"

#define IMAGE_KERNELS_MAX 32

struct image_kernel {
  char name[96];
  int registers;
};

struct loaded_image {
  char *ptx;          /* text, ends with a zero; the caller frees */
  int binary_version; /* 90 of sm_90a */
  bool exact;         /* an "a" target: for exactly this device */
  int n_kernels;
  struct image_kernel kernels[IMAGE_KERNELS_MAX]; /* registers as ptxas gave them; may be none */
};

/* Tells cubin and PTX apart; a cubin must be byte for byte one of the manifest. Whether the
 * device and the driver take it is judged too. Returns RESULT_OK or what the driver would return;
 * `log` (may be NULL) gets a sentence. */
driver_result image_open(struct loaded_image *image, const void *data, char *log, size_t log_bytes);

#endif
