/*
 * Attention's arithmetic in plain C, for CPUs without AVX-512 BF16: the same
 * operand orders as the AMX kernels, so that one driver serves all. Compiled
 * twice, for any x86-64 and for AVX2; the inner loops run over the lanes.
 */
#include <string.h>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/exp2.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = ATTENTION_LANES, KEYS = ATTENTION_KEYS };

static void no_thread_state(void) {}

static void pack_queries(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  const int depth = (head_dim + 31) / 32 * 32;
  memset(out, 0, (size_t)depth * LANES * sizeof *out);
  for (int lane = 0; lane < n; lane++)
    for (int j = 0; j < head_dim; j++) out[(j / 2 * LANES + lane) * 2 + j % 2] = rows[lane][j];
}

static void pack_keys(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  const int depth = (head_dim + 31) / 32 * 32;
  memset(out, 0, (size_t)depth * 32 * sizeof *out);
  for (int key = 0; key < n; key++)
    for (int j = 0; j < head_dim; j++)
      out[key / 16 * 16 * depth + j / 32 * 512 + key % 16 * 32 + j % 32] = rows[key][j];
}

static void pack_values(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  const int depth = (head_dim + 31) / 32 * 32;
  for (int j = 0; j < depth; j++)
    for (int key = 0; key < 32; key++)
      out[j / 16 * 16 * KEYS + j % 16 * 32 + key] = key < n && j < head_dim ? rows[key][j] : 0;
}

INLINE void scores_body(int n_keys, int depth, const bf16 *keys, const bf16 *queries,
                        float *scores) {
  for (int key = 0; key < n_keys; key++) {
    float sums[LANES] = {0.0F};
    for (int j = 0; j < depth; j += 2) {
      const bf16 *k = keys + key / 16 * 16 * depth + j / 32 * 512 + key % 16 * 32 + j % 32;
      const float k0 = bf16_to_float(k[0]), k1 = bf16_to_float(k[1]);
      const bf16 *q = queries + j * LANES;
#pragma omp simd
      for (int lane = 0; lane < LANES; lane++)
        sums[lane] += k0 * bf16_to_float(q[2 * lane]) + k1 * bf16_to_float(q[2 * lane + 1]);
    }
    memcpy(scores + key * LANES, sums, sizeof sums);
  }
}

/* 2^x for x <= 0, exactly 0 below -126.5. */
INLINE float exp2_negative(float x) {
  return exp2_polynomial(x < -127.0F ? -127.0F : x);
}

INLINE void softmax_body(int n_keys, int depth, float scale_log2, const int32_t *limits,
                         float *scores, bf16 *weights, float *largest, float *totals, float *sums) {
  float top[LANES], rescale[LANES], total[LANES] = {0.0F};
  memcpy(top, largest, sizeof top);
  for (int key = 0; key < n_keys; key++) {
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++) {
      const float score = key < limits[lane] ? scores[key * LANES + lane] : -1e30F;
      scores[key * LANES + lane] = score;
      top[lane] = score > top[lane] ? score : top[lane];
    }
  }
#pragma omp simd
  for (int lane = 0; lane < LANES; lane++)
    rescale[lane] = exp2_negative((largest[lane] - top[lane]) * scale_log2);
  for (int key = 0; key < n_keys; key++) {
    bf16 *out = weights + key / 2 * 2 * LANES + key % 2;
#pragma omp simd
    for (int lane = 0; lane < LANES; lane++) {
      const float weight = exp2_negative((scores[key * LANES + lane] - top[lane]) * scale_log2);
      total[lane] += weight;
      out[2 * lane] = bf16_from_float(weight);
    }
  }
#pragma omp simd
  for (int lane = 0; lane < LANES; lane++) {
    totals[lane] = totals[lane] * rescale[lane] + total[lane];
    largest[lane] = top[lane];
  }
  for (int j = 0; j < depth; j++)
    for (int lane = 0; lane < LANES; lane++) sums[j * LANES + lane] *= rescale[lane];
}

INLINE void values_body(int n_keys, int depth, const bf16 *values, const bf16 *weights,
                        float *sums) {
  for (int j = 0; j < depth; j++) {
    float sum[LANES];
    memcpy(sum, sums + j * LANES, sizeof sum);
    for (int key = 0; key < n_keys; key += 2) {
      const bf16 *v = values + j / 16 * 16 * KEYS + key / 32 * 512 + j % 16 * 32 + key % 32;
      const float v0 = bf16_to_float(v[0]), v1 = bf16_to_float(v[1]);
      const bf16 *w = weights + key * LANES;
#pragma omp simd
      for (int lane = 0; lane < LANES; lane++)
        sum[lane] += v0 * bf16_to_float(w[2 * lane]) + v1 * bf16_to_float(w[2 * lane + 1]);
    }
    memcpy(sums + j * LANES, sum, sizeof sum);
  }
}

static void unpack(int n, int head_dim, const float *sums, const float *totals, bf16 *const *rows) {
  for (int lane = 0; lane < n; lane++) {
    const float inverse = 1.0F / totals[lane];
    for (int j = 0; j < head_dim; j++)
      rows[lane][j] = bf16_from_float(sums[j * LANES + lane] * inverse);
  }
}

/* The products and the softmax of one level, and its table. */
#define ATTENTION_LEVEL(level, label, attribute)                                                   \
  attribute static void scores_##level(int n_keys, int depth, const bf16 *keys,                    \
                                       const bf16 *queries, float *scores) {                       \
    scores_body(n_keys, depth, keys, queries, scores);                                             \
  }                                                                                                \
  attribute static void softmax_##level(int n_keys, int depth, float scale_log2,                   \
                                        const int32_t *limits, float *scores, bf16 *weights,       \
                                        float *largest, float *totals, float *sums) {              \
    softmax_body(n_keys, depth, scale_log2, limits, scores, weights, largest, totals, sums);       \
  }                                                                                                \
  attribute static void values_##level(int n_keys, int depth, const bf16 *values,                  \
                                       const bf16 *weights, float *sums) {                         \
    values_body(n_keys, depth, values, weights, sums);                                             \
  }                                                                                                \
  const struct attention_kernels attention_##level = {                                             \
      label,       no_thread_state, no_thread_state, pack_queries,   pack_keys,                    \
      pack_values, scores_##level,  softmax_##level, values_##level, unpack};

ATTENTION_LEVEL(plain, "plain C, bf16 KV, float arithmetic", )
ATTENTION_LEVEL(avx2, "AVX2, bf16 KV, float arithmetic", __attribute__((target(ISA_TARGET_AVX2))))
