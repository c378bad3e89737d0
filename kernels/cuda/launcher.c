/*
 * Kernel images into functions, and functions onto streams.
 */
#include "kernels/cuda/launcher.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GRID_X_MAX INT64_C(2147483647)
#define GRID_Y_MAX 65535
#define STATIC_SHARED_BYTES 49152 /* what a block has without asking */

static const struct {
  const char *name;
  int module;
  unsigned threads, shared_bytes;
} table[] = {
#define LAUNCHER_ENTRY(name, module, arguments, threads, shared)                                   \
  {#name, MODULE_##module, threads, shared},
    KERNEL_TABLE(LAUNCHER_ENTRY)
#undef LAUNCHER_ENTRY
};

/* Host and device must agree on every argument struct: 64-bit members first, no padding. */
#define ARGUMENTS_WHOLE(name, module, arguments, threads, shared)                                  \
  _Static_assert(sizeof(struct arguments) % 8 == 0, #arguments " has padding at its end");
KERNEL_TABLE(ARGUMENTS_WHOLE)

const char *kernel_name(enum kernel kernel) {
  return table[kernel].name;
}

static void unload(struct launcher *launcher) {
  for (int i = 0; i < MODULES; i++) {
    if (launcher->modules[i]) (void)launcher->gpu->driver.module_unload(launcher->modules[i]);
    launcher->modules[i] = NULL;
  }
  memset(launcher->functions, 0, sizeof launcher->functions);
}

static int load_module(struct launcher *launcher, int module, enum image_form form,
                       struct error *error) {
  struct image image = image_at(module, form);
  char log[256] = "";
  unsigned options[] = {DRIVER_JIT_ERROR_LOG, DRIVER_JIT_ERROR_LOG_BYTES};
  void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)}; /* the size goes in the pointer */
  struct gpu *gpu = launcher->gpu;
  if (image.bytes == 0)
    return error_set(error, -EIO, "this build has no %s image of %s", image_form_name(form),
                     image.module);
  int failed = gpu_check(
      gpu, gpu->driver.module_load(&launcher->modules[module], image.data, 2, options, values),
      error, "cuModuleLoadDataEx(%s, %s)", image.module, image_form_name(form));
  if (failed && error && log[0]) {
    log[strcspn(log, "\n")] = '\0';
    error_prefix(error, "%s", log);
  }
  return failed;
}

/* A kernel that wants more than 48 KiB of shared memory must be told so once. */
static int allow_shared(struct launcher *launcher, enum kernel kernel, struct error *error) {
  struct gpu *gpu = launcher->gpu;
  int shared_bytes = (int)table[kernel].shared_bytes;
  if (shared_bytes > gpu->shared_optin_bytes)
    return error_set(error, -ENOTSUP, "%s needs %d bytes of shared memory, %s allows %d",
                     table[kernel].name, shared_bytes, gpu->name, gpu->shared_optin_bytes);
  if (shared_bytes <= STATIC_SHARED_BYTES) return 0;
  return gpu_check(
      gpu,
      gpu->driver.function_set_attribute(launcher->functions[kernel],
                                         DRIVER_FUNCTION_MAX_DYNAMIC_SHARED, shared_bytes),
      error, "cuFuncSetAttribute(%s, shared memory, %d)", table[kernel].name, shared_bytes);
}

static int load_form(struct launcher *launcher, enum image_form form, struct error *error) {
  struct gpu *gpu = launcher->gpu;
  for (int i = 0; i < MODULES; i++) {
    int failed = load_module(launcher, i, form, error);
    if (failed) return failed;
  }
  for (int i = 0; i < KERNELS; i++) {
    int failed = gpu_check(gpu,
                           gpu->driver.module_get_function(&launcher->functions[i],
                                                           launcher->modules[table[i].module],
                                                           table[i].name),
                           error, "cuModuleGetFunction(%s)", table[i].name);
    if (!failed) failed = allow_shared(launcher, (enum kernel)i, error);
    if (failed) return failed;
  }
  return 0;
}

int launcher_open(struct launcher *launcher, struct gpu *gpu, struct error *error) {
  *launcher = (struct launcher){.gpu = gpu};
  enum image_form forms[IMAGE_FORMS];
  int n = image_forms_for(gpu->major, gpu->minor, forms);
  struct error why = {0};
  for (int i = 0; i < n; i++) {
    error_clear(&why);
    int failed = load_form(launcher, forms[i], &why);
    launcher->form = forms[i];
    if (!failed) return 0;
    unload(launcher);
    if (!launcher->refused[0])
      snprintf(launcher->refused, sizeof launcher->refused, "%.150s", why.message);
    if (failed == -ENOMEM || gpu_is_broken(gpu))
      return error_set(error, failed, "loading kernels: %s", why.message);
  }
  return error_set(error, -ENOTSUP,
                   "no kernel image of this build runs on %s (compute capability %d.%d, driver "
                   "%d.%d): %s",
                   gpu->name, gpu->major, gpu->minor, gpu->driver.version / 1000,
                   gpu->driver.version % 1000 / 10, why.message);
}

void launcher_close(struct launcher *launcher) {
  if (launcher->gpu) unload(launcher);
  *launcher = (struct launcher){0};
}

int launcher_run(const struct launcher *launcher, enum kernel kernel, int64_t grid_x,
                 int64_t grid_y, const void *arguments, driver_stream stream, struct error *error) {
  struct gpu *gpu = launcher->gpu;
  assert(kernel < KERNELS);
  assert(stream != NULL);
  if (grid_x == 0 || grid_y == 0) return 0;
  if (grid_x < 0 || grid_x > GRID_X_MAX || grid_y < 0 || grid_y > GRID_Y_MAX)
    return error_set(error, -EINVAL, "%s: a grid of %lld x %lld blocks is not possible",
                     table[kernel].name, (long long)grid_x, (long long)grid_y);
  void *pointers[] = {(void *)(uintptr_t)arguments}; /* the driver copies it and does not write */
  driver_result result = gpu->driver.launch(launcher->functions[kernel], (unsigned)grid_x,
                                            (unsigned)grid_y, 1, table[kernel].threads, 1, 1,
                                            table[kernel].shared_bytes, stream, pointers, NULL);
  int failed = gpu_check(gpu, result, error, "%s, grid %lld x %lld", table[kernel].name,
                         (long long)grid_x, (long long)grid_y);
  return failed ? failed : gpu_settle(gpu, stream, error);
}
