/*
 * Loading the driver, and saying precisely why that is not possible here.
 */
#include "kernels/cuda/driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVER_FILE "libcuda.so.1"

/* dlsym returns an object pointer; ISO C has no conversion from that to a function's. */
static driver_get_proc *symbol_of(void *library, const char *name) {
  driver_get_proc *function = NULL;
  void *found = dlsym(library, name);
  memcpy(&function, &found, sizeof function);
  return function;
}

static void note_path(struct driver *driver, const char *file, void *inside) {
  Dl_info info;
  const char *path = inside && dladdr(inside, &info) && info.dli_fname ? info.dli_fname : file;
  snprintf(driver->path, sizeof driver->path, "%s", path);
}

static int stub_error(const struct driver *driver, struct error *error) {
  return error_set(error, -ENOTSUP,
                   "%s is the stub that CUDA ships for linking, not a driver: take its directory "
                   "out of LD_LIBRARY_PATH, so that the driver's own libcuda.so.1 is found",
                   driver->path);
}

static int old_error(const struct driver *driver, const char *what, struct error *error) {
  return error_set(error, -ENOTSUP,
                   "the NVIDIA driver %s is too old (%s): Refill needs one for CUDA 12.0 or later "
                   "(R525); update the driver, or use --device cpu",
                   driver->path, what);
}

static int resolve(struct driver *driver, driver_get_proc *get_proc, struct error *error) {
  const struct {
    const char *symbol;
    void *member; /* where its address goes */
  } entries[] = {
#define RESOLVE_ENTRY(member, symbol, abi, parameters) {#symbol, &driver->member},
      DRIVER_TABLE(RESOLVE_ENTRY)
#undef RESOLVE_ENTRY
  };
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    void *function = NULL;
    unsigned status = 0;
    driver_result result =
        get_proc(entries[i].symbol, &function, DRIVER_API_VERSION, DRIVER_PROC_DEFAULT, &status);
    if (result == DRIVER_STUB_LIBRARY) return stub_error(driver, error);
    if (result != DRIVER_SUCCESS || !function) {
      char what[64];
      snprintf(what, sizeof what, "it has no %s of CUDA 12.0", entries[i].symbol);
      return old_error(driver, what, error);
    }
    memcpy(entries[i].member, &function, sizeof function);
  }
  return 0;
}

/* What makes nvidia-smi work and CUDA not, commonest first. */
static const char *init_advice(driver_result result) {
  switch (result) {
  case DRIVER_SYSTEM_NOT_READY: /* GPUs joined by NVSwitch wait for it, even one alone */
    return "start the fabric manager (systemctl status nvidia-fabricmanager), of the driver's own "
           "version";
  case DRIVER_COMPAT_NOT_SUPPORTED:
    return "a newer libcuda of a cuda-compat package was found, which this GPU or driver does not "
           "take: remove its directory from LD_LIBRARY_PATH and /etc/ld.so.conf.d";
  case DRIVER_UNKNOWN:
    return "is the module nvidia-uvm loaded (nvidia-modprobe -u -c=0), and /dev/nvidia-uvm there, "
           "in a container too?";
  default:
    return "check nvidia-smi and the rights on /dev/nvidia*";
  }
}

static int init_error(const struct driver *driver, driver_result result, struct error *error) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  switch (result) {
  case DRIVER_STUB_LIBRARY:
    return stub_error(driver, error);
  case DRIVER_NO_DEVICE:
    return error_set(
        error, -ENOTSUP,
        "the NVIDIA driver %s sees no GPU%s%s: check nvidia-smi%s, or use --device cpu",
        driver->path, visible ? " with CUDA_VISIBLE_DEVICES=" : "", visible ? visible : "",
        visible ? " and that variable" : " and, in a container, its --gpus option");
  case DRIVER_MISMATCH:
    return error_set(
        error, -ENOTSUP,
        "the driver library %s and the kernel's NVIDIA module have different versions: "
        "reboot, or in a container use the host's library",
        driver->path);
  default:
    return error_set(error, -ENOTSUP,
                     "the NVIDIA driver %s does not start: cuInit returned %u (%s); %s",
                     driver->path, result, driver_error_name(driver, result), init_advice(result));
  }
}

static int start(struct driver *driver, struct error *error) {
  driver_result result = driver->init(0);
  if (result != DRIVER_SUCCESS) return init_error(driver, result, error);
  result = driver->driver_get_version(&driver->version);
  if (result != DRIVER_SUCCESS) return init_error(driver, result, error);
  if (driver->version >= DRIVER_API_VERSION) return 0;
  char what[64];
  snprintf(what, sizeof what, "for CUDA %d.%d", driver->version / 1000,
           driver->version % 1000 / 10);
  return old_error(driver, what, error);
}

int driver_open(struct driver *driver, const char *file, struct error *error) {
  *driver = (struct driver){0};
  if (!file) file = DRIVER_FILE;
  driver->library = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
  if (!driver->library)
    return error_set(error, -ENOTSUP,
                     "no NVIDIA driver here (%s): install it, so that nvidia-smi works, or use "
                     "--device cpu",
                     dlerror());
  driver_get_proc *get_proc = symbol_of(driver->library, "cuGetProcAddress_v2");
  void *inside = NULL;
  memcpy(&inside, &get_proc, sizeof inside);
  note_path(driver, file, inside);
  if (!get_proc) return old_error(driver, "it has no cuGetProcAddress_v2", error);
  int failed = resolve(driver, get_proc, error);
  if (!failed) failed = start(driver, error);
  return failed;
}

/* The library stays: CUDA keeps threads and exit handlers that run in it. */
void driver_close(struct driver *driver) {
  *driver = (struct driver){0};
}

const char *driver_error_name(const struct driver *driver, driver_result result) {
  const char *name = NULL;
  if (!driver->get_error_name || driver->get_error_name(result, &name) != DRIVER_SUCCESS || !name)
    return "an error without a name";
  return name;
}
