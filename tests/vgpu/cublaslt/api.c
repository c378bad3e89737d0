/*
 * libcublasLt.so.13 for the virtual GPU: the functions of the program's own table, with their
 * signatures from there. Everything that the real one refuses, or takes and answers with garbage,
 * is refused here, and said why on stderr.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cublaslt/lt_state.h"

#define PUBLIC __attribute__((visibility("default")))
#define WORKSPACE_ALIGNMENT 256
#define PROPOSALS 4
#define WORKSPACES_MAX 64

#define LT_PROTOTYPE(member, symbol, result, parameters) PUBLIC result symbol parameters;
LT_TABLE(LT_PROTOTYPE)
#undef LT_PROTOTYPE

static lt_status refuse(lt_status status, const char *call, const char *why) {
  fprintf(stderr, "vgpu: %s: %s\n", call, why);
  return status;
}

size_t cublasLtGetVersion(void) {
  const char *text = getenv("VGPU_CUBLASLT_VERSION");
  return text ? strtoul(text, NULL, 10) : 130100;
}

const char *cublasLtGetStatusName(lt_status status) {
  switch (status) {
  case LT_SUCCESS:
    return "CUBLAS_STATUS_SUCCESS";
  case LT_NOT_INITIALIZED:
    return "CUBLAS_STATUS_NOT_INITIALIZED";
  case LT_INVALID_VALUE:
    return "CUBLAS_STATUS_INVALID_VALUE";
  case LT_NOT_SUPPORTED:
    return "CUBLAS_STATUS_NOT_SUPPORTED";
  case 3:
    return "CUBLAS_STATUS_ALLOC_FAILED";
  case 8:
    return "CUBLAS_STATUS_ARCH_MISMATCH";
  case 13:
    return "CUBLAS_STATUS_EXECUTION_FAILED";
  case 14:
    return "CUBLAS_STATUS_INTERNAL_ERROR";
  default:
    return "CUBLAS_STATUS_UNKNOWN";
  }
}

lt_status cublasLtCreate(lt_handle *handle) {
  int code = LT_NOT_INITIALIZED;
  if (vgpu_fails("cublasLtCreate", &code)) return code;
  if (!vgpu_has_context())
    return refuse(LT_NOT_INITIALIZED, "cublasLtCreate", "no context on this thread");
  struct handle *made = calloc(1, sizeof *made);
  if (!made) return 3;
  made->alive = LT_ALIVE_HANDLE;
  *handle = made;
  return LT_SUCCESS;
}

lt_status cublasLtDestroy(lt_handle handle) {
  struct handle *gone = handle;
  if (!gone || gone->alive != LT_ALIVE_HANDLE) return LT_INVALID_VALUE;
  gone->alive = 0;
  free(gone);
  return LT_SUCCESS;
}

/* ---- descriptors ------------------------------------------------------------------------ */

lt_status cublasLtMatmulDescCreate(lt_desc *desc, int compute_type, int scale_type) {
  struct desc *made = calloc(1, sizeof *made);
  if (!made) return 3;
  *made = (struct desc){.alive = LT_ALIVE_DESC, .compute = compute_type, .scale = scale_type};
  *desc = made;
  return LT_SUCCESS;
}

lt_status cublasLtMatmulDescDestroy(lt_desc desc) {
  struct desc *gone = desc;
  if (!gone || gone->alive != LT_ALIVE_DESC) return LT_INVALID_VALUE;
  gone->alive = 0;
  free(gone);
  return LT_SUCCESS;
}

/* Ids and sizes as the real library checks them; others than these are not modelled. */
lt_status cublasLtMatmulDescSetAttribute(lt_desc desc, int attribute, const void *value,
                                         size_t bytes) {
  static const char call[] = "cublasLtMatmulDescSetAttribute";
  struct desc *d = desc;
  if (!d || d->alive != LT_ALIVE_DESC || !value) return LT_INVALID_VALUE;
  const struct {
    int attribute;
    void *member;
    size_t bytes;
  } known[] = {{LT_DESC_TRANS_A, &d->transpose_a, 4},
               {LT_DESC_TRANS_B, &d->transpose_b, 4},
               {LT_DESC_SCALE_A, &d->scale_a, 8},
               {LT_DESC_SCALE_B, &d->scale_b, 8},
               {LT_DESC_FAST_ACCUMULATION, &d->fast, 1}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (known[i].attribute != attribute) continue;
    if (known[i].bytes != bytes) return refuse(LT_INVALID_VALUE, call, "wrong size");
    memcpy(known[i].member, value, bytes);
    return LT_SUCCESS;
  }
  return refuse(LT_INVALID_VALUE, call, "attribute is unknown here");
}

lt_status cublasLtMatrixLayoutCreate(lt_layout *layout, int type, uint64_t rows, uint64_t columns,
                                     int64_t leading) {
  struct layout *made = calloc(1, sizeof *made);
  if (!made) return 3;
  *made = (struct layout){LT_ALIVE_LAYOUT, type, rows, columns, leading};
  *layout = made;
  return LT_SUCCESS;
}

lt_status cublasLtMatrixLayoutDestroy(lt_layout layout) {
  struct layout *gone = layout;
  if (!gone || gone->alive != LT_ALIVE_LAYOUT) return LT_INVALID_VALUE;
  gone->alive = 0;
  free(gone);
  return LT_SUCCESS;
}

lt_status cublasLtMatmulPreferenceCreate(lt_preference *preference) {
  struct preference *made = calloc(1, sizeof *made);
  if (!made) return 3;
  *made = (struct preference){.alive = LT_ALIVE_PREFERENCE, .alignment = {256, 256, 256, 256}};
  *preference = made;
  return LT_SUCCESS;
}

lt_status cublasLtMatmulPreferenceDestroy(lt_preference preference) {
  struct preference *gone = preference;
  if (!gone || gone->alive != LT_ALIVE_PREFERENCE) return LT_INVALID_VALUE;
  gone->alive = 0;
  free(gone);
  return LT_SUCCESS;
}

lt_status cublasLtMatmulPreferenceSetAttribute(lt_preference preference, int attribute,
                                               const void *value, size_t bytes) {
  static const char call[] = "cublasLtMatmulPreferenceSetAttribute";
  struct preference *p = preference;
  if (!p || p->alive != LT_ALIVE_PREFERENCE || !value) return LT_INVALID_VALUE;
  if (attribute == LT_PREFERENCE_WORKSPACE) {
    if (bytes != 8) return refuse(LT_INVALID_VALUE, call, "wrong size");
    memcpy(&p->workspace_bytes, value, 8);
    return LT_SUCCESS;
  }
  if (attribute < LT_PREFERENCE_ALIGNMENT_A || attribute > LT_PREFERENCE_ALIGNMENT_D)
    return refuse(LT_INVALID_VALUE, call, "attribute is unknown here");
  if (bytes != 4) return refuse(LT_INVALID_VALUE, call, "wrong size");
  memcpy(&p->alignment[attribute - LT_PREFERENCE_ALIGNMENT_A], value, 4);
  return LT_SUCCESS;
}

/* ---- problems ---------------------------------------------------------------------------- */

static bool layout_alive(lt_layout layout) {
  return layout && ((struct layout *)layout)->alive == LT_ALIVE_LAYOUT;
}

static bool make_problem(struct problem *problem, lt_desc desc, lt_layout a, lt_layout b,
                         lt_layout c, lt_layout d) {
  if (!desc || ((struct desc *)desc)->alive != LT_ALIVE_DESC || !layout_alive(a) ||
      !layout_alive(b) || !layout_alive(c) || !layout_alive(d))
    return false;
  *problem = (struct problem){.desc = *(struct desc *)desc,
                              .a = *(struct layout *)a,
                              .b = *(struct layout *)b,
                              .c = *(struct layout *)c,
                              .d = *(struct layout *)d};
  bool turned = problem->desc.transpose_a != LT_OP_NONE;
  problem->m = turned ? problem->a.columns : problem->a.rows;
  problem->k = turned ? problem->a.rows : problem->a.columns;
  problem->n = problem->desc.transpose_b != LT_OP_NONE ? problem->b.rows : problem->b.columns;
  return true;
}

lt_status cublasLtMatmulAlgoGetHeuristic(lt_handle handle, lt_desc desc, lt_layout a, lt_layout b,
                                         lt_layout c, lt_layout d, lt_preference preference,
                                         int n_asked, struct lt_choice *choices, int *n_got) {
  static const char call[] = "cublasLtMatmulAlgoGetHeuristic";
  const struct preference *wish = preference;
  struct problem problem;
  int code = LT_NOT_SUPPORTED;
  *n_got = 0;
  if (vgpu_fails(call, &code)) return code;
  if (!handle || ((struct handle *)handle)->alive != LT_ALIVE_HANDLE || !wish ||
      wish->alive != LT_ALIVE_PREFERENCE || n_asked < 1 ||
      !make_problem(&problem, desc, a, b, c, d))
    return LT_INVALID_VALUE;
  const char *rule = problem_rule(&problem);
  if (rule) return refuse(LT_NOT_SUPPORTED, call, rule);
  uint64_t alignments = 0;
  for (int i = 0; i < 4; i++) {
    if (problem.a.type == LT_TYPE_E4M3 && wish->alignment[i] < 16)
      return refuse(LT_NOT_SUPPORTED, call, "FP8: tensors must be aligned to 16 bytes");
    alignments |= (uint64_t)(wish->alignment[i] & 0xffffU) << (16 * i);
  }
  for (int i = 0; i < PROPOSALS && i < n_asked; i++) {
    uint64_t workspace = (uint64_t)i << 20;
    struct lt_choice *choice = &choices[(*n_got)++];
    *choice = (struct lt_choice){.workspace_bytes = workspace, .waves = 1.0F};
    /* The first of them does not work, and says so: a caller must look at the state. */
    if (workspace > wish->workspace_bytes || i == 0) choice->state = LT_NOT_SUPPORTED;
    choice->algorithm =
        proposal_make(&problem, i, choice->state == LT_SUCCESS, workspace, alignments);
  }
  return LT_SUCCESS;
}

/* ---- multiplying ------------------------------------------------------------------------- */

static bool overlap(uint64_t a, size_t a_bytes, uint64_t b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

/* Two streams that share a workspace overwrite each other's sums. */
static bool workspace_shared(uint64_t workspace, driver_stream stream) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static struct {
    uint64_t workspace;
    driver_stream stream;
  } seen[WORKSPACES_MAX];
  static int n_seen;
  bool shared = false, found = false;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < n_seen && !found; i++) {
    found = seen[i].workspace == workspace;
    shared = found && seen[i].stream != stream && vgpu_is_stream(seen[i].stream);
    if (found) seen[i].stream = stream;
  }
  if (!found && n_seen < WORKSPACES_MAX) {
    seen[n_seen].workspace = workspace;
    seen[n_seen++].stream = stream;
  }
  pthread_mutex_unlock(&lock);
  return shared;
}

static const char *workspace_rule(const struct work *work, uint64_t workspace, size_t bytes,
                                  driver_stream stream) {
  if (bytes == 0) return NULL;
  if (workspace % WORKSPACE_ALIGNMENT) return "the workspace is not aligned to 256 bytes";
  if (!vgpu_is_device(workspace, bytes)) return "the workspace is not device memory";
  const struct problem *p = &work->problem;
  if (overlap(workspace, bytes, work->a, layout_bytes(&p->a)) ||
      overlap(workspace, bytes, work->b, layout_bytes(&p->b)) ||
      overlap(workspace, bytes, work->d, layout_bytes(&p->d)))
    return "the workspace overlaps a matrix";
  if (workspace_shared(workspace, stream)) return "two streams share a workspace";
  return NULL;
}

static const char *address_rule(const struct work *work, uint64_t alignments) {
  const struct problem *p = &work->problem;
  const uint64_t addresses[4] = {work->a, work->b, work->c, work->d};
  const struct layout *layouts[4] = {&p->a, &p->b, &p->c, &p->d};
  for (int i = 0; i < 4; i++) {
    if (i == 2 && work->beta == 0 && work->c == 0) continue;
    uint64_t alignment = alignments >> (16 * i) & 0xffffU;
    if (!vgpu_is_device(addresses[i], layout_bytes(layouts[i])))
      return "a matrix is not inside one allocation of device memory";
    if (alignment && addresses[i] % alignment)
      return "a matrix is less aligned than the preference said";
  }
  if (overlap(work->d, layout_bytes(&p->d), work->a, layout_bytes(&p->a)) ||
      overlap(work->d, layout_bytes(&p->d), work->b, layout_bytes(&p->b)))
    return "D overlaps A or B";
  if (work->beta != 0 && work->c != work->d &&
      overlap(work->d, layout_bytes(&p->d), work->c, layout_bytes(&p->c)))
    return "D overlaps C without being C";
  const uint64_t scales[2] = {p->desc.scale_a, p->desc.scale_b};
  for (int i = 0; i < 2; i++)
    if (scales[i] && (scales[i] % 4 || !vgpu_is_device(scales[i], 4)))
      return "a scale is not a float in device memory";
  return NULL;
}

static const char *scalar_rule(const void *alpha, const void *beta) {
  if (!alpha || !beta) return "alpha or beta is missing";
  if (vgpu_is_device((uint64_t)(uintptr_t)alpha, 1) || vgpu_is_device((uint64_t)(uintptr_t)beta, 1))
    return "alpha or beta is device memory, the pointer mode is host";
  return NULL;
}

lt_status cublasLtMatmul(lt_handle handle, lt_desc desc, const void *alpha, const void *a,
                         lt_layout a_layout, const void *b, lt_layout b_layout, const void *beta,
                         const void *c, lt_layout c_layout, void *d, lt_layout d_layout,
                         const struct lt_algorithm *algorithm, void *workspace,
                         size_t workspace_bytes, driver_stream stream) {
  static const char call[] = "cublasLtMatmul";
  struct work work = {.a = (uint64_t)(uintptr_t)a,
                      .b = (uint64_t)(uintptr_t)b,
                      .c = (uint64_t)(uintptr_t)c,
                      .d = (uint64_t)(uintptr_t)d};
  int code = 13;
  if (vgpu_fails(call, &code)) return code;
  if (!handle || ((struct handle *)handle)->alive != LT_ALIVE_HANDLE ||
      !make_problem(&work.problem, desc, a_layout, b_layout, c_layout, d_layout))
    return LT_INVALID_VALUE;
  if (!vgpu_has_context()) return refuse(LT_NOT_INITIALIZED, call, "no context on this thread");
  const char *rule = problem_rule(&work.problem);
  if (rule) return refuse(LT_NOT_SUPPORTED, call, rule);
  const lt_status status = proposal_judge(algorithm, &work.problem, workspace_bytes, &rule);
  if (status != LT_SUCCESS) return refuse(status, call, rule);
  rule = scalar_rule(alpha, beta);
  if (rule) return refuse(LT_INVALID_VALUE, call, rule);
  memcpy(&work.alpha, alpha, sizeof work.alpha);
  memcpy(&work.beta, beta, sizeof work.beta);
  rule = address_rule(&work, proposal_alignments(algorithm));
  if (!rule) rule = workspace_rule(&work, (uint64_t)(uintptr_t)workspace, workspace_bytes, stream);
  if (rule) return refuse(LT_INVALID_VALUE, call, rule);
  return vgpu_enqueue(stream, run_matmul, &work, sizeof work) == 0 ? LT_SUCCESS : 14;
}
