/*
 * What a layer does to one token at a time: norm, rotation, activation, lookup.
 * bf16 in and out, float inside. Each is spread over the OpenMP threads by
 * token; a row's result does not depend on the number of threads.
 */
#ifndef REFILL_KERNELS_CPU_POINTWISE_H
#define REFILL_KERNELS_CPU_POINTWISE_H

#include <stdint.h>

#include "kernels/cpu/isa.h"
#include "kernels/element.h"

/* One row of each operation, for one level of vector instructions. */
struct pointwise {
  void (*norm)(int64_t d, float eps, const bf16 *x, const float *weight, bf16 *out);
  void (*rope)(int64_t half, const float *cosines, const float *sines, const bf16 *x, bf16 *out);
  void (*swiglu)(int64_t ffn, const bf16 *gate, const bf16 *up, bf16 *out);
  float (*dot)(int64_t d, const float *x, const bf16 *w);
};

const struct pointwise *pointwise_for(enum isa isa);

/* out = rmsnorm(x) * weight. */
void pointwise_norm(const struct pointwise *kernels, int64_t n_tokens, int64_t d, float eps,
                    const bf16 *x,       /* (n_tokens, d) */
                    const float *weight, /* (d) */
                    bf16 *out);          /* (n_tokens, d) */

/* out = silu(gate) * up. */
void pointwise_swiglu(const struct pointwise *kernels, int64_t n_tokens, int64_t ffn,
                      const bf16 *gate_up, /* (n_tokens, 2, F) */
                      bf16 *out);          /* (n_tokens, F) */

/* out[i] = table[tokens[i]]; ids were checked. */
void pointwise_embed(int64_t n_tokens, int64_t d, const int32_t *tokens, /* (n_tokens) */
                     const bf16 *table,                                  /* (V, d) */
                     bf16 *out);                                         /* (n_tokens, d) */

/* cos and sin of position * theta^(-2 j / D), for each position and j < half. */
void pointwise_rope_tables(int64_t positions, int64_t half, double theta,
                           float *cosines, /* (positions, half) */
                           float *sines);  /* (positions, half) */

/* Largest of x . table[row] over all rows, the lowest row where several are equal; *row gets it. */
int32_t pointwise_argmax_rows(const struct pointwise *kernels, int64_t rows, int64_t d,
                              const float *x,     /* (d) */
                              const bf16 *table); /* (rows, d) */

#endif
