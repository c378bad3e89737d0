/*
 * What opening the cuda device obtained, and what it had to give up: for `info`, and so for every
 * result.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

/* ", SM at 1980 MHz" or ", SM at 1200 MHz (power cap)" as it is right after warm-up; "" unknown. */
static void describe_clocks(const struct cuda *cuda, char *text, size_t bytes) {
  struct nvml_state state;
  text[0] = '\0';
  nvml_read(&cuda->nvml, &state);
  if (isnan(state.sm_hz)) return;
  const char *reason = nvml_reason_name(state.reasons);
  snprintf(text, bytes, ", SM at %.0f MHz%s%s%s", state.sm_hz * 1e-6, *reason ? " (" : "", reason,
           *reason ? ")" : "");
}

void cuda_degrade(struct cuda *cuda, const char *format, ...) {
  struct device_info *info = &cuda->device.info;
  char text[DEVICE_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (int i = 0; i < info->n_degraded; i++)
    if (strcmp(info->degraded[i], text) == 0) return;
  if (info->n_degraded == DEVICE_DEGRADED_MAX) return;
  snprintf(info->degraded[info->n_degraded++], DEVICE_TEXT_BYTES, "%s", text);
}

void cuda_tell_attention(struct cuda *cuda) {
  if (cuda->attention.refused[0])
    cuda_degrade(cuda, "attention is builtin, not cuDNN: %.120s", cuda->attention.refused);
}

/* What open() had to give up; FP8 is told by who retries without it. */
static void tell_degraded(struct cuda *cuda) {
  if (cuda->launcher.refused[0])
    cuda_degrade(cuda, "kernels from %s, a better image was refused: %.100s",
                 image_form_name(cuda->launcher.form), cuda->launcher.refused);
  cuda_tell_attention(cuda);
  if (cuda->gpu.one_by_one)
    cuda_degrade(cuda, "REFILL_CUDA_SYNC=1 waits for each call: no time here means anything");
}

/* Of the buffers in use. */
static struct device_region region_of(const struct pinned *pinned, enum device_region_use use) {
  return (struct device_region){.address = pinned_at(pinned, 0),
                                .bytes = pinned_bytes(pinned),
                                .on_device = pinned->on_device,
                                .use = use};
}

/* Fewer buffers than were asked for, or none of them pinned. */
static void tell_refused(struct cuda *cuda, const struct pinned *memory, const char *name) {
  if (memory->given_up)
    cuda_degrade(cuda, "%s not pinned, copies at about half the rate: %.105s", name,
                 memory->refused);
  else if (memory->refused[0])
    cuda_degrade(cuda, "%s for %d of %d layers, more cannot be pinned: %.90s", name,
                 memory->n_buffers, memory->n_mapped, memory->refused);
}

void cuda_tell_pinned(struct cuda *cuda) {
  const struct {
    const struct pinned *memory;
    const char *name;
  } all[] = {{&cuda->landing, "landing buffers"},
             {&cuda->leaving, "leaving buffers"},
             {&cuda->small_memory, "token buffers"}};
  const struct pinned *landing = &cuda->landing;
  struct device_info *info = &cuda->device.info;
  bool given_up = false;
  snprintf(info->description + cuda->described_bytes,
           sizeof info->description - cuda->described_bytes, ", landing buffers %s",
           landing->on_device    ? "on the GPU"
           : landing->registered ? "pinned"
                                 : "NOT pinned");
  info->pinned_bytes = 0;
  info->pinned_s = 0;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    const struct pinned *memory = all[i].memory;
    info->pinned_s += memory->registered_s;
    if (memory->registered && !memory->on_device) info->pinned_bytes += pinned_bytes(memory);
    if (!given_up) tell_refused(cuda, memory, all[i].name); /* of what is not pinned, the first */
    given_up = given_up || memory->given_up;
  }
  info->window = cuda->landing.n_buffers;
  info->write_window = cuda->leaving.n_buffers;
  cuda->device.regions[0] = region_of(&cuda->landing, DEVICE_REGION_LANDING);
  cuda->device.regions[1] = region_of(&cuda->leaving, DEVICE_REGION_LEAVING);
  cuda->device.n_regions = 2;
}

void cuda_describe(struct cuda *cuda) {
  char clocks[48];
  describe_clocks(cuda, clocks, sizeof clocks);
  const struct gpu *gpu = &cuda->gpu;
  struct device_info *info = &cuda->device.info;
  snprintf(info->description, sizeof info->description,
           "%.40s, %d SMs, compute %d.%d, driver %d.%d%s, %s kernels%s", gpu->name,
           gpu->multiprocessors, gpu->major, gpu->minor, gpu->driver.version / 1000,
           gpu->driver.version % 1000 / 10, clocks, image_form_name(cuda->launcher.form),
           cuda->launcher.refused[0] ? " (a better image was refused)" : "");
  cuda->described_bytes = strlen(info->description);
  gemm_describe(&cuda->gemm, info->gemm, sizeof info->gemm);
  attention_describe(&cuda->attention, info->attention, sizeof info->attention);
  snprintf(info->name, sizeof info->name, "%.63s", gpu->name);
  info->multiprocessors = gpu->multiprocessors;
  info->element = cuda->config.element;
  info->staged = true;
  info->kv_resident = cuda->plan.kv_slots == cuda->config.layers;
  info->kv_slots = cuda->plan.kv_slots;
  info->weight_sets = cuda->plan.weight_sets;
  info->chunk_tokens = cuda->plan.chunk_tokens;
  info->memory_bytes = cuda->plan.total_bytes;
  tell_degraded(cuda);
  cuda_tell_pinned(cuda);
}
