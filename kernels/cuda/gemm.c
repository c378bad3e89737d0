/*
 * cuBLASLt plans and their choice.
 */
#include "kernels/cuda/gemm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "kernels/cuda/lt_rules.h"
#include "kernels/cuda/memory_plan.h"

#define TUNE_RUNS 3 /* of each proposal, after one to warm up */

static const char *const kind_names[] = {"QKV", "output", "gate/up", "down"};

static void *address(driver_pointer pointer) {
  return (void *)(uintptr_t)pointer;
}

int64_t gemm_rows(const struct gemm *gemm, int64_t rows) {
  const int64_t multiple = gemm->fp8 ? GEMM_ROWS_MULTIPLE : 1;
  return (rows + multiple - 1) / multiple * multiple;
}

/* ---- opening ---- */

int gemm_open(struct gemm *gemm, struct gpu *gpu, const char *directory, struct error *error) {
  *gemm = (struct gemm){.gpu = gpu};
  return lt_open(&gemm->lt, gpu->driver.version, directory, error);
}

static void sizes_of(struct gemm *gemm, const struct shape *s) {
  const int64_t d = s->hidden, q_dim = (int64_t)s->q_heads * s->head_dim;
  const int64_t qkv_dim = q_dim + 2 * (int64_t)s->kv_heads * s->head_dim;
  gemm->linears[GEMM_QKV] = (struct gemm_linear){.n = qkv_dim, .k = d};
  gemm->linears[GEMM_OUT] = (struct gemm_linear){.n = d, .k = q_dim, .accumulate = true};
  gemm->linears[GEMM_GATE_UP] = (struct gemm_linear){.n = 2 * (int64_t)s->ffn, .k = d};
  gemm->linears[GEMM_DOWN] = (struct gemm_linear){.n = d, .k = s->ffn, .accumulate = true};
}

static int set_desc(const struct gemm *gemm, lt_desc desc, int attribute, const void *value,
                    size_t bytes, struct error *error) {
  return lt_check(&gemm->lt, gemm->lt.desc_set(desc, attribute, value, bytes),
                  "cublasLtMatmulDescSetAttribute", error);
}

static int set_fp8(const struct gemm *gemm, struct gemm_linear *linear, driver_pointer scales,
                   struct error *error) {
  const void *a_scale = address(scales), *b_scale = address(scales + sizeof(float));
  const int8_t fast = 1; /* the library's default is slow and exact; what runs is told */
  int failed = set_desc(gemm, linear->desc, LT_DESC_SCALE_A, &a_scale, sizeof a_scale, error);
  if (!failed)
    failed = set_desc(gemm, linear->desc, LT_DESC_SCALE_B, &b_scale, sizeof b_scale, error);
  if (!failed)
    failed = set_desc(gemm, linear->desc, LT_DESC_FAST_ACCUMULATION, &fast, sizeof fast, error);
  return failed;
}

static int make_linear(struct gemm *gemm, struct gemm_linear *linear, driver_pointer scales,
                       struct error *error) {
  const struct lt *lt = &gemm->lt;
  const int32_t transpose = LT_OP_TRANSPOSE, none = LT_OP_NONE;
  int failed = lt_check(lt, lt->desc_create(&linear->desc, LT_COMPUTE_FLOAT, LT_TYPE_FLOAT),
                        "cublasLtMatmulDescCreate", error);
  if (!failed)
    failed = set_desc(gemm, linear->desc, LT_DESC_TRANS_A, &transpose, sizeof transpose, error);
  if (!failed) failed = set_desc(gemm, linear->desc, LT_DESC_TRANS_B, &none, sizeof none, error);
  if (!failed && gemm->fp8) failed = set_fp8(gemm, linear, scales, error);
  if (failed) return failed;
  return lt_check(lt,
                  lt->layout_create(&linear->a, gemm->fp8 ? LT_TYPE_E4M3 : LT_TYPE_BF16,
                                    (uint64_t)linear->k, (uint64_t)linear->n, linear->k),
                  "cublasLtMatrixLayoutCreate(W)", error);
}

int gemm_check_fp8(const struct gpu *gpu, struct error *error) {
  if (gpu->major * 10 + gpu->minor >= 89) return 0;
  return error_set(error, -ENOTSUP, "FP8 needs compute capability 8.9 or later, %s has %d.%d",
                   gpu->name, gpu->major, gpu->minor);
}

int gemm_set_up(struct gemm *gemm, const struct gemm_setup *setup, struct error *error) {
  struct gpu *gpu = gemm->gpu;
  gemm->fp8 = setup->fp8;
  gemm->tune = setup->tune;
  gemm->stream = setup->stream;
  gemm->workspace = setup->workspace;
  int failed = gemm->fp8 ? gemm_check_fp8(gpu, error) : 0;
  if (failed) return failed;
  sizes_of(gemm, setup->shape);
  failed = gpu_check(gpu, gpu->driver.event_create(&gemm->start, DRIVER_EVENT_DEFAULT), error,
                     "cuEventCreate(tuning)");
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.event_create(&gemm->end, DRIVER_EVENT_DEFAULT), error,
                       "cuEventCreate(tuning)");
  for (int kind = 0; kind < GEMM_KINDS && !failed; kind++)
    failed = make_linear(gemm, &gemm->linears[kind],
                         setup->scales + (driver_pointer)kind * 2 * sizeof(float), error);
  return failed;
}

static void close_plan(struct gemm *gemm, struct gemm_plan *plan) {
  if (plan->b) (void)gemm->lt.layout_destroy(plan->b);
  if (plan->d) (void)gemm->lt.layout_destroy(plan->d);
  *plan = (struct gemm_plan){0};
}

void gemm_close(struct gemm *gemm) {
  for (int kind = 0; kind < GEMM_KINDS; kind++) {
    struct gemm_linear *linear = &gemm->linears[kind];
    for (int i = 0; i < GEMM_PLANS_MAX; i++) close_plan(gemm, &linear->plans[i]);
    if (linear->a) (void)gemm->lt.layout_destroy(linear->a);
    if (linear->desc) (void)gemm->lt.desc_destroy(linear->desc);
    *linear = (struct gemm_linear){0};
  }
  if (gemm->start) (void)gemm->gpu->driver.event_destroy(gemm->start);
  if (gemm->end) (void)gemm->gpu->driver.event_destroy(gemm->end);
  gemm->start = gemm->end = NULL;
  lt_close(&gemm->lt);
}

/* ---- plans ---- */

static struct gemm_plan *find(struct gemm_linear *linear, int64_t rows) {
  for (int i = 0; i < GEMM_PLANS_MAX; i++)
    if (linear->plans[i].rows == rows) return &linear->plans[i];
  return NULL;
}

static struct gemm_plan *oldest(struct gemm_linear *linear) {
  struct gemm_plan *plan = &linear->plans[0];
  for (int i = 1; i < GEMM_PLANS_MAX; i++)
    if (linear->plans[i].used < plan->used) plan = &linear->plans[i];
  return plan;
}

static uint32_t alignment_of(const struct gemm_operands *operands) {
  uint32_t alignment = lt_alignment(operands->weights | operands->x | operands->y);
  return alignment;
}

static int check_rules(const struct gemm *gemm, enum gemm_kind kind, int64_t rows,
                       const struct gemm_operands *operands, struct error *error) {
  const struct gemm_linear *linear = &gemm->linears[kind];
  struct lt_problem problem =
      lt_problem_linear(rows, linear->n, linear->k, gemm->fp8, linear->accumulate);
  problem.a = operands->weights;
  problem.b = operands->x;
  problem.c = problem.d = operands->y;
  problem.workspace = gemm->workspace;
  problem.workspace_bytes = GEMM_WORKSPACE_BYTES;
  problem.a_scale = problem.b_scale = 1; /* set_fp8() gave both */
  const char *rule = lt_rules(&problem);
  if (!rule) return 0;
  return error_set(error, -EINVAL, "the %s GEMM (%lld rows, n %lld, k %lld): %s", kind_names[kind],
                   (long long)rows, (long long)linear->n, (long long)linear->k, rule);
}

static lt_status enqueue(struct gemm *gemm, const struct gemm_linear *linear,
                         const struct gemm_plan *plan, const struct gemm_operands *operands) {
  const float alpha = 1, beta = linear->accumulate ? 1 : 0;
  return gemm->lt.matmul(gemm->lt.handle, linear->desc, &alpha, address(operands->weights),
                         linear->a, address(operands->x), plan->b, &beta, address(operands->y),
                         plan->d, address(operands->y), plan->d, &plan->algorithm,
                         address(gemm->workspace), GEMM_WORKSPACE_BYTES, gemm->stream);
}

/* Seconds of one execution of the plan's algorithm; without --gemm-tune it is only tried: 0. */
static int time_plan(struct gemm *gemm, const struct gemm_linear *linear,
                     const struct gemm_plan *plan, const struct gemm_operands *operands,
                     double *seconds, struct error *error) {
  const struct driver *driver = &gemm->gpu->driver;
  const int runs = gemm->tune ? TUNE_RUNS : 0;
  float milliseconds = 0;
  int failed = lt_check(&gemm->lt, enqueue(gemm, linear, plan, operands), "cublasLtMatmul", error);
  if (!failed)
    failed = gpu_check(gemm->gpu, driver->event_record(gemm->start, gemm->stream), error,
                       "cuEventRecord(tuning)");
  for (int i = 0; i < runs && !failed; i++)
    failed = lt_check(&gemm->lt, enqueue(gemm, linear, plan, operands), "cublasLtMatmul", error);
  if (!failed)
    failed = gpu_check(gemm->gpu, driver->event_record(gemm->end, gemm->stream), error,
                       "cuEventRecord(tuning)");
  if (!failed)
    failed = gpu_check(gemm->gpu, driver->event_synchronize(gemm->end), error,
                       "cuEventSynchronize(tuning)");
  if (!failed)
    failed = gpu_check(gemm->gpu, driver->event_elapsed(&milliseconds, gemm->start, gemm->end),
                       error, "cuEventElapsedTime(tuning)");
  *seconds = runs ? (double)milliseconds * 1e-3 / runs : 0;
  return failed;
}

/* The heuristic's proposals that say they work; how many are left at the front of `choices`. */
static int propose(struct gemm *gemm, const struct gemm_linear *linear,
                   const struct gemm_plan *plan, struct lt_choice choices[GEMM_CHOICES], int *n,
                   struct error *error) {
  const struct lt *lt = &gemm->lt;
  lt_preference preference = NULL;
  const uint64_t workspace_bytes = GEMM_WORKSPACE_BYTES;
  int failed =
      lt_check(lt, lt->preference_create(&preference), "cublasLtMatmulPreferenceCreate", error);
  if (!failed)
    failed = lt_check(lt,
                      lt->preference_set(preference, LT_PREFERENCE_WORKSPACE, &workspace_bytes,
                                         sizeof workspace_bytes),
                      "cublasLtMatmulPreferenceSetAttribute(workspace)", error);
  for (int which = LT_PREFERENCE_ALIGNMENT_A; which <= LT_PREFERENCE_ALIGNMENT_D && !failed;
       which++)
    failed = lt_check(
        lt, lt->preference_set(preference, which, &plan->alignment, sizeof plan->alignment),
        "cublasLtMatmulPreferenceSetAttribute(alignment)", error);
  int got = 0;
  if (!failed)
    failed = lt_check(lt,
                      lt->heuristic(lt->handle, linear->desc, linear->a, plan->b, plan->d, plan->d,
                                    preference, GEMM_CHOICES, choices, &got),
                      "cublasLtMatmulAlgoGetHeuristic", error);
  if (preference) (void)lt->preference_destroy(preference);
  *n = 0;
  for (int i = 0; i < got && !failed; i++)
    if (choices[i].state == LT_SUCCESS && choices[i].workspace_bytes <= GEMM_WORKSPACE_BYTES)
      choices[(*n)++] = choices[i];
  return failed;
}

/* Whether the GPU still works after a proposal failed: a refusal leaves it whole, but after a fault
 * every later call fails by it. */
static int check_whole(struct gemm *gemm, const struct error *refusal, struct error *error) {
  struct error fault = {0};
  int failed = gpu_check(gemm->gpu, gemm->gpu->driver.stream_synchronize(gemm->stream), &fault,
                         "cuStreamSynchronize(after a proposal failed)");
  if (!failed) return 0;
  return error_set(error, failed, "%.240s; then %.240s", refusal->message, fault.message);
}

/* Takes the fastest proposal that runs; the first of them without --gemm-tune. A heuristic's word
 * that an algorithm works is no promise: cublasLtMatmul() may still answer with INVALID_VALUE,
 * NOT_SUPPORTED, ARCH_MISMATCH, EXECUTION_FAILED for a launch that was refused, or find no memory.
 * None of them says anything of the next proposal. */
static int choose(struct gemm *gemm, const struct gemm_linear *linear, struct gemm_plan *plan,
                  const struct gemm_operands *operands, struct error *error) {
  struct lt_choice choices[GEMM_CHOICES];
  struct error refusal = {0};
  int n = 0, n_ran = 0;
  int failed = propose(gemm, linear, plan, choices, &n, error);
  if (failed) return failed;
  if (n == 0)
    return error_set(error, -ENOTSUP, "cuBLASLt %d.%d.%d knows no algorithm for it", gemm->lt.major,
                     gemm->lt.minor, gemm->lt.patch);
  plan->n_choices = n;
  struct gemm_plan best = *plan;
  for (int i = 0; i < n && (gemm->tune || n_ran == 0); i++) {
    plan->algorithm = choices[i].algorithm;
    error_clear(&refusal);
    failed = time_plan(gemm, linear, plan, operands, &plan->seconds, &refusal);
    if (failed && check_whole(gemm, &refusal, error)) return failed;
    if (failed) continue;
    if (n_ran++ == 0 || plan->seconds < best.seconds) best = *plan;
  }
  *plan = best;
  if (n_ran > 0) return 0;
  return error_set(error, failed, "none of cuBLASLt's %d proposals runs, the last: %s", n,
                   refusal.message);
}

static int make_plan(struct gemm *gemm, const struct gemm_linear *linear, struct gemm_plan *plan,
                     int64_t rows, const struct gemm_operands *operands, struct error *error) {
  const struct lt *lt = &gemm->lt;
  const int input = gemm->fp8 ? LT_TYPE_E4M3 : LT_TYPE_BF16;
  int failed = lt_check(
      lt, lt->layout_create(&plan->b, input, (uint64_t)linear->k, (uint64_t)rows, linear->k),
      "cublasLtMatrixLayoutCreate(X)", error);
  if (!failed)
    failed = lt_check(
        lt,
        lt->layout_create(&plan->d, LT_TYPE_BF16, (uint64_t)linear->n, (uint64_t)rows, linear->n),
        "cublasLtMatrixLayoutCreate(Y)", error);
  plan->alignment = alignment_of(operands);
  if (!failed) failed = choose(gemm, linear, plan, operands, error);
  if (!failed) plan->rows = rows;
  return failed;
}

int gemm_prepare(struct gemm *gemm, enum gemm_kind kind, int64_t rows,
                 const struct gemm_operands *operands, struct error *error) {
  struct gemm_linear *linear = &gemm->linears[kind];
  rows = gemm_rows(gemm, rows);
  assert(rows > 0);
  struct gemm_plan *plan = find(linear, rows);
  if (!plan) {
    int failed = check_rules(gemm, kind, rows, operands, error);
    if (failed) return failed;
    plan = oldest(linear);
    close_plan(gemm, plan);
    failed = make_plan(gemm, linear, plan, rows, operands, error);
    if (failed) {
      close_plan(gemm, plan);
      return error_prefix(error, "the %s GEMM (%lld rows, n %lld, k %lld)", kind_names[kind],
                          (long long)rows, (long long)linear->n, (long long)linear->k);
    }
  }
  plan->used = ++gemm->uses;
  return 0;
}

int gemm_run(struct gemm *gemm, enum gemm_kind kind, int64_t rows,
             const struct gemm_operands *operands, struct error *error) {
  struct gemm_linear *linear = &gemm->linears[kind];
  rows = gemm_rows(gemm, rows);
  struct gemm_plan *plan = find(linear, rows);
  if (!plan)
    return error_set(error, -EINVAL, "the %s GEMM over %lld rows was not prepared",
                     kind_names[kind], (long long)rows);
  assert(alignment_of(operands) >= plan->alignment);
  int failed = lt_check(&gemm->lt, enqueue(gemm, linear, plan, operands), "cublasLtMatmul", error);
  if (failed)
    return error_prefix(error, "the %s GEMM over %lld rows", kind_names[kind], (long long)rows);
  gpu_note(gemm->gpu, "cublasLtMatmul(%s, %lld rows)", kind_names[kind], (long long)rows);
  return gpu_settle(gemm->gpu, gemm->stream, error);
}

void gemm_describe(const struct gemm *gemm, char *text, size_t bytes) {
  snprintf(text, bytes, "cuBLASLt %d.%d.%d, %s%s", gemm->lt.major, gemm->lt.minor, gemm->lt.patch,
           gemm->fp8 ? "fp8 E4M3, fast accumulation" : "bf16",
           gemm->tune ? ", best of timed proposals" : "");
}
