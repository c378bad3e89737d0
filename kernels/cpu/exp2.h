/*
 * Powers of two that vectorise: what softmax and SwiGLU are made of, compiled with each caller for
 * its own target. A header, since a call would cost more than the arithmetic.
 */
#ifndef REFILL_KERNELS_CPU_EXP2_H
#define REFILL_KERNELS_CPU_EXP2_H

#include <stdint.h>
#include <string.h>

/* 2^z = 2^n * 2^f with f in [-0.5, 0.5] by polynomial (the series of 2^f to degree 5); relative
 * error below 3e-6 on [-126, 127]. Exactly 0 for z from -127.49 to -126.5; not defined beyond. */
static inline __attribute__((always_inline)) float exp2_polynomial(float z) {
  const float magic = 12582912.0F; /* 1.5 * 2^23: adding it rounds to a whole number */
  const float n = (z + magic) - magic;
  const float f = z - n;
  float p = 1.3333558e-3F;
  p = p * f + 9.6181291e-3F;
  p = p * f + 5.5504109e-2F;
  p = p * f + 2.4022651e-1F;
  p = p * f + 6.9314718e-1F;
  p = p * f + 1.0F;
  const int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

#endif
