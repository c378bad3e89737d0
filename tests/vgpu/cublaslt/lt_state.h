/*
 * What the stand-in of cuBLASLt keeps behind its handles.
 */
#ifndef REFILL_TESTS_VGPU_LT_STATE_H
#define REFILL_TESTS_VGPU_LT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/lt.h"
#include "tests/vgpu/libcuda/hooks.h"

#define LT_ALIVE_HANDLE 0x4c54484eU
#define LT_ALIVE_DESC 0x4c544445U
#define LT_ALIVE_LAYOUT 0x4c544c41U
#define LT_ALIVE_PREFERENCE 0x4c545052U

struct handle {
  unsigned alive;
};

struct desc {
  unsigned alive;
  int compute, scale;
  int32_t transpose_a, transpose_b;
  uint64_t scale_a, scale_b; /* device addresses of a float, or 0: 1.0 */
  int8_t fast;
};

struct layout {
  unsigned alive;
  int type;
  uint64_t rows, columns;
  int64_t leading;
};

struct preference {
  unsigned alive;
  uint64_t workspace_bytes;
  uint32_t alignment[4]; /* of A, B, C, D */
};

/* D = alpha op(A) op(B) + beta C, column-major: m x n over k. */
struct problem {
  struct desc desc;
  struct layout a, b, c, d;
  uint64_t m, n, k;
};

/* rules.c: what the real library refuses: NULL where it takes the problem, else which rule. */
const char *problem_rule(const struct problem *problem);

/* Identifies a problem: an algorithm is only good for the one that it was proposed for. */
uint64_t problem_hash(const struct problem *problem);

/* Bytes from a matrix' first element to its last. */
size_t layout_bytes(const struct layout *layout);
size_t type_bytes(int type);

/* One enqueued multiplication. */
struct work {
  struct problem problem;
  float alpha, beta;
  uint64_t a, b, c, d;
};

/* proposal.c: an algorithm says which proposal it was, for what, and what it relies on. */
struct lt_algorithm proposal_make(const struct problem *problem, int index, bool works,
                                  uint64_t workspace_bytes, uint64_t alignments);
uint64_t proposal_alignments(const struct lt_algorithm *algorithm);

/* What the real library answers to a multiplication by `algorithm` (may be NULL): LT_SUCCESS, or
 * a status and in *rule the reason. */
lt_status proposal_judge(const struct lt_algorithm *algorithm, const struct problem *problem,
                         uint64_t workspace_bytes, const char **rule);

/* compute.c: runs on the stream; `argument` is a struct work. */
void run_matmul(void *argument);

#endif
