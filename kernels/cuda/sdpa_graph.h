/*
 * Attention as cuDNN's Hopper engine recognises it, from single operations:
 *
 *   S = Q K^T * scale;  S = row + n_keys - n_queries >= column ? S : -inf
 *   m = max(S);  p = exp(S - m);  l = sum(p);  stats = m + log(l);  O = (p / l) V
 *
 * Builder and plan apart from any handle, so that the same code compiles plans for a described
 * device where no GPU is.
 */
#ifndef REFILL_KERNELS_CUDA_SDPA_GRAPH_H
#define REFILL_KERNELS_CUDA_SDPA_GRAPH_H

#include "kernels/cuda/cudnn.h"

#define SDPA_DESCRIPTORS_MAX 96 /* of one graph and its plan; some 70 are used */
#define SDPA_OPERATIONS 17

/* Names of the tensors that execution binds; the last four are passed by value from host memory. */
enum { SDPA_Q = 1, SDPA_K, SDPA_V, SDPA_OUT, SDPA_SCALE, SDPA_KEYS, SDPA_QUERIES, SDPA_MASKED };

struct sdpa_heads {
  int q_heads, kv_heads, head_dim;
};

struct sdpa_problem {
  int64_t n_queries, n_keys; /* n_queries <= n_keys */
  int64_t q_stride;          /* elements between queries' rows */
};

struct sdpa_graph {
  cudnn_descriptor all[SDPA_DESCRIPTORS_MAX]; /* in order of creation, for freeing */
  int n;
  cudnn_descriptor plan;
  int64_t workspace_bytes;
  /* What the by-value tensors point to. */
  float scale, masked;
  int32_t n_keys, n_queries;
};

/* Builds the graph and compiles a plan: for the handle's GPU, or, where `device` is not NULL, for a
 * described one. Returns 0, -ENOTSUP where no engine takes it. sdpa_graph_close() frees in every
 * case.
 */
int sdpa_graph_open(struct sdpa_graph *graph, const struct cudnn *cudnn, cudnn_descriptor device,
                    struct sdpa_heads heads, const struct sdpa_problem *problem,
                    struct error *error);
void sdpa_graph_close(struct sdpa_graph *graph, const struct cudnn *cudnn);

#endif
