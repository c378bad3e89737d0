/*
 * A run on the cpu device: begin, layers, head. All work is done in the call
 * that enqueues it; tickets only remember when.
 *
 * A layer goes over the new tokens in chunks that end at absolute multiples of
 * chunk_tokens. A reload whose n_past is such a multiple therefore runs the
 * very GEMM shapes that a recompute ran, and comes to the same bits.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "kernels/cpu/cpu_state.h"

int64_t cpu_chunk_end(const struct cpu_device *cpu, int64_t position, int64_t end) {
  const int64_t chunk = cpu->device.info.chunk_tokens;
  const int64_t stop = (position / chunk + 1) * chunk;
  return stop < end ? stop : end;
}

int cpu_prepare(struct cpu_device *cpu, int64_t n_past, int64_t n_new, struct error *error) {
  const int64_t end = n_past + n_new;
  for (int64_t from = n_past, to; from < end; from = to) {
    to = cpu_chunk_end(cpu, from, end);
    for (int i = 0; i < LINEARS; i++) {
      const int status = gemm_prepare(cpu->linears[i], to - from, error);
      if (status != 0) return status;
    }
  }
  return 0;
}

static int check_sequence(const struct cpu_device *cpu, const struct device_sequence *seqs,
                          int n_seqs, struct error *error) {
  const struct device_config *config = &cpu->config;
  if (n_seqs != 1)
    return error_set(error, -ENOTSUP, "the cpu device takes one sequence, not %d", n_seqs);
  const int64_t n_past = seqs->n_past, n_new = seqs->n_new;
  if (n_past < 0 || n_past % config->page_tokens != 0)
    return error_set(error, -EINVAL, "n_past %lld is not a multiple of %lld page tokens",
                     (long long)n_past, (long long)config->page_tokens);
  if (n_new < 1 || n_past + n_new > config->tokens_max)
    return error_set(error, -EINVAL, "n_past %lld + n_new %lld is not in [1, %lld] tokens",
                     (long long)n_past, (long long)n_new, (long long)config->tokens_max);
  for (int64_t i = 0; i < n_new; i++)
    if (seqs->tokens[i] < 0 || seqs->tokens[i] >= config->shape.vocabulary)
      return error_set(error, -EINVAL, "token %lld has the id %d, outside a vocabulary of %d",
                       (long long)i, (int)seqs->tokens[i], config->shape.vocabulary);
  return 0;
}

int cpu_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
              struct error *error) {
  struct cpu_device *cpu = cpu_device_of(device);
  cpu->begun = false;
  int status = check_sequence(cpu, seqs, n_seqs, error);
  if (status == 0) status = cpu_prepare(cpu, seqs->n_past, seqs->n_new, error);
  if (status != 0) return status;
  tickets_forget(&cpu->tickets);
  cpu_kv_poison(cpu, seqs->n_past);
  cpu->sequence = *seqs;
  cpu->layers_done = 0;
  cpu->head_done = false;
  cpu->begun = true;
  return 0;
}

/* x += Wo attention(rope(Wqkv rmsnorm(x))) for positions [from, to). */
static int attention_part(struct cpu_device *cpu, const struct layer_weights *w, int layer,
                          int64_t from, int64_t to, bf16 *x, struct error *error) {
  const struct shape *shape = &cpu->config.shape;
  const struct activations *a = &cpu->activations;
  const int64_t m = to - from;
  const int64_t qkv_dim = (int64_t)(shape->q_heads + 2 * shape->kv_heads) * shape->head_dim;
  pointwise_norm(cpu->pointwise, m, shape->hidden, (float)shape->norm_eps, x, w->norm_attention,
                 a->normed);
  const int status =
      gemm_run(cpu->linears[LINEAR_QKV], w->packed[LINEAR_QKV], m, a->normed, a->qkv, error);
  if (status != 0) return status;
  cpu_kv_store(cpu, layer, from, m, a->qkv);
  const struct attention_view view = cpu_kv_view(cpu, layer);
  attention_run(&cpu->attention, &view, from, m, a->qkv, qkv_dim, a->heads);
  return gemm_run(cpu->linears[LINEAR_OUT], w->packed[LINEAR_OUT], m, a->heads, x, error);
}

/* x += Wdown swiglu(Wgate_up rmsnorm(x)) for m tokens. */
static int ffn_part(struct cpu_device *cpu, const struct layer_weights *w, int64_t m, bf16 *x,
                    struct error *error) {
  const struct shape *shape = &cpu->config.shape;
  const struct activations *a = &cpu->activations;
  pointwise_norm(cpu->pointwise, m, shape->hidden, (float)shape->norm_eps, x, w->norm_ffn,
                 a->normed);
  const int status = gemm_run(cpu->linears[LINEAR_GATE_UP], w->packed[LINEAR_GATE_UP], m, a->normed,
                              a->gate_up, error);
  if (status != 0) return status;
  pointwise_swiglu(cpu->pointwise, m, shape->ffn, a->gate_up, a->act);
  return gemm_run(cpu->linears[LINEAR_DOWN], w->packed[LINEAR_DOWN], m, a->act, x, error);
}

static int run_layer(struct cpu_device *cpu, int layer, struct error *error) {
  const struct layer_weights *w = &cpu->sets[layer % cpu->device.info.weight_sets];
  const int64_t n_past = cpu->sequence.n_past, end = n_past + cpu->sequence.n_new;
  int status = 0;
  cpu_kv_load(cpu, layer, n_past);
  for (int64_t from = n_past, to; from < end && status == 0; from = to) {
    to = cpu_chunk_end(cpu, from, end);
    bf16 *x = cpu->activations.hidden + (from - n_past) * cpu->config.shape.hidden;
    status = attention_part(cpu, w, layer, from, to, x, error);
    if (status == 0) status = ffn_part(cpu, w, to - from, x, error);
  }
  return status;
}

/* A call that enqueues work must belong to the run that begin() started. */
static int check_run(const struct cpu_device *cpu, const struct device_sequence *seqs, int n_seqs,
                     struct error *error) {
  if (!cpu->begun) return error_set(error, -EINVAL, "begin() was not called");
  if (n_seqs != 1 || seqs->n_past != cpu->sequence.n_past || seqs->n_new != cpu->sequence.n_new)
    return error_set(error, -EINVAL, "the sequence differs from the one given to begin()");
  return 0;
}

int cpu_forward_layer(struct device *device, int layer, const struct device_sequence *seqs,
                      int n_seqs, const device_ticket *after, int n_after, device_ticket *ticket,
                      struct error *error) {
  struct cpu_device *cpu = cpu_device_of(device);
  int status = check_run(cpu, seqs, n_seqs, error);
  for (int i = 0; i < n_after && status == 0; i++)
    if (after[i] != 0) status = tickets_find(&cpu->tickets, after[i], NULL, error);
  if (status != 0) return status;
  if (layer != cpu->layers_done || layer >= cpu->config.layers)
    return error_set(error, -EINVAL, "layer %d comes out of order: %d of %d layers are done", layer,
                     cpu->layers_done, cpu->config.layers);
  struct device_span span = {.start_s = clock_now_s()};
  if (layer == 0)
    pointwise_embed(seqs->n_new, cpu->config.shape.hidden, seqs->tokens, cpu->embedding,
                    cpu->activations.hidden);
  status = run_layer(cpu, layer, error);
  if (status != 0) return status;
  span.end_s = clock_now_s();
  cpu->layers_done++;
  return tickets_add(&cpu->tickets, span, ticket, error);
}

/* The final norm of one token, in float: one row is too little to spread. */
static void final_norm(const struct cpu_device *cpu, const bf16 *x, float *out) {
  const int64_t d = cpu->config.shape.hidden;
  double squares = 0.0;
  for (int64_t i = 0; i < d; i++)
    squares += (double)bf16_to_float(x[i]) * (double)bf16_to_float(x[i]);
  const float inverse = (float)(1.0 / sqrt(squares / (double)d + cpu->config.shape.norm_eps));
  for (int64_t i = 0; i < d; i++)
    out[i] = bf16_to_float(x[i]) * inverse * cpu->activations.norm_final[i];
}

int cpu_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
             device_ticket *ticket, struct error *error) {
  struct cpu_device *cpu = cpu_device_of(device);
  const int status = check_run(cpu, seqs, n_seqs, error);
  if (status != 0) return status;
  if (cpu->layers_done != cpu->config.layers)
    return error_set(error, -EINVAL, "head() after %d of %d layers", cpu->layers_done,
                     cpu->config.layers);
  const struct shape *shape = &cpu->config.shape;
  struct device_span span = {.start_s = clock_now_s()};
  final_norm(cpu, cpu->activations.hidden + (seqs->n_new - 1) * shape->hidden,
             cpu->activations.last);
  cpu->token = pointwise_argmax_rows(cpu->pointwise, shape->vocabulary, shape->hidden,
                                     cpu->activations.last, cpu->head);
  span.end_s = clock_now_s();
  cpu->head_done = true;
  return tickets_add(&cpu->tickets, span, ticket, error);
}

int cpu_wait(struct device *device, device_ticket ticket, double timeout_s,
             struct device_span *span, struct error *error) {
  (void)timeout_s; /* all work is complete when its ticket is given out */
  if (ticket == 0) {
    if (span) *span = (struct device_span){0};
    return 0;
  }
  return tickets_find(&cpu_device_of(device)->tickets, ticket, span, error);
}

int cpu_output(struct device *device, struct device_output *output, struct error *error) {
  const struct cpu_device *cpu = cpu_device_of(device);
  if (!cpu->begun || !cpu->head_done)
    return error_set(error, -EINVAL, "output() before head() of this run");
  *output = (struct device_output){.token = cpu->token, .hidden = cpu->activations.last};
  return 0;
}
