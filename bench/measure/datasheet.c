/*
 * The table of datasheets.
 */
#include "bench/measure/datasheet.h"

#include <stddef.h>
#include <string.h>

/* NVIDIA's datasheets of H100 (2023), H100 NVL, H200 (2024), GH200, A100 (2021), L40S, L4. */
static const struct datasheet datasheets[] = {
    {"NVIDIA H100 80GB HBM3", 132, 989e12, 1979e12, 3.35e12},
    {"NVIDIA H100 PCIe", 114, 756e12, 1513e12, 2.0e12},
    {"NVIDIA H100 NVL", 132, 835e12, 1671e12, 3.9e12},
    {"NVIDIA H200", 132, 989e12, 1979e12, 4.8e12},
    {"NVIDIA H200 NVL", 132, 836e12, 1671e12, 4.8e12},
    {"NVIDIA GH200 480GB", 132, 990e12, 1979e12, 4.0e12},
    {"NVIDIA A100-SXM4-80GB", 108, 312e12, 0, 2.039e12},
    {"NVIDIA A100-SXM4-40GB", 108, 312e12, 0, 1.555e12},
    {"NVIDIA A100 80GB PCIe", 108, 312e12, 0, 1.935e12},
    {"NVIDIA L40S", 142, 362e12, 733e12, 0.864e12},
    {"NVIDIA L4", 58, 121e12, 242e12, 0.3e12},
};

const struct datasheet *datasheet_find(const char *device, int multiprocessors) {
  for (size_t i = 0; i < sizeof datasheets / sizeof datasheets[0]; i++)
    if (strcmp(datasheets[i].device, device) == 0 &&
        datasheets[i].multiprocessors == multiprocessors)
      return &datasheets[i];
  return NULL;
}

double datasheet_flops_per_s(const struct datasheet *datasheet, enum element element) {
  return element == ELEMENT_FP8_E4M3 ? datasheet->fp8_flops_per_s : datasheet->bf16_flops_per_s;
}

double datasheet_link_bytes_per_s(double gt_per_s, int width) {
  const double share = gt_per_s <= 5 ? 8.0 / 10 : gt_per_s <= 32 ? 128.0 / 130 : 242.0 / 256;
  return gt_per_s > 0 && width > 0 ? gt_per_s * 1e9 / 8 * share * width : 0;
}
