/*
 * The running softmax of a strip over a block of keys, AVX-512: as much time as
 * both AMX products together, so it is written for throughput.
 *
 * Lanes are rows, so maxima and sums need no horizontal steps. exp is 2^x with a
 * polynomial of degree 4 (relative error 3e-5, under the 2^-9 of the bf16 weights) and
 * vscalefps, which gives an exact 0 far below.
 */
#include <immintrin.h>

#include "kernels/cpu/attention_avx512.h"

#define TARGET __attribute__((target(ISA_TARGET_AVX512)))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = ATTENTION_LANES };

/* 2^x for x <= 0. Coefficients: the series of 2^f, |f| <= 0.5. */
INLINE __m512 exp2_lanes(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(9.6181291e-3F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, n);
}

/* Two keys' weights as interleaved bf16, rounded to nearest. */
INLINE __m512i interleave_bf16(__m512 even, __m512 odd) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(even), half), 16);
  const __m512i high = _mm512_add_epi32(_mm512_castps_si512(odd), half);
  return _mm512_mask_blend_epi16(0xaaaaaaaaU, low, high);
}

/* Hides the keys that a lane does not see. */
TARGET static void mask_scores(int n_keys, int first, const int32_t *limits, float *scores) {
  const __m512i limit[2] = {_mm512_loadu_si512(limits), _mm512_loadu_si512(limits + 16)};
  const __m512 hidden = _mm512_set1_ps(-1e30F);
  for (int key = first; key < n_keys; key++) {
    for (int h = 0; h < 2; h++) {
      float *at = scores + key * LANES + 16 * h;
      const __mmask16 seen = _mm512_cmpgt_epi32_mask(limit[h], _mm512_set1_epi32(key));
      _mm512_store_ps(at, _mm512_mask_blend_ps(seen, hidden, _mm512_load_ps(at)));
    }
  }
}

/* Largest score of each lane of one half. */
INLINE __m512 column_max(int n_keys, const float *scores, __m512 top) {
  __m512 m0 = top, m1 = top, m2 = top, m3 = top;
  for (int key = 0; key < n_keys; key += 4) {
    m0 = _mm512_max_ps(m0, _mm512_load_ps(scores + key * LANES));
    m1 = _mm512_max_ps(m1, _mm512_load_ps(scores + (key + 1) * LANES));
    m2 = _mm512_max_ps(m2, _mm512_load_ps(scores + (key + 2) * LANES));
    m3 = _mm512_max_ps(m3, _mm512_load_ps(scores + (key + 3) * LANES));
  }
  return _mm512_max_ps(_mm512_max_ps(m0, m1), _mm512_max_ps(m2, m3));
}

/* Weights of one half; returns their sum in each lane. */
INLINE __m512 weigh(int n_keys, const float *scores, __m512 scale, __m512 offset, bf16 *weights) {
  __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};
  for (int key = 0; key < n_keys; key += 4) {
    __m512 e[4];
    for (int i = 0; i < 4; i++) {
      const __m512 score = _mm512_load_ps(scores + (key + i) * LANES);
      e[i] = exp2_lanes(_mm512_fmsub_ps(score, scale, offset));
      sum[i] = _mm512_add_ps(sum[i], e[i]);
    }
    _mm512_store_si512(weights + key * LANES, interleave_bf16(e[0], e[1]));
    _mm512_store_si512(weights + (key + 2) * LANES, interleave_bf16(e[2], e[3]));
  }
  return _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
}

TARGET void attention_avx512_softmax(int n_keys, int depth, float scale_log2, const int32_t *limits,
                                     float *scores, bf16 *weights, float *largest, float *totals,
                                     float *sums) {
  const __m512 scale = _mm512_set1_ps(scale_log2);
  if (limits[0] < n_keys) mask_scores(n_keys, limits[0], limits, scores);
  for (int lane = 0; lane < LANES; lane += 16) {
    const __m512 before = _mm512_load_ps(largest + lane);
    const __m512 top = column_max(n_keys, scores + lane, before);
    const __m512 offset = _mm512_mul_ps(top, scale);
    const __m512 total = weigh(n_keys, scores + lane, scale, offset, weights + 2 * lane);
    const __m512 rescale = exp2_lanes(_mm512_fmsub_ps(before, scale, offset));
    const __m512 total_before = _mm512_load_ps(totals + lane);
    _mm512_store_ps(totals + lane, _mm512_fmadd_ps(total_before, rescale, total));
    _mm512_store_ps(largest + lane, top);
    /* Maxima soon stop moving: then there is nothing to rescale. */
    if (_mm512_cmpneq_ps_mask(before, top) == 0) continue;
    for (int dim = 0; dim < depth; dim++) {
      float *at = sums + dim * LANES + lane;
      _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), rescale));
    }
  }
}
