/*
 * Attention and GEMMs: ours against the reference, the libraries against either. Sizes differ in
 * every dimension, so that an exchange of two of them cannot pass.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/memory_plan.h"
#include "kernels/cuda/selftest_bed.h"
#include "kernels/reference/reference.h"

#define ATTENTION_TOLERANCE 0.02 /* of outputs within [-1, 1]: P and V in bf16 */
#define GEMM_RELATIVE 0.006      /* one rounding to bf16, and the order of the sum */

/* ---- attention ---- */

struct heads {
  int q, kv, dim;
  int64_t n_queries, n_keys;
  struct shape shape;
  struct attention_operands operands;
  size_t n_out;
  float *wanted; /* (n_queries, q, dim) */
};

static void make_heads(struct bed *bed, struct heads *h) {
  const size_t row = (size_t)(h->q * h->dim), stride = row + 2 * (size_t)(h->kv * h->dim);
  const size_t nq = (size_t)h->n_queries, n_kv = (size_t)(h->n_keys * h->kv * h->dim);
  float *wide = bed_host(bed, nq * stride * 4), *q = bed_host(bed, nq * row * 4);
  float *k = bed_host(bed, n_kv * 4), *v = bed_host(bed, n_kv * 4);
  bf16 *bits = bed_host(bed, (nq * stride + n_kv) * 2);
  h->n_out = nq * row;
  h->wanted = bed_host(bed, h->n_out * 4);
  h->shape = (struct shape){.q_heads = h->q, .kv_heads = h->kv, .head_dim = h->dim};
  bed_random(bed, nq * stride, 2, bits, wide);
  h->operands.q = bed_put(bed, bits, nq * stride * 2);
  bed_random(bed, n_kv, 2, bits, k);
  h->operands.k = bed_put(bed, bits, n_kv * 2);
  bed_random(bed, n_kv, 1, bits, v);
  h->operands.v = bed_put(bed, bits, n_kv * 2);
  h->operands.out = bed_room(bed, h->n_out * 2);
  h->operands.q_stride = (int64_t)stride;
  h->operands.n_queries = h->n_queries;
  h->operands.n_keys = h->n_keys;
  for (size_t i = 0; i < nq; i++) memcpy(q + i * row, wide + i * stride, row * 4);
  reference_attention(h->n_queries, h->n_keys - h->n_queries, h->q, h->kv, h->dim, q, k, v,
                      h->wanted);
}

/* One shape by one of the two; what is written is held against the reference. */
static void run_attention(struct bed *bed, struct heads *h, enum device_attention choice) {
  struct attention attention = {0};
  const struct attention_setup setup = {.gpu = &bed->gpu,
                                        .launcher = &bed->launcher,
                                        .shape = &h->shape,
                                        .choice = choice,
                                        .directory = bed->test->directory};
  const driver_pointer workspace = bed_room(bed, ATTENTION_WORKSPACE_BYTES);
  if (bed->failed) return;
  bed->failed = attention_open(&attention, &setup, bed->error);
  if (!bed->failed)
    bed->failed =
        attention_set_up(&attention, bed->stream, workspace, ATTENTION_WORKSPACE_BYTES, bed->error);
  if (!bed->failed)
    bed->failed =
        attention_prepare(&attention, h->n_queries, h->n_keys, h->operands.q_stride, bed->error);
  if (!bed->failed) bed->failed = attention_run(&attention, &h->operands, bed->error);
  bed_wait(bed);
  attention_close(&attention);
}

static void check_shape(struct bed *bed, struct heads h) {
  make_heads(bed, &h);
  run_attention(bed, &h, DEVICE_ATTENTION_BUILTIN);
  bed_check_bf16(bed, h.dim == 64 ? "heads of 64" : "heads of 128", h.operands.out, h.wanted,
                 h.n_out, ATTENTION_TOLERANCE, 0);
}

void selftest_attention(struct bed *bed) {
  check_shape(bed, (struct heads){.q = 4, .kv = 2, .dim = 64, .n_queries = 65, .n_keys = 150});
  check_shape(bed, (struct heads){.q = 4, .kv = 1, .dim = 128, .n_queries = 33, .n_keys = 97});
}

void selftest_cudnn(struct bed *bed) {
  struct heads h = {.q = 4, .kv = 1, .dim = 128, .n_queries = 65, .n_keys = 150};
  make_heads(bed, &h);
  run_attention(bed, &h, DEVICE_ATTENTION_BUILTIN);
  bf16 *ours = bed_host(bed, h.n_out * 2);
  bed_get(bed, ours, h.operands.out, h.n_out * 2);
  for (size_t i = 0; i < h.n_out; i++) h.wanted[i] = bf16_to_float(ours[i]);
  h.operands.out = bed_room(bed, h.n_out * 2);
  run_attention(bed, &h, DEVICE_ATTENTION_CUDNN);
  bed_check_bf16(bed, "cuDNN beside builtin", h.operands.out, h.wanted, h.n_out,
                 ATTENTION_TOLERANCE, 0);
}

/* ---- GEMMs ---- */

enum { ROWS = 33 };

/* Random operands in the GEMM's element, their values in float. */
static driver_pointer operand(struct bed *bed, size_t n, size_t padded, float scale, bool fp8,
                              float *values) {
  bf16 *bits = bed_host(bed, padded * 2);
  if (!fp8) {
    bed_random(bed, n, scale, bits, values);
    return bed_put(bed, bits, padded * 2);
  }
  uint8_t *codes = bed_host(bed, padded);
  bed_random(bed, n, 127, bits, values);
  for (size_t i = 0; i < n; i++) { /* exponents up to 2: sums stay small */
    codes[i] = (uint8_t)((int)fabsf(values[i]) % 0x40 | (values[i] < 0 ? 0x80 : 0));
    values[i] = bed_e4m3(codes[i]);
  }
  return bed_put(bed, codes, padded);
}

static void check_kind(struct bed *bed, struct gemm *gemm, enum gemm_kind kind, float product) {
  const struct gemm_linear *linear = &gemm->linears[kind];
  const size_t n = (size_t)linear->n, k = (size_t)linear->k;
  const size_t rows = (size_t)gemm_rows(gemm, ROWS);
  float *x = bed_host(bed, ROWS * k * 4), *w = bed_host(bed, n * k * 4);
  float *y = bed_host(bed, ROWS * n * 4);
  bf16 *old = bed_host(bed, rows * n * 2);
  struct gemm_operands operands = {
      .x = operand(bed, ROWS * k, rows * k, 1, gemm->fp8, x),
      .weights = operand(bed, n * k, n * k, 1, gemm->fp8, w),
      .y = bed_put(bed, old, rows * n * 2),
  };
  if (!bed->failed) bed->failed = gemm_prepare(gemm, kind, ROWS, &operands, bed->error);
  bed_wait(bed);
  bed_random(bed, ROWS * n, 1, old, y);
  operands.y = bed_put(bed, old, rows * n * 2);
  if (!bed->failed) bed->failed = gemm_run(gemm, kind, ROWS, &operands, bed->error);
  bed_wait(bed);
  for (size_t i = 0; i < ROWS * k; i++) x[i] *= product;
  reference_linear(ROWS, (int64_t)k, (int64_t)n, linear->accumulate, x, w, y);
  bed_check_bf16(bed, linear->accumulate ? "Y + X W" : "X W", operands.y, y, ROWS * n,
                 gemm->fp8 ? 0.05 : 0.02, gemm->fp8 ? 0.02 : GEMM_RELATIVE);
}

static void check_gemms(struct bed *bed, bool fp8) {
  static const struct shape shape = {.name = "self-test",
                                     .layers = 1,
                                     .hidden = 256,
                                     .q_heads = 6,
                                     .kv_heads = 2,
                                     .head_dim = 64,
                                     .ffn = 720,
                                     .vocabulary = 512};
  static const float scales[2 * GEMM_KINDS] = {0.5F, 0.125F, 0.5F, 0.125F,
                                               0.5F, 0.125F, 0.5F, 0.125F};
  struct gemm gemm = {0};
  const struct gemm_setup setup = {.shape = &shape,
                                   .fp8 = fp8,
                                   .tune = true,
                                   .stream = bed->stream,
                                   .workspace = bed_room(bed, GEMM_WORKSPACE_BYTES),
                                   .scales = bed_put(bed, scales, sizeof scales)};
  if (bed->failed) return;
  bed->failed = gemm_open(&gemm, &bed->gpu, bed->test->directory, bed->error);
  if (!bed->failed) bed->failed = gemm_set_up(&gemm, &setup, bed->error);
  for (int kind = 0; kind < GEMM_KINDS && !bed->failed; kind++)
    check_kind(bed, &gemm, (enum gemm_kind)kind, fp8 ? scales[0] * scales[1] : 1);
  gemm_close(&gemm);
}

void selftest_gemm(struct bed *bed) {
  check_gemms(bed, false);
}

void selftest_gemm_fp8(struct bed *bed) {
  check_gemms(bed, true);
}
