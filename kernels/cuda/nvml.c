/*
 * Reading the GPU's state.
 */
#include "kernels/cuda/nvml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define NVML_SUCCESS 0
#define CLOCK_SM 1
#define CLOCK_MEMORY 2
#define SENSOR_GPU 0

int nvml_open(struct nvml *nvml, const char *pci_bus_id, struct error *error) {
  *nvml = (struct nvml){0};
  snprintf(nvml->pci_bus_id, sizeof nvml->pci_bus_id, "%s", pci_bus_id);
  int failed = library_open(&nvml->library, "libnvidia-ml.so.1", NULL, error);
  if (failed) return failed;
#define NVML_SYMBOL(member, symbol, parameters)                                                    \
  library_find(&nvml->library, (struct library_symbol){#symbol, &nvml->member});
  NVML_TABLE(NVML_SYMBOL)
#undef NVML_SYMBOL
  if (!nvml->init || !nvml->shutdown || !nvml->by_pci_bus_id)
    return error_set(error, -ENOTSUP, "%s is not NVML as Refill knows it", nvml->library.path);
  nvml_result result = nvml->init();
  if (result != NVML_SUCCESS) return error_set(error, -ENOTSUP, "nvmlInit_v2 returned %d", result);
  result = nvml->by_pci_bus_id(pci_bus_id, &nvml->device);
  if (result == NVML_SUCCESS) return 0;
  nvml->device = NULL;
  (void)nvml->shutdown();
  return error_set(error, -ENOTSUP, "nvmlDeviceGetHandleByPciBusId_v2(%s) returned %d", pci_bus_id,
                   result);
}

void nvml_close(struct nvml *nvml) {
  if (nvml->device) (void)nvml->shutdown();
  nvml->device = NULL;
}

/* ---- readings, each by itself ---- */

static double clock_hz(const struct nvml *nvml, unsigned type) {
  unsigned mhz = 0;
  if (!nvml->clock || nvml->clock(nvml->device, type, &mhz) != NVML_SUCCESS) return NAN;
  return mhz * 1e6;
}

static double power_w(const struct nvml *nvml) {
  unsigned milliwatts = 0;
  if (!nvml->power || nvml->power(nvml->device, &milliwatts) != NVML_SUCCESS) return NAN;
  return milliwatts * 1e-3;
}

static double temperature_c(const struct nvml *nvml) {
  unsigned degrees = 0;
  if (!nvml->temperature) return NAN;
  if (nvml->temperature(nvml->device, SENSOR_GPU, &degrees) != NVML_SUCCESS) return NAN;
  return degrees;
}

void nvml_read(const struct nvml *nvml, struct nvml_state *state) {
  uint64_t reasons = 0;
  *state =
      (struct nvml_state){.sm_hz = NAN, .memory_hz = NAN, .power_w = NAN, .temperature_c = NAN};
  if (!nvml->device) return;
  state->sm_hz = clock_hz(nvml, CLOCK_SM);
  state->memory_hz = clock_hz(nvml, CLOCK_MEMORY);
  state->power_w = power_w(nvml);
  state->temperature_c = temperature_c(nvml);
  state->reasons_known = nvml->reasons && nvml->reasons(nvml->device, &reasons) == NVML_SUCCESS;
  if (!state->reasons_known) return;
  state->reasons = reasons &
                   (NVML_REASON_POWER_CAP | NVML_REASON_HARDWARE | NVML_REASON_SOFTWARE_THERMAL |
                    NVML_REASON_HARDWARE_THERMAL | NVML_REASON_POWER_BRAKE);
}

/* ---- the link ---- */

/* Transfers per second of one lane by generation, PCI Express Base Specification 6.0. */
static double lane_gt_per_s(unsigned generation) {
  static const double rates[] = {0, 2.5, 5, 8, 16, 32, 64};
  return generation < sizeof rates / sizeof rates[0] ? rates[generation] : 0;
}

/* 0 where it is not told. */
static unsigned read_number(const struct nvml *nvml,
                            nvml_result (*read)(nvml_device device, unsigned *number)) {
  unsigned number = 0;
  if (!nvml->device || !read || read(nvml->device, &number) != NVML_SUCCESS) return 0;
  return number;
}

void nvml_read_link(const struct nvml *nvml, const char *root, struct device_link *link) {
  *link = (struct device_link){
      .gt_per_s = lane_gt_per_s(read_number(nvml, nvml->link_generation)),
      .max_gt_per_s = lane_gt_per_s(read_number(nvml, nvml->link_generation_max)),
      .width = (int)read_number(nvml, nvml->link_width),
      .max_width = (int)read_number(nvml, nvml->link_width_max),
  };
  if (link->gt_per_s > 0 && link->max_gt_per_s > 0 && link->width > 0 && link->max_width > 0)
    return;
  struct device_link otherwise;
  device_link_read(&otherwise, root, nvml->pci_bus_id);
  if (link->gt_per_s <= 0) link->gt_per_s = otherwise.gt_per_s;
  if (link->max_gt_per_s <= 0) link->max_gt_per_s = otherwise.max_gt_per_s;
  if (link->width <= 0) link->width = otherwise.width;
  if (link->max_width <= 0) link->max_width = otherwise.max_width;
}

const char *nvml_reason_name(uint64_t reasons) {
  if (reasons & (NVML_REASON_SOFTWARE_THERMAL | NVML_REASON_HARDWARE_THERMAL)) return "heat";
  if (reasons & NVML_REASON_POWER_BRAKE) return "power brake";
  if (reasons & NVML_REASON_POWER_CAP) return "power cap";
  if (reasons & NVML_REASON_HARDWARE) return "hardware slowdown";
  return "";
}
