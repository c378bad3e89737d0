/*
 * What doctor says of a GPU: each thing that open() would need, looked at apart, so that one run
 * tells all that is missing.
 */
#ifndef REFILL_KERNELS_CUDA_INSPECT_H
#define REFILL_KERNELS_CUDA_INSPECT_H

#include "kernels/cuda/selftest.h"

enum inspect_verdict { INSPECT_GOOD, INSPECT_WARN, INSPECT_BAD };

/* One finding; `advice` is "" where nothing is to be done. */
typedef void inspect_tell(void *context, const char *name, enum inspect_verdict verdict,
                          const char *found, const char *advice);

/* Tells of the driver, the GPU, its memory and link, whether host memory can be pinned, the kernels
 * and every library. */
void inspect(const struct selftest *test, inspect_tell *tell, void *context);

#endif
