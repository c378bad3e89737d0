/*
 * Operations as plain loops over 32 lanes, which the compiler vectorises: `x`, `y`, `z` are a
 * lane's inputs.
 */
#ifndef REFILL_TESTS_VGPU_PTX_LANES_H
#define REFILL_TESTS_VGPU_PTX_LANES_H

#include "tests/vgpu/ptx/program.h"

#define LANES_1(name, OUT, IN, expression)                                                         \
  static void name(void *restrict out, const void *const *in) {                                    \
    OUT *restrict o = out;                                                                         \
    const IN *a = in[0];                                                                           \
    for (int lane = 0; lane < LANES; lane++) {                                                     \
      const IN x = a[lane];                                                                        \
      o[lane] = (OUT)(expression);                                                                 \
    }                                                                                              \
  }

#define LANES_2(name, OUT, IN, IN2, expression)                                                    \
  static void name(void *restrict out, const void *const *in) {                                    \
    OUT *restrict o = out;                                                                         \
    const IN *a = in[0];                                                                           \
    const IN2 *b = in[1];                                                                          \
    for (int lane = 0; lane < LANES; lane++) {                                                     \
      const IN x = a[lane];                                                                        \
      const IN2 y = b[lane];                                                                       \
      o[lane] = (OUT)(expression);                                                                 \
    }                                                                                              \
  }

#define LANES_3(name, OUT, IN, IN3, expression)                                                    \
  static void name(void *restrict out, const void *const *in) {                                    \
    OUT *restrict o = out;                                                                         \
    const IN *a = in[0];                                                                           \
    const IN *b = in[1];                                                                           \
    const IN3 *c = in[2];                                                                          \
    for (int lane = 0; lane < LANES; lane++) {                                                     \
      const IN x = a[lane];                                                                        \
      const IN y = b[lane];                                                                        \
      const IN3 z = c[lane];                                                                       \
      o[lane] = (OUT)(expression);                                                                 \
    }                                                                                              \
  }

#endif
