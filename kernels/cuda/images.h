/*
 * The kernels as the driver takes them: every module in every form that this
 * build made.
 */
#ifndef REFILL_KERNELS_CUDA_IMAGES_H
#define REFILL_KERNELS_CUDA_IMAGES_H

#include <stddef.h>

#include "kernels/cuda/kernels.h"

enum {
#define IMAGES_MODULE(module) MODULE_##module,
  MODULE_TABLE(IMAGES_MODULE)
#undef IMAGES_MODULE
      MODULES
};

/* Forms in which a module can be loaded. */
enum image_form { IMAGE_SM_90A, IMAGE_COMPUTE_90A, IMAGE_SM_80, IMAGE_COMPUTE_80, IMAGE_FORMS };

struct image {
  const char *module;
  const void *data; /* a cubin, or PTX with a terminating zero */
  size_t bytes;     /* without the zero */
};

/* A module in one form. */
struct image image_at(int module, enum image_form form);

/* "sm_90a" or "compute_80 PTX". */
const char *image_form_name(enum image_form form);

/* The forms to try, best first, on a device of this compute capability; returns how many. */
int image_forms_for(int major, int minor, enum image_form forms[IMAGE_FORMS]);

#endif
