/*
 * libcudnn.so.9 for the virtual GPU: the functions of the program's own table.
 *
 * Set VGPU_CUDNN_REFUSES=N and the first N engine configurations do not compile, as happens where
 * libnvrtc is missing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cudnn/dnn_state.h"

#define PUBLIC __attribute__((visibility("default")))
#define WORKSPACE_BYTES 256
#define WORDS_BYTES 256
#define CONFIGS 2

#define DNN_PROTOTYPE(member, symbol, result, parameters) PUBLIC result symbol parameters;
CUDNN_TABLE(DNN_PROTOTYPE)
#undef DNN_PROTOTYPE

static char *last_words(void) {
  static _Thread_local char words[WORDS_BYTES];
  return words;
}

cudnn_status dnn_refuse(cudnn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_words(), WORDS_BYTES, format, arguments);
  va_end(arguments);
  fprintf(stderr, "vgpu: cuDNN: %s (%d)\n", last_words(), status);
  return status;
}

size_t cudnnGetVersion(void) {
  const char *text = getenv("VGPU_CUDNN_VERSION");
  return text ? strtoul(text, NULL, 10) : 91900;
}

const char *cudnnGetErrorString(cudnn_status status) {
  if (status == DNN_SUCCESS) return "CUDNN_STATUS_SUCCESS";
  if (status == STATUS_NOT_INITIALIZED) return "CUDNN_STATUS_NOT_INITIALIZED";
  return status / 1000 == 2   ? "CUDNN_STATUS_BAD_PARAM"
         : status / 1000 == 3 ? "CUDNN_STATUS_NOT_SUPPORTED"
                              : "CUDNN_STATUS_INTERNAL_ERROR";
}

void cudnnGetLastErrorString(char *text, size_t bytes) {
  snprintf(text, bytes, "%s", last_words());
}

/* ---- handles ------------------------------------------------------------------------------ */

cudnn_status cudnnCreate(cudnn_handle *handle) {
  int code = STATUS_NOT_INITIALIZED;
  if (vgpu_fails("cudnnCreate", &code)) return code;
  if (!vgpu_has_context())
    return dnn_refuse(STATUS_NOT_INITIALIZED, "cudnnCreate: no context on this thread");
  struct cudnnContext *made = calloc(1, sizeof *made);
  if (!made) return STATUS_INTERNAL_ERROR;
  made->alive = DNN_ALIVE;
  *handle = made;
  return DNN_SUCCESS;
}

cudnn_status cudnnDestroy(cudnn_handle handle) {
  if (!handle || handle->alive != DNN_ALIVE) return STATUS_BAD_PARAM;
  handle->alive = 0;
  free(handle);
  return DNN_SUCCESS;
}

cudnn_status cudnnSetStream(cudnn_handle handle, driver_stream stream) {
  if (!handle || handle->alive != DNN_ALIVE) return STATUS_BAD_PARAM;
  if (!vgpu_is_stream(stream))
    return dnn_refuse(STATUS_BAD_PARAM, "cudnnSetStream: the stream does not exist");
  handle->stream = stream;
  handle->has_stream = true;
  return DNN_SUCCESS;
}

/* ---- descriptors --------------------------------------------------------------------------- */

cudnn_status cudnnBackendCreateDescriptor(unsigned type, cudnn_descriptor *created) {
  static const unsigned types[] = {
      DNN_POINTWISE, DNN_ENGINE_CONFIG,       DNN_HEURISTIC, DNN_PLAN,
      DNN_TENSOR,    DNN_OPERATION_POINTWISE, DNN_GRAPH,     DNN_PACK,
      DNN_MATMUL,    DNN_OPERATION_MATMUL,    DNN_REDUCTION, DNN_OPERATION_REDUCTION};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (types[i] != type) continue;
    struct descriptor *made = calloc(1, sizeof *made);
    if (!made) return STATUS_INTERNAL_ERROR;
    made->alive = DNN_ALIVE;
    made->type = type;
    *created = made;
    return DNN_SUCCESS;
  }
  return dnn_refuse(STATUS_NOT_SUPPORTED, "descriptor type %u is unknown here", type);
}

cudnn_status cudnnBackendDestroyDescriptor(cudnn_descriptor descriptor) {
  struct descriptor *gone = descriptor;
  if (!gone || gone->alive != DNN_ALIVE) return STATUS_BAD_PARAM;
  for (int i = 0; i < gone->n_attributes; i++) free(gone->attributes[i].values);
  gone->alive = 0;
  free(gone);
  return DNN_SUCCESS;
}

cudnn_status cudnnBackendSetAttribute(cudnn_descriptor descriptor, unsigned name, unsigned type,
                                      int64_t n, const void *values) {
  struct descriptor *d = descriptor;
  if (!d || d->alive != DNN_ALIVE) return STATUS_BAD_PARAM;
  return attribute_set(d, name, type, n, values);
}

static cudnn_status finalise_plan(struct descriptor *plan) {
  const struct descriptor *config = attribute_descriptor(plan, DNN_PLAN_CONFIG);
  if (config->type != DNN_ENGINE_CONFIG || !config->graph)
    return dnn_refuse(STATUS_BAD_PARAM, "a plan without an engine configuration");
  if (!attribute_find(plan, DNN_PLAN_HANDLE))
    return dnn_refuse(STATUS_BAD_PARAM, "a plan without a handle cannot be executed");
  if (config->refuses) return dnn_refuse(STATUS_NOT_SUPPORTED, "this engine does not compile");
  return program_make(&plan->program, config->graph);
}

cudnn_status cudnnBackendFinalize(cudnn_descriptor descriptor) {
  struct descriptor *d = descriptor;
  int code = STATUS_INTERNAL_ERROR;
  if (!d || d->alive != DNN_ALIVE) return STATUS_BAD_PARAM;
  if (d->type == DNN_PLAN && vgpu_fails("cudnnBackendFinalize", &code)) return code;
  if (d->finalised) return dnn_refuse(STATUS_BAD_PARAM, "a descriptor is made final twice");
  cudnn_status status = attributes_complete(d);
  if (status == DNN_SUCCESS) status = descriptor_check(d);
  if (status == DNN_SUCCESS && d->type == DNN_PLAN) status = finalise_plan(d);
  d->finalised = status == DNN_SUCCESS;
  return status;
}

/* ---- heuristic and plan ---------------------------------------------------------------------- */

static cudnn_status give_configs(const struct descriptor *heuristic, int64_t n_asked,
                                 int64_t *n_got, struct descriptor **configs) {
  const char *text = getenv("VGPU_CUDNN_REFUSES");
  const long refused = text ? strtol(text, NULL, 10) : 0;
  struct program program;
  struct descriptor *graph = attribute_descriptor(heuristic, DNN_HEURISTIC_GRAPH);
  *n_got = 0;
  /* A graph that no engine takes: no configuration, and no error. */
  if (program_make(&program, graph) != DNN_SUCCESS) return DNN_SUCCESS;
  for (int64_t i = 0; i < CONFIGS && i < n_asked; i++) {
    if (!configs[i] || configs[i]->type != DNN_ENGINE_CONFIG)
      return dnn_refuse(STATUS_DESCRIPTOR_TYPE, "engine configurations are expected");
    configs[i]->graph = graph;
    configs[i]->finalised = true;
    configs[i]->refuses = i < refused;
    *n_got = i + 1;
  }
  return DNN_SUCCESS;
}

cudnn_status cudnnBackendGetAttribute(cudnn_descriptor descriptor, unsigned name, unsigned type,
                                      int64_t n_asked, int64_t *n_got, void *values) {
  struct descriptor *d = descriptor;
  if (!d || d->alive != DNN_ALIVE || !n_got) return STATUS_BAD_PARAM;
  if (!d->finalised) return dnn_refuse(STATUS_NOT_FINALIZED, "read before it is final");
  if (d->type == DNN_HEURISTIC && name == DNN_HEURISTIC_RESULTS && type == DNN_TYPE_DESCRIPTOR)
    return give_configs(d, n_asked, n_got, values);
  if (d->type == DNN_PLAN && name == DNN_PLAN_WORKSPACE && type == DNN_TYPE_INT64 && n_asked >= 1) {
    *(int64_t *)values = WORKSPACE_BYTES;
    *n_got = 1;
    return DNN_SUCCESS;
  }
  return dnn_refuse(STATUS_BAD_PARAM, "attribute %u of descriptor type %u cannot be read here",
                    name, d->type);
}

/* ---- execution ------------------------------------------------------------------------------- */

static cudnn_status bind_value(struct execution *e, int i, const void *pointer) {
  const struct tensor *t = &e->program.tensors[i];
  if (vgpu_is_device((uint64_t)(uintptr_t)pointer, 1))
    return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld is by value: its pointer must be the host's",
                      (long long)t->id);
  float real;
  int32_t whole;
  memcpy(&real, pointer, sizeof real);
  memcpy(&whole, pointer, sizeof whole);
  e->value[i] = t->data == DNN_INT32 ? (double)whole : (double)real;
  return DNN_SUCCESS;
}

static cudnn_status bind_device(struct execution *e, int i, const void *pointer) {
  const struct tensor *t = &e->program.tensors[i];
  uint64_t address = (uint64_t)(uintptr_t)pointer;
  if (!vgpu_is_device(address, tensor_bytes(t)))
    return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld: %zu bytes at %p are not device memory",
                      (long long)t->id, tensor_bytes(t), pointer);
  if (address % (uint64_t)t->alignment)
    return dnn_refuse(STATUS_MISALIGNED_POINTER, "tensor %lld at %p is aligned to less than %lld",
                      (long long)t->id, pointer, (long long)t->alignment);
  e->device[i] = address;
  return DNN_SUCCESS;
}

static cudnn_status bind(struct execution *e, const struct descriptor *pack) {
  const struct attribute *ids = attribute_find(pack, DNN_PACK_IDS);
  const int64_t *id = ids->values;
  const void *const *pointers = attribute_find(pack, DNN_PACK_POINTERS)->values;
  for (int i = 0; i < e->program.n_tensors; i++) {
    const struct tensor *t = &e->program.tensors[i];
    if (t->is_virtual) continue;
    int64_t k = 0;
    while (k < ids->n && id[k] != t->id) k++;
    if (k == ids->n)
      return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld is not in the variant pack",
                        (long long)t->id);
    if (!pointers[k])
      return dnn_refuse(STATUS_NULL_POINTER, "tensor %lld is NULL", (long long)t->id);
    cudnn_status status = t->by_value ? bind_value(e, i, pointers[k])
                                      : bind_device(e, i, pointers[k]);
    if (status != DNN_SUCCESS) return status;
  }
  return DNN_SUCCESS;
}

cudnn_status cudnnBackendExecute(cudnn_handle handle, cudnn_descriptor plan_given,
                                 cudnn_descriptor pack_given) {
  struct descriptor *plan = plan_given;
  const struct descriptor *pack = pack_given;
  int code = STATUS_INTERNAL_ERROR;
  if (vgpu_fails("cudnnBackendExecute", &code)) return code;
  if (!handle || handle->alive != DNN_ALIVE || !plan || plan->alive != DNN_ALIVE || !pack ||
      pack->alive != DNN_ALIVE)
    return STATUS_BAD_PARAM;
  if (!vgpu_has_context())
    return dnn_refuse(STATUS_NOT_INITIALIZED, "cudnnBackendExecute: no context on this thread");
  if (plan->type != DNN_PLAN || pack->type != DNN_PACK) return STATUS_DESCRIPTOR_TYPE;
  if (!plan->finalised || !pack->finalised)
    return dnn_refuse(STATUS_NOT_FINALIZED, "plan or variant pack is not final");
  if (*(cudnn_handle *)attribute_find(plan, DNN_PLAN_HANDLE)->values != handle)
    return dnn_refuse(STATUS_BAD_PARAM, "the plan is of another handle");
  if (!handle->has_stream)
    return dnn_refuse(STATUS_BAD_PARAM, "the handle has no stream: the legacy one would be used");
  uint64_t workspace = *(uint64_t *)attribute_find(pack, DNN_PACK_WORKSPACE)->values;
  if (!vgpu_is_device(workspace, WORKSPACE_BYTES) || workspace % 16)
    return dnn_refuse(STATUS_BAD_PARAM, "the workspace is not %d bytes of device memory",
                      WORKSPACE_BYTES);
  struct execution *e = calloc(1, sizeof *e);
  if (!e) return STATUS_INTERNAL_ERROR;
  if (!plan->executed && vgpu_is_capturing(handle->stream))
    vgpu_finding("cudnnBackendExecute: a plan's kernel may be loaded here, inside a capture");
  plan->executed = true;
  e->program = plan->program;
  cudnn_status status = bind(e, pack);
  if (status == DNN_SUCCESS && vgpu_enqueue(handle->stream, run_program, e, sizeof *e) != 0)
    status = STATUS_INTERNAL_ERROR;
  free(e);
  return status;
}
