/*
 * A decoder layer on the compute stream, chunk by chunk, and the head.
 *
 * Per chunk of m tokens:
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
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/ranges.h"

static bool is_fp8(const struct cuda *cuda) {
  return cuda->config.element == ELEMENT_FP8_E4M3;
}

static bool is_kv_fp8(const struct cuda *cuda) {
  return cuda->config.kv_element == ELEMENT_FP8_E4M3;
}

static int64_t q_dim(const struct cuda *cuda) {
  return (int64_t)cuda->config.shape.q_heads * cuda->config.shape.head_dim;
}

static int64_t kv_dim(const struct cuda *cuda) {
  return (int64_t)cuda->config.shape.kv_heads * cuda->config.shape.head_dim;
}

static int64_t qkv_dim(const struct cuda *cuda) {
  return q_dim(cuda) + 2 * kv_dim(cuda);
}

/* A chunk of one layer. */
struct chunk {
  driver_pointer set;      /* weights */
  driver_pointer slot;     /* the layer's KV cache */
  driver_pointer residual; /* the chunk's rows of x */
  int64_t rows;            /* m */
  int64_t position;        /* of its first token */
  int64_t pad_rows;        /* zero rows to write behind the last token's KV */
};

static struct chunk chunk_at(const struct cuda *cuda, int layer, int64_t first, int64_t n_new,
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

/* Where each GEMM reads and writes. */
static struct gemm_operands operands_of(const struct cuda *cuda, const struct chunk *c,
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
  const struct gemm_operands operands = operands_of(cuda, c, kind);
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

static int attend(struct cuda *cuda, const struct chunk *c, struct error *error) {
  const driver_pointer plain = cuda->buffers.plain_kv;
  const struct attention_operands operands = {
      .q = cuda->buffers.wide,
      .q_stride = qkv_dim(cuda),
      .k = is_kv_fp8(cuda) ? plain : c->slot,
      .v = is_kv_fp8(cuda) ? plain + cuda->plan.plain_kv_bytes / 2
                           : c->slot + cuda->plan.kv_half_bytes,
      .out = cuda->buffers.narrow,
      .n_queries = c->rows,
      .n_keys = c->position + c->rows,
  };
  return attention_run(&cuda->attention, &operands, error);
}

/* Attention's output as the FP8 GEMM wants it. */
static int quantise(struct cuda *cuda, const struct chunk *c, struct error *error) {
  if (!is_fp8(cuda)) return 0;
  const int64_t per_block = KERNEL_THREADS * 16;
  const struct kernel_convert arguments = {
      .in = cuda->buffers.narrow,
      .out = cuda->buffers.quantised,
      .count = c->rows * q_dim(cuda),
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

static int embed(struct cuda *cuda, int64_t n_new, struct error *error) {
  const struct kernel_embed arguments = {
      .tokens = cuda->buffers.tokens,
      .table = cuda->buffers.embedding,
      .out = cuda->buffers.residual,
      .width = cuda->config.shape.hidden,
  };
  return launcher_run(&cuda->launcher, KERNEL_refill_embed, n_new, 1, &arguments, cuda->compute,
                      error);
}

/* The stored past of an FP8 cache, as attention reads it. */
static int dequantise_past(struct cuda *cuda, int layer, int64_t n_past, struct error *error) {
  if (!is_kv_fp8(cuda) || n_past == 0) return 0;
  const int64_t per_block = KERNEL_THREADS * 16;
  const struct kernel_convert arguments = {
      .in = cuda_slot(cuda, layer),
      .out = cuda->buffers.plain_kv,
      .count = n_past * kv_dim(cuda),
      .in_stride = (int64_t)cuda->plan.kv_half_bytes,
      .out_stride = (int64_t)cuda->plan.plain_kv_bytes / 4, /* bytes of both halves to elements */
      .factor = 1,
  };
  return launcher_run(&cuda->launcher, KERNEL_refill_dequantise,
                      (arguments.count + per_block - 1) / per_block, 2, &arguments, cuda->compute,
                      error);
}

static int run_chunk(struct cuda *cuda, const struct chunk *c, struct error *error) {
  const struct memory_weights *w = &cuda->plan.weights;
  int failed = norm(cuda, c, w->norm_attention, GEMM_QKV, error);
  if (!failed) failed = gemm(cuda, c, GEMM_QKV, error);
  if (!failed) failed = rope(cuda, c, error);
  if (!failed) failed = attend(cuda, c, error);
  if (!failed) failed = quantise(cuda, c, error);
  if (!failed) failed = gemm(cuda, c, GEMM_OUT, error);
  if (!failed) failed = norm(cuda, c, w->norm_ffn, GEMM_GATE_UP, error);
  if (!failed) failed = gemm(cuda, c, GEMM_GATE_UP, error);
  if (!failed) failed = swiglu(cuda, c, error);
  if (!failed) failed = gemm(cuda, c, GEMM_DOWN, error);
  return failed;
}

/* ---- plans ---- */

int cuda_prepare(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error) {
  int64_t planned = -1;
  for (int64_t first = 0; first < n_new; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, 0, first, n_new, n_past);
    int failed =
        attention_prepare(&cuda->attention, c.rows, c.position + c.rows, qkv_dim(cuda), error);
    for (int kind = 0; kind < GEMM_KINDS && !failed && c.rows != planned; kind++) {
      const struct gemm_operands operands = operands_of(cuda, &c, (enum gemm_kind)kind);
      failed = gemm_prepare(&cuda->gemm, (enum gemm_kind)kind, c.rows, &operands, error);
    }
    if (failed) return failed;
    planned = c.rows;
  }
  return 0;
}

/* ---- a layer ---- */

/* Tokens travel on the compute stream, before the embedding that reads them. */
static int bring_tokens(struct cuda *cuda, const struct device_sequence *seq, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const size_t bytes = (size_t)seq->n_new * sizeof *seq->tokens;
  memcpy(cuda->small.tokens, seq->tokens, bytes);
  return gpu_check(
      gpu, gpu->driver.copy_in(cuda->buffers.tokens, cuda->small.tokens, bytes, cuda->compute),
      error, "cuMemcpyHtoDAsync(%zu bytes of tokens)", bytes);
}

static int check_sequence(const struct cuda *cuda, const struct device_sequence *seqs, int n_seqs,
                          struct error *error) {
  if (n_seqs == 1 && seqs->n_new == cuda->n_new && seqs->n_past == cuda->n_past) return 0;
  return error_set(error, -EINVAL, "the sequence is not the one that begin() was given");
}

/* A cache with fewer slots than layers: has a later layer's past already taken this one's? */
static int check_owner(const struct cuda *cuda, int layer, struct error *error) {
  const int owner = atomic_load(&cuda->owners[layer % cuda->plan.kv_slots]);
  if (owner <= layer) return 0;
  return error_set(error, -EINVAL,
                   "the KV of layer %d was replaced by layer %d's before it was computed: storage "
                   "ran further ahead than --window and --write-window allow",
                   layer, owner);
}

static int run_layer(struct cuda *cuda, int layer, const struct device_sequence *seq,
                     struct error *error) {
  int failed = 0;
  if (layer == 0) failed = bring_tokens(cuda, seq, error);
  if (!failed && layer == 0) failed = embed(cuda, seq->n_new, error);
  if (!failed) failed = dequantise_past(cuda, layer, seq->n_past, error);
  for (int64_t first = 0; first < seq->n_new && !failed; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, layer, first, seq->n_new, seq->n_past);
    failed = run_chunk(cuda, &c, error);
  }
  return failed;
}

int cuda_forward_layer(struct device *device, int layer, const struct device_sequence *seqs,
                       int n_seqs, const device_ticket *after, int n_after, device_ticket *ticket,
                       struct error *error) {
  struct cuda *cuda = cuda_of(device);
  *ticket = 0;
  int failed = cuda_check_layer(cuda, layer, error);
  if (!failed) failed = check_sequence(cuda, seqs, n_seqs, error);
  if (!failed) failed = check_owner(cuda, layer, error);
  if (!failed) failed = gpu_enter(&cuda->gpu, error);
  for (int i = 0; i < n_after && !failed; i++)
    failed = ticket_order(&cuda->tickets, cuda->compute, after[i], error);
  const int before = layer - cuda->plan.kv_slots; /* whose slot this is now */
  if (!failed && before >= 0)
    failed = ticket_order(&cuda->tickets, cuda->compute, atomic_load(&cuda->left[before]), error);
  device_ticket mine = 0;
  if (!failed) failed = ticket_start(&cuda->tickets, cuda->compute, &mine, error);
  range_begin("layer", layer);
  if (!failed) failed = run_layer(cuda, layer, seqs, error);
  range_end();
  if (!failed) failed = ticket_end(&cuda->tickets, cuda->compute, mine, error);
  if (failed) return failed;
  atomic_store(&cuda->computed[layer], mine);
  *ticket = mine;
  return 0;
}

/* ---- the head ---- */

static int run_head(struct cuda *cuda, int64_t n_new, struct error *error) {
  const struct shape *s = &cuda->config.shape;
  const struct cuda_buffers *b = &cuda->buffers;
  const struct kernel_norm last = {
      .x = b->residual + (driver_pointer)((n_new - 1) * s->hidden * 2),
      .weight = b->norm_final,
      .out = b->hidden,
      .width = s->hidden,
      .eps = (float)s->norm_eps,
      .inverse_scale = 1,
  };
  const struct kernel_head logits = {.hidden = b->hidden,
                                     .table = b->head,
                                     .logits = b->logits,
                                     .width = s->hidden,
                                     .rows = s->vocabulary};
  const struct kernel_argmax best = {.logits = b->logits, .token = b->token, .rows = s->vocabulary};
  const struct launcher *l = &cuda->launcher;
  int failed = launcher_run(l, KERNEL_refill_norm_float, 1, 1, &last, cuda->compute, error);
  if (!failed)
    failed = launcher_run(l, KERNEL_refill_head,
                          (s->vocabulary + KERNEL_HEAD_ROWS - 1) / KERNEL_HEAD_ROWS, 1, &logits,
                          cuda->compute, error);
  if (!failed) failed = launcher_run(l, KERNEL_refill_argmax, 1, 1, &best, cuda->compute, error);
  return failed;
}

static int take_out(struct cuda *cuda, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const size_t bytes = (size_t)cuda->config.shape.hidden * sizeof(float);
  int failed = gpu_check(
      gpu, gpu->driver.copy_out(cuda->small.hidden, cuda->buffers.hidden, bytes, cuda->compute),
      error, "cuMemcpyDtoHAsync(%zu bytes of the last state)", bytes);
  if (!failed)
    failed = gpu_check(gpu,
                       gpu->driver.copy_out(cuda->small.token, cuda->buffers.token,
                                            sizeof *cuda->small.token, cuda->compute),
                       error, "cuMemcpyDtoHAsync(the token)");
  return failed;
}

int cuda_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
              device_ticket *ticket, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  *ticket = 0;
  int failed = check_sequence(cuda, seqs, n_seqs, error);
  if (!failed) failed = gpu_enter(&cuda->gpu, error);
  device_ticket mine = 0;
  if (!failed) failed = ticket_start(&cuda->tickets, cuda->compute, &mine, error);
  range_begin("head of tokens", (int)seqs->n_new);
  if (!failed) failed = run_head(cuda, seqs->n_new, error);
  range_end();
  if (!failed) failed = take_out(cuda, error);
  if (!failed) failed = ticket_end(&cuda->tickets, cuda->compute, mine, error);
  if (failed) return failed;
  cuda->head_done = true;
  *ticket = mine;
  return 0;
}

/* ---- parts for probes ---- */

int cuda_enqueue_gemms(struct cuda *cuda, int set, int64_t n_new, struct error *error) {
  int failed = 0;
  for (int64_t first = 0; first < n_new && !failed; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, set, first, n_new, 0);
    for (int kind = 0; kind < GEMM_KINDS && !failed; kind++)
      failed = gemm(cuda, &c, (enum gemm_kind)kind, error);
  }
  return failed;
}

int cuda_enqueue_attention(struct cuda *cuda, int layer, int64_t n_new, int64_t n_past,
                           struct error *error) {
  int failed = 0;
  for (int64_t first = 0; first < n_new && !failed; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, layer, first, n_new, n_past);
    failed = attend(cuda, &c, error);
  }
  return failed;
}
