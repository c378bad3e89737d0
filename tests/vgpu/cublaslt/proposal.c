/*
 * What an opaque algorithm holds here, and whether a multiplication may be done by it.
 *
 * A heuristic only thinks that its proposals work: VGPU_CUBLASLT_REFUSES names one that does not
 * ("2:13": the second answers EXECUTION_FAILED whenever it is run; "2+:13": it and all after it).
 * The first of all (0) does not work either, and says so in its state.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cublaslt/lt_state.h"

enum { MARK = 0x5647 };
enum { PROBLEM, WORKSPACE, ALIGNMENTS, MARKED, INDEX }; /* of lt_algorithm.data */

struct lt_algorithm proposal_make(const struct problem *problem, int index, bool works,
                                  uint64_t workspace_bytes, uint64_t alignments) {
  return (struct lt_algorithm){.data = {[PROBLEM] = problem_hash(problem),
                                        [WORKSPACE] = workspace_bytes,
                                        [ALIGNMENTS] = alignments,
                                        [MARKED] = works ? MARK : 0,
                                        [INDEX] = (uint64_t)index}};
}

uint64_t proposal_alignments(const struct lt_algorithm *algorithm) {
  return algorithm->data[ALIGNMENTS];
}

/* The status that VGPU_CUBLASLT_REFUSES asks for; LT_SUCCESS: it means another one. */
static lt_status refused(uint64_t index) {
  const char *text = getenv("VGPU_CUBLASLT_REFUSES");
  if (!text || !*text) return LT_SUCCESS;
  char *end = NULL;
  const uint64_t first = strtoull(text, &end, 10);
  const bool later = *end == '+';
  end += later;
  if (index != first && !(later && index > first)) return LT_SUCCESS;
  return *end == ':' ? (lt_status)strtol(end + 1, NULL, 10) : LT_NOT_SUPPORTED;
}

lt_status proposal_judge(const struct lt_algorithm *algorithm, const struct problem *problem,
                         uint64_t workspace_bytes, const char **rule) {
  if (!algorithm || algorithm->data[MARKED] != MARK) {
    *rule = "no algorithm, or one that said it does not work";
    vgpu_finding("cublasLtMatmul: %s", *rule); /* the real one may do anything */
    return LT_NOT_SUPPORTED;
  }
  *rule = "the algorithm was proposed for another problem";
  if (algorithm->data[PROBLEM] != problem_hash(problem)) return LT_INVALID_VALUE;
  *rule = "the algorithm needs more workspace";
  if (algorithm->data[WORKSPACE] > workspace_bytes) return LT_INVALID_VALUE;
  *rule = "refused as VGPU_CUBLASLT_REFUSES asks";
  return refused(algorithm->data[INDEX]);
}
