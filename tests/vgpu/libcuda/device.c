/*
 * The device: an H100 SXM's attributes, and the primary context.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/vgpu/libcuda/state.h"
#include "tests/vgpu/memory/order.h"

#define CONTEXT_BYTES ((size_t)500 << 20) /* what a context takes of the memory */

static bool is_device(driver_device device) {
  return device >= 0 && device < vgpu()->settings.n_devices;
}

driver_result enter_init(unsigned flags) {
  ENTER(init, NEEDS_NOTHING);
  if (flags != 0) return RESULT_INVALID_VALUE;
  struct vgpu *state = vgpu();
  if (state->settings.n_devices == 0) return RESULT_NO_DEVICE;
  order_lock(&state->lock);
  if (!state->arena) state->arena = arena_open(state->settings.memory_bytes);
  state->started = state->arena != NULL;
  order_unlock(&state->lock);
  return state->started ? RESULT_OK : RESULT_OUT_OF_MEMORY;
}

driver_result enter_driver_get_version(int *version) {
  ENTER(driver_get_version, NEEDS_NOTHING);
  *version = vgpu()->settings.driver_version;
  return RESULT_OK;
}

driver_result enter_device_get_count(int *count) {
  ENTER(device_get_count, NEEDS_INIT);
  *count = vgpu()->settings.n_devices;
  return RESULT_OK;
}

driver_result enter_device_get(driver_device *device, int ordinal) {
  ENTER(device_get, NEEDS_INIT);
  if (!is_device(ordinal)) return RESULT_INVALID_DEVICE;
  *device = ordinal;
  return RESULT_OK;
}

driver_result enter_device_get_name(char *name, int bytes, driver_device device) {
  ENTER(device_get_name, NEEDS_INIT);
  if (!is_device(device)) return RESULT_INVALID_DEVICE;
  snprintf(name, (size_t)bytes, "%s",
           vgpu()->settings.name ? vgpu()->settings.name : "Virtual H100");
  return RESULT_OK;
}

driver_result enter_device_get_pci_bus_id(char *id, int bytes, driver_device device) {
  ENTER(device_get_pci_bus_id, NEEDS_INIT);
  if (!is_device(device)) return RESULT_INVALID_DEVICE;
  if (bytes < 13) return RESULT_INVALID_VALUE;
  snprintf(id, (size_t)bytes, "0000:%02X:00.0", 0x1b + device);
  return RESULT_OK;
}

driver_result enter_device_get_attribute(int *value, unsigned attribute, driver_device device) {
  /* CUdevice_attribute by number, as cuda.h numbers them; H100 SXM5 80GB. */
  static const struct {
    unsigned attribute;
    int value;
  } table[] = {{1, 1024},     {2, 1024},  {3, 1024},  {4, 64},      {5, 2147483647},  {6, 65535},
               {7, 65535},    {8, 49152}, {9, 65536}, {10, 32},     {11, 2147483647}, {12, 65536},
               {13, 1980000}, {14, 512},  {20, 0},    {31, 1},      {36, 2619000},    {37, 5120},
               {39, 2048},    {40, 3},    {41, 1},    {81, 233472}, {82, 65536},      {95, 1},
               {97, 232448},  {106, 32}};
  ENTER(device_get_attribute, NEEDS_INIT);
  if (!is_device(device)) return RESULT_INVALID_DEVICE;
  if (attribute == DRIVER_ATTRIBUTE_CAPABILITY_MAJOR) {
    *value = vgpu()->settings.major;
    return RESULT_OK;
  }
  if (attribute == DRIVER_ATTRIBUTE_CAPABILITY_MINOR) {
    *value = vgpu()->settings.minor;
    return RESULT_OK;
  }
  if (attribute == DRIVER_ATTRIBUTE_MULTIPROCESSORS) {
    *value = vgpu()->settings.multiprocessors;
    return RESULT_OK;
  }
  if (attribute == DRIVER_ATTRIBUTE_L2_BYTES) {
    *value = (int)vgpu()->settings.l2_bytes;
    return RESULT_OK;
  }
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].attribute == attribute) {
      *value = table[i].value;
      return RESULT_OK;
    }
  fprintf(stderr, "vgpu: device attribute %u is not in its table\n", attribute);
  return RESULT_INVALID_VALUE;
}

/* ---- the primary context ---------------------------------------------------------------- */

driver_result enter_primary_retain(driver_context *context, driver_device device) {
  ENTER(primary_retain, NEEDS_INIT);
  if (!is_device(device)) return RESULT_INVALID_DEVICE;
  vgpu()->primary.references++;
  *context = &vgpu()->primary;
  return RESULT_OK;
}

driver_result enter_primary_release(driver_device device) {
  ENTER(primary_release, NEEDS_INIT);
  if (!is_device(device)) return RESULT_INVALID_DEVICE;
  struct vgpu *state = vgpu();
  if (state->primary.references == 0) return RESULT_INVALID_CONTEXT;
  if (--state->primary.references > 0) return RESULT_OK;
  streams_drain();
  /* The end of the primary context takes its memory along: real leaks show in the next run only. */
  size_t left = arena_count(state->arena);
  if (state->settings.leaks && !vgpu_is_broken() && /* then nothing can be freed */
      (left || state->n_host || state->n_events || state->n_modules || state->n_graphs ||
       state->streams)) {
    fprintf(stderr,
            "vgpu: the context ends with %zu allocations, %zu registered ranges, %ld events, %ld "
            "modules, %ld graphs%s\n",
            left, state->n_host, state->n_events, state->n_modules, state->n_graphs,
            state->streams ? ", streams" : "");
    _exit(86);
  }
  return RESULT_OK;
}

driver_result enter_set_current(driver_context context) {
  ENTER(set_current, NEEDS_INIT);
  if (context && (context != &vgpu()->primary || context->references == 0)) {
    vgpu_finding("cuCtxSetCurrent of a context that is not retained");
    return RESULT_INVALID_CONTEXT;
  }
  *vgpu_current() = context;
  return RESULT_OK;
}

driver_result enter_get_current(driver_context *context) {
  ENTER(get_current, NEEDS_INIT);
  *context = *vgpu_current();
  return RESULT_OK;
}

driver_result enter_context_synchronize(void) {
  ENTER(context_synchronize, NEEDS_CONTEXT);
  if (streams_capture()) return RESULT_CAPTURE_UNSUPPORTED;
  streams_drain();
  return (driver_result)__atomic_load_n(&vgpu()->sticky, __ATOMIC_ACQUIRE);
}

driver_result enter_memory_get_info(size_t *free_bytes, size_t *total_bytes) {
  ENTER(memory_get_info, NEEDS_CONTEXT);
  *total_bytes = arena_bytes_total(vgpu()->arena);
  size_t left = arena_bytes_free(vgpu()->arena);
  *free_bytes = left > CONTEXT_BYTES ? left - CONTEXT_BYTES : 0;
  return RESULT_OK;
}
