/*
 * A stand-in for NVML: a GPU's clocks, power, heat, what holds the clocks down and its PCIe link
 * (of generation 5 with 16 lanes), as the environment says (VGPU_NVML_*, README.md).
 *
 * What throttles a GPU cannot be had on demand, even where there is one. Here it starts at any
 * reading: before the first run, or after it, or never. Functions that a driver may refuse are
 * refused by name; built with NVML_WITHOUT_REASONS the library lacks one, as that of another
 * version does.
 */
#include "kernels/cuda/nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nvmlReturn_t */
enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6 };
enum { CLOCK_SM = 1, CLOCK_MEMORY = 2 };

#pragma GCC visibility push(default)
#define PROTOTYPE(member, symbol, parameters) nvml_result symbol parameters;
NVML_TABLE(PROTOTYPE)
#undef PROTOTYPE
#pragma GCC visibility pop

struct nvmlDevice_st {
  int started;  /* how often it was initialised, less shutdowns */
  int readings; /* of the reasons */
};

static struct nvmlDevice_st *only(void) {
  static struct nvmlDevice_st device;
  return &device;
}

static uint64_t number(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* VGPU_NVML_REFUSES names the functions that do. */
static int judge(const char *function, const struct nvmlDevice_st *device) {
  const char *refused = getenv("VGPU_NVML_REFUSES");
  if (refused && strstr(refused, function)) return NOT_SUPPORTED;
  if (only()->started == 0) return UNINITIALIZED;
  return device == only() ? OK : INVALID_ARGUMENT;
}

#define JUDGE(function, device)                                                                    \
  do {                                                                                             \
    int judged_ = judge(function, device);                                                         \
    if (judged_ != OK) return judged_;                                                             \
  } while (0)

nvml_result nvmlInit_v2(void) {
  only()->started++;
  return judge("nvmlInit_v2", only());
}

nvml_result nvmlShutdown(void) {
  if (only()->started == 0) return UNINITIALIZED;
  only()->started--;
  return OK;
}

/* Virtual GPUs lie on buses 1b and up (libcuda/device.c). */
nvml_result nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvml_device *device) {
  unsigned domain, bus;
  JUDGE("nvmlDeviceGetHandleByPciBusId_v2", only());
  if (sscanf(id, "%x:%x:", &domain, &bus) != 2) return INVALID_ARGUMENT;
  if (domain != 0 || bus < 0x1b) return NOT_FOUND;
  *device = only();
  return OK;
}

nvml_result nvmlDeviceGetClockInfo(nvml_device device, unsigned type, unsigned *mhz) {
  JUDGE("nvmlDeviceGetClockInfo", device);
  if (type != CLOCK_SM && type != CLOCK_MEMORY) return INVALID_ARGUMENT;
  *mhz = (unsigned)(type == CLOCK_SM ? number("VGPU_NVML_SM_MHZ", 1980)
                                     : number("VGPU_NVML_MEMORY_MHZ", 2619));
  return OK;
}

nvml_result nvmlDeviceGetPowerUsage(nvml_device device, unsigned *milliwatts) {
  JUDGE("nvmlDeviceGetPowerUsage", device);
  *milliwatts = (unsigned)(number("VGPU_NVML_POWER_W", 300) * 1000);
  return OK;
}

nvml_result nvmlDeviceGetTemperature(nvml_device device, unsigned sensor, unsigned *c) {
  JUDGE("nvmlDeviceGetTemperature", device);
  if (sensor != 0) return INVALID_ARGUMENT;
  *c = (unsigned)number("VGPU_NVML_TEMPERATURE_C", 45);
  return OK;
}

nvml_result nvmlDeviceGetCurrPcieLinkGeneration(nvml_device device, unsigned *generation) {
  JUDGE("nvmlDeviceGetCurrPcieLinkGeneration", device);
  *generation = (unsigned)number("VGPU_NVML_LINK_GENERATION", 5);
  return OK;
}

nvml_result nvmlDeviceGetMaxPcieLinkGeneration(nvml_device device, unsigned *generation) {
  JUDGE("nvmlDeviceGetMaxPcieLinkGeneration", device);
  *generation = 5;
  return OK;
}

nvml_result nvmlDeviceGetCurrPcieLinkWidth(nvml_device device, unsigned *lanes) {
  JUDGE("nvmlDeviceGetCurrPcieLinkWidth", device);
  *lanes = (unsigned)number("VGPU_NVML_LINK_WIDTH", 16);
  return OK;
}

nvml_result nvmlDeviceGetMaxPcieLinkWidth(nvml_device device, unsigned *lanes) {
  JUDGE("nvmlDeviceGetMaxPcieLinkWidth", device);
  *lanes = 16;
  return OK;
}

#ifndef NVML_WITHOUT_REASONS
nvml_result nvmlDeviceGetCurrentClocksThrottleReasons(nvml_device device, uint64_t *reasons) {
  JUDGE("nvmlDeviceGetCurrentClocksThrottleReasons", device);
  uint64_t reading = (uint64_t)++device->readings;
  bool now = reading >= number("VGPU_NVML_REASONS_FROM", 1) &&
             reading <= number("VGPU_NVML_REASONS_TO", UINT64_MAX);
  *reasons = now ? number("VGPU_NVML_REASONS", 0) : 0;
  return OK;
}
#endif
