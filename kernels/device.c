/*
 * The table of devices, and the two decisions about KV memory that every
 * device shares: how large a page is, and how many layers the KV cache holds.
 */
#include "kernels/device.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "kernels/cpu/device_cpu.h"
#include "kernels/cuda/loader.h"
#include "kernels/playback/device_playback.h"

/* A new device is one line here. */
static const struct device_ops *const devices[] = {
    &device_cpu_ops,
    &device_cuda_ops,
    &device_playback_ops,
};

enum { N_DEVICES = sizeof devices / sizeof devices[0] };

const struct device_ops *device_at(int index) {
  return index >= 0 && index < N_DEVICES ? devices[index] : NULL;
}

const struct device_ops *device_find(const char *name) {
  for (int i = 0; name != NULL && i < N_DEVICES; i++) {
    if (strcmp(devices[i]->name, name) == 0) return devices[i];
  }
  return NULL;
}

size_t device_page_payload_bytes(const struct shape *shape, int64_t page_tokens,
                                 enum element kv_element) {
  assert(page_tokens > 0);
  size_t row_elements = (size_t)shape->kv_heads * (size_t)shape->head_dim;
  return 2 * (size_t)page_tokens * row_elements * element_bytes(kv_element);
}

int device_check_choices(const struct device_config *config, const char *name,
                         struct error *error) {
  if (config->direct_buffers)
    return error_set(error, -EINVAL,
                     "--engine cufile moves bytes into GPU memory, and the device %s has none: use "
                     "--engine uring",
                     name);
  const char *option = config->attention != DEVICE_ATTENTION_AUTO ? "--attention"
                       : config->gemm_untimed                     ? "--gemm-tune"
                       : config->graphs != DEVICE_GRAPHS_AUTO     ? "--cuda-graphs"
                       : config->library_directory                ? "--cuda-libdir"
                                                                  : NULL;
  if (!option) return 0;
  return error_set(error, -EINVAL, "%s: the device %s has no such choice; leave it out", option,
                   name);
}

/*
 * With S slots, layer l takes the slot of layer l - S. Holding every layer
 * (S = layers) nothing is ever replaced. With fewer, the pipeline's own bounds
 * must keep a slot until it is free, and S = window + write_window is the
 * fewest for which they do:
 *   - reading layer l starts after compute_done(l - window);
 *   - compute of layer j starts after write_done(j - write_window).
 * So when anything of layer l arrives in its slot, layer l - window has been
 * computed, hence layer l - window - write_window = l - S has been written, and so
 * read and computed before that. A run that reads nothing is covered by the
 * second bound alone, as S >= write_window. One slot fewer, and layer l could
 * arrive over a layer whose new KV is still leaving.
 *
 * An eighth of what is available stays free: for staging, activations, and the
 * page tables of the cache itself; a box that swaps measures its swap.
 */
int device_kv_slots(const struct device_config *config, size_t available_bytes) {
  assert(config->layers >= 1 && config->page_tokens >= 1);
  assert(config->window >= 1 && config->write_window >= 1);
  int64_t pages = (config->tokens_max + config->page_tokens - 1) / config->page_tokens;
  double layer_bytes = (double)pages * (double)config->page_stride_bytes;
  double usable_bytes = (double)(available_bytes - available_bytes / 8);
  if (layer_bytes * config->layers <= usable_bytes) return config->layers;
  int64_t needed = (int64_t)config->window + config->write_window;
  return needed < config->layers ? (int)needed : config->layers;
}
