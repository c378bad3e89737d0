/*
 * Reading the GPU's state.
 */
#include "kernels/cuda/nvml.h"

#include <errno.h>

#define NVML_SUCCESS 0
#define CLOCK_SM 1
#define CLOCK_MEMORY 2
#define SENSOR_GPU 0

int nvml_open(struct nvml *nvml, const char *pci_bus_id, struct error *error) {
  *nvml = (struct nvml){0};
  int failed = library_open(&nvml->library, "libnvidia-ml.so.1", NULL, error);
  if (failed) return failed;
  const struct library_symbol symbols[] = {
#define NVML_SYMBOL(member, symbol, parameters) {#symbol, &nvml->member},
      NVML_TABLE(NVML_SYMBOL)
#undef NVML_SYMBOL
  };
  failed = library_resolve(&nvml->library, symbols, sizeof symbols / sizeof symbols[0], error);
  if (failed) return failed;
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

int nvml_read(const struct nvml *nvml, struct nvml_state *state, struct error *error) {
  unsigned milliwatts = 0;
  uint64_t reasons = 0;
  *state = (struct nvml_state){0};
  if (!nvml->device) return error_set(error, -ENOTSUP, "NVML is not there");
  nvml_result result = nvml->clock(nvml->device, CLOCK_SM, &state->sm_mhz);
  if (result == NVML_SUCCESS) result = nvml->clock(nvml->device, CLOCK_MEMORY, &state->memory_mhz);
  if (result == NVML_SUCCESS) result = nvml->power(nvml->device, &milliwatts);
  if (result == NVML_SUCCESS)
    result = nvml->temperature(nvml->device, SENSOR_GPU, &state->temperature_c);
  if (result == NVML_SUCCESS) result = nvml->reasons(nvml->device, &reasons);
  if (result != NVML_SUCCESS) return error_set(error, -ENOTSUP, "NVML returned %d", result);
  state->power_w = milliwatts * 1e-3;
  state->reasons = reasons &
                   (NVML_REASON_POWER_CAP | NVML_REASON_HARDWARE | NVML_REASON_SOFTWARE_THERMAL |
                    NVML_REASON_HARDWARE_THERMAL | NVML_REASON_POWER_BRAKE);
  return 0;
}

/* Transfers per second of one lane by generation, PCI Express Base Specification 6.0. */
static double lane_gt_per_s(unsigned generation) {
  static const double rates[] = {0, 2.5, 5, 8, 16, 32, 64};
  return generation < sizeof rates / sizeof rates[0] ? rates[generation] : 0;
}

int nvml_read_link(const struct nvml *nvml, struct nvml_link *link, struct error *error) {
  unsigned generation = 0, generation_max = 0;
  *link = (struct nvml_link){0};
  if (!nvml->device) return error_set(error, -ENOTSUP, "NVML is not there");
  nvml_result result = nvml->link_generation(nvml->device, &generation);
  if (result == NVML_SUCCESS) result = nvml->link_generation_max(nvml->device, &generation_max);
  if (result == NVML_SUCCESS) result = nvml->link_width(nvml->device, &link->width);
  if (result == NVML_SUCCESS) result = nvml->link_width_max(nvml->device, &link->max_width);
  if (result != NVML_SUCCESS) {
    *link = (struct nvml_link){0};
    return error_set(error, -ENOTSUP, "NVML tells nothing of the PCIe link (%d)", result);
  }
  link->gt_per_s = lane_gt_per_s(generation);
  link->max_gt_per_s = lane_gt_per_s(generation_max);
  return 0;
}

const char *nvml_reason_name(uint64_t reasons) {
  if (reasons & (NVML_REASON_SOFTWARE_THERMAL | NVML_REASON_HARDWARE_THERMAL)) return "heat";
  if (reasons & NVML_REASON_POWER_BRAKE) return "power brake";
  if (reasons & NVML_REASON_POWER_CAP) return "power cap";
  if (reasons & NVML_REASON_HARDWARE) return "hardware slowdown";
  return "";
}
