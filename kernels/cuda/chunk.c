/*
 * The steps of a chunk of new tokens through one layer, each one kernel or one library call on the
 * compute stream:
 *
 *   narrow   = rmsnorm(x)             [FP8: narrow holds E4M3]
 *   wide     = narrow Wqkv^T
 *   wide.q, KV cache = rope(wide)
 *   narrow   = attention(wide.q, KV cache)
 *   x       += narrow Wout^T          [FP8: quantised first]
 *   narrow   = rmsnorm(x)
 *   wide     = narrow Wgate_up^T
 *   active   = swiglu(wide)
 *   x       += active Wdown^T
 *
 * Nothing here waits for the GPU, and nothing allocates but cuDNN's binding of new addresses.
 *
 * What it should take on an H100: Llama-3-70B, a layer of 8192 new tokens without a past, bytes at
 * 85% of 3.35 TB/s, GEMMs at 746 TFLOPS (FP8 1378), attention at 599:
 *
 *                  bf16                       FP8
 *   4 GEMMs        14.0 TFLOP   18.8 ms       10.2 ms
 *   attention      1.10 TFLOP    1.84 ms       1.84 ms
 *   2 norms        537 MB        0.19 ms       403 MB   0.14 ms
 *   RoPE           340 MB        0.12 ms       340 MB   0.12 ms
 *   SwiGLU         1409 MB       0.50 ms       1174 MB  0.41 ms
 *   quantise       -             -             201 MB   0.07 ms
 *   in all                       21.4 ms                12.8 ms
 *   elementwise                  0.80 ms, 3.7%          0.74 ms, 5.8%
 *
 * (chunk_bytes.c has the bytes, and its test reckons the shares.) The stream never runs dry between
 * them: the host needs some 35 us to enqueue a layer. `calibrate` prints each of these rows as
 * measured, and the layer beside their sum.
 */
#include "kernels/cuda/chunk.h"

static bool is_fp8(const struct cuda *cuda) {
  return cuda->config.element == ELEMENT_FP8_E4M3;
}

static bool is_kv_fp8(const struct cuda *cuda) {
  return cuda->config.kv_element == ELEMENT_FP8_E4M3;
}

int64_t chunk_q_dim(const struct cuda *cuda) {
  return (int64_t)cuda->config.shape.q_heads * cuda->config.shape.head_dim;
}

int64_t chunk_kv_dim(const struct cuda *cuda) {
  return (int64_t)cuda->config.shape.kv_heads * cuda->config.shape.head_dim;
}

int64_t chunk_qkv_dim(const struct cuda *cuda) {
  return chunk_q_dim(cuda) + 2 * chunk_kv_dim(cuda);
}

struct chunk chunk_at(const struct cuda *cuda, int layer, int64_t first, int64_t n_new,
                      int64_t n_past) {
  const int64_t rows = n_new - first < cuda->plan.chunk_tokens ? n_new - first
                                                               : cuda->plan.chunk_tokens;
  const int64_t end = n_past + first + rows, page = cuda->config.page_tokens;
  const bool last = first + rows == n_new;
  return (struct chunk){
      .set = cuda->sets[layer % cuda->plan.weight_sets],
      .slot = cuda_slot(cuda, layer),
      .residual = cuda->buffers.residual + (driver_pointer)(first * cuda->config.shape.hidden * 2),
      .rows = rows,
      .position = n_past + first,
      .pad_rows = last ? (page - end % page) % page : 0,
  };
}

/* ---- single steps ---- */

static int norm(struct cuda *cuda, const struct chunk *c, size_t weight, enum gemm_kind kind,
                struct error *error) {
  const struct kernel_norm arguments = {
      .x = c->residual,
      .weight = c->set + weight,
      .out = cuda->buffers.narrow,
      .width = cuda->config.shape.hidden,
      .eps = (float)cuda->config.shape.norm_eps,
      .inverse_scale = (float)(1 / cuda->fp8_x_scale[kind]),
  };
  return launcher_run(&cuda->launcher,
                      is_fp8(cuda) ? KERNEL_refill_norm_fp8 : KERNEL_refill_norm_bf16, c->rows, 1,
                      &arguments, cuda->compute, error);
}

struct gemm_operands chunk_operands(const struct cuda *cuda, const struct chunk *c,
                                    enum gemm_kind kind) {
  const struct memory_weights *w = &cuda->plan.weights;
  const struct cuda_buffers *b = &cuda->buffers;
  switch (kind) {
  case GEMM_QKV:
    return (struct gemm_operands){c->set + w->qkv, b->narrow, b->wide};
  case GEMM_OUT:
    return (struct gemm_operands){c->set + w->out, is_fp8(cuda) ? b->quantised : b->narrow,
                                  c->residual};
  case GEMM_GATE_UP:
    return (struct gemm_operands){c->set + w->gate_up, b->narrow, b->wide};
  default:
    return (struct gemm_operands){c->set + w->down, b->active, c->residual};
  }
}

static int gemm(struct cuda *cuda, const struct chunk *c, enum gemm_kind kind,
                struct error *error) {
  const struct gemm_operands operands = chunk_operands(cuda, c, kind);
  return gemm_run(&cuda->gemm, kind, c->rows, &operands, error);
}

static int rope(struct cuda *cuda, const struct chunk *c, struct error *error) {
  const struct shape *s = &cuda->config.shape;
  const driver_pointer plain = cuda->buffers.plain_kv;
  const struct kernel_rope arguments = {
      .qkv = cuda->buffers.wide,
      .cosines = cuda->buffers.cosines,
      .sines = cuda->buffers.sines,
      .k = c->slot,
      .v = c->slot + cuda->plan.kv_half_bytes,
      .k_plain = plain,
      .v_plain = plain + cuda->plan.plain_kv_bytes / 2,
      .n_tokens = c->rows,
      .first = c->position,
      .q_heads = s->q_heads,
      .kv_heads = s->kv_heads,
      .head_dim = s->head_dim,
  };
  return launcher_run(&cuda->launcher,
                      is_kv_fp8(cuda) ? KERNEL_refill_rope_fp8 : KERNEL_refill_rope_bf16,
                      c->rows + c->pad_rows, 1, &arguments, cuda->compute, error);
}

struct attention_operands chunk_attention(const struct cuda *cuda, const struct chunk *c) {
  const driver_pointer plain = cuda->buffers.plain_kv;
  return (struct attention_operands){
      .q = cuda->buffers.wide,
      .q_stride = chunk_qkv_dim(cuda),
      .k = is_kv_fp8(cuda) ? plain : c->slot,
      .v = is_kv_fp8(cuda) ? plain + cuda->plan.plain_kv_bytes / 2
                           : c->slot + cuda->plan.kv_half_bytes,
      .out = cuda->buffers.narrow,
      .n_queries = c->rows,
      .n_keys = c->position + c->rows,
  };
}

static int attend(struct cuda *cuda, const struct chunk *c, struct error *error) {
  const struct attention_operands operands = chunk_attention(cuda, c);
  return attention_run(&cuda->attention, &operands, error);
}

/* Attention's output as the FP8 GEMM wants it. */
static int quantise(struct cuda *cuda, const struct chunk *c, struct error *error) {
  if (!is_fp8(cuda)) return 0;
  const int64_t per_block = KERNEL_THREADS * 16;
  const struct kernel_convert arguments = {
      .in = cuda->buffers.narrow,
      .out = cuda->buffers.quantised,
      .count = c->rows * chunk_q_dim(cuda),
      .factor = (float)(1 / cuda->fp8_x_scale[GEMM_OUT]),
  };
  return launcher_run(&cuda->launcher, KERNEL_refill_quantise,
                      (arguments.count + per_block - 1) / per_block, 1, &arguments, cuda->compute,
                      error);
}

static int swiglu(struct cuda *cuda, const struct chunk *c, struct error *error) {
  const struct kernel_swiglu arguments = {
      .gate_up = cuda->buffers.wide,
      .out = cuda->buffers.active,
      .ffn = cuda->config.shape.ffn,
      .inverse_scale = (float)(1 / cuda->fp8_x_scale[GEMM_DOWN]),
  };
  return launcher_run(&cuda->launcher,
                      is_fp8(cuda) ? KERNEL_refill_swiglu_fp8 : KERNEL_refill_swiglu_bf16, c->rows,
                      1, &arguments, cuda->compute, error);
}

int chunk_embed(struct cuda *cuda, int64_t n_new, struct error *error) {
  const struct kernel_embed arguments = {
      .tokens = cuda->buffers.tokens,
      .table = cuda->buffers.embedding,
      .out = cuda->buffers.residual,
      .width = cuda->config.shape.hidden,
  };
  return launcher_run(&cuda->launcher, KERNEL_refill_embed, n_new, 1, &arguments, cuda->compute,
                      error);
}

int chunk_dequantise_past(struct cuda *cuda, int layer, int64_t n_past, struct error *error) {
  if (!is_kv_fp8(cuda) || n_past == 0) return 0;
  const int64_t per_block = KERNEL_THREADS * 16;
  const struct kernel_convert arguments = {
      .in = cuda_slot(cuda, layer),
      .out = cuda->buffers.plain_kv,
      .count = n_past * chunk_kv_dim(cuda),
      .in_stride = (int64_t)cuda->plan.kv_half_bytes,
      .out_stride = (int64_t)cuda->plan.plain_kv_bytes / 4, /* bytes of both halves to elements */
      .factor = 1,
  };
  return launcher_run(&cuda->launcher, KERNEL_refill_dequantise,
                      (arguments.count + per_block - 1) / per_block, 2, &arguments, cuda->compute,
                      error);
}

/* ---- the layer in steps ---- */

int chunk_step(struct cuda *cuda, const struct chunk *c, enum chunk_step step,
               struct error *error) {
  const struct memory_weights *w = &cuda->plan.weights;
  switch (step) {
  case CHUNK_NORM_ATTENTION:
    return norm(cuda, c, w->norm_attention, GEMM_QKV, error);
  case CHUNK_QKV:
    return gemm(cuda, c, GEMM_QKV, error);
  case CHUNK_ROPE:
    return rope(cuda, c, error);
  case CHUNK_ATTENTION:
    return attend(cuda, c, error);
  case CHUNK_QUANTISE:
    return quantise(cuda, c, error);
  case CHUNK_OUT:
    return gemm(cuda, c, GEMM_OUT, error);
  case CHUNK_NORM_FFN:
    return norm(cuda, c, w->norm_ffn, GEMM_GATE_UP, error);
  case CHUNK_GATE_UP:
    return gemm(cuda, c, GEMM_GATE_UP, error);
  case CHUNK_SWIGLU:
    return swiglu(cuda, c, error);
  default:
    return gemm(cuda, c, GEMM_DOWN, error);
  }
}

int chunk_run(struct cuda *cuda, const struct chunk *c, struct error *error) {
  int failed = 0;
  for (int step = 0; step < CHUNK_STEPS && !failed; step++)
    failed = chunk_step(cuda, c, (enum chunk_step)step, error);
  return failed;
}

double chunk_step_flops(const struct cuda *cuda, enum chunk_step step) {
  static const int kinds[CHUNK_STEPS] = {[CHUNK_QKV] = 1 + GEMM_QKV,
                                         [CHUNK_OUT] = 1 + GEMM_OUT,
                                         [CHUNK_GATE_UP] = 1 + GEMM_GATE_UP,
                                         [CHUNK_DOWN] = 1 + GEMM_DOWN};
  if (kinds[step] == 0) return 0;
  const struct gemm_linear *linear = &cuda->gemm.linears[kinds[step] - 1];
  return 2.0 * (double)linear->n * (double)linear->k;
}
