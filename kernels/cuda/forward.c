/*
 * A decoder layer on the compute stream, chunk by chunk (chunk.c has the steps), and the head.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "kernels/cuda/chunk.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/ranges.h"

/* ---- plans ---- */

int cuda_prepare(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error) {
  int64_t planned = -1;
  graphs_keep(cuda, n_new, n_past);
  for (int64_t first = 0; first < n_new; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, 0, first, n_new, n_past);
    int failed = attention_prepare(&cuda->attention, c.rows, c.position + c.rows,
                                   chunk_qkv_dim(cuda), error);
    for (int kind = 0; kind < GEMM_KINDS && !failed && c.rows != planned; kind++) {
      const struct gemm_operands operands = chunk_operands(cuda, &c, (enum gemm_kind)kind);
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

int cuda_run_chunks(struct cuda *cuda, int layer, int64_t n_new, int64_t n_past,
                    struct error *error) {
  int failed = chunk_dequantise_past(cuda, layer, n_past, error);
  for (int64_t first = 0; first < n_new && !failed; first += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, layer, first, n_new, n_past);
    failed = chunk_run(cuda, &c, error);
  }
  return failed;
}

static int run_layer(struct cuda *cuda, int layer, const struct device_sequence *seq,
                     struct error *error) {
  int failed = 0;
  if (layer == 0) failed = bring_tokens(cuda, seq, error);
  if (!failed && layer == 0) failed = chunk_embed(cuda, seq->n_new, error);
  if (failed) return failed;
  if (cuda->graphs.active) return graphs_launch(cuda, layer, error);
  return cuda_run_chunks(cuda, layer, seq->n_new, seq->n_past, error);
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

int cuda_run_head(struct cuda *cuda, int64_t n_new, struct error *error) {
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
  if (!failed) failed = cuda_run_head(cuda, seqs->n_new, error);
  range_end();
  if (!failed) failed = take_out(cuda, error);
  if (!failed) failed = ticket_end(&cuda->tickets, cuda->compute, mine, error);
  if (failed) return failed;
  cuda->head_done = true;
  *ticket = mine;
  return 0;
}
