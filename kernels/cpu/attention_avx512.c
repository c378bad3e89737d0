/*
 * Attention's arithmetic for CPUs with AVX-512 BF16: products by vdpbf16ps,
 * which multiplies pairs as an AMX tile does; packing, softmax and unpacking,
 * which the AMX path uses too, in attention_avx512_softmax.c and here.
 *
 * A key's pair of elements is broadcast against 2 x 16 lanes of queries; four
 * keys at once keep eight sums in flight, which covers the latency of the multiply.
 */
#include "kernels/cpu/attention_avx512.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target(ISA_TARGET_AVX512)))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = ATTENTION_LANES, KEYS = ATTENTION_KEYS, ROWS_AT_ONCE = 4 };

static void no_thread_state(void) {}

/* Transposes 16 x 16 elements of 32 bits: unpack within quarters, then move the quarters. */
INLINE void transpose_16x16(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/* Elements [from, from + 32) of a row of head_dim elements; those past its end are zero. */
INLINE __m512i load_32(const bf16 *row, int from, int head_dim) {
  const int left = head_dim - from;
  const __mmask32 mask = left >= 32 ? ~0U : (1U << left) - 1U;
  return _mm512_maskz_loadu_epi16(mask, row + from);
}

TARGET void attention_avx512_pack_queries(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  for (int half = 0; half < LANES; half += 16) {
    for (int from = 0; from < head_dim; from += 32) {
      __m512i r[16];
      for (int i = 0; i < 16; i++)
        r[i] = half + i < n ? load_32(rows[half + i], from, head_dim) : _mm512_setzero_si512();
      transpose_16x16(r);
      for (int i = 0; i < 16; i++)
        _mm512_store_si512(out + ((from / 2 + i) * LANES + half) * 2, r[i]);
    }
  }
}

TARGET void attention_avx512_pack_keys(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  const int depth = (head_dim + 31) / 32 * 32;
  for (int key = 0; key < 32; key++) {
    bf16 *to = out + key / 16 * 16 * depth + key % 16 * 32;
    for (int from = 0; from < head_dim; from += 32)
      _mm512_store_si512(to + from * 16,
                         key < n ? load_32(rows[key], from, head_dim) : _mm512_setzero_si512());
  }
}

/* 16 elements of a row widened to 32 bits; zero past the row's end and for missing rows. */
INLINE __m512i load_16_wide(const bf16 *const *rows, int row, int n, int from, int head_dim) {
  if (row >= n || from >= head_dim) return _mm512_setzero_si512();
  const int left = head_dim - from;
  const __mmask16 mask = (__mmask16)(left >= 16 ? 0xffffU : (1U << left) - 1U);
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, rows[row] + from));
}

TARGET void attention_avx512_pack_values(int n, int head_dim, const bf16 *const *rows, bf16 *out) {
  const int depth = (head_dim + 31) / 32 * 32;
  for (int from = 0; from < depth; from += 16) {
    __m512i r[16]; /* pair of keys i: element j is dim from + j of both */
    for (int i = 0; i < 16; i++) {
      const __m512i even = load_16_wide(rows, 2 * i, n, from, head_dim);
      const __m512i odd = load_16_wide(rows, 2 * i + 1, n, from, head_dim);
      r[i] = _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
    }
    transpose_16x16(r);
    for (int i = 0; i < 16; i++) _mm512_store_si512(out + from * KEYS + i * 32, r[i]);
  }
}

TARGET void attention_avx512_unpack(int n, int head_dim, const float *sums, const float *totals,
                                    bf16 *const *rows) {
  for (int half = 0; half < n; half += 16) {
    const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1.0F), _mm512_load_ps(totals + half));
    for (int from = 0; from < head_dim; from += 16) {
      __m512i r[16];
      for (int i = 0; i < 16; i++)
        r[i] = _mm512_castps_si512(
            _mm512_mul_ps(_mm512_load_ps(sums + (from + i) * LANES + half), inverse));
      transpose_16x16(r);
      const int left = head_dim - from;
      const __mmask16 mask = (__mmask16)(left >= 16 ? 0xffffU : (1U << left) - 1U);
      for (int i = 0; i < 16 && half + i < n; i++)
        _mm256_mask_storeu_epi16(rows[half + i] + from, mask,
                                 (__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(r[i])));
    }
  }
}

/* Two neighbours of the summed dimension, in every lane. */
INLINE __m512bh broadcast_pair(const bf16 *pair) {
  int32_t bits;
  memcpy(&bits, pair, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

/* sums (ROWS_AT_ONCE, lanes) += rows of a tile column * pairs, over one tile's 32 elements. */
INLINE void multiply_32(const bf16 *tile_rows, const bf16 *pairs, __m512 sums[ROWS_AT_ONCE][2]) {
  for (int j = 0; j < 32; j += 2) {
    const __m512bh left = (__m512bh)_mm512_load_si512(pairs + j * LANES);
    const __m512bh right = (__m512bh)_mm512_load_si512(pairs + j * LANES + 32);
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
      const __m512bh pair = broadcast_pair(tile_rows + i * 32 + j);
      sums[i][0] = _mm512_dpbf16_ps(sums[i][0], pair, left);
      sums[i][1] = _mm512_dpbf16_ps(sums[i][1], pair, right);
    }
  }
}

TARGET static void scores_avx512(int n_keys, int depth, const bf16 *keys, const bf16 *queries,
                                 float *scores) {
  for (int key = 0; key < n_keys; key += ROWS_AT_ONCE) {
    const bf16 *rows = keys + key / 16 * 16 * depth + key % 16 * 32;
    __m512 sums[ROWS_AT_ONCE][2];
    for (int i = 0; i < ROWS_AT_ONCE; i++) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
    for (int from = 0; from < depth; from += 32)
      multiply_32(rows + from * 16, queries + from * LANES, sums);
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
      _mm512_store_ps(scores + (key + i) * LANES, sums[i][0]);
      _mm512_store_ps(scores + (key + i) * LANES + 16, sums[i][1]);
    }
  }
}

TARGET static void values_avx512(int n_keys, int depth, const bf16 *values, const bf16 *weights,
                                 float *sums) {
  for (int dim = 0; dim < depth; dim += ROWS_AT_ONCE) {
    const bf16 *rows = values + dim / 16 * 16 * KEYS + dim % 16 * 32;
    __m512 s[ROWS_AT_ONCE][2];
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
      s[i][0] = _mm512_load_ps(sums + (dim + i) * LANES);
      s[i][1] = _mm512_load_ps(sums + (dim + i) * LANES + 16);
    }
    for (int from = 0; from < n_keys; from += 32)
      multiply_32(rows + from * 16, weights + from * LANES, s);
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
      _mm512_store_ps(sums + (dim + i) * LANES, s[i][0]);
      _mm512_store_ps(sums + (dim + i) * LANES + 16, s[i][1]);
    }
  }
}

const struct attention_kernels attention_avx512 = {
    .name = "AVX-512 BF16, bf16 KV, float sums",
    .thread_begin = no_thread_state,
    .thread_end = no_thread_state,
    .pack_queries = attention_avx512_pack_queries,
    .pack_keys = attention_avx512_pack_keys,
    .pack_values = attention_avx512_pack_values,
    .scores = scores_avx512,
    .softmax = attention_avx512_softmax,
    .values = values_avx512,
    .unpack = attention_avx512_unpack,
};
