/*
 * bf16 GEMMs by oneDNN; contract in gemm.h.
 *
 * Weights go into oneDNN's own blocked order (format "any", then one reorder): the packed AMX
 * kernels need it, and the others allocate and pack in each execution. All buffers
 * lie on huge pages, measured at 1.5 to 1.8 times the speed. The scratchpad mode is "user", since
 * the default allocates inside execute().
 */
#include "kernels/cpu/gemm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernels/cpu/onednn_compat.h"

struct gemm {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  struct memory scratch;
  struct placement placement;
};

/* One primitive: a layer over exactly `m` rows. */
struct gemm_plan {
  int64_t m; /* 0: unused */
  uint64_t used;
  dnnl_primitive_t primitive;
  dnnl_memory_t x, y, scratch; /* handles are set at each run */
};

struct gemm_linear {
  struct gemm *gemm;
  int64_t k, n;
  dnnl_primitive_attr_t attr;
  dnnl_memory_desc_t packed; /* the order of all this layer's weights */
  bool has_packed;
  uint64_t uses;
  struct gemm_plan plans[GEMM_PLANS_MAX]; /* [0]: the full chunk, which is never forgotten */
  char implementation[64];
};

struct gemm_packed {
  dnnl_memory_t memory;
};

/* Records a library failure; 0 where there is none. */
static int check(dnnl_status_t status, const char *call, struct error *error) {
  if (status == dnnl_success) return 0;
  const int code = status == dnnl_out_of_memory   ? -ENOMEM
                   : status == dnnl_unimplemented ? -ENOTSUP
                                                  : -EIO;
  return error_set(error, code, "oneDNN: %s returned status %d", call, (int)status);
}

int gemm_open(struct gemm **gemm, const struct placement *placement, struct error *error) {
  *gemm = calloc(1, sizeof **gemm);
  if (!*gemm) return error_set(error, -ENOMEM, "no memory for the GEMM engine");
  (*gemm)->placement = placement ? *placement : PLACEMENT_ANY;
  int status =
      check(dnnl_engine_create(&(*gemm)->engine, dnnl_cpu, 0), "dnnl_engine_create", error);
  if (status == 0)
    status = check(dnnl_stream_create(&(*gemm)->stream, (*gemm)->engine, dnnl_stream_default_flags),
                   "dnnl_stream_create", error);
  if (status == 0) return 0;
  gemm_close(*gemm);
  *gemm = NULL;
  return status;
}

void gemm_close(struct gemm *gemm) {
  if (!gemm) return;
  if (gemm->stream) (void)dnnl_stream_destroy(gemm->stream);
  if (gemm->engine) (void)dnnl_engine_destroy(gemm->engine);
  memory_unmap(&gemm->scratch);
  free(gemm);
}

static void plan_close(struct gemm_plan *plan) {
  if (plan->primitive) (void)dnnl_primitive_destroy(plan->primitive);
  if (plan->x) (void)dnnl_memory_destroy(plan->x);
  if (plan->y) (void)dnnl_memory_destroy(plan->y);
  if (plan->scratch) (void)dnnl_memory_destroy(plan->scratch);
  *plan = (struct gemm_plan){0};
}

/* The library's description of the layer over m rows; weights in the packed order once that is
 * chosen, in any order before. */
static int describe_matmul(struct gemm_linear *linear, int64_t m, dnnl_primitive_desc_t *matmul,
                           struct error *error) {
  dnnl_memory_desc_t x = {0}, y = {0}, any = {0};
  int status = check(onednn_md_make(&x, m, linear->k, dnnl_ab), "memory_desc of x", error);
  if (status == 0)
    status = check(onednn_md_make(&y, m, linear->n, dnnl_ab), "memory_desc of y", error);
  if (status == 0)
    status = check(onednn_md_make(&any, linear->k, linear->n, dnnl_format_tag_any),
                   "memory_desc of weights", error);
  if (status == 0) {
    const dnnl_memory_desc_t *weights = linear->has_packed ? &linear->packed : &any;
    status = check(onednn_matmul_make(matmul, linear->gemm->engine, onednn_md_at(&x),
                                      onednn_md_at(weights), onednn_md_at(&y), linear->attr),
                   "matmul primitive descriptor", error);
  }
  onednn_md_free(&x);
  onednn_md_free(&y);
  onednn_md_free(&any);
  if (status == 0) return 0;
  return error_prefix(error, "GEMM of %lld x %lld x %lld", (long long)m, (long long)linear->n,
                      (long long)linear->k);
}

/* A memory object whose address is given at each run. */
static int memory_open(struct gemm *gemm, dnnl_memory_t *memory, dnnl_primitive_desc_t matmul,
                       dnnl_query_t which, struct error *error) {
  const onednn_md_in md = dnnl_primitive_desc_query_md(matmul, which, 0);
  return check(dnnl_memory_create(memory, md, gemm->engine, DNNL_MEMORY_NONE), "dnnl_memory_create",
               error);
}

static int grow_scratch(struct gemm *gemm, size_t bytes, struct error *error) {
  if (bytes <= gemm->scratch.bytes) return 0;
  memory_unmap(&gemm->scratch);
  return memory_map(&gemm->scratch, bytes, &gemm->placement, 1, error);
}

static int plan_open(struct gemm_linear *linear, struct gemm_plan *plan, int64_t m,
                     struct error *error) {
  struct gemm *gemm = linear->gemm;
  dnnl_primitive_desc_t matmul = NULL;
  int status = describe_matmul(linear, m, &matmul, error);
  if (status != 0) return status;
  if (!linear->has_packed) {
    const char *implementation = "?";
    (void)dnnl_primitive_desc_query(matmul, dnnl_query_impl_info_str, 0, &implementation);
    (void)snprintf(linear->implementation, sizeof linear->implementation, "%s", implementation);
    status = check(onednn_md_copy(&linear->packed,
                                  dnnl_primitive_desc_query_md(matmul, dnnl_query_weights_md, 0)),
                   "weights order", error);
    linear->has_packed = status == 0;
  }
  const onednn_md_in scratch = dnnl_primitive_desc_query_md(matmul, dnnl_query_scratchpad_md, 0);
  if (status == 0) status = grow_scratch(gemm, dnnl_memory_desc_get_size(scratch), error);
  if (status == 0) status = memory_open(gemm, &plan->x, matmul, dnnl_query_src_md, error);
  if (status == 0) status = memory_open(gemm, &plan->y, matmul, dnnl_query_dst_md, error);
  if (status == 0)
    status = memory_open(gemm, &plan->scratch, matmul, dnnl_query_scratchpad_md, error);
  if (status == 0)
    status = check(dnnl_primitive_create(&plan->primitive, matmul), "dnnl_primitive_create", error);
  (void)dnnl_primitive_desc_destroy(matmul);
  if (status != 0) plan_close(plan);
  plan->m = status == 0 ? m : 0;
  return status;
}

static int attr_open(dnnl_primitive_attr_t *attr, bool accumulate, struct error *error) {
  int status = check(dnnl_primitive_attr_create(attr), "dnnl_primitive_attr_create", error);
  if (status == 0)
    status = check(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user),
                   "scratchpad mode", error);
  if (status != 0 || !accumulate) return status;
  dnnl_post_ops_t post_ops = NULL;
  status = check(dnnl_post_ops_create(&post_ops), "dnnl_post_ops_create", error);
  if (status == 0) status = check(onednn_append_sum(post_ops), "append_sum", error);
  if (status == 0)
    status = check(dnnl_primitive_attr_set_post_ops(*attr, post_ops), "set_post_ops", error);
  if (post_ops) (void)dnnl_post_ops_destroy(post_ops);
  return status;
}

int gemm_linear_open(struct gemm *gemm, struct gemm_linear **linear, int64_t m_full, int64_t k,
                     int64_t n, bool accumulate, struct error *error) {
  assert(m_full > 0);
  assert(k > 0 && n > 0);
  *linear = calloc(1, sizeof **linear);
  if (!*linear) return error_set(error, -ENOMEM, "no memory for a linear layer");
  **linear = (struct gemm_linear){.gemm = gemm, .k = k, .n = n};
  int status = attr_open(&(*linear)->attr, accumulate, error);
  if (status == 0) status = plan_open(*linear, &(*linear)->plans[0], m_full, error);
  if (status == 0) return 0;
  gemm_linear_close(*linear);
  *linear = NULL;
  return status;
}

void gemm_linear_close(struct gemm_linear *linear) {
  if (!linear) return;
  for (int i = 0; i < GEMM_PLANS_MAX; i++) plan_close(&linear->plans[i]);
  if (linear->has_packed) onednn_md_free(&linear->packed);
  if (linear->attr) (void)dnnl_primitive_attr_destroy(linear->attr);
  free(linear);
}

size_t gemm_packed_bytes(const struct gemm_linear *linear) {
  return dnnl_memory_desc_get_size(onednn_md_at(&linear->packed));
}

/* Runs the library's reorder from `from` to `to` and waits. */
static int reorder(struct gemm *gemm, dnnl_memory_t from, dnnl_memory_t to, struct error *error) {
  onednn_md_in from_md, to_md;
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_t primitive = NULL;
  (void)dnnl_memory_get_memory_desc(from, &from_md);
  (void)dnnl_memory_get_memory_desc(to, &to_md);
  int status = check(
      dnnl_reorder_primitive_desc_create(&desc, from_md, gemm->engine, to_md, gemm->engine, NULL),
      "reorder primitive descriptor", error);
  if (status == 0) status = check(dnnl_primitive_create(&primitive, desc), "reorder", error);
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  if (status == 0)
    status = check(dnnl_primitive_execute(primitive, gemm->stream, 2, arguments), "reorder", error);
  if (status == 0) status = check(dnnl_stream_wait(gemm->stream), "dnnl_stream_wait", error);
  if (primitive) (void)dnnl_primitive_destroy(primitive);
  if (desc) (void)dnnl_primitive_desc_destroy(desc);
  return status;
}

int gemm_pack(const struct gemm_linear *linear, bf16 *plain, void *memory,
              struct gemm_packed **packed, struct error *error) {
  struct gemm *gemm = linear->gemm;
  dnnl_memory_desc_t plain_md = {0};
  dnnl_memory_t from = NULL;
  *packed = calloc(1, sizeof **packed);
  if (!*packed) return error_set(error, -ENOMEM, "no memory for packed weights");
  /* (n, k) row major is (k, n) with the first dimension fastest. */
  int status = check(onednn_md_make(&plain_md, linear->k, linear->n, dnnl_ba),
                     "memory_desc of plain weights", error);
  if (status == 0)
    status = check(dnnl_memory_create(&from, onednn_md_at(&plain_md), gemm->engine, plain),
                   "dnnl_memory_create", error);
  if (status == 0)
    status = check(
        dnnl_memory_create(&(*packed)->memory, onednn_md_at(&linear->packed), gemm->engine, memory),
        "dnnl_memory_create", error);
  if (status == 0) status = reorder(gemm, from, (*packed)->memory, error);
  if (from) (void)dnnl_memory_destroy(from);
  onednn_md_free(&plain_md);
  if (status == 0) return 0;
  gemm_packed_close(*packed);
  *packed = NULL;
  return status;
}

void gemm_packed_close(struct gemm_packed *packed) {
  if (!packed) return;
  if (packed->memory) (void)dnnl_memory_destroy(packed->memory);
  free(packed);
}

static struct gemm_plan *plan_find(struct gemm_linear *linear, int64_t m) {
  for (int i = 0; i < GEMM_PLANS_MAX; i++)
    if (linear->plans[i].m == m) return &linear->plans[i];
  return NULL;
}

int gemm_prepare(struct gemm_linear *linear, int64_t m, struct error *error) {
  assert(m > 0);
  struct gemm_plan *plan = plan_find(linear, m);
  if (!plan) {
    plan = &linear->plans[1];
    for (int i = 2; i < GEMM_PLANS_MAX; i++)
      if (linear->plans[i].used < plan->used) plan = &linear->plans[i];
    plan_close(plan);
    const int status = plan_open(linear, plan, m, error);
    if (status != 0) return status;
  }
  plan->used = ++linear->uses;
  return 0;
}

int gemm_run(struct gemm_linear *linear, const struct gemm_packed *weights, int64_t m,
             const bf16 *x, bf16 *y, struct error *error) {
  struct gemm *gemm = linear->gemm;
  struct gemm_plan *plan = plan_find(linear, m);
  if (!plan)
    return error_set(error, -EINVAL, "a GEMM over %lld rows was not prepared", (long long)m);
  (void)dnnl_memory_set_data_handle(plan->x, (void *)(uintptr_t)x);
  (void)dnnl_memory_set_data_handle(plan->y, y);
  (void)dnnl_memory_set_data_handle(plan->scratch, gemm->scratch.address);
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, plan->x},
                                       {DNNL_ARG_WEIGHTS, weights->memory},
                                       {DNNL_ARG_DST, plan->y},
                                       {DNNL_ARG_SCRATCHPAD, plan->scratch}};
  int status = check(dnnl_primitive_execute(plan->primitive, gemm->stream, 4, arguments),
                     "dnnl_primitive_execute", error);
  if (status == 0) status = check(dnnl_stream_wait(gemm->stream), "dnnl_stream_wait", error);
  return status;
}

void gemm_describe(const struct gemm_linear *linear, char *text, size_t text_bytes) {
  const dnnl_version_t *version = dnnl_version();
  (void)snprintf(text, text_bytes, "oneDNN %d.%d.%d, bf16, %s", version->major, version->minor,
                 version->patch, linear->implementation);
}
