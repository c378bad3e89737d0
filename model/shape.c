/*
 * Transformer shapes: the presets and what follows from a shape by counting.
 *
 * Everything is a count (parameters, FLOPs, bytes) and is returned as double:
 * attention over a million tokens of a 70B model is 2.6e18 FLOPs, still exact
 * to 1 part in 1e15, and no intermediate product can overflow as an integer
 * product would. The presets are the published configurations; a test holds
 * each to its published parameter count.
 */
#include "model/shape.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* More than any published model has: what is beyond is a typing error, and the
 * limits keep every product of ints in the code that uses shapes in range. */
#define LAYERS_MAX 4096
#define WIDTH_MAX (1 << 22)
#define HEADS_MAX 4096
#define HEAD_DIM_MAX 1024

static const struct shape presets[] = {
    {"llama-3-70b", 80, 8192, 64, 8, 128, 28672, 128256, false, 500000.0, 1e-5},
    {"llama-3-8b", 32, 4096, 32, 8, 128, 14336, 128256, false, 500000.0, 1e-5},
    {"llama-3.2-1b", 16, 2048, 32, 8, 64, 8192, 128256, true, 500000.0, 1e-5},
    {"llama-2-7b", 32, 4096, 32, 32, 128, 11008, 32000, false, 10000.0, 1e-5},
    {"qwen3-14b", 40, 5120, 40, 8, 128, 17408, 151936, false, 1000000.0, 1e-6},
    /* No published model: multi-head attention without groups, small enough to
     * run on any CPU, with the proportions of the 125M class. */
    {"mha-125m", 12, 768, 12, 12, 64, 3072, 32000, false, 10000.0, 1e-5},
};

#define N_PRESETS ((int)(sizeof presets / sizeof presets[0]))

const struct shape *shape_preset(const char *name) {
  if (!name) return NULL;
  for (int i = 0; i < N_PRESETS; i++) {
    if (strcmp(presets[i].name, name) == 0) return &presets[i];
  }
  return NULL;
}

const char *shape_preset_name(int index) {
  return index >= 0 && index < N_PRESETS ? presets[index].name : NULL;
}

static bool within(int value, int max) {
  return value >= 1 && value <= max;
}

/* A usable positive number: not zero, infinite or not a number. */
static bool positive(double value) {
  return isfinite(value) && value > 0.0;
}

const char *shape_problem(const struct shape *shape) {
  if (!shape) return "shape: none given";
  if (!memchr(shape->name, '\0', sizeof shape->name)) return "name: at most 63 characters";
  if (!within(shape->layers, LAYERS_MAX)) return "layers: 1 to 4096";
  if (!within(shape->hidden, WIDTH_MAX)) return "hidden: 1 to 4194304";
  if (!within(shape->q_heads, HEADS_MAX)) return "q_heads: 1 to 4096";
  if (!within(shape->kv_heads, HEADS_MAX)) return "kv_heads: 1 to 4096";
  if (shape->q_heads % shape->kv_heads != 0) return "kv_heads: a divisor of q_heads";
  if (!within(shape->head_dim, HEAD_DIM_MAX)) return "head_dim: 2 to 1024, even";
  if (shape->head_dim % 2 != 0) return "head_dim: 2 to 1024, even";
  if (!within(shape->ffn, WIDTH_MAX)) return "ffn: 1 to 4194304";
  if (!within(shape->vocabulary, WIDTH_MAX)) return "vocabulary: 1 to 4194304";
  if (!positive(shape->rope_theta)) return "rope_theta: a number over 0";
  if (!positive(shape->norm_eps)) return "norm_eps: a number over 0";
  return NULL;
}

/* Weights of one layer's matrices: Q, K and V, output, and SwiGLU's three. */
static double layer_matrix_elements(const struct shape *shape) {
  double hidden = shape->hidden;
  double q_width = (double)shape->q_heads * shape->head_dim;
  double kv_width = (double)shape->kv_heads * shape->head_dim;
  return hidden * q_width + 2.0 * hidden * kv_width + q_width * hidden +
         3.0 * hidden * (double)shape->ffn;
}

double shape_params(const struct shape *shape) {
  double hidden = shape->hidden;
  double norms = 2.0 * hidden;
  double embeddings = (double)shape->vocabulary * hidden * (shape->tied ? 1.0 : 2.0);
  return shape->layers * (layer_matrix_elements(shape) + norms) + hidden + embeddings;
}

double shape_kv_bytes_per_token_layer(const struct shape *shape, double bytes_per_element) {
  return 2.0 * shape->kv_heads * shape->head_dim * bytes_per_element;
}

double shape_kv_bytes_per_token(const struct shape *shape, double bytes_per_element) {
  return shape->layers * shape_kv_bytes_per_token_layer(shape, bytes_per_element);
}

double shape_linear_flops_per_token(const struct shape *shape) {
  return 2.0 * shape->layers * layer_matrix_elements(shape);
}

double shape_attention_flops_per_pair(const struct shape *shape) {
  return 4.0 * shape->layers * shape->q_heads * shape->head_dim;
}

double shape_attention_flops(const struct shape *shape, double n_past, double n_new) {
  double pairs = n_new * n_past + n_new * (n_new + 1.0) / 2.0;
  return shape_attention_flops_per_pair(shape) * pairs;
}

double shape_compute_s_per_token(const struct shape *shape, double n_past, double n_new,
                                 double flops_per_s) {
  double attention_per_token = shape_attention_flops(shape, n_past, n_new) / n_new;
  return (shape_linear_flops_per_token(shape) + attention_per_token) / flops_per_s;
}
