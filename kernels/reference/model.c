/*
 * The whole decoder in plain float C, made of the operations of reference.c:
 * what a device's forward_layer() and head() must come to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/reference/reference.h"

/* The tensor's bf16 values as float; NULL without memory. */
static float *tensor(const struct shape *shape, uint64_t seed, int set, enum weight_tensor which) {
  const struct weight_stream stream = weight_stream(shape, seed, set, which);
  const int64_t count = stream.rows * stream.columns;
  float *values = malloc((size_t)count * sizeof *values);
  if (!values) return NULL;
  for (int64_t i = 0; i < count; i += 4) {
    bf16 four[4];
    const int64_t lanes = count - i < 4 ? count - i : 4;
    weights_fill(&stream, i, lanes, four);
    for (int64_t lane = 0; lane < lanes; lane++) values[i + lane] = bf16_to_float(four[lane]);
  }
  return values;
}

static int layer_open(struct reference_layer *layer, const struct shape *shape, int set,
                      uint64_t seed) {
  layer->qkv = tensor(shape, seed, set, WEIGHT_QKV);
  layer->out = tensor(shape, seed, set, WEIGHT_OUT);
  layer->gate_up = tensor(shape, seed, set, WEIGHT_GATE_UP);
  layer->down = tensor(shape, seed, set, WEIGHT_DOWN);
  layer->norm_attention = tensor(shape, seed, set, WEIGHT_NORM_ATTENTION);
  layer->norm_ffn = tensor(shape, seed, set, WEIGHT_NORM_FFN);
  const int whole = layer->qkv && layer->out && layer->gate_up && layer->down &&
                    layer->norm_attention && layer->norm_ffn;
  return whole ? 0 : -ENOMEM;
}

int reference_model_open(struct reference_model *model, const struct shape *shape, int weight_sets,
                         uint64_t seed, struct error *error) {
  *model = (struct reference_model){.shape = *shape, .weight_sets = weight_sets};
  model->layers = calloc((size_t)weight_sets, sizeof *model->layers);
  int status = model->layers ? 0 : -ENOMEM;
  for (int set = 0; set < weight_sets && status == 0; set++)
    status = layer_open(&model->layers[set], shape, set, seed);
  model->embedding = tensor(shape, seed, 0, WEIGHT_EMBEDDING);
  model->head = tensor(shape, seed, 0, WEIGHT_HEAD);
  model->norm_final = tensor(shape, seed, 0, WEIGHT_NORM_FINAL);
  if (status == 0 && model->embedding && model->head && model->norm_final) return 0;
  reference_model_close(model);
  return error_set(error, -ENOMEM, "the reference model of %s does not fit in memory", shape->name);
}

void reference_model_close(struct reference_model *model) {
  for (int set = 0; model->layers && set < model->weight_sets; set++) {
    struct reference_layer *layer = &model->layers[set];
    free(layer->qkv);
    free(layer->out);
    free(layer->gate_up);
    free(layer->down);
    free(layer->norm_attention);
    free(layer->norm_ffn);
  }
  free(model->layers);
  free(model->embedding);
  free(model->head);
  free(model->norm_final);
  memset(model, 0, sizeof *model);
}

/* Copies columns [from, from + width) of x (n, stride) to out (n, width). */
static void take_columns(int64_t n, int64_t stride, int64_t from, int64_t width, const float *x,
                         float *out) {
  for (int64_t i = 0; i < n; i++)
    memcpy(out + i * width, x + i * stride + from, (size_t)width * sizeof *out);
}

/* What an FP8 cache gives back. */
static void round_to_e4m3(int64_t n, float *x) {
  for (int64_t i = 0; i < n; i++) x[i] = e4m3_to_float(e4m3_from_float(x[i]));
}

/* x += Wo attention(rope(Wqkv rmsnorm(x))); scratch holds normed, qkv, q and heads in turn. */
static void attention_part(const struct reference_model *model, const struct reference_layer *w,
                           int64_t n_new, int64_t n_past, float *x, float *k, float *v,
                           float *scratch) {
  const struct shape *s = &model->shape;
  const int64_t d = s->hidden, q_dim = (int64_t)s->q_heads * s->head_dim;
  const int64_t kv_dim = (int64_t)s->kv_heads * s->head_dim, qkv_dim = q_dim + 2 * kv_dim;
  float *normed = scratch;            /* (n_new, d) */
  float *qkv = normed + n_new * d;    /* (n_new, qkv_dim) */
  float *q = qkv + n_new * qkv_dim;   /* (n_new, q_heads, D) */
  float *heads = q + n_new * q_dim;   /* (n_new, q_heads, D) */
  float *k_new = k + n_past * kv_dim; /* (n_new, kv_heads, D) */
  reference_rmsnorm(n_new, d, s->norm_eps, x, w->norm_attention, normed);
  reference_linear(n_new, d, qkv_dim, 0, normed, w->qkv, qkv);
  take_columns(n_new, qkv_dim, 0, q_dim, qkv, q);
  take_columns(n_new, qkv_dim, q_dim, kv_dim, qkv, k_new);
  take_columns(n_new, qkv_dim, q_dim + kv_dim, kv_dim, qkv, v + n_past * kv_dim);
  reference_rope(n_new, s->q_heads, s->head_dim, q_dim, s->rope_theta, n_past, q);
  reference_rope(n_new, s->kv_heads, s->head_dim, kv_dim, s->rope_theta, n_past, k_new);
  if (model->kv_element == ELEMENT_FP8_E4M3) {
    round_to_e4m3(n_new * kv_dim, k_new);
    round_to_e4m3(n_new * kv_dim, v + n_past * kv_dim);
  }
  reference_attention(n_new, n_past, s->q_heads, s->kv_heads, s->head_dim, q, k, v, heads);
  reference_linear(n_new, q_dim, d, 1, heads, w->out, x);
}

/* x += Wdown swiglu(Wgate_up rmsnorm(x)). */
static void ffn_part(const struct shape *s, const struct reference_layer *w, int64_t n_new,
                     float *x, float *scratch) {
  const int64_t d = s->hidden, ffn = s->ffn;
  float *normed = scratch;                /* (n_new, d) */
  float *gate_up = normed + n_new * d;    /* (n_new, 2, F) */
  float *act = gate_up + n_new * 2 * ffn; /* (n_new, F) */
  reference_rmsnorm(n_new, d, s->norm_eps, x, w->norm_ffn, normed);
  reference_linear(n_new, d, 2 * ffn, 0, normed, w->gate_up, gate_up);
  reference_swiglu(n_new, ffn, gate_up, act);
  reference_linear(n_new, ffn, d, 1, act, w->down, x);
}

int reference_forward_layer(const struct reference_model *model, int layer, int64_t n_new,
                            int64_t n_past, float *x, float *k, float *v, struct error *error) {
  const struct shape *s = &model->shape;
  const struct reference_layer *w = &model->layers[layer % model->weight_sets];
  const int64_t attention_width = s->hidden +
                                  (3 * (int64_t)s->q_heads + 2 * s->kv_heads) * s->head_dim;
  const int64_t ffn_width = s->hidden + 3 * (int64_t)s->ffn;
  const int64_t width = attention_width > ffn_width ? attention_width : ffn_width;
  float *scratch = malloc((size_t)(n_new * width) * sizeof *scratch);
  if (!scratch) return error_set(error, -ENOMEM, "no memory for the reference layer");
  attention_part(model, w, n_new, n_past, x, k, v, scratch);
  ffn_part(s, w, n_new, x, scratch);
  free(scratch);
  return 0;
}

int32_t reference_head(const struct reference_model *model, const float *last, float *hidden,
                       float *logits) {
  const struct shape *s = &model->shape;
  reference_rmsnorm(1, s->hidden, s->norm_eps, last, model->norm_final, hidden);
  reference_linear(1, s->hidden, s->vocabulary, 0, hidden, model->head, logits);
  return reference_argmax(s->vocabulary, logits);
}
