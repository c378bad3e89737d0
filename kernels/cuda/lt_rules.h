/*
 * What cuBLASLt demands of a GEMM, checked by us: without a GPU the library
 * accepts nearly anything (leading dimensions that are too short, types that do not exist), and
 * with one it answers "not supported" without saying why.
 *
 * Ours are row major: Y (rows, n) = X (rows, k) W (n, k)^T, plus Y. The library is column major and
 * sees the transposes of the same bytes: D (n, rows) = op(A) B with A = W as (k, n), transposed, B
 * = X as (k, rows), C = D = Y. That is the "TN" form, the only one that FP8 has.
 */
#ifndef REFILL_KERNELS_CUDA_LT_RULES_H
#define REFILL_KERNELS_CUDA_LT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_problem {
  int64_t rows, n, k;                      /* as above: tokens, outputs, inputs */
  int input_type, output_type;             /* LT_TYPE_* of A and B, of C and D */
  int64_t a_leading, b_leading, d_leading; /* elements */
  uint64_t a, b, c, d;                     /* addresses */
  uint64_t workspace;
  size_t workspace_bytes;
  uint64_t a_scale, b_scale; /* device addresses of one float; FP8 only */
  bool accumulate;           /* C is read */
};

/* The problem of a linear layer on contiguous row-major tensors. */
struct lt_problem lt_problem_linear(int64_t rows, int64_t n, int64_t k, bool fp8, bool accumulate);

/* NULL where every rule is kept, else the rule that is not: a constant text. */
const char *lt_rules(const struct lt_problem *problem);

/* The largest power of two up to 256 that divides an address: what the heuristic may count on. */
uint32_t lt_alignment(uint64_t address);

#endif
