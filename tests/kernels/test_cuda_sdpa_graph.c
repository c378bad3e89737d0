/*
 * What attention's graph refuses before cuDNN sees it. That the real cuDNN compiles the rest, for
 * every preset, is tests/vgpu/aot's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "kernels/cuda/sdpa_graph.h"

Test(cuda_sdpa_graph, more_queries_than_keys_never_reach_cudnn) {
  struct sdpa_graph graph;
  struct error error = {0};
  const struct cudnn none = {0};
  const struct sdpa_problem problem = {65, 64, 512};
  cr_expect_eq(
      sdpa_graph_open(&graph, &none, NULL, (struct sdpa_heads){4, 2, 64}, &problem, &error),
      -EINVAL);
  cr_expect_not_null(strstr(error.message, "not causal"), "%s", error.message);
}
