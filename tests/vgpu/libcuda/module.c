/*
 * Modules, functions and launches, with every limit of an H100 enforced.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/libcuda/image.h"
#include "tests/vgpu/libcuda/state.h"

#define SHARED_PLAIN_BYTES 49152  /* without asking */
#define SHARED_OPTIN_BYTES 232448 /* with */
#define REGISTERS_OF_BLOCK 65536
#define FUNCTIONS_MAX 64

struct CUfunc_st {
  unsigned alive;
  struct CUmod_st *module;
  const struct ptx_kernel *kernel;
  int registers; /* 0: not known */
  int dynamic_max;
};

struct CUmod_st {
  unsigned alive;
  struct ptx_module *ptx;
  struct loaded_image image;
  int n_functions;
  struct CUfunc_st functions[FUNCTIONS_MAX];
};

/* ---- modules ---------------------------------------------------------------------------- */

static driver_result make_functions(struct CUmod_st *module) {
  for (size_t i = 0; ptx_kernel_at(module->ptx, i); i++) {
    if (module->n_functions == FUNCTIONS_MAX) return RESULT_INVALID_IMAGE;
    struct CUfunc_st *function = &module->functions[module->n_functions++];
    const struct ptx_kernel *kernel = ptx_kernel_at(module->ptx, i);
    const struct ptx_kernel_info *info = ptx_kernel_info(kernel);
    *function =
        (struct CUfunc_st){.alive = ALIVE_FUNCTION,
                           .module = module,
                           .kernel = kernel,
                           .dynamic_max = SHARED_PLAIN_BYTES - (int)info->shared_static_bytes};
    for (int k = 0; k < module->image.n_kernels; k++)
      if (strcmp(module->image.kernels[k].name, info->name) == 0)
        function->registers = module->image.kernels[k].registers;
  }
  return RESULT_OK;
}

/* The buffer for the compiler's words, if the caller gave one. */
static char *log_option(unsigned n, const unsigned *options, void **values, size_t *bytes) {
  char *log = NULL;
  *bytes = 0;
  for (unsigned i = 0; i < n; i++) {
    if (options[i] == DRIVER_JIT_ERROR_LOG) log = values[i];
    if (options[i] == DRIVER_JIT_ERROR_LOG_BYTES) *bytes = (size_t)(uintptr_t)values[i];
  }
  return *bytes ? log : NULL;
}

driver_result enter_module_load(driver_module *loaded, const void *image, unsigned n_options,
                                unsigned *options, void **values) {
  ENTER(module_load, NEEDS_CONTEXT);
  if (!loaded || !image) return RESULT_INVALID_VALUE;
  size_t log_bytes;
  char *log = log_option(n_options, options, values, &log_bytes);
  struct CUmod_st *module = calloc(1, sizeof *module);
  if (!module) return RESULT_OUT_OF_MEMORY;
  driver_result result = image_open(&module->image, image, log, log_bytes);
  if (result == RESULT_OK) {
    struct error error = {0};
    if (ptx_module_open(&module->ptx, module->image.ptx, vgpu()->arena, &error) < 0) {
      fprintf(stderr, "vgpu: %s\n", error.message);
      if (log) snprintf(log, log_bytes, "%s", error.message);
      result = RESULT_INVALID_PTX;
    }
  }
  if (result == RESULT_OK) result = make_functions(module);
  free(module->image.ptx);
  module->image.ptx = NULL;
  if (result != RESULT_OK) {
    ptx_module_close(module->ptx);
    free(module);
    return result;
  }
  module->alive = ALIVE_MODULE;
  __atomic_add_fetch(&vgpu()->n_modules, 1, __ATOMIC_RELAXED);
  *loaded = module;
  return RESULT_OK;
}

driver_result enter_module_unload(driver_module module) {
  ENTER(module_unload, NEEDS_CONTEXT);
  if (!module || module->alive != ALIVE_MODULE) return RESULT_INVALID_HANDLE;
  streams_drain();
  module->alive = 0;
  for (int i = 0; i < module->n_functions; i++) module->functions[i].alive = 0;
  ptx_module_close(module->ptx);
  free(module);
  __atomic_sub_fetch(&vgpu()->n_modules, 1, __ATOMIC_RELAXED);
  return RESULT_OK;
}

driver_result enter_module_get_function(driver_function *function, driver_module module,
                                        const char *name) {
  ENTER(module_get_function, NEEDS_CONTEXT);
  if (!module || module->alive != ALIVE_MODULE) return RESULT_INVALID_HANDLE;
  for (int i = 0; i < module->n_functions; i++)
    if (strcmp(ptx_kernel_info(module->functions[i].kernel)->name, name) == 0) {
      *function = &module->functions[i];
      return RESULT_OK;
    }
  return RESULT_NOT_FOUND;
}

/* ---- functions -------------------------------------------------------------------------- */

static bool function_alive(driver_function function) {
  return function && function->alive == ALIVE_FUNCTION;
}

driver_result enter_function_get_attribute(int *value, unsigned attribute,
                                           driver_function function) {
  ENTER(function_get_attribute, NEEDS_CONTEXT);
  if (!function_alive(function)) return RESULT_INVALID_HANDLE;
  const struct ptx_kernel_info *info = ptx_kernel_info(function->kernel);
  switch (attribute) {
  case 0:
    *value = info->block_max[0] ? (int)info->block_max[0] : 1024;
    return RESULT_OK;
  case DRIVER_FUNCTION_STATIC_SHARED:
    *value = (int)info->shared_static_bytes;
    return RESULT_OK;
  case DRIVER_FUNCTION_LOCAL_BYTES:
    *value = (int)info->local_bytes;
    return RESULT_OK;
  case DRIVER_FUNCTION_REGISTERS:
    *value = function->registers;
    return RESULT_OK;
  case DRIVER_FUNCTION_BINARY_VERSION:
    *value = function->module->image.binary_version;
    return RESULT_OK;
  case DRIVER_FUNCTION_MAX_DYNAMIC_SHARED:
    *value = function->dynamic_max;
    return RESULT_OK;
  default:
    return RESULT_INVALID_VALUE;
  }
}

driver_result enter_function_set_attribute(driver_function function, unsigned attribute,
                                           int value) {
  ENTER(function_set_attribute, NEEDS_CONTEXT);
  if (!function_alive(function)) return RESULT_INVALID_HANDLE;
  if (attribute != DRIVER_FUNCTION_MAX_DYNAMIC_SHARED) return RESULT_INVALID_VALUE;
  size_t taken = ptx_kernel_info(function->kernel)->shared_static_bytes;
  if (value < 0 || (size_t)value + taken > SHARED_OPTIN_BYTES) return RESULT_INVALID_VALUE;
  function->dynamic_max = value;
  return RESULT_OK;
}

/* ---- launches ---------------------------------------------------------------------------- */

struct launch {
  const struct ptx_kernel *kernel;
  struct ptx_launch how;
  size_t parameter_bytes;
  unsigned char parameters[]; /* copied when the launch is enqueued */
};

static void run_launch(void *argument) {
  struct launch *launch = argument;
  const struct settings *settings = &vgpu()->settings;
  struct error error = {0};
  if (__atomic_load_n(&vgpu()->sticky, __ATOMIC_ACQUIRE)) return;
  vgpu_pause(settings->slow_kernels_us);
  launch->how.parameters = launch->parameters;
  struct ptx_options options = {.schedule = settings->schedule,
                                .seed = settings->seed,
                                .lazy_copies = settings->lazy_copies,
                                .any_memory = settings->any_memory,
                                .threads = settings->threads};
  int code = ptx_run(launch->kernel, &launch->how, vgpu()->arena, &options, NULL, &error);
  if (code == 0) return;
  fprintf(stderr, "vgpu: %s\n", error.message);
  vgpu_stick(code == -EFAULT ? RESULT_ILLEGAL_ADDRESS : RESULT_LAUNCH_FAILED);
}

static driver_result check_sizes(const struct CUfunc_st *function, const struct launch *launch) {
  const unsigned *grid = launch->how.grid, *block = launch->how.block;
  if (!grid[0] || !grid[1] || !grid[2] || !block[0] || !block[1] || !block[2])
    return RESULT_INVALID_VALUE;
  if (grid[0] > 2147483647U || grid[1] > 65535 || grid[2] > 65535) return RESULT_INVALID_VALUE;
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64) return RESULT_INVALID_VALUE;
  uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  const struct ptx_kernel_info *info = ptx_kernel_info(function->kernel);
  uint64_t most = info->block_max[0]
                      ? (uint64_t)info->block_max[0] * info->block_max[1] * info->block_max[2]
                      : 1024;
  if (threads > 1024 || threads > most) return RESULT_INVALID_VALUE;
  /* Registers are given to warps in units of 8 a thread. */
  uint64_t registers = (uint64_t)(function->registers + 7) / 8 * 8 * ((threads + 31) / 32 * 32);
  if (registers > REGISTERS_OF_BLOCK) return RESULT_LAUNCH_OUT_OF_RESOURCES;
  if (launch->how.shared_bytes > (size_t)function->dynamic_max) return RESULT_INVALID_VALUE;
  return RESULT_OK;
}

driver_result enter_launch(driver_function function, unsigned grid_x, unsigned grid_y,
                           unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                           unsigned shared_bytes, driver_stream stream, void **arguments,
                           void **extra) {
  ENTER(launch, NEEDS_CONTEXT);
  if (!function_alive(function)) return RESULT_INVALID_HANDLE;
  const struct ptx_kernel_info *info = ptx_kernel_info(function->kernel);
  if (extra || (info->n_parameters > 0 && !arguments)) return RESULT_INVALID_VALUE;
  struct launch *launch = calloc(1, sizeof *launch + info->parameter_bytes + 1);
  if (!launch) return RESULT_OUT_OF_MEMORY;
  launch->kernel = function->kernel;
  launch->how = (struct ptx_launch){.grid = {grid_x, grid_y, grid_z},
                                    .block = {block_x, block_y, block_z},
                                    .shared_bytes = shared_bytes};
  for (int i = 0; i < info->n_parameters; i++)
    memcpy(launch->parameters + info->parameters[i].offset, arguments[i],
           info->parameters[i].bytes);
  driver_result result = check_sizes(function, launch);
  if (result != RESULT_OK)
    fprintf(stderr, "vgpu: launch of %s (%u,%u,%u) x (%u,%u,%u), %u bytes of shared memory: %u\n",
            info->name, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, result);
  else
    result = stream_enqueue(stream, run_launch, launch, sizeof *launch + info->parameter_bytes);
  free(launch);
  return result;
}
