/*
 * What the device's memory is spent on: pure arithmetic, decided once when the
 * device opens. Sizes in bytes; d hidden, F ffn, V vocabulary, D head_dim.
 *
 * Fixed parts come first, then as much KV as there is (all layers, else the fewest that the
 * windows need), then as many weight sets as fit. A model larger than the card still runs: its
 * layers share the sets, which cost the same time as their own would (a 70B layer is 1.7 GB, far
 * over any cache).
 */
#ifndef REFILL_KERNELS_CUDA_MEMORY_PLAN_H
#define REFILL_KERNELS_CUDA_MEMORY_PLAN_H

#include "kernels/device.h"

#define MEMORY_ALIGNMENT 256                      /* of every tensor */
#define GEMM_ROWS_MULTIPLE 16                     /* rows of FP8 GEMMs come in sixteens */
#define GEMM_WORKSPACE_BYTES (UINT64_C(32) << 20) /* what cuBLASLt's heuristics like on Hopper */
#define ATTENTION_WORKSPACE_BYTES (UINT64_C(16) << 20) /* cuDNN's plans here ask for 256 bytes */
#define CHUNK_TOKENS_DEFAULT 8192

/* Offsets of a weight set's tensors, and its size. */
struct memory_weights {
  size_t qkv, out, gate_up, down, norm_attention, norm_ffn, bytes;
};

struct memory_plan {
  int64_t pages, positions; /* of one sequence; positions = pages * page_tokens */
  int64_t chunk_tokens;     /* a multiple of GEMM_ROWS_MULTIPLE */
  int64_t rows;             /* of the residual stream: tokens_max rounded up the same way */
  struct memory_weights weights;
  size_t kv_row_bytes;                /* of one token's K (or V) in one layer, as stored */
  size_t kv_half_bytes;               /* all positions' K (or V) of a layer */
  size_t embedding_bytes, head_bytes; /* head 0 where it is the embedding */
  size_t residual_bytes;              /* (rows, d) bf16 */
  size_t narrow_bytes;    /* (chunk, max(d, Hq D)) bf16: norm's and attention's output */
  size_t wide_bytes;      /* (chunk, max((Hq + 2 Hkv) D, 2 F)) bf16: QKV, gate and up */
  size_t active_bytes;    /* (chunk, F): SwiGLU's output */
  size_t quantised_bytes; /* (chunk, max(d, Hq D)) E4M3, FP8 only */
  size_t plain_kv_bytes;  /* (2, positions, Hkv D) bf16, FP8 KV only */
  size_t angles_bytes;    /* (positions, D / 2) float: cosines, and sines again */
  size_t small_bytes;     /* tokens, logits, CRCs, scales, state */
  size_t direct_bytes;    /* landing and leaving buffers, where they are on the GPU */
  size_t fixed_bytes;     /* all of the above but weights and KV slots */
  int kv_slots, weight_sets;
  size_t total_bytes;
};

/* Plans for `free_bytes` of memory, of which a reserve is kept. Returns 0, -EINVAL for a shape
 * that the kernels cannot take, or -ENOMEM with what would fit. */
int memory_plan(struct memory_plan *plan, const struct device_config *config, size_t free_bytes,
                struct error *error);

#endif
