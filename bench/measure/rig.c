/*
 * Opening and closing the apparatus.
 */
#include "bench/measure/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "bench/box/host.h"
#include "bench/box/topology.h"
#include "bench/measure/bounded_file.h"
#include "io/engine.h"
#include "kernels/playback/profile.h"

#define STREAM_PROMPT 0x70726f6d7074 /* "prompt" */
#define CLOSE_TIMEOUT_S 2.0          /* of a file; removing a partial name takes long at worst */

int64_t rig_past_tokens(double alpha, int64_t n_tokens, int64_t page_tokens) {
  double past = alpha * (double)n_tokens;
  if (past > (double)(n_tokens - 1)) past = (double)(n_tokens - 1);
  return (int64_t)(past + 1e-9) / page_tokens * page_tokens;
}

struct device_sequence rig_sequence(const struct rig *rig, int64_t n_tokens, int64_t n_past) {
  return (struct device_sequence){
      .n_past = n_past, .n_new = n_tokens - n_past, .tokens = rig->tokens + n_past};
}

/* ---- what --device and --model mean here ---- */

int rig_device_name(const struct options *options, char *name, size_t bytes, struct error *error) {
  const char *asked = options->device;
  if (strcmp(asked, "auto") == 0) {
    asked = host_has_nvidia("/") ? "cuda" : "cpu";
    if (!device_find(asked))
      return error_set(error, -ENOTSUP,
                       "this box has an NVIDIA device and this build has no %s device: say "
                       "--device cpu to measure on the processor",
                       asked);
  }
  snprintf(name, bytes, "%s", asked);
  return 0;
}

static const char *device_argument(const char *device_name) {
  const char *colon = strchr(device_name, ':');
  return colon ? colon + 1 : NULL;
}

static bool is_playback(const char *device_name) {
  return strncmp(device_name, "playback", strlen("playback")) == 0;
}

int rig_shape(const struct options *options, const char *device_name, struct shape *shape,
              struct error *error) {
  if (*options->model) return options_shape(options, shape, error);
  if (is_playback(device_name)) {
    struct profile *profile = NULL;
    const char *argument = device_argument(device_name);
    int failed = profile_load(&profile, argument ? argument : "", error);
    if (failed) return failed == -ENOENT ? -EINVAL : failed; /* a name that is none */
    bool any_shape = profile->any_shape;
    *shape = profile->shape;
    profile_free(profile);
    if (!any_shape) return 0;
  }
  *shape = *shape_preset("mha-125m");
  return 0;
}

/* ---- opening ---- */

static int resolve(struct rig *rig, struct error *error) {
  const struct options *options = rig->config.options;
  rig->shape = rig->config.shape;
  rig->layers = options->layers ? (int)options->layers : rig->shape.layers;
  if (rig->layers > rig->shape.layers)
    return error_set(error, -EINVAL, "--layers %d: %s has %d; accepted: 1 to %d", rig->layers,
                     rig->shape.name, rig->shape.layers, rig->shape.layers);
  rig->element = strcmp(options->dtype, "fp8") == 0 ? ELEMENT_FP8_E4M3 : ELEMENT_BF16;
  rig->kv_element = strcmp(options->kv_dtype, "fp8") == 0 ? ELEMENT_FP8_E4M3 : ELEMENT_BF16;
  rig->page_tokens = rig->config.page_tokens;
  rig->emulated = strncmp(options->engine, "null", 4) == 0;
  if (rig->config.device)
    snprintf(rig->device_name, sizeof rig->device_name, "%s", rig->config.device);
  else
    return rig_device_name(options, rig->device_name, sizeof rig->device_name, error);
  return 0;
}

static int choose_placement(struct rig *rig, struct error *error) {
  struct host *host = malloc(sizeof *host);
  if (!host) return error_set(error, -ENOMEM, "no memory to look at this box");
  host_read(host, "/");
  rig->gpu_node = host_gpu_node(host, rig->device_name, getenv("CUDA_VISIBLE_DEVICES"));
  free(host);
  const int near = topology_near(rig->target.numa_node, rig->gpu_node);
  return topology_placement_near(rig->config.options->bind, &near, 1, &rig->placement, error);
}

int rig_look_at_target(const struct options *options, struct target *target, struct error *error) {
  const char *directory = options->n_targets ? options->targets[0] : ".";
  if (options->n_targets > 1 || strchr(directory, ','))
    return error_set(error, -EINVAL,
                     "--target %s: %s takes one directory; refill storage measures several and "
                     "stripe sets",
                     options->n_targets > 1 ? options->targets[1] : directory, options->command);
  return bounded_target_describe(target, directory, options->io_timeout_s, error);
}

static int describe_target(struct rig *rig, struct error *error) {
  const struct options *options = rig->config.options;
  size_t alignment = 4096;
  rig->target.numa_node = -1;
  if (!rig->emulated && !rig->config.compute_only) {
    int failed = rig_look_at_target(options, &rig->target, error);
    if (failed) return failed;
    alignment = kv_file_directory_alignment(options->n_targets ? options->targets[0] : ".");
  }
  rig->page_payload_bytes =
      device_page_payload_bytes(&rig->shape, rig->page_tokens, rig->kv_element);
  rig->page_stride_bytes = memory_round_up(rig->page_payload_bytes, alignment);
  return choose_placement(rig, error);
}

static int make_prompt(struct rig *rig, struct error *error) {
  size_t n = (size_t)rig->config.tokens_max;
  rig->tokens = malloc(n * sizeof *rig->tokens);
  if (!rig->tokens) return error_set(error, -ENOMEM, "no memory for %zu tokens", n);
  uint64_t stream = prng_stream(rig->config.options->seed, STREAM_PROMPT);
  for (size_t i = 0; i < n; i++)
    rig->tokens[i] = (int32_t)prng_below(stream, i, (uint64_t)rig->shape.vocabulary);
  return 0;
}

static enum device_attention attention_choice(const struct options *options) {
  if (strcmp(options->attention, "cudnn") == 0) return DEVICE_ATTENTION_CUDNN;
  return strcmp(options->attention, "builtin") == 0 ? DEVICE_ATTENTION_BUILTIN
                                                    : DEVICE_ATTENTION_AUTO;
}

static enum device_graphs graphs_choice(const struct options *options) {
  if (strcmp(options->cuda_graphs, "on") == 0) return DEVICE_GRAPHS_ON;
  return strcmp(options->cuda_graphs, "off") == 0 ? DEVICE_GRAPHS_OFF : DEVICE_GRAPHS_AUTO;
}

static int open_device(struct rig *rig, struct error *error) {
  const struct options *options = rig->config.options;
  char name[sizeof rig->device_name];
  snprintf(name, sizeof name, "%s", rig->device_name);
  char *colon = strchr(name, ':');
  if (colon) *colon = '\0';
  const struct device_ops *ops = device_find(name);
  if (!ops) return error_set(error, -ENOTSUP, "no device called %s in this build", name);
  struct device_config config = {
      .shape = rig->shape,
      .layers = rig->layers,
      .tokens_max = rig->config.tokens_max,
      .page_tokens = rig->page_tokens,
      .page_stride_bytes = rig->page_stride_bytes,
      .chunk_tokens = options->chunk_tokens,
      .element = rig->element,
      .kv_element = rig->kv_element,
      .window = (int)options->window,
      .write_window = (int)options->write_window,
      .weight_sets = (int)options->weight_sets,
      .direct_buffers = !rig->config.compute_only &&
                        io_engine_moves(options->engine) == IO_BUFFER_DEVICE,
      .seed = options->seed,
      .argument = device_argument(rig->device_name),
      .placement = &rig->placement,
      .attention = attention_choice(options),
      .graphs = graphs_choice(options),
      .gemm_untimed = !options->gemm_tune,
      .library_directory = options->cuda_libdir,
  };
  int failed = ops->open(&rig->device, &config, error);
  if (!failed) rig->element = rig->device->info.element; /* a device without FP8 takes bf16 */
  return failed;
}

int rig_open_pipeline(struct rig *rig, struct kv_file *source, struct kv_file *sink,
                      struct pipeline **pipeline, struct error *error) {
  const struct options *options = rig->config.options;
  bool resident = rig->device->info.kv_resident;
  struct pipeline_config config = {
      .device = rig->device,
      .engine = rig->config.compute_only ? "null" : options->engine,
      .source = source,
      .sink = sink,
      .layers = rig->layers,
      .page_tokens = rig->page_tokens,
      .page_stride_bytes = rig->page_stride_bytes,
      .window = (int)options->window,
      .write_window = (int)options->write_window,
      .queue_depth = rig->config.queue_depth,
      .io_bytes = rig->config.io_bytes,
      .io_timeout_s = options->io_timeout_s,
      .sync = options->sync && sink,
      .verify_inline = !resident && source,
      .record_inline = !resident && sink,
      .placement = &rig->placement,
      .left_behind = &rig->left_behind,
  };
  return pipeline_open(pipeline, &config, error);
}

static int open_all(struct rig *rig, struct error *error) {
  int failed = resolve(rig, error);
  if (!failed) failed = describe_target(rig, error);
  if (!failed) failed = make_prompt(rig, error);
  if (!failed) failed = open_device(rig, error);
  if (!failed && !rig->emulated && !rig->config.compute_only) failed = rig_open_files(rig, error);
  if (!failed) failed = rig_open_pipeline(rig, rig->source, rig->sink, &rig->pipeline, error);
  return failed;
}

int rig_open(struct rig *rig, const struct rig_config *config, struct error *error) {
  *rig = (struct rig){.config = *config};
  int failed = open_all(rig, error);
  if (failed) rig_close(rig);
  return failed;
}

int rig_open_options(struct rig *rig, const struct options *options,
                     void (*announce)(void *context, const struct target *target, uint64_t bytes),
                     void *announce_context, struct error *error) {
  struct rig_config config = {.options = options,
                              .page_tokens = options->page_tokens.values[0],
                              .queue_depth = (int)options->queue_depth.values[0],
                              .io_bytes = options->io_bytes,
                              .keep_source = true,
                              .announce = announce,
                              .announce_context = announce_context};
  for (int i = 0; i < options->tokens.n; i++)
    if (options->tokens.values[i] > config.tokens_max)
      config.tokens_max = options->tokens.values[i];
  config.past_max = rig_past_tokens(1, config.tokens_max, config.page_tokens);
  char device[sizeof rig->device_name];
  int failed = rig_device_name(options, device, sizeof device, error);
  if (!failed) failed = rig_shape(options, device, &config.shape, error);
  return failed ? failed : rig_open(rig, &config, error);
}

void rig_see_link(struct rig_condition *condition, const struct device_link *link) {
  const double seen = condition->link.gt_per_s * condition->link.width;
  if (seen <= 0 || link->gt_per_s * link->width > seen) condition->link = *link;
}

void rig_close(struct rig *rig) {
  pipeline_close(rig->pipeline);
  bounded_file_close(rig->sink, CLOSE_TIMEOUT_S);
  bounded_file_close(rig->source, CLOSE_TIMEOUT_S);
  if (rig->device && !rig->left_behind) rig->device->ops->close(rig->device);
  free(rig->tokens);
  *rig = (struct rig){0};
}
