/*
 * Plans of cuDNN attention, kept by shape, and their execution.
 */
#include "kernels/cuda/sdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int sdpa_open(struct sdpa *sdpa, struct gpu *gpu, struct sdpa_heads heads, const char *directory,
              struct error *error) {
  struct library nvrtc;
  *sdpa = (struct sdpa){.gpu = gpu, .heads = heads};
  sdpa->plans = calloc(SDPA_PLANS_MAX, sizeof *sdpa->plans);
  if (!sdpa->plans) return error_set(error, -ENOMEM, "no memory for plans of attention");
  int failed = cudnn_load(&sdpa->cudnn, directory, error);
  if (failed) return failed;
  /* Where it is nowhere to be found cuDNN may yet know better; else it refuses to compile. */
  (void)cudnn_load_nvrtc(&sdpa->cudnn, gpu->driver.version, directory, &nvrtc, NULL);
  return cudnn_start(&sdpa->cudnn, error);
}

int sdpa_set_up(struct sdpa *sdpa, driver_stream stream, driver_pointer workspace,
                size_t workspace_bytes, struct error *error) {
  sdpa->workspace = workspace;
  sdpa->workspace_bytes = workspace_bytes;
  return cudnn_check(&sdpa->cudnn, sdpa->cudnn.set_stream(sdpa->cudnn.handle, stream),
                     "cudnnSetStream", error);
}

static void close_plan(struct sdpa *sdpa, struct sdpa_plan *plan) {
  for (int i = 0; i < SDPA_PACKS_MAX; i++) {
    if (plan->packs[i].pack) (void)sdpa->cudnn.descriptor_destroy(plan->packs[i].pack);
    plan->packs[i] = (struct sdpa_pack){0};
  }
  plan->next_pack = 0;
  sdpa_graph_close(&plan->graph, &sdpa->cudnn);
}

void sdpa_close(struct sdpa *sdpa) {
  for (int i = 0; sdpa->plans && i < SDPA_PLANS_MAX; i++) close_plan(sdpa, &sdpa->plans[i]);
  free(sdpa->plans);
  sdpa->plans = NULL;
  cudnn_close(&sdpa->cudnn);
}

static struct sdpa_plan *find(struct sdpa *sdpa, const struct sdpa_problem *problem) {
  for (int i = 0; i < SDPA_PLANS_MAX; i++) {
    const struct sdpa_problem *p = &sdpa->plans[i].problem;
    if (p->n_queries == problem->n_queries && p->n_keys == problem->n_keys &&
        p->q_stride == problem->q_stride && sdpa->plans[i].graph.plan)
      return &sdpa->plans[i];
  }
  return NULL;
}

bool sdpa_has_plan(struct sdpa *sdpa, const struct sdpa_problem *problem) {
  return find(sdpa, problem) != NULL;
}

static struct sdpa_plan *oldest(struct sdpa *sdpa) {
  struct sdpa_plan *plan = &sdpa->plans[0];
  for (int i = 1; i < SDPA_PLANS_MAX; i++)
    if (sdpa->plans[i].used < plan->used) plan = &sdpa->plans[i];
  return plan;
}

int sdpa_prepare(struct sdpa *sdpa, const struct sdpa_problem *problem, struct error *error) {
  struct sdpa_plan *plan = find(sdpa, problem);
  if (plan) {
    plan->used = ++sdpa->uses;
    return 0;
  }
  plan = oldest(sdpa);
  close_plan(sdpa, plan);
  plan->problem = (struct sdpa_problem){0};
  int failed = sdpa_graph_open(&plan->graph, &sdpa->cudnn, NULL, sdpa->heads, problem, error);
  if (!failed && plan->graph.workspace_bytes > (int64_t)sdpa->workspace_bytes)
    failed = error_set(error, -ENOTSUP,
                       "cuDNN's attention wants a workspace of %lld bytes, not %zu",
                       (long long)plan->graph.workspace_bytes, sdpa->workspace_bytes);
  if (failed) {
    sdpa_graph_close(&plan->graph, &sdpa->cudnn);
    return failed;
  }
  plan->problem = *problem;
  plan->used = ++sdpa->uses;
  return 0;
}

static void *address(driver_pointer pointer) {
  return (void *)(uintptr_t)pointer;
}

/* A pack binds tensors for one execution; it cannot be changed once finalised. */
static int bind(const struct cudnn *cudnn, cudnn_descriptor pack, const struct sdpa *sdpa,
                const struct sdpa_graph *graph, const struct sdpa_tensors *tensors,
                struct error *error) {
  const int64_t ids[] = {SDPA_Q,     SDPA_K,    SDPA_V,       SDPA_OUT,
                         SDPA_SCALE, SDPA_KEYS, SDPA_QUERIES, SDPA_MASKED};
  const void *pointers[] = {address(tensors->q),   address(tensors->k), address(tensors->v),
                            address(tensors->out), &graph->scale,       &graph->n_keys,
                            &graph->n_queries,     &graph->masked};
  const void *workspace = address(sdpa->workspace);
  const char *what = "cudnnBackendSetAttribute(variant pack)";
  const int64_t n = sizeof ids / sizeof ids[0];
  int failed =
      cudnn_check(cudnn, cudnn->set(pack, DNN_PACK_IDS, DNN_TYPE_INT64, n, ids), what, error);
  if (!failed)
    failed = cudnn_check(cudnn, cudnn->set(pack, DNN_PACK_POINTERS, DNN_TYPE_POINTER, n, pointers),
                         what, error);
  if (!failed)
    failed = cudnn_check(
        cudnn, cudnn->set(pack, DNN_PACK_WORKSPACE, DNN_TYPE_POINTER, 1, &workspace), what, error);
  if (!failed)
    failed = cudnn_check(cudnn, cudnn->finalise(pack), "cudnnBackendFinalize(variant pack)", error);
  return failed;
}

/* The pack of these addresses: made when they are first seen, which warm-up does for all layers but
 * where the KV cache changes. */
static int pack_for(struct sdpa *sdpa, struct sdpa_plan *plan, const struct sdpa_tensors *tensors,
                    cudnn_descriptor *pack, struct error *error) {
  const struct cudnn *cudnn = &sdpa->cudnn;
  for (int i = 0; i < SDPA_PACKS_MAX; i++) {
    const struct sdpa_tensors *t = &plan->packs[i].tensors;
    if (!plan->packs[i].pack || t->q != tensors->q || t->k != tensors->k || t->v != tensors->v ||
        t->out != tensors->out)
      continue;
    *pack = plan->packs[i].pack;
    return 0;
  }
  struct sdpa_pack *room = &plan->packs[plan->next_pack];
  plan->next_pack = (plan->next_pack + 1) % SDPA_PACKS_MAX;
  if (room->pack) (void)cudnn->descriptor_destroy(room->pack);
  room->pack = NULL;
  int failed = cudnn_check(cudnn, cudnn->descriptor_create(DNN_PACK, &room->pack),
                           "cudnnBackendCreateDescriptor(variant pack)", error);
  if (!failed) failed = bind(cudnn, room->pack, sdpa, &plan->graph, tensors, error);
  if (failed && room->pack) (void)cudnn->descriptor_destroy(room->pack);
  if (failed) room->pack = NULL;
  room->tensors = *tensors;
  *pack = room->pack;
  return failed;
}

int sdpa_run(struct sdpa *sdpa, const struct sdpa_problem *problem,
             const struct sdpa_tensors *tensors, struct error *error) {
  struct sdpa_plan *plan = find(sdpa, problem);
  if (!plan)
    return error_set(error, -EINVAL, "attention of %lld queries over %lld keys was not prepared",
                     (long long)problem->n_queries, (long long)problem->n_keys);
  const struct cudnn *cudnn = &sdpa->cudnn;
  cudnn_descriptor pack = NULL;
  int failed = pack_for(sdpa, plan, tensors, &pack, error);
  if (!failed)
    failed = cudnn_check(cudnn, cudnn->execute(cudnn->handle, plan->graph.plan, pack),
                         "cudnnBackendExecute(attention)", error);
  if (!failed)
    gpu_note(sdpa->gpu, "cudnnBackendExecute(attention, %lld x %lld)",
             (long long)problem->n_queries, (long long)problem->n_keys);
  return failed;
}

void sdpa_describe(const struct sdpa *sdpa, char *text, size_t bytes) {
  snprintf(text, bytes, "cuDNN %d.%d.%d, bf16", sdpa->cudnn.major, sdpa->cudnn.minor,
           sdpa->cudnn.patch);
}
