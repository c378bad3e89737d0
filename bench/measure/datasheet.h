/*
 * What NVIDIA's datasheets promise of a GPU, for the share of it that is reached (MFU). Dense
 * figures: those for sparse matrices are twice as high and of no use here.
 */
#ifndef REFILL_BENCH_MEASURE_DATASHEET_H
#define REFILL_BENCH_MEASURE_DATASHEET_H

#include "kernels/element.h"

struct datasheet {
  const char *device; /* as the driver names it */
  int multiprocessors;
  double bf16_flops_per_s, fp8_flops_per_s; /* dense; 0: it has none */
  double memory_bytes_per_s;
};

/* The datasheet of a GPU so named with so many multiprocessors, NULL where none is kept here. A MIG
 * slice has another name, and a share of the multiprocessors: it has no datasheet of its own. */
const struct datasheet *datasheet_find(const char *device, int multiprocessors);

double datasheet_flops_per_s(const struct datasheet *datasheet, enum element element);

#endif
