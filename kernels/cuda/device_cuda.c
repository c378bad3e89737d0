/*
 * Opens and closes the cuda device; what its files do is listed in cuda_device.h.
 */
#include "kernels/cuda/device_cuda.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

/* ---- what was asked for ---- */

static int check_config(const struct device_config *config, struct error *error) {
  const char *problem = shape_problem(&config->shape);
  if (problem) return error_set(error, -EINVAL, "model %s: %s", config->shape.name, problem);
  if (config->layers < 1 || config->layers > config->shape.layers)
    return error_set(error, -EINVAL, "%d layers of a model that has %d", config->layers,
                     config->shape.layers);
  if (config->tokens_max < 1 || config->page_tokens < 1 || config->chunk_tokens < 0 ||
      config->window < 1 || config->write_window < 1)
    return error_set(error, -EINVAL,
                     "tokens_max %lld, page_tokens %lld, chunk_tokens %lld or a window (%d, %d) is "
                     "out of range",
                     (long long)config->tokens_max, (long long)config->page_tokens,
                     (long long)config->chunk_tokens, config->window, config->write_window);
  const size_t payload_bytes = 2 * (size_t)config->page_tokens * (size_t)config->shape.kv_heads *
                               (size_t)config->shape.head_dim * element_bytes(config->kv_element);
  if (config->page_stride_bytes >= payload_bytes) return 0;
  return error_set(error, -EINVAL, "a page stride of %zu bytes is under the page's %zu",
                   config->page_stride_bytes, payload_bytes);
}

/* ---- opening ---- */

static int open_streams(struct cuda *cuda, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  driver_stream *streams[] = {&cuda->compute, &cuda->in, &cuda->out, &cuda->check};
  for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
    int failed = gpu_check(gpu, gpu->driver.stream_create(streams[i], DRIVER_STREAM_NON_BLOCKING),
                           error, "cuStreamCreate(non-blocking)");
    if (failed) return failed;
  }
  return 0;
}

/* Libraries before the memory is counted: each takes some of it for itself. */
static int open_libraries(struct cuda *cuda, struct error *error) {
  const struct attention_setup attention = {
      .gpu = &cuda->gpu,
      .launcher = &cuda->launcher,
      .shape = &cuda->config.shape,
      .choice = cuda->config.attention,
      .directory = cuda->config.library_directory,
  };
  int failed = launcher_open(&cuda->launcher, &cuda->gpu, error);
  if (!failed) failed = gemm_open(&cuda->gemm, &cuda->gpu, cuda->config.library_directory, error);
  if (!failed) failed = attention_open(&cuda->attention, &attention, error);
  return failed;
}

static int set_up_libraries(struct cuda *cuda, struct error *error) {
  const struct gemm_setup gemm = {
      .shape = &cuda->config.shape,
      .fp8 = cuda->config.element == ELEMENT_FP8_E4M3,
      .tune = !cuda->config.gemm_untimed,
      .stream = cuda->compute,
      .workspace = cuda->buffers.gemm_workspace,
      .scales = cuda->buffers.scales,
  };
  int failed = gemm_set_up(&cuda->gemm, &gemm, error);
  if (!failed)
    failed = attention_set_up(&cuda->attention, cuda->compute, cuda->buffers.attention_workspace,
                              ATTENTION_WORKSPACE_BYTES, error);
  return failed;
}

/* Plans for the longest prompt: cuDNN's first compilation, lazy loading and cuBLASLt's choice all
 * happen here, and `info` can say what will run. */
static int warm_up(struct cuda *cuda, struct error *error) {
  int failed = cuda_prepare(cuda, cuda->config.tokens_max, 0, error);
  return failed ? failed : cuda_synchronise(cuda, error);
}

static int try_fp8(struct cuda *cuda, struct error *error) {
  int failed = cuda_trial_fp8(cuda, error);
  if (!failed || !gpu_is_broken(&cuda->gpu)) return failed;
  return error_prefix(error, "trying FP8 GEMMs (--dtype bf16 does without)");
}

/* Plans and trials. Whatever fails of these with FP8 may work without it; but for memory, of which
 * bf16 needs more, and for a fault, after which nothing works until the process ends. */
static int set_up_compute(struct cuda *cuda, struct error *error) {
  const bool fp8 = cuda->config.element == ELEMENT_FP8_E4M3;
  int failed = set_up_libraries(cuda, error);
  if (!failed && fp8) failed = try_fp8(cuda, error);
  if (!failed) failed = cuda_trial_attention(cuda, error);
  if (!failed) failed = warm_up(cuda, error);
  cuda->fp8_failed = failed && failed != -ENOMEM && fp8 && !gpu_is_broken(&cuda->gpu);
  return failed;
}

static int set_up(struct cuda *cuda, struct error *error) {
  int failed = check_config(&cuda->config, error);
  if (!failed) failed = gpu_open(&cuda->gpu, cuda->config.argument, NULL, error);
  if (!failed) (void)nvml_open(&cuda->nvml, cuda->gpu.pci_bus_id, NULL);
  if (!failed) failed = open_streams(cuda, error);
  if (!failed) failed = open_libraries(cuda, error);
  if (!failed && cuda->config.element == ELEMENT_FP8_E4M3) {
    failed = gemm_check_fp8(&cuda->gpu, error); /* before tensors are laid out for it */
    cuda->fp8_failed = failed != 0;
  }
  if (!failed) failed = cuda_memory_open(cuda, error);
  /* A run enqueues 3 layers' worth and the head; callers that time parts may ask for more. */
  if (!failed)
    failed = tickets_open(&cuda->tickets, &cuda->gpu, 8 * cuda->config.layers + 64, error);
  if (!failed) failed = set_up_compute(cuda, error);
  if (!failed) cuda_describe(cuda);
  return failed;
}

static void cuda_close(struct device *device) {
  if (device == NULL) return;
  struct cuda *cuda = cuda_of(device);
  struct gpu *gpu = &cuda->gpu;
  if (gpu->retained) {
    (void)gpu_enter(gpu, NULL);
    (void)gpu->driver.context_synchronize();
    tickets_close(&cuda->tickets);
    graphs_close(cuda);
    attention_close(&cuda->attention);
    gemm_close(&cuda->gemm);
    cuda_memory_close(cuda);
    launcher_close(&cuda->launcher);
    driver_stream streams[] = {cuda->compute, cuda->in, cuda->out, cuda->check};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++)
      if (streams[i]) (void)gpu->driver.stream_destroy(streams[i]);
  }
  nvml_close(&cuda->nvml);
  gpu_close(gpu);
  if (cuda->has_check_lock) pthread_mutex_destroy(&cuda->check_lock);
  free(cuda);
}

/* One try at opening. Where it fails by FP8, *fp8_failed becomes true. */
static int open_once(struct cuda **opened, const struct device_config *config, bool *fp8_failed,
                     struct error *error) {
  struct cuda *cuda = calloc(1, sizeof *cuda);
  if (cuda == NULL) return error_set(error, -ENOMEM, "cuda: no memory");
  cuda->device.ops = &device_cuda_plugin_ops;
  cuda->config = *config;
  int failed = pthread_mutex_init(&cuda->check_lock, NULL);
  cuda->has_check_lock = failed == 0;
  if (failed)
    failed = error_set(error, -failed, "making a lock: %s", strerror(failed));
  else
    failed = set_up(cuda, error);
  *fp8_failed = cuda->fp8_failed;
  if (failed) {
    cuda_close(&cuda->device);
    return failed;
  }
  cuda->config.argument = NULL; /* the caller's, like the placement: used above only */
  cuda->config.placement = NULL;
  cuda->config.library_directory = NULL;
  *opened = cuda;
  return 0;
}

/* With FP8 asked for and not to be had, the device opens in bf16 and says so: a sweep then runs,
 * and its result tells what of. */
static int cuda_open(struct device **device, const struct device_config *config,
                     struct error *error) {
  struct cuda *cuda = NULL;
  bool fp8_failed = false;
  struct error why = {0};
  *device = NULL;
  int failed = open_once(&cuda, config, &fp8_failed, &why);
  if (failed && !fp8_failed) return error_set(error, failed, "%s", why.message);
  if (failed) {
    struct device_config lesser = *config;
    lesser.element = ELEMENT_BF16;
    failed = open_once(&cuda, &lesser, &fp8_failed, error);
    if (!failed) cuda_degrade(cuda, "bf16, not FP8: %.140s", why.message);
  }
  if (failed) return failed;
  *device = &cuda->device;
  return 0;
}

/* ---- runs ---- */

int cuda_check_layer(const struct cuda *cuda, int layer, struct error *error) {
  if (layer >= 0 && layer < cuda->config.layers) return 0;
  return error_set(error, -EINVAL, "no layer %d: the run has layers 0 to %d", layer,
                   cuda->config.layers - 1);
}

int cuda_synchronise(struct cuda *cuda, struct error *error) {
  return gpu_check(&cuda->gpu, cuda->gpu.driver.context_synchronize(), error, "cuCtxSynchronize()");
}

/* Copies may still be under way where a run failed. */
static void cuda_pin(struct device *device, bool pinned) {
  struct cuda *cuda = cuda_of(device);
  if (gpu_enter(&cuda->gpu, NULL) != 0) return;
  if (!pinned) (void)cuda_synchronise(cuda, NULL);
  cuda_memory_pin(cuda, pinned);
  cuda_tell_pinned(cuda);
}

static int check_sequence(const struct cuda *cuda, const struct device_sequence *seqs, int n_seqs,
                          struct error *error) {
  if (n_seqs != 1)
    return error_set(error, -EINVAL, "cuda runs one sequence at a time, not %d", n_seqs);
  const struct device_config *config = &cuda->config;
  if (seqs->n_past < 0 || seqs->n_past % config->page_tokens != 0 || seqs->n_new < 1 ||
      seqs->n_past > config->tokens_max || seqs->n_new > config->tokens_max - seqs->n_past)
    return error_set(error, -EINVAL,
                     "n_past %lld must be a multiple of %lld, n_new %lld at least 1, and both "
                     "together at most %lld tokens",
                     (long long)seqs->n_past, (long long)config->page_tokens,
                     (long long)seqs->n_new, (long long)config->tokens_max);
  for (int64_t i = 0; i < seqs->n_new; i++) {
    if (seqs->tokens[i] >= 0 && seqs->tokens[i] < config->shape.vocabulary) continue;
    return error_set(error, -EINVAL, "token %lld has the id %d; ids are from 0 to %d", (long long)i,
                     (int)seqs->tokens[i], config->shape.vocabulary - 1);
  }
  return 0;
}

static void forget_run(struct cuda *cuda, const struct device_sequence *seq) {
  const int64_t page_tokens = cuda->config.page_tokens;
  cuda->n_past = seq->n_past;
  cuda->n_new = seq->n_new;
  cuda->first_new_page = seq->n_past / page_tokens;
  cuda->end_page = (seq->n_past + seq->n_new + page_tokens - 1) / page_tokens;
  cuda->head_done = false;
  for (int layer = 0; layer < cuda->config.layers; layer++) {
    atomic_store(&cuda->computed[layer], 0);
    atomic_store(&cuda->left[layer], 0);
  }
  for (int slot = 0; slot < cuda->plan.kv_slots; slot++) atomic_store(&cuda->owners[slot], -1);
}

static int cuda_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
                      struct error *error) {
  struct cuda *cuda = cuda_of(device);
  int failed = check_sequence(cuda, seqs, n_seqs, error);
  if (!failed) failed = gpu_enter(&cuda->gpu, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  if (failed) return failed;
  forget_run(cuda, seqs);
  failed = cuda_prepare(cuda, seqs->n_new, seqs->n_past, error);
  cuda_tell_attention(cuda);
  if (!failed) failed = graphs_begin(cuda, seqs->n_new, seqs->n_past, error);
  if (!failed) failed = cuda_spoil(cuda, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  return failed ? failed : tickets_begin(&cuda->tickets, cuda->compute, error);
}

static int cuda_wait(struct device *device, device_ticket ticket, double timeout_s,
                     struct device_span *span, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  int failed = gpu_enter(&cuda->gpu, error);
  return failed ? failed : ticket_wait(&cuda->tickets, ticket, timeout_s, span, error);
}

static int cuda_output(struct device *device, struct device_output *output, struct error *error) {
  const struct cuda *cuda = cuda_of(device);
  if (!cuda->head_done)
    return error_set(error, -EINVAL, "no output: head() was not called in this run");
  *output = (struct device_output){.token = *cuda->small.token, .hidden = cuda->small.hidden};
  return 0;
}

static void cuda_condition(struct device *device, struct device_condition *condition) {
  const struct cuda *cuda = cuda_of(device);
  struct nvml_state state;
  nvml_read(&cuda->nvml, &state);
  *condition = (struct device_condition){.clock_error_s = cuda->tickets.base_error_s,
                                         .graphs = cuda->graphs.active,
                                         .sm_hz = state.sm_hz,
                                         .memory_hz = state.memory_hz,
                                         .power_w = state.power_w,
                                         .temperature_c = state.temperature_c,
                                         .held_down_known = state.reasons_known};
  nvml_read_link(&cuda->nvml, "/", &condition->link);
  snprintf(condition->held_down, sizeof condition->held_down, "%s",
           nvml_reason_name(state.reasons));
}

const struct device_ops device_cuda_plugin_ops = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .pin = cuda_pin,
    .begin = cuda_begin,
    .buffer = cuda_buffer,
    .kv_in = cuda_kv_in,
    .forward_layer = cuda_forward_layer,
    .kv_out = cuda_kv_out,
    .head = cuda_head,
    .wait = cuda_wait,
    .kv_crc = cuda_kv_crc,
    .output = cuda_output,
    .probe = cuda_probe,
    .condition = cuda_condition,
};
