/*
 * Choosing a GPU, and judging what the driver answers.
 */
#include "kernels/cuda/gpu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define CAPABILITY_MAJOR_MIN 8 /* bf16 mma and cp.async */
#define FAULT_MIN 214          /* errors from here on may belong to earlier, asynchronous work */
#define COMPUTE_MODE_PROHIBITED 2

/* ---- errors ---- */

static void note(struct gpu *gpu, const char *text) {
  pthread_mutex_lock(&gpu->lock);
  snprintf(gpu->notes[gpu->n_notes % GPU_NOTES], GPU_NOTE_BYTES, "%s", text);
  gpu->n_notes++;
  pthread_mutex_unlock(&gpu->lock);
}

void gpu_note(struct gpu *gpu, const char *format, ...) {
  char text[GPU_NOTE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  note(gpu, text);
}

/* "a; b; c", newest first, as far as it fits. */
static void list_notes(struct gpu *gpu, char *text, size_t bytes) {
  size_t used = 0;
  text[0] = '\0';
  pthread_mutex_lock(&gpu->lock);
  for (unsigned i = 0; i < GPU_NOTES && i < gpu->n_notes; i++) {
    const char *one = gpu->notes[(gpu->n_notes - 1 - i) % GPU_NOTES];
    size_t length = strlen(one) + 2;
    if (used + length >= bytes) break;
    used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? "; " : "", one);
  }
  pthread_mutex_unlock(&gpu->lock);
}

int gpu_check(struct gpu *gpu, driver_result result, struct error *error, const char *format, ...) {
  if (result == DRIVER_NOT_READY) return -EAGAIN;
  char text[GPU_NOTE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (result == DRIVER_SUCCESS) {
    note(gpu, text);
    return 0;
  }
  const char *name = driver_error_name(&gpu->driver, result);
  int code = result == DRIVER_OUT_OF_MEMORY ? -ENOMEM : -EIO;
  char before[320];
  list_notes(gpu, before, sizeof before);
  gpu_note(gpu, "%.50s: %s", text, name); /* whoever does without may meet the fault again */
  if (result < FAULT_MIN) return error_set(error, code, "%s: %s (%u)", text, name, result);
  return error_set(error, code, "%s: %s (%u); enqueued before, newest first: %s", text, name,
                   result, before);
}

bool gpu_is_broken(struct gpu *gpu) {
  return gpu->driver.context_synchronize() != DRIVER_SUCCESS;
}

/* ---- opening ---- */

static int parse_index(const char *text, int count, int *ordinal, struct error *error) {
  *ordinal = 0;
  if (!text || !*text) return 0;
  uint64_t value = 0;
  if (units_scan_count(text, &value) != 0)
    return error_set(error, -EINVAL, "--device cuda:%s: the GPU's number is expected, as in cuda:0",
                     text);
  if (value >= (uint64_t)count)
    return error_set(error, -ENOTSUP,
                     "--device cuda:%s: there %s %d GPU%s here, numbered from 0 (see nvidia-smi -L "
                     "and CUDA_VISIBLE_DEVICES)",
                     text, count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
  *ordinal = (int)value;
  return 0;
}

static int read_attributes(struct gpu *gpu, struct error *error) {
  int compute_mode = 0;
  const struct {
    unsigned attribute;
    int *value;
    bool needed; /* else 0 where a driver, of a virtual GPU say, does not tell it */
  } wanted[] = {
      {DRIVER_ATTRIBUTE_CAPABILITY_MAJOR, &gpu->major, true},
      {DRIVER_ATTRIBUTE_CAPABILITY_MINOR, &gpu->minor, true},
      {DRIVER_ATTRIBUTE_MULTIPROCESSORS, &gpu->multiprocessors, true},
      {DRIVER_ATTRIBUTE_SHARED_OPTIN_BYTES, &gpu->shared_optin_bytes, true},
      {DRIVER_ATTRIBUTE_L2_BYTES, &gpu->l2_bytes, false},
      {DRIVER_ATTRIBUTE_CLOCK_KHZ, &gpu->clock_khz, false},
      {DRIVER_ATTRIBUTE_MEMORY_CLOCK_KHZ, &gpu->memory_clock_khz, false},
      {DRIVER_ATTRIBUTE_MEMORY_BUS_BITS, &gpu->memory_bus_bits, false},
      {DRIVER_ATTRIBUTE_COMPUTE_MODE, &compute_mode, false},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    int failed = gpu_check(
        gpu, gpu->driver.device_get_attribute(wanted[i].value, wanted[i].attribute, gpu->device),
        wanted[i].needed ? error : NULL, "cuDeviceGetAttribute(%u)", wanted[i].attribute);
    if (failed && wanted[i].needed) return failed;
    if (failed) *wanted[i].value = 0;
  }
  if (compute_mode == COMPUTE_MODE_PROHIBITED)
    return error_set(error, -ENOTSUP,
                     "GPU %d (%s) is in compute mode PROHIBITED: nvidia-smi -c DEFAULT lifts that",
                     gpu->ordinal, gpu->name);
  if (gpu->major >= CAPABILITY_MAJOR_MIN) return 0;
  return error_set(error, -ENOTSUP,
                   "GPU %d (%s) has compute capability %d.%d: 8.0 (A100) or later is needed, for "
                   "bf16; use another GPU (--device cuda:N) or --device cpu",
                   gpu->ordinal, gpu->name, gpu->major, gpu->minor);
}

static int choose(struct gpu *gpu, const char *index, struct error *error) {
  const struct driver *driver = &gpu->driver;
  int count = 0;
  int failed = gpu_check(gpu, driver->device_get_count(&count), error, "cuDeviceGetCount()");
  if (!failed && count == 0)
    failed = error_set(error, -ENOTSUP,
                       "the NVIDIA driver %s sees no GPU: check nvidia-smi and "
                       "CUDA_VISIBLE_DEVICES, or use --device cpu",
                       driver->path);
  if (!failed) failed = parse_index(index, count, &gpu->ordinal, error);
  if (failed) return failed;
  failed = gpu_check(gpu, driver->device_get(&gpu->device, gpu->ordinal), error, "cuDeviceGet(%d)",
                     gpu->ordinal);
  if (!failed)
    failed = gpu_check(gpu, driver->device_get_name(gpu->name, (int)sizeof gpu->name, gpu->device),
                       error, "cuDeviceGetName(%d)", gpu->ordinal);
  if (!failed)
    failed = gpu_check(
        gpu,
        driver->device_get_pci_bus_id(gpu->pci_bus_id, (int)sizeof gpu->pci_bus_id, gpu->device),
        error, "cuDeviceGetPCIBusId(%d)", gpu->ordinal);
  return failed ? failed : read_attributes(gpu, error);
}

/* The first call that makes something on the GPU, and so the first that others can be in the way
 * of. */
static int retain(struct gpu *gpu, struct error *error) {
  const driver_result result = gpu->driver.primary_retain(&gpu->context, gpu->device);
  gpu->retained = result == DRIVER_SUCCESS;
  if (result == DRIVER_DEVICE_UNAVAILABLE)
    return error_set(error, -ENOTSUP,
                     "GPU %d (%s) is taken: another process has it to itself (compute mode "
                     "EXCLUSIVE_PROCESS); end that (nvidia-smi), or nvidia-smi -c DEFAULT",
                     gpu->ordinal, gpu->name);
  if (result == DRIVER_OUT_OF_MEMORY)
    return error_set(error, -ENOMEM,
                     "GPU %d (%s) has not even the memory for a context, some 500 MiB: end what "
                     "else uses it (nvidia-smi)",
                     gpu->ordinal, gpu->name);
  return gpu_check(gpu, result, error, "cuDevicePrimaryCtxRetain(%d)", gpu->ordinal);
}

int gpu_open(struct gpu *gpu, const char *index, const char *driver_file, struct error *error) {
  *gpu = (struct gpu){0};
  int failed = pthread_mutex_init(&gpu->lock, NULL);
  if (failed) return error_set(error, -failed, "making a lock: %s", strerror(failed));
  gpu->has_lock = true;
  const char *one_by_one = getenv("REFILL_CUDA_SYNC");
  gpu->one_by_one = one_by_one && strcmp(one_by_one, "1") == 0;
  failed = driver_open(&gpu->driver, driver_file, error);
  if (!failed) failed = choose(gpu, index, error);
  if (failed) return failed;
  failed = retain(gpu, error);
  return failed ? failed : gpu_enter(gpu, error);
}

void gpu_close(struct gpu *gpu) {
  if (gpu->retained) {
    (void)gpu->driver.set_current(NULL);
    (void)gpu->driver.primary_release(gpu->device);
  }
  driver_close(&gpu->driver);
  if (gpu->has_lock) pthread_mutex_destroy(&gpu->lock);
  *gpu = (struct gpu){0};
}

/* Not noted: it would push the operations that matter out of the ring. */
int gpu_enter(struct gpu *gpu, struct error *error) {
  driver_result result = gpu->driver.set_current(gpu->context);
  if (result == DRIVER_SUCCESS) return 0;
  return gpu_check(gpu, result, error, "cuCtxSetCurrent(primary of GPU %d)", gpu->ordinal);
}

int gpu_settle(struct gpu *gpu, driver_stream stream, struct error *error) {
  if (!gpu->one_by_one) return 0;
  return gpu_check(gpu, gpu->driver.stream_synchronize(stream), error,
                   "cuStreamSynchronize(after each, REFILL_CUDA_SYNC)");
}

int gpu_memory(struct gpu *gpu, size_t *free_bytes, size_t *total_bytes, struct error *error) {
  return gpu_check(gpu, gpu->driver.memory_get_info(free_bytes, total_bytes), error,
                   "cuMemGetInfo()");
}
