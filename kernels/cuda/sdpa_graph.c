/*
 * cuDNN descriptors for attention. The first error sticks in the builder, so
 * that the graph reads as a list of operations; whatever was made is freed together.
 */
#include "kernels/cuda/sdpa_graph.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CONFIGS_MAX 8 /* proposals of the heuristic */
#define TENSOR_ALIGNMENT 16

struct builder {
  const struct cudnn *cudnn;
  struct sdpa_graph *graph;
  cudnn_descriptor operations[SDPA_OPERATIONS];
  int n_operations;
  int64_t next_id;
  int failed;
  struct error *error;
};

static void check(struct builder *b, cudnn_status status, const char *what) {
  if (!b->failed) b->failed = cudnn_check(b->cudnn, status, what, b->error);
}

static cudnn_descriptor make(struct builder *b, unsigned type, const char *what) {
  cudnn_descriptor descriptor = NULL;
  if (b->failed) return NULL;
  if (b->graph->n == SDPA_DESCRIPTORS_MAX) {
    b->failed = error_set(b->error, -ENOSPC, "attention needs too many cuDNN descriptors");
    return NULL;
  }
  check(b, b->cudnn->descriptor_create(type, &descriptor), what);
  if (descriptor) b->graph->all[b->graph->n++] = descriptor;
  return b->failed ? NULL : descriptor;
}

static void set(struct builder *b, cudnn_descriptor descriptor, unsigned name, unsigned type,
                int64_t n, const void *values, const char *what) {
  if (!b->failed) check(b, b->cudnn->set(descriptor, name, type, n, values), what);
}

static void set_descriptor(struct builder *b, cudnn_descriptor descriptor, unsigned name,
                           cudnn_descriptor value, const char *what) {
  set(b, descriptor, name, DNN_TYPE_DESCRIPTOR, 1, &value, what);
}

static void finalise(struct builder *b, cudnn_descriptor descriptor, const char *what) {
  if (!b->failed) check(b, b->cudnn->finalise(descriptor), what);
}

/* ---- tensors ---- */

struct tensor {
  int64_t id; /* 0: one of the builder's own */
  int data;
  int64_t dimensions[4];
  int64_t strides[4]; /* all 0: packed */
  bool is_virtual, by_value;
};

static cudnn_descriptor tensor(struct builder *b, struct tensor t) {
  const int64_t alignment = TENSOR_ALIGNMENT;
  const char *what = "attention's tensor";
  if (t.id == 0) t.id = b->next_id++;
  if (t.strides[3] == 0)
    for (int i = 3; i >= 0; i--) t.strides[i] = i == 3 ? 1 : t.strides[i + 1] * t.dimensions[i + 1];
  cudnn_descriptor d = make(b, DNN_TENSOR, what);
  set(b, d, DNN_TENSOR_ID, DNN_TYPE_INT64, 1, &t.id, what);
  set(b, d, DNN_TENSOR_DATA, DNN_TYPE_DATA, 1, &t.data, what);
  set(b, d, DNN_TENSOR_DIMENSIONS, DNN_TYPE_INT64, 4, t.dimensions, what);
  set(b, d, DNN_TENSOR_STRIDES, DNN_TYPE_INT64, 4, t.strides, what);
  set(b, d, DNN_TENSOR_ALIGNMENT, DNN_TYPE_INT64, 1, &alignment, what);
  set(b, d, DNN_TENSOR_VIRTUAL, DNN_TYPE_BOOL, 1, &t.is_virtual, what);
  set(b, d, DNN_TENSOR_BY_VALUE, DNN_TYPE_BOOL, 1, &t.by_value, what);
  finalise(b, d, what);
  return d;
}

static cudnn_descriptor scalar(struct builder *b, int64_t id, int data) {
  return tensor(
      b, (struct tensor){.id = id, .data = data, .dimensions = {1, 1, 1, 1}, .by_value = true});
}

/* ---- operations ---- */

static void add_operation(struct builder *b, cudnn_descriptor operation, const char *what) {
  finalise(b, operation, what);
  if (!b->failed) b->operations[b->n_operations++] = operation;
}

static void matmul(struct builder *b, cudnn_descriptor x, cudnn_descriptor y,
                   cudnn_descriptor out) {
  const int precision = DNN_FLOAT;
  const char *what = "attention's matmul";
  cudnn_descriptor desc = make(b, DNN_MATMUL, what);
  set(b, desc, DNN_MATMUL_PRECISION, DNN_TYPE_DATA, 1, &precision, what);
  finalise(b, desc, what);
  cudnn_descriptor operation = make(b, DNN_OPERATION_MATMUL, what);
  set_descriptor(b, operation, DNN_OPERATION_MATMUL_A, x, what);
  set_descriptor(b, operation, DNN_OPERATION_MATMUL_B, y, what);
  set_descriptor(b, operation, DNN_OPERATION_MATMUL_C, out, what);
  set_descriptor(b, operation, DNN_OPERATION_MATMUL_DESC, desc, what);
  add_operation(b, operation, what);
}

struct pointwise {
  int mode, precision;
  cudnn_descriptor x, other, condition, out; /* other, condition: NULL where there is none */
  int64_t axis;                              /* of DNN_INDEX */
};

static void pointwise(struct builder *b, struct pointwise p) {
  const char *what = "attention's pointwise operation";
  cudnn_descriptor desc = make(b, DNN_POINTWISE, what);
  set(b, desc, DNN_POINTWISE_MODE, DNN_TYPE_POINTWISE, 1, &p.mode, what);
  set(b, desc, DNN_POINTWISE_PRECISION, DNN_TYPE_DATA, 1, &p.precision, what);
  if (p.mode == DNN_INDEX) set(b, desc, DNN_POINTWISE_AXIS, DNN_TYPE_INT64, 1, &p.axis, what);
  finalise(b, desc, what);
  cudnn_descriptor operation = make(b, DNN_OPERATION_POINTWISE, what);
  set_descriptor(b, operation, DNN_OPERATION_POINTWISE_DESC, desc, what);
  set_descriptor(b, operation, DNN_OPERATION_POINTWISE_X, p.x, what);
  if (p.other) set_descriptor(b, operation, DNN_OPERATION_POINTWISE_B, p.other, what);
  if (p.condition) set_descriptor(b, operation, DNN_OPERATION_POINTWISE_T, p.condition, what);
  set_descriptor(b, operation, DNN_OPERATION_POINTWISE_Y, p.out, what);
  add_operation(b, operation, what);
}

static void reduce(struct builder *b, int operator_, cudnn_descriptor x, cudnn_descriptor out) {
  const int precision = DNN_FLOAT;
  const char *what = "attention's reduction";
  cudnn_descriptor desc = make(b, DNN_REDUCTION, what);
  set(b, desc, DNN_REDUCTION_OPERATOR, DNN_TYPE_REDUCTION, 1, &operator_, what);
  set(b, desc, DNN_REDUCTION_PRECISION, DNN_TYPE_DATA, 1, &precision, what);
  finalise(b, desc, what);
  cudnn_descriptor operation = make(b, DNN_OPERATION_REDUCTION, what);
  set_descriptor(b, operation, DNN_OPERATION_REDUCTION_DESC, desc, what);
  set_descriptor(b, operation, DNN_OPERATION_REDUCTION_X, x, what);
  set_descriptor(b, operation, DNN_OPERATION_REDUCTION_Y, out, what);
  add_operation(b, operation, what);
}

/* ---- the graph ---- */

/* Virtual tensors of the size of the scores, or of one value a query. */
static cudnn_descriptor scores(struct builder *b, struct sdpa_heads heads,
                               const struct sdpa_problem *p, int data) {
  return tensor(b, (struct tensor){.data = data,
                                   .dimensions = {1, heads.q_heads, p->n_queries, p->n_keys},
                                   .is_virtual = true});
}

static cudnn_descriptor per_query(struct builder *b, struct sdpa_heads heads,
                                  const struct sdpa_problem *p) {
  return tensor(b, (struct tensor){.data = DNN_FLOAT,
                                   .dimensions = {1, heads.q_heads, p->n_queries, 1},
                                   .is_virtual = true});
}

/* Scores where row + n_keys - n_queries >= column, else -inf. */
static cudnn_descriptor mask(struct builder *b, struct sdpa_heads heads,
                             const struct sdpa_problem *p, cudnn_descriptor x) {
  cudnn_descriptor keys = scalar(b, SDPA_KEYS, DNN_INT32);
  cudnn_descriptor queries = scalar(b, SDPA_QUERIES, DNN_INT32);
  cudnn_descriptor masked = scalar(b, SDPA_MASKED, DNN_FLOAT);
  cudnn_descriptor column = scores(b, heads, p, DNN_INT32), row = scores(b, heads, p, DNN_INT32);
  cudnn_descriptor raised = scores(b, heads, p, DNN_INT32);
  cudnn_descriptor last = scores(b, heads, p, DNN_INT32);
  cudnn_descriptor seen = scores(b, heads, p, DNN_BOOLEAN), out = scores(b, heads, p, DNN_FLOAT);
  pointwise(b, (struct pointwise){DNN_INDEX, DNN_FLOAT, x, NULL, NULL, column, 3});
  pointwise(b, (struct pointwise){DNN_INDEX, DNN_FLOAT, x, NULL, NULL, row, 2});
  pointwise(b, (struct pointwise){DNN_ADD, DNN_INT32, row, keys, NULL, raised, 0});
  pointwise(b, (struct pointwise){DNN_SUBTRACT, DNN_INT32, raised, queries, NULL, last, 0});
  pointwise(b, (struct pointwise){DNN_GREATER_OR_EQUAL, DNN_BOOLEAN, last, column, NULL, seen, 0});
  pointwise(b, (struct pointwise){DNN_SELECT, DNN_FLOAT, x, masked, seen, out, 0});
  return out;
}

/* Weights in bf16 from masked scores. */
static cudnn_descriptor softmax(struct builder *b, struct sdpa_heads heads,
                                const struct sdpa_problem *p, cudnn_descriptor x) {
  cudnn_descriptor largest = per_query(b, heads, p), total = per_query(b, heads, p);
  cudnn_descriptor logarithm = per_query(b, heads, p), stats = per_query(b, heads, p);
  cudnn_descriptor shifted = scores(b, heads, p, DNN_FLOAT);
  cudnn_descriptor power = scores(b, heads, p, DNN_FLOAT), out = scores(b, heads, p, DNN_BF16);
  reduce(b, DNN_REDUCE_MAX, x, largest);
  pointwise(b, (struct pointwise){DNN_SUBTRACT, DNN_FLOAT, x, largest, NULL, shifted, 0});
  pointwise(b, (struct pointwise){DNN_EXP, DNN_FLOAT, shifted, NULL, NULL, power, 0});
  reduce(b, DNN_REDUCE_ADD, power, total);
  pointwise(b, (struct pointwise){DNN_LOG, DNN_FLOAT, total, NULL, NULL, logarithm, 0});
  pointwise(b, (struct pointwise){DNN_ADD, DNN_FLOAT, largest, logarithm, NULL, stats, 0});
  pointwise(b, (struct pointwise){DNN_DIVIDE, DNN_FLOAT, power, total, NULL, out, 0});
  return out;
}

static void build(struct builder *b, struct sdpa_heads heads, const struct sdpa_problem *p) {
  const int64_t d = heads.head_dim, hq = heads.q_heads, hk = heads.kv_heads;
  const int64_t nq = p->n_queries, nk = p->n_keys;
  cudnn_descriptor q = tensor(b, (struct tensor){.id = SDPA_Q,
                                                 .data = DNN_BF16,
                                                 .dimensions = {1, hq, nq, d},
                                                 .strides = {p->q_stride * nq, d, p->q_stride, 1}});
  cudnn_descriptor k = tensor(b, (struct tensor){.id = SDPA_K, /* as K^T: the same bytes */
                                                 .data = DNN_BF16,
                                                 .dimensions = {1, hk, d, nk},
                                                 .strides = {hk * d * nk, d, 1, hk * d}});
  cudnn_descriptor v = tensor(b, (struct tensor){.id = SDPA_V,
                                                 .data = DNN_BF16,
                                                 .dimensions = {1, hk, nk, d},
                                                 .strides = {hk * d * nk, d, hk * d, 1}});
  cudnn_descriptor out = tensor(b, (struct tensor){.id = SDPA_OUT,
                                                   .data = DNN_BF16,
                                                   .dimensions = {1, hq, nq, d},
                                                   .strides = {hq * d * nq, d, hq * d, 1}});
  cudnn_descriptor scale = scalar(b, SDPA_SCALE, DNN_FLOAT);
  cudnn_descriptor raw = scores(b, heads, p, DNN_FLOAT), scaled = scores(b, heads, p, DNN_FLOAT);
  matmul(b, q, k, raw);
  pointwise(b, (struct pointwise){DNN_MULTIPLY, DNN_FLOAT, raw, scale, NULL, scaled, 0});
  cudnn_descriptor weights = softmax(b, heads, p, mask(b, heads, p, scaled));
  matmul(b, weights, v, out);
}

/* ---- the plan ---- */

static cudnn_descriptor finish_graph(struct builder *b) {
  const char *what = "attention's graph";
  cudnn_descriptor graph = make(b, DNN_GRAPH, what);
  set(b, graph, DNN_GRAPH_OPERATIONS, DNN_TYPE_DESCRIPTOR, b->n_operations, b->operations, what);
  if (b->cudnn->handle)
    set(b, graph, DNN_GRAPH_HANDLE, DNN_TYPE_HANDLE, 1, &b->cudnn->handle, what);
  finalise(b, graph, what);
  return graph;
}

/* The heuristic's engine configurations, best first; how many. */
static int64_t propose(struct builder *b, cudnn_descriptor graph, cudnn_descriptor device,
                       cudnn_descriptor configs[CONFIGS_MAX]) {
  const int mode = DNN_HEURISTIC_A;
  const char *what = "attention's heuristic";
  cudnn_descriptor heuristic = make(b, DNN_HEURISTIC, what);
  set_descriptor(b, heuristic, DNN_HEURISTIC_GRAPH, graph, what);
  set(b, heuristic, DNN_HEURISTIC_MODE, DNN_TYPE_HEURISTIC, 1, &mode, what);
  if (device) set_descriptor(b, heuristic, DNN_HEURISTIC_DEVICE, device, what);
  finalise(b, heuristic, what);
  for (int i = 0; i < CONFIGS_MAX; i++) configs[i] = make(b, DNN_ENGINE_CONFIG, what);
  int64_t n = 0;
  if (!b->failed)
    check(b,
          b->cudnn->get(heuristic, DNN_HEURISTIC_RESULTS, DNN_TYPE_DESCRIPTOR, CONFIGS_MAX, &n,
                        configs),
          what);
  return b->failed ? 0 : n < CONFIGS_MAX ? n : CONFIGS_MAX;
}

/* Compiles one proposal; false where this engine refuses, which is no error yet. */
static bool compile(struct builder *b, cudnn_descriptor config, cudnn_descriptor device) {
  const struct cudnn *cudnn = b->cudnn;
  const char *what = "attention's plan";
  cudnn_descriptor plan = make(b, DNN_PLAN, what);
  if (cudnn->handle) set(b, plan, DNN_PLAN_HANDLE, DNN_TYPE_HANDLE, 1, &cudnn->handle, what);
  if (device) set_descriptor(b, plan, DNN_PLAN_DEVICE, device, what);
  set_descriptor(b, plan, DNN_PLAN_CONFIG, config, what);
  if (b->failed || cudnn->finalise(plan) != DNN_SUCCESS) return false;
  int64_t n = 0;
  check(b, cudnn->get(plan, DNN_PLAN_WORKSPACE, DNN_TYPE_INT64, 1, &n, &b->graph->workspace_bytes),
        "the workspace of attention's plan");
  b->graph->plan = b->failed ? NULL : plan;
  return !b->failed;
}

/* ---- versions ---- */

/* As cudnnGetVersion() tells it: 91002 for 9.10.2. */
static int version_of(const struct cudnn *cudnn) {
  return cudnn->major * 10000 + cudnn->minor * 100 + cudnn->patch;
}

/* What NVIDIA's own front end (cudnn-frontend, node/sdpa_support_surface.h) does not ask of a
 * version, because that refuses it or gets it wrong; NULL where there is nothing. */
static const char *known_problem(int version, const struct sdpa_problem *p) {
  if (version < 90300 && p->n_queries != p->n_keys)
    return "before 9.3 it has no causal mask over a past";
  if (version == 91000 || version == 91001) return "its bf16 attention is known to be wrong";
  if (version < 91000 && p->n_queries == 1) return "before 9.10 it masks no single query";
  return NULL;
}

/* Before 9.10 its kernels want the lowest number for a masked score, as the front end gives it: of
 * a tile that is masked wholly, -inf less a maximum of -inf is not a number. */
static float masked_of(int version) {
  return version < 91000 ? -FLT_MAX : -INFINITY;
}

int sdpa_graph_open(struct sdpa_graph *graph, const struct cudnn *cudnn, cudnn_descriptor device,
                    struct sdpa_heads heads, const struct sdpa_problem *problem,
                    struct error *error) {
  const int version = version_of(cudnn);
  *graph = (struct sdpa_graph){
      .scale = (float)(1.0 / sqrt((double)heads.head_dim)),
      .masked = masked_of(version),
      .n_keys = (int32_t)problem->n_keys,
      .n_queries = (int32_t)problem->n_queries,
  };
  if (problem->n_queries < 1 || problem->n_queries > problem->n_keys || problem->n_keys > INT32_MAX)
    return error_set(error, -EINVAL, "attention of %lld queries over %lld keys is not causal",
                     (long long)problem->n_queries, (long long)problem->n_keys);
  const char *known = known_problem(version, problem);
  if (known)
    return error_set(error, -ENOTSUP, "cuDNN %d.%d.%d: %s; install 9.10.2 or later", cudnn->major,
                     cudnn->minor, cudnn->patch, known);
  struct builder b = {.cudnn = cudnn, .graph = graph, .next_id = SDPA_MASKED + 1, .error = error};
  cudnn_descriptor configs[CONFIGS_MAX];
  build(&b, heads, problem);
  cudnn_descriptor operations = finish_graph(&b);
  const int64_t n = propose(&b, operations, device, configs);
  for (int64_t i = 0; i < n && !b.failed; i++)
    if (compile(&b, configs[i], device)) return 0;
  if (b.failed) return b.failed;
  char words[200] = "";
  cudnn->last_error(words, sizeof words);
  words[strcspn(words, "\n")] = '\0';
  return error_set(error, -ENOTSUP,
                   "cuDNN %d.%d.%d compiles none of its %lld proposals for attention of %lld "
                   "queries over %lld keys (is libnvrtc found?)%s%s",
                   cudnn->major, cudnn->minor, cudnn->patch, (long long)n,
                   (long long)problem->n_queries, (long long)problem->n_keys, words[0] ? ": " : "",
                   words);
}

void sdpa_graph_close(struct sdpa_graph *graph, const struct cudnn *cudnn) {
  while (graph->n > 0) (void)cudnn->descriptor_destroy(graph->all[--graph->n]);
  graph->plan = NULL;
}
