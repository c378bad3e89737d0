/*
 * cuBLASLt's rules for the forms that Refill uses (CUDA 13.0 documentation,
 * cublasLtMatmul(), tables of regular and FP8 kernels).
 */
#include "kernels/cuda/lt_rules.h"

#include "kernels/cuda/lt.h"

#define ALIGNMENT_MAX 256

uint32_t lt_alignment(uint64_t address) {
  uint32_t alignment = ALIGNMENT_MAX;
  while (alignment > 1 && address % alignment != 0) alignment /= 2;
  return alignment;
}

struct lt_problem lt_problem_linear(int64_t rows, int64_t n, int64_t k, bool fp8, bool accumulate) {
  return (struct lt_problem){
      .rows = rows,
      .n = n,
      .k = k,
      .input_type = fp8 ? LT_TYPE_E4M3 : LT_TYPE_BF16,
      .output_type = LT_TYPE_BF16,
      .a_leading = k,
      .b_leading = k,
      .d_leading = n,
      .accumulate = accumulate,
  };
}

static const char *fp8_rule(const struct lt_problem *p) {
  if (p->k % 16 != 0) return "FP8: the inner dimension must be a multiple of 16";
  if (p->n % 16 != 0) return "FP8: the output dimension must be a multiple of 16";
  if (p->rows % 16 != 0) return "FP8: the rows must be padded to a multiple of 16";
  if (p->a_leading % 16 != 0 || p->b_leading % 16 != 0)
    return "FP8: leading dimensions must be multiples of 16";
  if (p->a % 16 != 0 || p->b % 16 != 0 || p->d % 16 != 0)
    return "FP8: tensors must be aligned to 16 bytes";
  if (p->a_scale == 0 || p->b_scale == 0) return "FP8: both inputs need a scale on the device";
  return NULL;
}

const char *lt_rules(const struct lt_problem *p) {
  if (p->rows < 1 || p->n < 1 || p->k < 1) return "every dimension must be at least 1";
  if (p->input_type != LT_TYPE_BF16 && p->input_type != LT_TYPE_E4M3)
    return "inputs must be bf16 or E4M3";
  if (p->output_type != LT_TYPE_BF16) return "the output must be bf16";
  if (p->a_leading < p->k) return "A's leading dimension is less than its rows (k)";
  if (p->b_leading < p->k) return "B's leading dimension is less than its rows (k)";
  if (p->d_leading < p->n) return "D's leading dimension is less than its rows (n)";
  if (p->a == 0 || p->b == 0 || p->d == 0) return "a tensor has no address";
  if (p->a % 2 != 0 || p->b % 2 != 0 || p->d % 2 != 0)
    if (p->input_type == LT_TYPE_BF16) return "bf16 tensors must be aligned to 2 bytes";
  if (p->accumulate && p->c != p->d) return "what is added to must be the output itself";
  if (p->workspace_bytes > 0 && p->workspace % ALIGNMENT_MAX != 0)
    return "the workspace must be aligned to 256 bytes";
  if (p->workspace_bytes > 0 && p->workspace == 0) return "the workspace has no address";
  return p->input_type == LT_TYPE_E4M3 ? fp8_rule(p) : NULL;
}
