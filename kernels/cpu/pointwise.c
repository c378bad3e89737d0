/*
 * Token-wise operations; contract in pointwise.h.
 *
 * Each row kernel is written once, as a loop that the compiler vectorises
 * (`omp simd`), and compiled three times for different targets: intrinsics
 * would be longer and no faster, since these loops are bound by memory.
 */
#include "kernels/cpu/pointwise.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/exp2.h"

#define INLINE static inline __attribute__((always_inline))

/* exp() that vectorises; relative error below 3e-6 on [-87, 88], clamped outside. */
INLINE float fast_exp(float x) {
  float z = x * 1.44269504F;
  z = z < -126.0F ? -126.0F : z;
  z = z > 127.0F ? 127.0F : z;
  return exp2_polynomial(z);
}

INLINE void norm_body(int64_t d, float eps, const bf16 *restrict x, const float *restrict weight,
                      bf16 *restrict out) {
  float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < d; i++) {
    const float value = bf16_to_float(x[i]);
    squares += value * value;
  }
  const float inverse = 1.0F / sqrtf(squares / (float)d + eps);
#pragma omp simd
  for (int64_t i = 0; i < d; i++)
    out[i] = bf16_from_float(bf16_to_float(x[i]) * inverse * weight[i]);
}

/* x and out may be the same: both halves of an element pair are read before either is written. */
INLINE void rope_body(int64_t half, const float *cosines, const float *sines, const bf16 *x,
                      bf16 *out) {
#pragma omp simd
  for (int64_t i = 0; i < half; i++) {
    const float a = bf16_to_float(x[i]), b = bf16_to_float(x[i + half]);
    out[i] = bf16_from_float(a * cosines[i] - b * sines[i]);
    out[i + half] = bf16_from_float(b * cosines[i] + a * sines[i]);
  }
}

INLINE void swiglu_body(int64_t ffn, const bf16 *restrict gate, const bf16 *restrict up,
                        bf16 *restrict out) {
#pragma omp simd
  for (int64_t i = 0; i < ffn; i++) {
    const float g = bf16_to_float(gate[i]);
    out[i] = bf16_from_float(g / (1.0F + fast_exp(-g)) * bf16_to_float(up[i]));
  }
}

INLINE float dot_body(int64_t d, const float *restrict x, const bf16 *restrict w) {
  float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < d; i++) sum += x[i] * bf16_to_float(w[i]);
  return sum;
}

/* The four row kernels of one level. */
#define ROW_KERNELS(level, attribute)                                                              \
  attribute static void norm_##level(int64_t d, float eps, const bf16 *x, const float *weight,     \
                                     bf16 *out) {                                                  \
    norm_body(d, eps, x, weight, out);                                                             \
  }                                                                                                \
  attribute static void rope_##level(int64_t half, const float *cosines, const float *sines,       \
                                     const bf16 *x, bf16 *out) {                                   \
    rope_body(half, cosines, sines, x, out);                                                       \
  }                                                                                                \
  attribute static void swiglu_##level(int64_t ffn, const bf16 *gate, const bf16 *up, bf16 *out) { \
    swiglu_body(ffn, gate, up, out);                                                               \
  }                                                                                                \
  attribute static float dot_##level(int64_t d, const float *x, const bf16 *w) {                   \
    return dot_body(d, x, w);                                                                      \
  }                                                                                                \
  static const struct pointwise pointwise_##level = {norm_##level, rope_##level, swiglu_##level,   \
                                                     dot_##level};

ROW_KERNELS(plain, )
ROW_KERNELS(avx2, __attribute__((target(ISA_TARGET_AVX2))))
ROW_KERNELS(avx512, __attribute__((target(ISA_TARGET_AVX512))))

const struct pointwise *pointwise_for(enum isa isa) {
  switch (isa) {
  case ISA_PLAIN:
    return &pointwise_plain;
  case ISA_AVX2:
    return &pointwise_avx2;
  default:
    return &pointwise_avx512;
  }
}

void pointwise_norm(const struct pointwise *kernels, int64_t n_tokens, int64_t d, float eps,
                    const bf16 *x, const float *weight, bf16 *out) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_tokens; i++) kernels->norm(d, eps, x + i * d, weight, out + i * d);
}

void pointwise_swiglu(const struct pointwise *kernels, int64_t n_tokens, int64_t ffn,
                      const bf16 *gate_up, bf16 *out) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_tokens; i++)
    kernels->swiglu(ffn, gate_up + i * 2 * ffn, gate_up + i * 2 * ffn + ffn, out + i * ffn);
}

void pointwise_embed(int64_t n_tokens, int64_t d, const int32_t *tokens, const bf16 *table,
                     bf16 *out) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_tokens; i++)
    memcpy(out + i * d, table + tokens[i] * d, (size_t)d * sizeof *out);
}

void pointwise_rope_tables(int64_t positions, int64_t half, double theta, float *cosines,
                           float *sines) {
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < half; j++) {
    const double turn = pow(theta, -(double)j / (double)half);
    for (int64_t p = 0; p < positions; p++) {
      cosines[p * half + j] = (float)cos((double)p * turn);
      sines[p * half + j] = (float)sin((double)p * turn);
    }
  }
}

int32_t pointwise_argmax_rows(const struct pointwise *kernels, int64_t rows, int64_t d,
                              const float *x, const bf16 *table) {
  int64_t best_row = 0;
  float best = -INFINITY;
#pragma omp parallel
  {
    int64_t my_row = 0;
    float mine = -INFINITY;
#pragma omp for schedule(static) nowait
    for (int64_t row = 0; row < rows; row++) {
      const float logit = kernels->dot(d, x, table + row * d);
      if (logit > mine) {
        mine = logit;
        my_row = row;
      }
    }
#pragma omp critical(argmax_rows)
    if (mine > best || (mine == best && my_row < best_row)) {
      best = mine;
      best_row = my_row;
    }
  }
  return (int32_t)best_row;
}
