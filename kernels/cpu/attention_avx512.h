/*
 * What the AMX path shares with the AVX-512 path: everything but the products.
 */
#ifndef REFILL_KERNELS_CPU_ATTENTION_AVX512_H
#define REFILL_KERNELS_CPU_ATTENTION_AVX512_H

#include "kernels/cpu/attention.h"

void attention_avx512_pack_queries(int n, int head_dim, const bf16 *const *rows, bf16 *out);
void attention_avx512_pack_keys(int n, int head_dim, const bf16 *const *rows, bf16 *out);
void attention_avx512_pack_values(int n, int head_dim, const bf16 *const *rows, bf16 *out);
void attention_avx512_softmax(int n_keys, int depth, float scale_log2, const int32_t *limits,
                              float *scores, bf16 *weights, float *largest, float *totals,
                              float *sums);
void attention_avx512_unpack(int n, int head_dim, const float *sums, const float *totals,
                             bf16 *const *rows);

#endif
