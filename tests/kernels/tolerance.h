/*
 * How far a kernel may be from the reference, stated once:
 *
 *   |got - want| <= absolute + |want| * relative
 *
 * bf16 keeps 8 bits of mantissa, so rounding once costs 2^-9 relative; outputs
 * are rounded once, inputs of a product (softmax weights) once more, and sums of
 * rounded terms err by a fraction of their terms' size, which the absolute part covers
 * (values of these tests are of size 1).
 */
#ifndef REFILL_TESTS_KERNELS_TOLERANCE_H
#define REFILL_TESTS_KERNELS_TOLERANCE_H

#include <stdint.h>

#include "kernels/element.h"

struct tolerance {
  float absolute, relative;
};

/* One operation on exact inputs, output rounded to bf16. */
#define TOLERANCE_OPERATION ((struct tolerance){4e-3F, 8e-3F})

/* Attention: weights are rounded to bf16 before the second product. */
#define TOLERANCE_ATTENTION ((struct tolerance){8e-3F, 1e-2F})

/* Whole layers: every activation is rounded on the way. */
#define TOLERANCE_LAYERS ((struct tolerance){6e-2F, 3e-2F})

/* Number of elements of got (n) that are not within the tolerance of want (n), NaN included; says
 * what the first few are on stderr, under `name`. */
int64_t tolerance_count_wrong(const char *name, int64_t n, const bf16 *got, const float *want,
                              struct tolerance tolerance);
int64_t tolerance_count_wrong_float(const char *name, int64_t n, const float *got,
                                    const float *want, struct tolerance tolerance);

/* n values in [-1, 1) of a stream, rounded to bf16; `as_float` (may be NULL) gets the same. */
void tolerance_fill(int64_t n, uint64_t stream, bf16 *values, float *as_float);

#endif
