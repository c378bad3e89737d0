/*
 * Attention of a chunk of new tokens over all keys so far: by cuDNN where it has a
 * plan, by our own kernel else. Which one runs is decided per shape before timed regions.
 *
 * FLOPs: 4 Hq D (n_queries n_past + n_queries (n_queries + 1) / 2). On an H100 (aiconfigurator
 * h100_sxm, 64/8 heads, D 128, causal): FA3-class kernels reach 423 TFLOPS at 2k, 599 at 8k;
 * cuDNN's is one of those. Llama-3-70B at 8192 new tokens: 1.10 TFLOP a layer, 1.8 ms; builtin at
 * 330: 3.3 ms (attention.cu has the reckoning).
 */
#ifndef REFILL_KERNELS_CUDA_ATTENTION_H
#define REFILL_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/launcher.h"
#include "kernels/cuda/sdpa.h"
#include "kernels/device.h"

struct attention {
  struct launcher *launcher;
  driver_stream stream;
  int q_heads, kv_heads, head_dim;
  enum device_attention choice;
  bool has_sdpa;
  struct sdpa sdpa;
  int sdpa_plans, builtin_plans; /* shapes prepared for each */
  char refused[160];             /* why cuDNN does not run; empty where it does */
};

struct attention_operands {
  driver_pointer q;    /* (n_queries, q_stride) bf16 */
  int64_t q_stride;    /* elements */
  driver_pointer k, v; /* (n_keys, Hkv, D) bf16 */
  driver_pointer out;  /* (n_queries, Hq, D) bf16 */
  int64_t n_queries, n_keys;
};

struct attention_setup {
  struct gpu *gpu;
  struct launcher *launcher;
  const struct shape *shape;
  enum device_attention choice;
  const char *directory; /* of libraries, or NULL */
};

/* Loads cuDNN unless `choice` is builtin. With DEVICE_ATTENTION_CUDNN its absence is an error, with
 * DEVICE_ATTENTION_AUTO `refused` tells of it. attention_close() frees in every case. */
int attention_open(struct attention *attention, const struct attention_setup *setup,
                   struct error *error);

/* Where it runs: one stream and its workspace. */
int attention_set_up(struct attention *attention, driver_stream stream, driver_pointer workspace,
                     size_t workspace_bytes, struct error *error);
void attention_close(struct attention *attention);

/* Decides and plans for a shape. Not for timed regions: cuDNN compiles for about a second. */
int attention_prepare(struct attention *attention, int64_t n_queries, int64_t n_keys,
                      int64_t q_stride, struct error *error);

/* Gives cuDNN up for the builtin kernel, from now on. */
void attention_give_up(struct attention *attention, const struct error *why);

/* Enqueues it. */
int attention_run(struct attention *attention, const struct attention_operands *operands,
                  struct error *error);

/* The same by the builtin kernel, whichever was chosen. */
int attention_run_builtin(const struct attention *attention,
                          const struct attention_operands *operands, struct error *error);

/* "cuDNN 9.19.0" or "builtin mma.sync (why not cuDNN)". */
void attention_describe(const struct attention *attention, char *text, size_t bytes);

#endif
