/*
 * What NVIDIA's datasheets promise of a GPU, for the share of it that is reached (MFU). Dense
 * figures: those for sparse matrices are twice as high and of no use here. And what its link to the
 * host carries.
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

/* What a PCIe link of so many lanes, each of so many GT/s, carries one way: its bits less their
 * encoding (8b/10b up to 5 GT/s, 128b/130b up to 32, 242 of a flit's 256 bytes at 64; PCI Express
 * Base Specification 6.0). The headers of packets come off that. 0 where the link is not known. */
double datasheet_link_bytes_per_s(double gt_per_s, int width);

#endif
