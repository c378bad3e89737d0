/*
 * Named ranges for Nsight, so that its timeline shows what --trace shows. NVTX is header only: it
 * does nothing unless a tool is attached, and where its headers are missing at build there are no
 * ranges.
 */
#ifndef REFILL_KERNELS_CUDA_RANGES_H
#define REFILL_KERNELS_CUDA_RANGES_H

#if defined(__has_include)
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#define RANGES 1
#endif
#endif

/* "layer 12"; ends with range_end() on the same thread. */
static inline void range_begin(const char *what, int index) {
#ifdef RANGES
  char text[32];
  snprintf(text, sizeof text, "%s %d", what, index);
  (void)nvtxRangePushA(text);
#else
  (void)what;
  (void)index;
#endif
}

static inline void range_end(void) {
#ifdef RANGES
  (void)nvtxRangePop();
#endif
}

#endif
