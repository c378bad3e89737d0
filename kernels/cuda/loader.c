/*
 * Finding the plugin: in REFILL_PLUGIN_DIR where that is set and nowhere else;
 * beside the program; in ../lib/refill of it. It stays loaded, since CUDA's libraries, once
 * loaded by it, cannot be unloaded.
 *
 * An open device's own ops are the plugin's; the forwarders here serve callers that go through the
 * table instead.
 */
#include "kernels/cuda/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cuda/plugin.h"

/* The directory of the running program, without a slash at the end. */
static int program_directory(char *directory, size_t bytes) {
  ssize_t length = readlink("/proc/self/exe", directory, bytes - 1);
  if (length <= 0) return -ENOENT;
  directory[length] = '\0';
  char *slash = strrchr(directory, '/');
  if (!slash) return -ENOENT;
  *slash = '\0';
  return 0;
}

/* Where the plugin should be; the first place that has such a file. */
static int find_plugin(char *path, size_t bytes, struct error *error) {
  const char *asked = getenv("REFILL_PLUGIN_DIR");
  if (asked && *asked) {
    snprintf(path, bytes, "%s/" PLUGIN_FILE, asked);
    if (access(path, R_OK) == 0) return 0;
    return error_set(error, -ENOTSUP, "REFILL_PLUGIN_DIR=%s has no readable " PLUGIN_FILE, asked);
  }
  static const char *const below[] = {"", "/lib", "/../lib/refill"};
  char directory[PATH_MAX] = "";
  int failed = program_directory(directory, sizeof directory);
  for (size_t i = 0; i < sizeof below / sizeof below[0] && !failed; i++) {
    int length = snprintf(path, bytes, "%s%s/" PLUGIN_FILE, directory, below[i]);
    if (length > 0 && (size_t)length < bytes && access(path, R_OK) == 0) return 0;
  }
  return error_set(error, -ENOTSUP,
                   "there is no " PLUGIN_FILE " beside %s/refill: build it where nvcc is found "
                   "(make cuda-plugin), or name its directory in REFILL_PLUGIN_DIR",
                   directory);
}

static int load(const struct plugin **loaded, struct error *error) {
  char path[PATH_MAX + 64];
  int failed = find_plugin(path, sizeof path, error);
  if (failed) return failed;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return error_set(error, -ENOTSUP, "%.200s cannot be loaded: %s", path, dlerror());
  const struct plugin *plugin = dlsym(library, PLUGIN_SYMBOL);
  if (!plugin) return error_set(error, -ENOTSUP, "%.200s is no plugin of Refill", path);
  const struct plugin ours = PLUGIN_CONTENT(NULL, NULL, NULL);
  if (plugin->magic != ours.magic || plugin->config_bytes != ours.config_bytes ||
      plugin->device_bytes != ours.device_bytes || plugin->ops_bytes != ours.ops_bytes)
    return error_set(error, -ENOTSUP, "%.200s is of another build of Refill: build both together",
                     path);
  *loaded = plugin;
  return 0;
}

static int loader_open(struct device **device, const struct device_config *config,
                       struct error *error) {
  const struct plugin *plugin = NULL;
  *device = NULL;
  int failed = load(&plugin, error);
  return failed ? failed : plugin->ops->open(device, config, error);
}

int loader_selftest(const struct selftest *test, enum cuda_step step, char *found, size_t bytes,
                    struct error *error) {
  const struct plugin *plugin = NULL;
  int failed = load(&plugin, error);
  return failed ? failed : plugin->selftest(test, step, found, bytes, error);
}

int loader_inspect(const struct selftest *test, inspect_tell *tell, void *context,
                   struct error *error) {
  const struct plugin *plugin = NULL;
  int failed = load(&plugin, error);
  if (!failed) plugin->inspect(test, tell, context);
  return failed;
}

/* ---- forwarders ---- */

static void loader_close(struct device *device) {
  if (device) device->ops->close(device);
}

static void loader_pin(struct device *device, bool pinned) {
  device->ops->pin(device, pinned);
}

static int loader_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
                        struct error *error) {
  return device->ops->begin(device, seqs, n_seqs, error);
}

static void *loader_buffer(struct device *device, int layer, enum device_side side) {
  return device->ops->buffer(device, layer, side);
}

static int loader_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                        device_ticket *ticket, struct error *error) {
  return device->ops->kv_in(device, layer, first_page, n_pages, ticket, error);
}

static int loader_forward_layer(struct device *device, int layer,
                                const struct device_sequence *seqs, int n_seqs,
                                const device_ticket *after, int n_after, device_ticket *ticket,
                                struct error *error) {
  return device->ops->forward_layer(device, layer, seqs, n_seqs, after, n_after, ticket, error);
}

static int loader_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                         device_ticket *ticket, struct error *error) {
  return device->ops->kv_out(device, layer, n_pages, after, ticket, error);
}

static int loader_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
                       device_ticket *ticket, struct error *error) {
  return device->ops->head(device, seqs, n_seqs, ticket, error);
}

static int loader_wait(struct device *device, device_ticket ticket, double timeout_s,
                       struct device_span *span, struct error *error) {
  return device->ops->wait(device, ticket, timeout_s, span, error);
}

static int loader_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                         uint32_t *crcs, struct error *error) {
  return device->ops->kv_crc(device, layer, first_page, n_pages, crcs, error);
}

static int loader_output(struct device *device, struct device_output *output, struct error *error) {
  return device->ops->output(device, output, error);
}

static int loader_probe(struct device *device, enum device_probe what, int64_t n_new,
                        int64_t n_past, struct device_rate *rate, struct error *error) {
  return device->ops->probe(device, what, n_new, n_past, rate, error);
}

static void loader_condition(struct device *device, struct device_condition *condition) {
  device->ops->condition(device, condition);
}

const struct device_ops device_cuda_ops = {
    .name = "cuda",
    .open = loader_open,
    .close = loader_close,
    .pin = loader_pin,
    .begin = loader_begin,
    .buffer = loader_buffer,
    .kv_in = loader_kv_in,
    .forward_layer = loader_forward_layer,
    .kv_out = loader_kv_out,
    .head = loader_head,
    .wait = loader_wait,
    .kv_crc = loader_kv_crc,
    .output = loader_output,
    .probe = loader_probe,
    .condition = loader_condition,
};
