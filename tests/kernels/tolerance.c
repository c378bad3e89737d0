/*
 * Comparison of kernels with the reference; see tolerance.h.
 */
#include "tests/kernels/tolerance.h"

#include <math.h>
#include <stdio.h>

#include "base/prng.h"

#define SHOWN 4

static int64_t count_one(const char *name, int64_t i, float got, float want,
                         struct tolerance tolerance, int64_t wrong) {
  if (fabsf(got - want) <= tolerance.absolute + fabsf(want) * tolerance.relative) return wrong;
  if (wrong < SHOWN)
    (void)fprintf(stderr, "%s: element %lld is %g, the reference %g\n", name, (long long)i,
                  (double)got, (double)want);
  return wrong + 1;
}

int64_t tolerance_count_wrong(const char *name, int64_t n, const bf16 *got, const float *want,
                              struct tolerance tolerance) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; i++)
    wrong = count_one(name, i, bf16_to_float(got[i]), want[i], tolerance, wrong);
  return wrong;
}

int64_t tolerance_count_wrong_float(const char *name, int64_t n, const float *got,
                                    const float *want, struct tolerance tolerance) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; i++) wrong = count_one(name, i, got[i], want[i], tolerance, wrong);
  return wrong;
}

void tolerance_fill(int64_t n, uint64_t stream, bf16 *values, float *as_float) {
  for (int64_t i = 0; i < n; i++) {
    values[i] = bf16_from_float(prng_symmetric(stream, (uint64_t)i));
    if (as_float) as_float[i] = bf16_to_float(values[i]);
  }
}
