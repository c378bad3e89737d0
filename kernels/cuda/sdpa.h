/*
 * cuDNN's scaled dot-product attention through its C backend API: bf16, causal
 * bottom-right, grouped queries, K and V as they lie in the KV cache.
 *
 * The graph is the composite one that cuDNN's Hopper engine recognises (sdpa_graph.h). Dimensions
 * and strides are part of a plan, so there is one plan per (n_queries, n_keys, q_stride), compiled
 * in about a second, outside timed regions, and kept.
 */
#ifndef REFILL_KERNELS_CUDA_SDPA_H
#define REFILL_KERNELS_CUDA_SDPA_H

#include <stdbool.h>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/sdpa_graph.h"

/* Shapes kept at once. A sweep of 131072 tokens in chunks of 8192 has some 90 for ten shares of the
 * past, and 16 more for each share around alpha*; one that was forgotten takes a second again. */
#define SDPA_PLANS_MAX 512

struct sdpa_tensors {
  driver_pointer q, k, v, out;
};

#define SDPA_PACKS_MAX 96 /* of one plan: one for each layer's place in the KV cache */

/* Addresses bound for execution. It cannot be changed once finalised, so each set has its own. */
struct sdpa_pack {
  struct sdpa_tensors tensors;
  cudnn_descriptor pack; /* NULL: unused */
};

struct sdpa_plan {
  struct sdpa_problem problem; /* n_queries 0: unused */
  uint64_t used;
  struct sdpa_graph graph;
  struct sdpa_pack packs[SDPA_PACKS_MAX];
  int next_pack; /* that the next new set takes */
};

struct sdpa {
  struct gpu *gpu;
  struct cudnn cudnn;
  struct sdpa_heads heads;
  driver_pointer workspace;
  size_t workspace_bytes;
  uint64_t uses;
  struct sdpa_plan *plans; /* [SDPA_PLANS_MAX] */
};

/* Loads cuDNN 9 and makes a handle in the current context. */
int sdpa_open(struct sdpa *sdpa, struct gpu *gpu, struct sdpa_heads heads, const char *directory,
              struct error *error);
int sdpa_set_up(struct sdpa *sdpa, driver_stream stream, driver_pointer workspace,
                size_t workspace_bytes, struct error *error);
void sdpa_close(struct sdpa *sdpa);

/* Compiles a plan where there is none for the problem; -ENOTSUP where cuDNN has no engine. */
int sdpa_prepare(struct sdpa *sdpa, const struct sdpa_problem *problem, struct error *error);
bool sdpa_has_plan(struct sdpa *sdpa, const struct sdpa_problem *problem);

/* Enqueues a prepared problem on the stream of sdpa_set_up(). */
int sdpa_run(struct sdpa *sdpa, const struct sdpa_problem *problem,
             const struct sdpa_tensors *tensors, struct error *error);

void sdpa_describe(const struct sdpa *sdpa, char *text, size_t bytes);

#endif
