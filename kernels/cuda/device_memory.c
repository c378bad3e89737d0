/*
 * Everything that lives on the GPU: allocated once, filled by kernels.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

#define E4M3_MAX 448.0
#define BUFFERS_MAX 32 /* allocations beside weight sets and KV slots */

/* Static scales of FP8 inputs. Our weights are uniform, so a tensor's largest value is known. After
 * a norm values are about normal with deviation 1, and 448 / 16 = 28 of those is never reached;
 * attention averages such values; SwiGLU multiplies two, so it gets more room. E4M3 has a relative
 * step, hence the exact choice matters little. */
static const double x_scales[GEMM_KINDS] = {1.0 / 16, 1.0 / 16, 1.0 / 16, 1.0 / 8};

static int take(struct cuda *cuda, driver_pointer *pointer, size_t bytes, const char *what,
                struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  *pointer = 0;
  if (bytes == 0) return 0;
  int failed = gpu_check(gpu, gpu->driver.memory_alloc(pointer, bytes), error,
                         "cuMemAlloc(%zu bytes) for %s", bytes, what);
  if (!failed) cuda->allocations[cuda->n_allocations++] = *pointer;
  return failed;
}

/* The same, filled with zeros. */
static int take_zero(struct cuda *cuda, driver_pointer *pointer, size_t bytes, const char *what,
                     struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  int failed = take(cuda, pointer, bytes, what, error);
  if (failed || bytes == 0) return failed;
  return gpu_check(gpu, gpu->driver.fill(*pointer, 0, bytes, cuda->compute), error,
                   "cuMemsetD8Async(%zu bytes) of %s", bytes, what);
}

static int take_buffers(struct cuda *cuda, struct error *error) {
  const struct memory_plan *p = &cuda->plan;
  const struct shape *s = &cuda->config.shape;
  struct cuda_buffers *b = &cuda->buffers;
  const size_t d = (size_t)s->hidden;
  const struct {
    driver_pointer *pointer;
    size_t bytes;
    const char *what;
  } wanted[] = {
      {&b->embedding, p->embedding_bytes, "the embedding"},
      {&b->head, p->head_bytes, "the LM head"},
      {&b->norm_final, d * 2, "the final norm"},
      {&b->residual, p->residual_bytes, "the residual stream"},
      {&b->narrow, p->narrow_bytes, "a chunk's norm"},
      {&b->wide, p->wide_bytes, "a chunk's QKV"},
      {&b->active, p->active_bytes, "a chunk's SwiGLU"},
      {&b->quantised, p->quantised_bytes, "a chunk in FP8"},
      {&b->plain_kv, p->plain_kv_bytes, "a layer's KV in bf16"},
      {&b->cosines, p->angles_bytes, "cosines"},
      {&b->sines, p->angles_bytes, "sines"},
      {&b->tokens, (size_t)cuda->config.tokens_max * sizeof(int32_t), "tokens"},
      {&b->hidden, d * sizeof(float), "the last state"},
      {&b->logits, (size_t)s->vocabulary * sizeof(float), "logits"},
      {&b->token, sizeof(int32_t), "the token"},
      {&b->crcs, (size_t)p->pages * sizeof(uint32_t), "CRCs"},
      {&b->factors, sizeof cuda->crc.factors, "CRC factors"},
      {&b->scales, 2 * GEMM_KINDS * sizeof(float), "FP8 scales"},
      {&b->gemm_workspace, GEMM_WORKSPACE_BYTES, "cuBLASLt's workspace"},
      {&b->attention_workspace, ATTENTION_WORKSPACE_BYTES, "attention's workspace"},
  };
  _Static_assert(sizeof wanted / sizeof wanted[0] <= BUFFERS_MAX, "BUFFERS_MAX is too small");
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    int failed = take_zero(cuda, wanted[i].pointer, wanted[i].bytes, wanted[i].what, error);
    if (failed) return failed;
  }
  if (s->tied) b->head = b->embedding;
  return 0;
}

/* ---- weights ---- */

float cuda_fp8_factor(const struct weight_stream *weights) {
  return (float)(E4M3_MAX / (double)weights->scale);
}

/* Fills one tensor; FP8 ones scaled so that their largest value is E4M3's. */
static int fill_tensor(struct cuda *cuda, int set, enum weight_tensor tensor, bool fp8,
                       driver_pointer out, struct error *error) {
  const struct weight_stream w = weight_stream(&cuda->config.shape, cuda->config.seed, set, tensor);
  const struct kernel_weights arguments = {
      .out = out,
      .count = w.rows * w.columns,
      .stream = w.stream,
      .offset = w.offset,
      .scale = w.scale,
      .inverse_scale = fp8 ? cuda_fp8_factor(&w) : 1,
  };
  const int64_t per_block = KERNEL_THREADS * KERNEL_VECTOR;
  return launcher_run(&cuda->launcher, fp8 ? KERNEL_refill_weights_fp8 : KERNEL_refill_weights_bf16,
                      (arguments.count + per_block - 1) / per_block, 1, &arguments, cuda->compute,
                      error);
}

static int fill_set(struct cuda *cuda, int set, struct error *error) {
  const struct memory_weights *w = &cuda->plan.weights;
  const bool fp8 = cuda->config.element == ELEMENT_FP8_E4M3;
  const driver_pointer base = cuda->sets[set];
  const struct {
    enum weight_tensor tensor;
    size_t offset;
    bool fp8;
  } tensors[] = {
      {WEIGHT_QKV, w->qkv, fp8},
      {WEIGHT_OUT, w->out, fp8},
      {WEIGHT_GATE_UP, w->gate_up, fp8},
      {WEIGHT_DOWN, w->down, fp8},
      {WEIGHT_NORM_ATTENTION, w->norm_attention, false},
      {WEIGHT_NORM_FFN, w->norm_ffn, false},
  };
  int failed = 0;
  for (size_t i = 0; i < sizeof tensors / sizeof tensors[0] && !failed; i++)
    failed =
        fill_tensor(cuda, set, tensors[i].tensor, tensors[i].fp8, base + tensors[i].offset, error);
  return failed;
}

static int fill_weights(struct cuda *cuda, struct error *error) {
  int failed = fill_tensor(cuda, 0, WEIGHT_EMBEDDING, false, cuda->buffers.embedding, error);
  if (!failed && !cuda->config.shape.tied)
    failed = fill_tensor(cuda, 0, WEIGHT_HEAD, false, cuda->buffers.head, error);
  if (!failed)
    failed = fill_tensor(cuda, 0, WEIGHT_NORM_FINAL, false, cuda->buffers.norm_final, error);
  for (int set = 0; set < cuda->plan.weight_sets && !failed; set++) {
    failed = take(cuda, &cuda->sets[set], cuda->plan.weights.bytes, "a layer's weights", error);
    if (!failed) failed = fill_set(cuda, set, error);
  }
  return failed;
}

/* ---- tables ---- */

/* Brings host data over through the small pinned memory, which is idle yet. */
static int bring(struct cuda *cuda, driver_pointer target, const void *source, size_t bytes,
                 struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const struct pinned *by = &cuda->small_memory;
  const size_t step = by->buffer_bytes < by->piece_bytes ? by->buffer_bytes : by->piece_bytes;
  for (size_t done = 0; done < bytes; done += step) {
    const size_t n = bytes - done < step ? bytes - done : step;
    memcpy(by->memory.address, (const char *)source + done, n);
    int failed = gpu_check(gpu,
                           gpu->driver.copy_in(target + done, by->memory.address, n, cuda->compute),
                           error, "cuMemcpyHtoDAsync(%zu bytes of tables)", n);
    if (!failed)
      failed = gpu_check(gpu, gpu->driver.stream_synchronize(cuda->compute), error,
                         "cuStreamSynchronize(tables)");
    if (failed) return failed;
  }
  return 0;
}

/* Cosines and sines in double, rounded once, as the CPU device has them. */
static int bring_angles(struct cuda *cuda, struct error *error) {
  const struct shape *s = &cuda->config.shape;
  const size_t half = (size_t)s->head_dim / 2, positions = (size_t)cuda->plan.positions;
  const size_t count = positions * half;
  float *cosines = malloc(count * sizeof *cosines), *sines = malloc(count * sizeof *sines);
  int failed = 0;
  if (!cosines || !sines)
    failed = error_set(error, -ENOMEM, "no memory for the angles of %zu positions", positions);
  for (size_t j = 0; j < half && !failed; j++) {
    const double turn = pow(s->rope_theta, -(double)j / (double)half);
    for (size_t p = 0; p < positions; p++) {
      cosines[p * half + j] = (float)cos((double)p * turn);
      sines[p * half + j] = (float)sin((double)p * turn);
    }
  }
  if (!failed) failed = bring(cuda, cuda->buffers.cosines, cosines, count * sizeof *cosines, error);
  if (!failed) failed = bring(cuda, cuda->buffers.sines, sines, count * sizeof *sines, error);
  free(cosines);
  free(sines);
  return failed;
}

static int bring_tables(struct cuda *cuda, struct error *error) {
  static const enum weight_tensor tensors[GEMM_KINDS] = {WEIGHT_QKV, WEIGHT_OUT, WEIGHT_GATE_UP,
                                                         WEIGHT_DOWN};
  float scales[GEMM_KINDS][2];
  for (int kind = 0; kind < GEMM_KINDS; kind++) {
    const struct weight_stream w = weight_stream(&cuda->config.shape, 0, 0, tensors[kind]);
    scales[kind][0] = (float)((double)w.scale / E4M3_MAX);
    scales[kind][1] = (float)x_scales[kind];
    cuda->fp8_x_scale[kind] = x_scales[kind];
  }
  crc_plan(&cuda->crc, cuda->config.page_tokens * (int64_t)cuda->plan.kv_row_bytes);
  int failed = bring(cuda, cuda->buffers.scales, scales, sizeof scales, error);
  if (!failed)
    failed = bring(cuda, cuda->buffers.factors, cuda->crc.factors, sizeof cuda->crc.factors, error);
  return failed ? failed : bring_angles(cuda, error);
}

/* ---- host side ---- */

/* The buffers of one side, for a window of layers. */
static int open_side(struct cuda *cuda, struct pinned *side, int window, struct error *error) {
  const struct device_config *c = &cuda->config;
  const size_t stride = c->page_stride_bytes, bytes = (size_t)cuda->plan.pages * stride;
  const int n = window < c->layers ? window : c->layers;
  if (c->direct_buffers)
    return pinned_open_device(side, &cuda->gpu, bytes, n, stride, cuda->compute, error);
  return pinned_open(side, &cuda->gpu, bytes, n, stride, c->placement, error);
}

static int open_pinned(struct cuda *cuda, struct error *error) {
  const struct device_config *c = &cuda->config;
  struct gpu *gpu = &cuda->gpu;
  int failed = open_side(cuda, &cuda->landing, c->window, error);
  if (!failed) failed = open_side(cuda, &cuda->leaving, c->write_window, error);
  const size_t tokens_bytes =
      memory_round_up((size_t)c->tokens_max * sizeof(int32_t), MEMORY_ALIGNMENT);
  const size_t hidden_bytes =
      memory_round_up((size_t)c->shape.hidden * sizeof(float), MEMORY_ALIGNMENT);
  const size_t crcs_bytes = (size_t)cuda->plan.pages * sizeof(uint32_t);
  if (!failed)
    failed = pinned_open(&cuda->small_memory, gpu,
                         tokens_bytes + hidden_bytes + MEMORY_ALIGNMENT + crcs_bytes, 1, 4096,
                         c->placement, error);
  if (failed) return failed;
  pinned_register(&cuda->small_memory); /* storage has no part in it */
  char *at = cuda->small_memory.memory.address;
  cuda->small = (struct cuda_small){
      .tokens = (int32_t *)(void *)at,
      .hidden = (float *)(void *)(at + tokens_bytes),
      .token = (int32_t *)(void *)(at + tokens_bytes + hidden_bytes),
      .crcs = (uint32_t *)(void *)(at + tokens_bytes + hidden_bytes + MEMORY_ALIGNMENT),
  };
  return 0;
}

static int allocate_lists(struct cuda *cuda, struct error *error) {
  const size_t sets = (size_t)cuda->plan.weight_sets, slots = (size_t)cuda->plan.kv_slots;
  const size_t layers = (size_t)cuda->config.layers;
  cuda->allocations_max = (int)(sets + slots) + BUFFERS_MAX;
  cuda->allocations = calloc((size_t)cuda->allocations_max, sizeof *cuda->allocations);
  cuda->sets = calloc(sets, sizeof *cuda->sets);
  cuda->slots = calloc(slots, sizeof *cuda->slots);
  cuda->computed = calloc(layers, sizeof *cuda->computed);
  cuda->left = calloc(layers, sizeof *cuda->left);
  cuda->owners = calloc(slots, sizeof *cuda->owners);
  if (cuda->allocations && cuda->sets && cuda->slots && cuda->computed && cuda->left &&
      cuda->owners)
    return 0;
  return error_set(error, -ENOMEM, "no memory for the lists of %zu layers", layers);
}

int cuda_memory_open(struct cuda *cuda, struct error *error) {
  size_t free_bytes = 0, total_bytes = 0;
  int failed = gpu_memory(&cuda->gpu, &free_bytes, &total_bytes, error);
  if (!failed) failed = memory_plan(&cuda->plan, &cuda->config, free_bytes, error);
  if (!failed) failed = allocate_lists(cuda, error);
  if (!failed) failed = open_pinned(cuda, error);
  if (!failed) failed = take_buffers(cuda, error);
  for (int slot = 0; slot < cuda->plan.kv_slots && !failed; slot++)
    failed =
        take_zero(cuda, &cuda->slots[slot], 2 * cuda->plan.kv_half_bytes, "a layer's KV", error);
  if (!failed) failed = fill_weights(cuda, error);
  if (!failed) failed = bring_tables(cuda, error);
  return failed ? failed : cuda_synchronise(cuda, error);
}

/* In reverse: leaving buffers came last. */
void cuda_memory_pin(struct cuda *cuda, bool pinned) {
  if (pinned) {
    pinned_register(&cuda->landing);
    pinned_register(&cuda->leaving);
  } else {
    pinned_unregister(&cuda->leaving);
    pinned_unregister(&cuda->landing);
  }
}

void cuda_memory_close(struct cuda *cuda) {
  for (int i = 0; i < cuda->n_allocations; i++)
    (void)cuda->gpu.driver.memory_free(cuda->allocations[i]);
  pinned_close(&cuda->small_memory);
  pinned_close(&cuda->leaving);
  pinned_close(&cuda->landing);
  free(cuda->allocations);
  free(cuda->sets);
  free(cuda->slots);
  free(cuda->computed);
  free(cuda->left);
  free(cuda->owners);
}
