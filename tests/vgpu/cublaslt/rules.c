/*
 * What cuBLASLt takes (its documentation, tables of cublasLtMatmul() for regular and FP8 kernels),
 * written apart from the program's own check, which is tested against this.
 */
#include "tests/vgpu/cublaslt/lt_state.h"

size_t type_bytes(int type) {
  return type == LT_TYPE_FLOAT ? 4 : type == LT_TYPE_BF16 ? 2 : type == LT_TYPE_E4M3 ? 1 : 0;
}

size_t layout_bytes(const struct layout *layout) {
  return ((layout->columns - 1) * (uint64_t)layout->leading + layout->rows) *
         type_bytes(layout->type);
}

static const char *layout_rule(const struct layout *layout) {
  if (type_bytes(layout->type) == 0) return "unknown type of a matrix";
  if (layout->rows == 0 || layout->columns == 0) return "a matrix without elements";
  if (layout->leading < 0 || (uint64_t)layout->leading < layout->rows)
    return "a leading dimension is less than the rows";
  return NULL;
}

static const char *fp8_rule(const struct problem *problem) {
  const struct desc *desc = &problem->desc;
  if (desc->transpose_a != LT_OP_TRANSPOSE || desc->transpose_b != LT_OP_NONE)
    return "FP8 is for transposed A and plain B only";
  if (problem->m % 16 || problem->n % 16 || problem->k % 16)
    return "FP8: dimensions must be multiples of 16";
  if (problem->a.leading % 16 || problem->b.leading % 16 ||
      (uint64_t)problem->d.leading * type_bytes(problem->d.type) % 16)
    return "FP8: leading dimensions must be multiples of 16 bytes";
  if (problem->d.type != LT_TYPE_BF16 && problem->d.type != LT_TYPE_FLOAT)
    return "FP8: D must be bf16 or float here";
  return NULL;
}

const char *problem_rule(const struct problem *problem) {
  const struct layout *layouts[4] = {&problem->a, &problem->b, &problem->c, &problem->d};
  for (int i = 0; i < 4; i++) {
    const char *rule = layout_rule(layouts[i]);
    if (rule) return rule;
  }
  if (problem->desc.compute != LT_COMPUTE_FLOAT || problem->desc.scale != LT_TYPE_FLOAT)
    return "compute and scale type must be float";
  bool a = problem->desc.transpose_a != LT_OP_NONE, b = problem->desc.transpose_b != LT_OP_NONE;
  if ((a ? problem->a.rows : problem->a.columns) != problem->k ||
      (b ? problem->b.columns : problem->b.rows) != problem->k)
    return "A and B do not share k";
  if (problem->d.rows != problem->m || problem->d.columns != problem->n) return "D is not m x n";
  if (problem->c.rows != problem->m || problem->c.columns != problem->n ||
      problem->c.type != problem->d.type)
    return "C is not as D";
  if (problem->a.type != problem->b.type) return "A and B are of different types";
  if (problem->a.type == LT_TYPE_E4M3) return fp8_rule(problem);
  if (problem->a.type != LT_TYPE_BF16) return "A must be bf16 or E4M3 here";
  if (problem->d.type != LT_TYPE_BF16 && problem->d.type != LT_TYPE_FLOAT)
    return "D must be bf16 or float here";
  if (problem->desc.scale_a || problem->desc.scale_b) return "scales are for FP8 only";
  return NULL;
}

static uint64_t mixed(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 29;
}

uint64_t problem_hash(const struct problem *problem) {
  const struct layout *layouts[4] = {&problem->a, &problem->b, &problem->c, &problem->d};
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (int i = 0; i < 4; i++) {
    hash = mixed(hash, (uint64_t)layouts[i]->type);
    hash = mixed(hash, layouts[i]->rows);
    hash = mixed(hash, layouts[i]->columns);
    hash = mixed(hash, (uint64_t)layouts[i]->leading);
  }
  hash = mixed(hash, (uint64_t)problem->desc.transpose_a);
  hash = mixed(hash, (uint64_t)problem->desc.transpose_b);
  return mixed(hash, (uint64_t)problem->desc.fast);
}
