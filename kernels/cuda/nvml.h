/*
 * The GPU's clocks, power, what holds them down, and its PCIe link, by NVIDIA's management
 * library: loaded at run time, found by PCI address (its numbering is not the driver's). Only
 * read, never set. Optional: without it nothing is known, and nothing fails. Each reading stands
 * alone: on a MIG slice, a vGPU, in a locked-down container or by a library of another version some
 * are refused or missing, and the others are told.
 */
#ifndef REFILL_KERNELS_CUDA_NVML_H
#define REFILL_KERNELS_CUDA_NVML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/device_link.h"
#include "kernels/cuda/libraries.h"

typedef int nvml_result;
typedef struct nvmlDevice_st *nvml_device;

/* Reasons why clocks are below what was asked for (nvmlClocksEventReasons). */
enum {
  NVML_REASON_POWER_CAP = 0x4,
  NVML_REASON_HARDWARE = 0x8,
  NVML_REASON_SOFTWARE_THERMAL = 0x20,
  NVML_REASON_HARDWARE_THERMAL = 0x40,
  NVML_REASON_POWER_BRAKE = 0x80
};

#define NVML_TABLE(X)                                                                              \
  X(init, nvmlInit_v2, (void))                                                                     \
  X(shutdown, nvmlShutdown, (void))                                                                \
  X(by_pci_bus_id, nvmlDeviceGetHandleByPciBusId_v2, (const char *id, nvml_device *device))        \
  X(clock, nvmlDeviceGetClockInfo, (nvml_device device, unsigned type, unsigned *mhz))             \
  X(power, nvmlDeviceGetPowerUsage, (nvml_device device, unsigned *milliwatts))                    \
  X(temperature, nvmlDeviceGetTemperature, (nvml_device device, unsigned sensor, unsigned *c))     \
  X(reasons, nvmlDeviceGetCurrentClocksThrottleReasons, (nvml_device device, uint64_t * reasons))  \
  X(link_generation, nvmlDeviceGetCurrPcieLinkGeneration,                                          \
    (nvml_device device, unsigned *generation))                                                    \
  X(link_generation_max, nvmlDeviceGetMaxPcieLinkGeneration,                                       \
    (nvml_device device, unsigned *generation))                                                    \
  X(link_width, nvmlDeviceGetCurrPcieLinkWidth, (nvml_device device, unsigned *lanes))             \
  X(link_width_max, nvmlDeviceGetMaxPcieLinkWidth, (nvml_device device, unsigned *lanes))

struct nvml {
  struct library library;
  nvml_device device; /* NULL: nothing can be read */
  char pci_bus_id[32];
#define NVML_MEMBER(member, symbol, parameters) nvml_result(*member) parameters; /* or NULL */
  NVML_TABLE(NVML_MEMBER)
#undef NVML_MEMBER
};

/* NaN, and reasons_known false, for what is not told. */
struct nvml_state {
  double sm_hz, memory_hz, power_w, temperature_c;
  bool reasons_known;
  uint64_t reasons; /* NVML_REASON_*; idle and application limits are not among them */
};

/* Loads the library and finds the device; -ENOTSUP where that is not possible, and then too the
 * readings may be asked for. */
int nvml_open(struct nvml *nvml, const char *pci_bus_id, struct error *error);
void nvml_close(struct nvml *nvml);

/* What it reads at this moment (some 10 us), which is nothing where it could not be opened. */
void nvml_read(const struct nvml *nvml, struct nvml_state *state);

/* The PCIe link as it is now, which an idle GPU slows down, and at most in this slot. What NVML
 * does not tell comes from sysfs below `root`, also where NVML could not be opened. */
void nvml_read_link(const struct nvml *nvml, const char *root, struct device_link *link);

/* "power cap", "heat", ... or "" where nothing holds the clocks down. */
const char *nvml_reason_name(uint64_t reasons);

#endif
