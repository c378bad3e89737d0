/*
 * Sizes of everything on the device, and what to give up when it does not fit.
 */
#include "kernels/cuda/memory_plan.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "kernels/cuda/pinned.h"

#define RESERVE_BYTES (UINT64_C(2) << 30) /* for the libraries' own needs during runs */

static int64_t round_rows(int64_t rows) {
  return (rows + GEMM_ROWS_MULTIPLE - 1) / GEMM_ROWS_MULTIPLE * GEMM_ROWS_MULTIPLE;
}

static size_t tensor_bytes(int64_t rows, int64_t columns, size_t element) {
  return memory_round_up((size_t)rows * (size_t)columns * element, MEMORY_ALIGNMENT);
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static int check_shape(const struct device_config *config, struct error *error) {
  const struct shape *s = &config->shape;
  const char *problem = NULL;
  if (s->head_dim != 64 && s->head_dim != 128) problem = "head_dim must be 64 or 128";
  if (s->hidden % 16 != 0) problem = "hidden must be a multiple of 16";
  if (s->ffn % 16 != 0) problem = "ffn must be a multiple of 16";
  if (s->q_heads % s->kv_heads != 0) problem = "kv_heads must divide q_heads";
  if (problem == NULL) return 0;
  return error_set(error, -EINVAL, "model %s (hidden %d, head_dim %d, ffn %d) on cuda: %s", s->name,
                   s->hidden, s->head_dim, s->ffn, problem);
}

static void plan_weights(struct memory_plan *plan, const struct shape *s, size_t element) {
  const int64_t d = s->hidden, q_dim = (int64_t)s->q_heads * s->head_dim;
  const int64_t qkv_dim = q_dim + 2 * (int64_t)s->kv_heads * s->head_dim;
  struct memory_weights *w = &plan->weights;
  w->qkv = 0;
  w->out = w->qkv + tensor_bytes(qkv_dim, d, element);
  w->gate_up = w->out + tensor_bytes(d, q_dim, element);
  w->down = w->gate_up + tensor_bytes(2 * (int64_t)s->ffn, d, element);
  w->norm_attention = w->down + tensor_bytes(d, s->ffn, element);
  w->norm_ffn = w->norm_attention + tensor_bytes(1, d, 2);
  w->bytes = w->norm_ffn + tensor_bytes(1, d, 2);
}

static void plan_activations(struct memory_plan *plan, const struct device_config *config) {
  const struct shape *s = &config->shape;
  const int64_t d = s->hidden, q_dim = (int64_t)s->q_heads * s->head_dim;
  const int64_t kv_dim = (int64_t)s->kv_heads * s->head_dim;
  const int64_t narrow = larger(d, q_dim), wide = larger(q_dim + 2 * kv_dim, 2 * (int64_t)s->ffn);
  const bool fp8 = config->element == ELEMENT_FP8_E4M3;
  plan->residual_bytes = tensor_bytes(plan->rows, d, 2);
  plan->narrow_bytes = tensor_bytes(plan->chunk_tokens, narrow, 2);
  plan->wide_bytes = tensor_bytes(plan->chunk_tokens, wide, 2);
  plan->active_bytes = tensor_bytes(plan->chunk_tokens, s->ffn, element_bytes(config->element));
  plan->quantised_bytes = fp8 ? tensor_bytes(plan->chunk_tokens, narrow, 1) : 0;
  plan->plain_kv_bytes =
      config->kv_element == ELEMENT_FP8_E4M3 ? tensor_bytes(2 * plan->positions, kv_dim, 2) : 0;
  plan->angles_bytes = tensor_bytes(plan->positions, s->head_dim / 2, sizeof(float));
}

/* A buffer for each layer of a window, but not more than there are layers. */
static size_t buffers_bytes(const struct memory_plan *plan, const struct device_config *config,
                            int window) {
  const int n = window < config->layers ? window : config->layers;
  return pinned_device_bytes((size_t)plan->pages * config->page_stride_bytes, n);
}

/* Everything but the number of slots and sets, for `tokens` of context. */
static void plan_sizes(struct memory_plan *plan, const struct device_config *config,
                       int64_t tokens) {
  const struct shape *s = &config->shape;
  memset(plan, 0, sizeof *plan);
  plan->pages = (tokens + config->page_tokens - 1) / config->page_tokens;
  plan->positions = plan->pages * config->page_tokens;
  plan->rows = round_rows(tokens);
  plan->chunk_tokens =
      round_rows(config->chunk_tokens > 0 ? config->chunk_tokens : CHUNK_TOKENS_DEFAULT);
  if (plan->chunk_tokens > plan->rows) plan->chunk_tokens = plan->rows;
  plan->kv_row_bytes = (size_t)s->kv_heads * (size_t)s->head_dim *
                       element_bytes(config->kv_element);
  plan->kv_half_bytes =
      memory_round_up((size_t)plan->positions * plan->kv_row_bytes, MEMORY_ALIGNMENT);
  plan->embedding_bytes = tensor_bytes(s->vocabulary, s->hidden, 2);
  plan->head_bytes = s->tied ? 0 : plan->embedding_bytes;
  plan_weights(plan, s, element_bytes(config->element));
  plan_activations(plan, config);
  plan->small_bytes = tensor_bytes(tokens, 1, sizeof(int32_t)) +
                      tensor_bytes(s->vocabulary, 1, sizeof(float)) +
                      tensor_bytes(plan->pages, 1, sizeof(uint32_t)) +
                      tensor_bytes(s->hidden, 1, 8) + 16 * MEMORY_ALIGNMENT;
  if (config->direct_buffers)
    plan->direct_bytes = buffers_bytes(plan, config, config->window) +
                         buffers_bytes(plan, config, config->write_window);
  plan->fixed_bytes = plan->embedding_bytes + plan->head_bytes + plan->residual_bytes +
                      plan->narrow_bytes + plan->wide_bytes + plan->active_bytes +
                      plan->quantised_bytes + plan->plain_kv_bytes + 2 * plan->angles_bytes +
                      plan->small_bytes + plan->direct_bytes + GEMM_WORKSPACE_BYTES +
                      ATTENTION_WORKSPACE_BYTES;
}

static int slots_min(const struct device_config *config) {
  const int64_t needed = (int64_t)config->window + config->write_window;
  return needed < config->layers ? (int)needed : config->layers;
}

static size_t bytes_of(const struct memory_plan *plan, int slots, int sets) {
  return plan->fixed_bytes + (size_t)slots * 2 * plan->kv_half_bytes +
         (size_t)sets * plan->weights.bytes;
}

/* The longest context, in whole pages, that fits with the fewest slots and `sets` sets. */
static int64_t tokens_that_fit(const struct device_config *config, size_t usable_bytes, int sets) {
  int64_t low = 0, high = (config->tokens_max + config->page_tokens - 1) / config->page_tokens;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    struct memory_plan trial;
    plan_sizes(&trial, config, middle * config->page_tokens);
    if (bytes_of(&trial, slots_min(config), sets) <= usable_bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low * config->page_tokens;
}

/* Says what is needed, what there is, and the first thing that would help. */
static int too_little(const struct memory_plan *plan, const struct device_config *config,
                      size_t usable_bytes, int sets, struct error *error) {
  const int64_t fits = tokens_that_fit(config, usable_bytes, sets);
  char needed[UNITS_TEXT_BYTES], usable[UNITS_TEXT_BYTES], set[UNITS_TEXT_BYTES];
  units_format_bytes(needed, (double)bytes_of(plan, slots_min(config), sets));
  units_format_bytes(usable, (double)usable_bytes);
  units_format_bytes(set, (double)plan->weights.bytes);
  if (sets > 1)
    return error_set(error, -ENOMEM,
                     "%s with %lld tokens and --weight-sets %d needs %s of GPU memory, %s can be "
                     "had: leave --weight-sets out, or use fewer (a set is %s)",
                     config->shape.name, (long long)config->tokens_max, sets, needed, usable, set);
  if (fits == 0)
    return error_set(error, -ENOMEM,
                     "%s needs %s of GPU memory, %s can be had (a MIG slice, or memory in use by "
                     "others?): use a smaller --model, --chunk-tokens or --dtype fp8",
                     config->shape.name, needed, usable);
  return error_set(error, -ENOMEM,
                   "%s with %lld tokens needs %s of GPU memory, %s can be had: up to %lld tokens "
                   "fit, more with --kv-dtype fp8 or a smaller --window",
                   config->shape.name, (long long)config->tokens_max, needed, usable,
                   (long long)fits);
}

int memory_plan(struct memory_plan *plan, const struct device_config *config, size_t free_bytes,
                struct error *error) {
  int failed = check_shape(config, error);
  if (failed) return failed;
  plan_sizes(plan, config, config->tokens_max);
  const size_t reserve_bytes = free_bytes / 8 < RESERVE_BYTES ? free_bytes / 8 : RESERVE_BYTES;
  const size_t usable_bytes = free_bytes - reserve_bytes;
  const int sets_min = config->weight_sets > 0 ? config->weight_sets : 1;
  if (bytes_of(plan, slots_min(config), sets_min) > usable_bytes)
    return too_little(plan, config, usable_bytes, sets_min, error);
  const bool resident = bytes_of(plan, config->layers, sets_min) <= usable_bytes;
  plan->kv_slots = resident ? config->layers : slots_min(config);
  plan->weight_sets = sets_min;
  if (config->weight_sets == 0) {
    const size_t left = usable_bytes - bytes_of(plan, plan->kv_slots, sets_min);
    const size_t more = left / plan->weights.bytes;
    const size_t wanted = (size_t)(config->layers - sets_min);
    plan->weight_sets += (int)(more < wanted ? more : wanted);
  }
  plan->total_bytes = bytes_of(plan, plan->kv_slots, plan->weight_sets);
  return 0;
}
