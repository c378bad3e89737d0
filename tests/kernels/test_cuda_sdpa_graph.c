/*
 * What attention's graph refuses before cuDNN sees it. That the real cuDNN compiles the rest, for
 * every preset, is tests/vgpu/aot's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <math.h>
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

/* Refused by its version, and with what words. */
static void expect_known(int minor, int patch, int64_t n_queries, const char *words) {
  struct sdpa_graph graph;
  struct error error = {0};
  const struct cudnn cudnn = {.major = 9, .minor = minor, .patch = patch};
  const struct sdpa_problem problem = {n_queries, 128, 512};
  const struct sdpa_heads heads = {4, 2, 64};
  cr_expect_eq(sdpa_graph_open(&graph, &cudnn, NULL, heads, &problem, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, words), "9.%d.%d: %s", minor, patch, error.message);
}

Test(cuda_sdpa_graph, what_a_version_gets_wrong_is_not_asked_of_it) {
  expect_known(2, 1, 64, "no causal mask over a past");
  expect_known(10, 0, 128, "known to be wrong");
  expect_known(10, 1, 64, "install 9.10.2");
  expect_known(9, 0, 1, "no single query");
}

/* The scalar is set before a problem is looked at. */
static float masked_by(int minor) {
  struct sdpa_graph graph;
  const struct cudnn cudnn = {.major = 9, .minor = minor};
  const struct sdpa_problem refused = {65, 64, 512};
  (void)sdpa_graph_open(&graph, &cudnn, NULL, (struct sdpa_heads){4, 2, 64}, &refused, NULL);
  return graph.masked;
}

Test(cuda_sdpa_graph, masked_scores_are_what_the_version_wants) {
  cr_expect(masked_by(9) >= -FLT_MAX);
  cr_expect(isinf(masked_by(10)));
  cr_expect(isinf(masked_by(19)));
}
