/*
 * What the steps between GEMMs and attention move: each element read once and written once, no
 * weight counted (a norm's is 16 KiB, and stays in a cache).
 *
 * They compute next to nothing, so these bytes over the memory's rate are their time. It should be
 * at most 7% of a bf16 layer of 8192 tokens, 10% of an FP8 one, whose GEMMs take half as long.
 */
#include "kernels/cuda/chunk.h"

double chunk_step_bytes(const struct device_config *config, enum chunk_step step, int64_t rows) {
  const struct shape *s = &config->shape;
  const bool fp8 = config->element == ELEMENT_FP8_E4M3;
  const bool kv_fp8 = config->kv_element == ELEMENT_FP8_E4M3;
  const double out = fp8 ? 1 : 2, q = (double)s->q_heads * s->head_dim;
  const double kv = (double)s->kv_heads * s->head_dim;
  const double of_row[CHUNK_STEPS] = {
      [CHUNK_NORM_ATTENTION] = (2 + out) * s->hidden,
      [CHUNK_NORM_FFN] = (2 + out) * s->hidden,
      /* Q both ways, K and V in and to the cache (FP8: codes and what they are worth), angles */
      [CHUNK_ROPE] = 4 * q + (kv_fp8 ? 10 : 8) * kv + 4.0 * s->head_dim,
      [CHUNK_QUANTISE] = fp8 ? 3 * q : 0,
      [CHUNK_SWIGLU] = (4 + out) * s->ffn,
  };
  return of_row[step] * (double)rows;
}
