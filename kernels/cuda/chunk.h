/*
 * A chunk of new tokens on its way through one layer, step by step: what forward.c strings
 * together and probe.c times alone.
 */
#ifndef REFILL_KERNELS_CUDA_CHUNK_H
#define REFILL_KERNELS_CUDA_CHUNK_H

#include "kernels/cuda/cuda_device.h"

struct chunk {
  driver_pointer set;      /* weights */
  driver_pointer slot;     /* the layer's KV cache */
  driver_pointer residual; /* the chunk's rows of x */
  int64_t rows;            /* m */
  int64_t position;        /* of its first token */
  int64_t pad_rows;        /* zero rows to write behind the last token's KV */
};

/* In the order of a layer. */
enum chunk_step {
  CHUNK_NORM_ATTENTION,
  CHUNK_QKV,
  CHUNK_ROPE,
  CHUNK_ATTENTION,
  CHUNK_QUANTISE, /* FP8 only: nothing else */
  CHUNK_OUT,
  CHUNK_NORM_FFN,
  CHUNK_GATE_UP,
  CHUNK_SWIGLU,
  CHUNK_DOWN,
  CHUNK_STEPS
};

/* The chunk from new token `first` on, of `layer` of a run of n_new tokens after n_past. */
struct chunk chunk_at(const struct cuda *cuda, int layer, int64_t first, int64_t n_new,
                      int64_t n_past);

/* Enqueues one step, or all of them. */
int chunk_step(struct cuda *cuda, const struct chunk *chunk, enum chunk_step step,
               struct error *error);
int chunk_run(struct cuda *cuda, const struct chunk *chunk, struct error *error);

/* Bytes to and from memory, of a step that moves more than it computes; 0 of others
 * (chunk_bytes.c). */
double chunk_step_bytes(const struct device_config *config, enum chunk_step step, int64_t rows);

/* FLOPs of one row, of a step that is a GEMM; 0 of others. */
double chunk_step_flops(const struct cuda *cuda, enum chunk_step step);

/* Where a GEMM reads and writes. */
struct gemm_operands chunk_operands(const struct cuda *cuda, const struct chunk *chunk,
                                    enum gemm_kind kind);

/* Elements of a row of Q; of K (or V); of all three. */
int64_t chunk_q_dim(const struct cuda *cuda);
int64_t chunk_kv_dim(const struct cuda *cuda);
int64_t chunk_qkv_dim(const struct cuda *cuda);

/* Before a layer's chunks: the embedding (of layer 0), and the past of an FP8 cache as attention
 * reads it (nothing to do for a bf16 one). */
int chunk_embed(struct cuda *cuda, int64_t n_new, struct error *error);
int chunk_dequantise_past(struct cuda *cuda, int layer, int64_t n_past, struct error *error);

/* K and V as attention reads them. */
struct attention_operands chunk_attention(const struct cuda *cuda, const struct chunk *chunk);

#endif
