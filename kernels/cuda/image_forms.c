/*
 * Which form of the kernels a device should get.
 */
#include "kernels/cuda/images.h"

const char *image_form_name(enum image_form form) {
  switch (form) {
  case IMAGE_SM_90A:
    return "sm_90a";
  case IMAGE_COMPUTE_90A:
    return "compute_90a PTX";
  case IMAGE_SM_80:
    return "sm_80";
  default:
    return "compute_80 PTX";
  }
}

/* A cubin runs on its own major version only, one of an "a" target on exactly that device; PTX of
 * compute_80 is compiled by the driver for anything newer. */
int image_forms_for(int major, int minor, enum image_form forms[IMAGE_FORMS]) {
  int n = 0;
  if (major == 9 && minor == 0) {
    forms[n++] = IMAGE_SM_90A;
    forms[n++] = IMAGE_COMPUTE_90A;
  }
  if (major == 8) forms[n++] = IMAGE_SM_80;
  if (major >= 8) forms[n++] = IMAGE_COMPUTE_80;
  return n;
}
