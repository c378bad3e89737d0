/*
 * Which attributes a descriptor has, with the type and the count that the real library takes.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cudnn/dnn_state.h"

struct rule {
  unsigned descriptor, name, type;
  size_t bytes; /* of one value */
  int64_t n_max;
  bool required;
};

static const struct rule rules[] = {
    {DNN_TENSOR, DNN_TENSOR_ID, DNN_TYPE_INT64, 8, 1, true},
    {DNN_TENSOR, DNN_TENSOR_DATA, DNN_TYPE_DATA, 4, 1, true},
    {DNN_TENSOR, DNN_TENSOR_DIMENSIONS, DNN_TYPE_INT64, 8, 8, true},
    {DNN_TENSOR, DNN_TENSOR_STRIDES, DNN_TYPE_INT64, 8, 8, true},
    {DNN_TENSOR, DNN_TENSOR_ALIGNMENT, DNN_TYPE_INT64, 8, 1, true},
    {DNN_TENSOR, DNN_TENSOR_VIRTUAL, DNN_TYPE_BOOL, 1, 1, false},
    {DNN_TENSOR, DNN_TENSOR_BY_VALUE, DNN_TYPE_BOOL, 1, 1, false},
    {DNN_MATMUL, DNN_MATMUL_PRECISION, DNN_TYPE_DATA, 4, 1, true},
    {DNN_OPERATION_MATMUL, DNN_OPERATION_MATMUL_A, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_MATMUL, DNN_OPERATION_MATMUL_B, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_MATMUL, DNN_OPERATION_MATMUL_C, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_MATMUL, DNN_OPERATION_MATMUL_DESC, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_POINTWISE, DNN_POINTWISE_MODE, DNN_TYPE_POINTWISE, 4, 1, true},
    {DNN_POINTWISE, DNN_POINTWISE_PRECISION, DNN_TYPE_DATA, 4, 1, true},
    {DNN_POINTWISE, DNN_POINTWISE_AXIS, DNN_TYPE_INT64, 8, 1, false},
    {DNN_OPERATION_POINTWISE, DNN_OPERATION_POINTWISE_DESC, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_POINTWISE, DNN_OPERATION_POINTWISE_X, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_POINTWISE, DNN_OPERATION_POINTWISE_B, DNN_TYPE_DESCRIPTOR, 8, 1, false},
    {DNN_OPERATION_POINTWISE, DNN_OPERATION_POINTWISE_T, DNN_TYPE_DESCRIPTOR, 8, 1, false},
    {DNN_OPERATION_POINTWISE, DNN_OPERATION_POINTWISE_Y, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_REDUCTION, DNN_REDUCTION_OPERATOR, DNN_TYPE_REDUCTION, 4, 1, true},
    {DNN_REDUCTION, DNN_REDUCTION_PRECISION, DNN_TYPE_DATA, 4, 1, true},
    {DNN_OPERATION_REDUCTION, DNN_OPERATION_REDUCTION_X, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_REDUCTION, DNN_OPERATION_REDUCTION_Y, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_OPERATION_REDUCTION, DNN_OPERATION_REDUCTION_DESC, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_GRAPH, DNN_GRAPH_OPERATIONS, DNN_TYPE_DESCRIPTOR, 8, PROGRAM_OPERATIONS, true},
    {DNN_GRAPH, DNN_GRAPH_HANDLE, DNN_TYPE_HANDLE, 8, 1, false},
    {DNN_HEURISTIC, DNN_HEURISTIC_GRAPH, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_HEURISTIC, DNN_HEURISTIC_MODE, DNN_TYPE_HEURISTIC, 4, 1, true},
    {DNN_HEURISTIC, DNN_HEURISTIC_DEVICE, DNN_TYPE_DESCRIPTOR, 8, 1, false},
    {DNN_PLAN, DNN_PLAN_CONFIG, DNN_TYPE_DESCRIPTOR, 8, 1, true},
    {DNN_PLAN, DNN_PLAN_HANDLE, DNN_TYPE_HANDLE, 8, 1, false},
    {DNN_PLAN, DNN_PLAN_DEVICE, DNN_TYPE_DESCRIPTOR, 8, 1, false},
    {DNN_PACK, DNN_PACK_IDS, DNN_TYPE_INT64, 8, 64, true},
    {DNN_PACK, DNN_PACK_POINTERS, DNN_TYPE_POINTER, 8, 64, true},
    {DNN_PACK, DNN_PACK_WORKSPACE, DNN_TYPE_POINTER, 8, 1, true},
};

static const struct rule *find_rule(unsigned descriptor, unsigned name) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].descriptor == descriptor && rules[i].name == name) return &rules[i];
  return NULL;
}

const struct attribute *attribute_find(const struct descriptor *descriptor, unsigned name) {
  for (int i = 0; i < descriptor->n_attributes; i++)
    if (descriptor->attributes[i].name == name) return &descriptor->attributes[i];
  return NULL;
}

struct descriptor *attribute_descriptor(const struct descriptor *descriptor, unsigned name) {
  const struct attribute *attribute = attribute_find(descriptor, name);
  return attribute ? *(struct descriptor **)attribute->values : NULL;
}

int64_t attribute_int64(const struct descriptor *descriptor, unsigned name, int64_t otherwise) {
  const struct attribute *attribute = attribute_find(descriptor, name);
  return attribute ? *(int64_t *)attribute->values : otherwise;
}

int attribute_int(const struct descriptor *descriptor, unsigned name, int otherwise) {
  const struct attribute *attribute = attribute_find(descriptor, name);
  if (!attribute) return otherwise;
  return attribute->bytes == 1 ? *(unsigned char *)attribute->values : *(int *)attribute->values;
}

/* Descriptors that are given must be ready to be used. */
static cudnn_status check_descriptors(int64_t n, const void *values) {
  struct descriptor *const *given = values;
  for (int64_t i = 0; i < n; i++) {
    if (!given[i] || given[i]->alive != DNN_ALIVE)
      return dnn_refuse(STATUS_NULL_POINTER, "a descriptor that does not exist is set");
    if (!given[i]->finalised)
      return dnn_refuse(STATUS_NOT_FINALIZED, "a descriptor of type %u is set before it is final",
                        given[i]->type);
  }
  return DNN_SUCCESS;
}

static cudnn_status check_handle(const void *values) {
  const struct cudnnContext *handle = *(struct cudnnContext *const *)values;
  if (!handle || handle->alive != DNN_ALIVE)
    return dnn_refuse(STATUS_BAD_PARAM, "a handle that does not exist is set");
  return DNN_SUCCESS;
}

cudnn_status attribute_set(struct descriptor *descriptor, unsigned name, unsigned type, int64_t n,
                           const void *values) {
  const struct rule *rule = find_rule(descriptor->type, name);
  if (descriptor->finalised)
    return dnn_refuse(STATUS_BAD_PARAM, "attribute %u is set after the descriptor was final", name);
  if (!rule)
    return dnn_refuse(STATUS_BAD_PARAM, "descriptor type %u has no attribute %u here",
                      descriptor->type, name);
  if (rule->type != type)
    return dnn_refuse(STATUS_ATTRIBUTE_TYPE, "attribute %u is of type %u, not %u", name, rule->type,
                      type);
  if (!values) return dnn_refuse(STATUS_NULL_POINTER, "attribute %u has no values", name);
  if (n < 1 || n > rule->n_max)
    return dnn_refuse(STATUS_OUT_OF_BOUND, "attribute %u of %lld values", name, (long long)n);
  cudnn_status status = DNN_SUCCESS;
  if (type == DNN_TYPE_DESCRIPTOR) status = check_descriptors(n, values);
  if (type == DNN_TYPE_HANDLE) status = check_handle(values);
  if (status != DNN_SUCCESS) return status;
  struct attribute *attribute = (struct attribute *)attribute_find(descriptor, name);
  if (!attribute) attribute = &descriptor->attributes[descriptor->n_attributes++];
  void *copy = malloc((size_t)n * rule->bytes);
  if (!copy) return STATUS_INTERNAL_ERROR;
  memcpy(copy, values, (size_t)n * rule->bytes);
  free(attribute->values);
  *attribute = (struct attribute){name, n, rule->bytes, copy};
  return DNN_SUCCESS;
}

cudnn_status attributes_complete(const struct descriptor *descriptor) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].descriptor == descriptor->type && rules[i].required &&
        !attribute_find(descriptor, rules[i].name))
      return dnn_refuse(STATUS_BAD_PARAM, "descriptor type %u is final without attribute %u",
                        descriptor->type, rules[i].name);
  return DNN_SUCCESS;
}
