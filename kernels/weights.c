/*
 * Synthetic weights from the counter-based generator; formula in weights.h.
 *
 * Initialisation must not dwarf the measurement (an 8B model is 16 GB), so one
 * 64-bit draw gives four elements and the values are written as bf16 directly.
 */
#include "kernels/weights.h"

#include <assert.h>
#include <math.h>

#include "base/prng.h"

static double standard_deviation(const struct shape *shape, enum weight_tensor tensor) {
  const double residual = 2.0 * shape->layers;
  switch (tensor) {
  case WEIGHT_OUT:
    return 1.0 / sqrt((double)shape->q_heads * shape->head_dim * residual);
  case WEIGHT_DOWN:
    return 1.0 / sqrt((double)shape->ffn * residual);
  case WEIGHT_EMBEDDING:
    return 1.0;
  case WEIGHT_NORM_ATTENTION:
  case WEIGHT_NORM_FFN:
  case WEIGHT_NORM_FINAL:
    return 0.1 / sqrt(3.0);
  default:
    return 1.0 / sqrt((double)shape->hidden);
  }
}

static int64_t tensor_rows(const struct shape *shape, enum weight_tensor tensor) {
  switch (tensor) {
  case WEIGHT_QKV:
    return (int64_t)(shape->q_heads + 2 * shape->kv_heads) * shape->head_dim;
  case WEIGHT_OUT:
  case WEIGHT_DOWN:
    return shape->hidden;
  case WEIGHT_GATE_UP:
    return 2 * (int64_t)shape->ffn;
  case WEIGHT_EMBEDDING:
  case WEIGHT_HEAD:
    return shape->vocabulary;
  default:
    return 1;
  }
}

static int64_t tensor_columns(const struct shape *shape, enum weight_tensor tensor) {
  switch (tensor) {
  case WEIGHT_OUT:
    return (int64_t)shape->q_heads * shape->head_dim;
  case WEIGHT_DOWN:
    return shape->ffn;
  default:
    return shape->hidden;
  }
}

struct weight_stream weight_stream(const struct shape *shape, uint64_t seed, int set,
                                   enum weight_tensor tensor) {
  assert(set >= 0);
  assert(tensor < WEIGHT_TENSORS);
  if (tensor == WEIGHT_HEAD && shape->tied) tensor = WEIGHT_EMBEDDING;
  const bool is_norm = tensor == WEIGHT_NORM_ATTENTION || tensor == WEIGHT_NORM_FFN ||
                       tensor == WEIGHT_NORM_FINAL;
  return (struct weight_stream){
      .rows = tensor_rows(shape, tensor),
      .columns = tensor_columns(shape, tensor),
      .stream = prng_stream(seed, 16 * (uint64_t)set + (uint64_t)tensor),
      .offset = is_norm ? 1.0F : 0.0F,
      .scale = (float)(sqrt(3.0) * standard_deviation(shape, tensor)),
  };
}

void weights_fill(const struct weight_stream *weights, int64_t first, int64_t count, bf16 *out) {
  assert(first % 4 == 0);
  const float unit = 1.0F / 32768.0F;
  for (int64_t i = 0; i < count; i += 4) {
    uint64_t bits = prng_bits(weights->stream, (uint64_t)(first + i) / 4);
    const int64_t lanes = count - i < 4 ? count - i : 4;
    for (int64_t lane = 0; lane < lanes; lane++, bits >>= 16) {
      const float u = (float)(int16_t)(bits & 0xffffU) * unit;
      const float product = weights->scale * u;
      out[i + lane] = bf16_from_float(weights->offset + product);
    }
  }
}
