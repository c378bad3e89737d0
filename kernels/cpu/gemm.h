/*
 * bf16 GEMMs with float accumulation, by oneDNN: y (m, n) = x (m, k) W^T, with
 * y's old value added where the layer is a residual one.
 *
 * The weights of a linear layer are packed once into the order that oneDNN
 * likes best. What runs is a plan for an exact number of rows m: made by
 * gemm_prepare() outside timed regions, looked up by gemm_run() inside them.
 * All plans of a layer share one packed order. Scratch memory is one buffer,
 * grown by gemm_prepare(), so that a run allocates nothing large (oneDNN itself makes
 * a few small objects for each execution).
 */
#ifndef REFILL_KERNELS_CPU_GEMM_H
#define REFILL_KERNELS_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/placement.h"
#include "kernels/element.h"

#define GEMM_PLANS_MAX                                                                             \
  8 /* row counts cached in a layer: the full chunk and recent partial ones                        \
     */

struct gemm;        /* the library's engine, stream and scratch; one compute thread uses it */
struct gemm_linear; /* one kind of linear layer: k, n, packed order, plans */
struct gemm_packed; /* one weight matrix in a linear layer's packed order */

/* Opens the library; the number of OpenMP threads must stay as it is now until close. */
int gemm_open(struct gemm **gemm, const struct placement *placement, struct error *error);
void gemm_close(struct gemm *gemm);

/* A linear layer from k to n, its packed order chosen for m_full rows, for which it is prepared.
 * Ends with gemm_linear_close(), before gemm_close(). */
int gemm_linear_open(struct gemm *gemm, struct gemm_linear **linear, int64_t m_full, int64_t k,
                     int64_t n, bool accumulate, struct error *error);
void gemm_linear_close(struct gemm_linear *linear);

/* Bytes that one packed weight matrix of this layer takes. */
size_t gemm_packed_bytes(const struct gemm_linear *linear);

/* Packs `plain` (n, k) into `memory` (gemm_packed_bytes(), 64-byte aligned, the caller's, which
 * must outlive the handle). Ends with gemm_packed_close(). */
int gemm_pack(const struct gemm_linear *linear, bf16 *plain, void *memory,
              struct gemm_packed **packed, struct error *error);
void gemm_packed_close(struct gemm_packed *packed);

/* Makes sure that gemm_run() can take m rows, forgetting the plan used longest ago where the
 * table is full (never the one for m_full). Allocates. */
int gemm_prepare(struct gemm_linear *linear, int64_t m, struct error *error);

/* y = x W^T (+ y), complete on return. -EINVAL for m rows that were not prepared. */
int gemm_run(struct gemm_linear *linear, const struct gemm_packed *weights, int64_t m,
             const bf16 *x, /* (m, k) */
             bf16 *y,       /* (m, n) */
             struct error *error);

/* "oneDNN 2.6.3, bf16, brg:avx512_core_amx_bf16": what runs the plan for m_full rows. */
void gemm_describe(const struct gemm_linear *linear, char *text, size_t text_bytes);

#endif
