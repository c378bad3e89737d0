/*
 * From descriptors to a list of operations over tensors, with the checks of shapes and types.
 */
#include <string.h>

#include "tests/vgpu/cudnn/dnn_state.h"

#define HEAD_DIM_MAX 256

size_t data_bytes(int data) {
  switch (data) {
  case DNN_FLOAT:
  case DNN_INT32:
    return 4;
  case DNN_BF16:
    return 2;
  case DNN_BOOLEAN:
    return 1;
  default:
    return 0;
  }
}

size_t tensor_bytes(const struct tensor *tensor) {
  int64_t last = 0;
  for (int i = 0; i < tensor->n_dimensions; i++)
    last += (tensor->dimensions[i] - 1) * tensor->strides[i];
  return (size_t)(last + 1) * data_bytes(tensor->data);
}

static cudnn_status read_tensor(struct tensor *tensor, const struct descriptor *descriptor) {
  const struct attribute *dimensions = attribute_find(descriptor, DNN_TENSOR_DIMENSIONS);
  const struct attribute *strides = attribute_find(descriptor, DNN_TENSOR_STRIDES);
  *tensor = (struct tensor){.id = attribute_int64(descriptor, DNN_TENSOR_ID, 0),
                            .alignment = attribute_int64(descriptor, DNN_TENSOR_ALIGNMENT, 0),
                            .data = attribute_int(descriptor, DNN_TENSOR_DATA, -1),
                            .n_dimensions = (int)dimensions->n,
                            .is_virtual = attribute_int(descriptor, DNN_TENSOR_VIRTUAL, 0) != 0,
                            .by_value = attribute_int(descriptor, DNN_TENSOR_BY_VALUE, 0) != 0};
  if (dimensions->n != strides->n || dimensions->n != 4)
    return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld: %lld dimensions, %lld strides; 4 of each",
                      (long long)tensor->id, (long long)dimensions->n, (long long)strides->n);
  memcpy(tensor->dimensions, dimensions->values, sizeof tensor->dimensions);
  memcpy(tensor->strides, strides->values, sizeof tensor->strides);
  if (data_bytes(tensor->data) == 0)
    return dnn_refuse(STATUS_NOT_SUPPORTED_DATA, "tensor %lld: data type %d", (long long)tensor->id,
                      tensor->data);
  if (tensor->is_virtual && tensor->by_value)
    return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld: virtual and by value", (long long)tensor->id);
  for (int i = 0; i < 4; i++)
    if (tensor->dimensions[i] < 1 || tensor->strides[i] < 1)
      return dnn_refuse(STATUS_BAD_PARAM, "tensor %lld: dimension %d is %lld, stride %lld",
                        (long long)tensor->id, i, (long long)tensor->dimensions[i],
                        (long long)tensor->strides[i]);
  return DNN_SUCCESS;
}

/* ---- operations --------------------------------------------------------------------------- */

/* A dimension is used once for all, or (heads) by groups. */
static bool broadcasts(const struct tensor *x, const struct tensor *out) {
  for (int i = 0; i < 4; i++)
    if (x->dimensions[i] != out->dimensions[i] && x->dimensions[i] != 1) return false;
  return true;
}

static cudnn_status check_matmul(const struct tensor *a, const struct tensor *b,
                                 const struct tensor *c) {
  bool fits = a->dimensions[3] == b->dimensions[2] && a->dimensions[2] == c->dimensions[2] &&
              b->dimensions[3] == c->dimensions[3] && a->dimensions[1] == c->dimensions[1] &&
              c->dimensions[1] % b->dimensions[1] == 0 && a->dimensions[0] == c->dimensions[0];
  return fits ? DNN_SUCCESS
              : dnn_refuse(STATUS_SHAPE_MISMATCH,
                           "matmul of %lld heads over %lld, %lld x %lld x "
                           "%lld does not fit",
                           (long long)a->dimensions[1], (long long)b->dimensions[1],
                           (long long)a->dimensions[2], (long long)a->dimensions[3],
                           (long long)b->dimensions[3]);
}

static cudnn_status get_tensor(struct tensor *tensor, const struct descriptor *operation,
                               unsigned name) {
  const struct descriptor *descriptor = attribute_descriptor(operation, name);
  if (descriptor->type != DNN_TENSOR)
    return dnn_refuse(STATUS_DESCRIPTOR_TYPE, "attribute %u wants a tensor", name);
  return read_tensor(tensor, descriptor);
}

static cudnn_status check_pointwise(const struct descriptor *descriptor) {
  const struct descriptor *how = attribute_descriptor(descriptor, DNN_OPERATION_POINTWISE_DESC);
  struct tensor x, out, other;
  if (how->type != DNN_POINTWISE)
    return dnn_refuse(STATUS_DESCRIPTOR_TYPE, "a pointwise operation without its descriptor");
  cudnn_status status = get_tensor(&x, descriptor, DNN_OPERATION_POINTWISE_X);
  if (status == DNN_SUCCESS) status = get_tensor(&out, descriptor, DNN_OPERATION_POINTWISE_Y);
  if (status != DNN_SUCCESS) return status;
  int mode = attribute_int(how, DNN_POINTWISE_MODE, -1);
  bool one = mode == DNN_EXP || mode == DNN_LOG || mode == DNN_INDEX;
  bool has_other = attribute_find(descriptor, DNN_OPERATION_POINTWISE_B) != NULL;
  bool has_condition = attribute_find(descriptor, DNN_OPERATION_POINTWISE_T) != NULL;
  if (has_other == one || has_condition != (mode == DNN_SELECT))
    return dnn_refuse(STATUS_BAD_PARAM, "pointwise mode %d with a wrong number of inputs", mode);
  if (mode == DNN_INDEX && !attribute_find(how, DNN_POINTWISE_AXIS))
    return dnn_refuse(STATUS_BAD_PARAM, "an index without its axis");
  if (!broadcasts(&x, &out))
    return dnn_refuse(STATUS_SHAPE_MISMATCH, "pointwise mode %d: X does not fit Y", mode);
  if (!has_other) return DNN_SUCCESS;
  status = get_tensor(&other, descriptor, DNN_OPERATION_POINTWISE_B);
  if (status == DNN_SUCCESS && !broadcasts(&other, &out))
    status = dnn_refuse(STATUS_SHAPE_MISMATCH, "pointwise mode %d: B does not fit Y", mode);
  return status;
}

cudnn_status descriptor_check(const struct descriptor *descriptor) {
  struct tensor a, b, c;
  cudnn_status status = DNN_SUCCESS;
  switch (descriptor->type) {
  case DNN_TENSOR:
    return read_tensor(&a, descriptor);
  case DNN_OPERATION_POINTWISE:
    return check_pointwise(descriptor);
  case DNN_OPERATION_MATMUL:
    status = get_tensor(&a, descriptor, DNN_OPERATION_MATMUL_A);
    if (status == DNN_SUCCESS) status = get_tensor(&b, descriptor, DNN_OPERATION_MATMUL_B);
    if (status == DNN_SUCCESS) status = get_tensor(&c, descriptor, DNN_OPERATION_MATMUL_C);
    return status == DNN_SUCCESS ? check_matmul(&a, &b, &c) : status;
  case DNN_OPERATION_REDUCTION:
    status = get_tensor(&a, descriptor, DNN_OPERATION_REDUCTION_X);
    if (status == DNN_SUCCESS) status = get_tensor(&b, descriptor, DNN_OPERATION_REDUCTION_Y);
    return status == DNN_SUCCESS && !broadcasts(&b, &a)
               ? dnn_refuse(STATUS_SHAPE_MISMATCH, "a reduction's output does not fit")
               : status;
  case DNN_PACK: {
    const struct attribute *ids = attribute_find(descriptor, DNN_PACK_IDS);
    const struct attribute *pointers = attribute_find(descriptor, DNN_PACK_POINTERS);
    const int64_t *id = ids->values;
    if (ids->n != pointers->n)
      return dnn_refuse(STATUS_BAD_PARAM, "a variant pack of %lld ids and %lld pointers",
                        (long long)ids->n, (long long)pointers->n);
    for (int64_t i = 0; i < ids->n; i++)
      for (int64_t j = 0; j < i; j++)
        if (id[i] == id[j])
          return dnn_refuse(STATUS_DUPLICATED_ENTRIES, "id %lld is twice in a variant pack",
                            (long long)id[i]);
    return DNN_SUCCESS;
  }
  default:
    return DNN_SUCCESS;
  }
}

/* ---- the program --------------------------------------------------------------------------- */

/* Index of the operation's tensor, added where it is new; -1: none, -2: too many. Ids name
 * tensors: one id with two meanings is an error. */
static int add_tensor(struct program *program, const struct descriptor *operation, unsigned name) {
  struct tensor tensor;
  if (!attribute_find(operation, name)) return -1;
  if (get_tensor(&tensor, operation, name) != DNN_SUCCESS) return -2;
  for (int i = 0; i < program->n_tensors; i++) {
    if (program->tensors[i].id != tensor.id) continue;
    bool same =
        memcmp(program->tensors[i].dimensions, tensor.dimensions, sizeof tensor.dimensions) == 0 &&
        program->tensors[i].data == tensor.data;
    return same ? i : -2;
  }
  if (program->n_tensors == PROGRAM_TENSORS) return -2;
  program->tensors[program->n_tensors] = tensor;
  return program->n_tensors++;
}

static bool add_operation(struct program *program, const struct descriptor *d) {
  struct operation o = {.b = -1, .t = -1};
  const struct descriptor *how = NULL;
  switch (d->type) {
  case DNN_OPERATION_MATMUL:
    o.kind = OPERATION_MATMUL;
    o.x = add_tensor(program, d, DNN_OPERATION_MATMUL_A);
    o.b = add_tensor(program, d, DNN_OPERATION_MATMUL_B);
    o.out = add_tensor(program, d, DNN_OPERATION_MATMUL_C);
    break;
  case DNN_OPERATION_REDUCTION:
    how = attribute_descriptor(d, DNN_OPERATION_REDUCTION_DESC);
    o.kind = OPERATION_REDUCTION;
    o.mode = attribute_int(how, DNN_REDUCTION_OPERATOR, -1);
    o.x = add_tensor(program, d, DNN_OPERATION_REDUCTION_X);
    o.out = add_tensor(program, d, DNN_OPERATION_REDUCTION_Y);
    break;
  case DNN_OPERATION_POINTWISE:
    how = attribute_descriptor(d, DNN_OPERATION_POINTWISE_DESC);
    o.kind = OPERATION_POINTWISE;
    o.mode = attribute_int(how, DNN_POINTWISE_MODE, -1);
    o.axis = attribute_int64(how, DNN_POINTWISE_AXIS, -1);
    o.x = add_tensor(program, d, DNN_OPERATION_POINTWISE_X);
    o.b = add_tensor(program, d, DNN_OPERATION_POINTWISE_B);
    o.t = add_tensor(program, d, DNN_OPERATION_POINTWISE_T);
    o.out = add_tensor(program, d, DNN_OPERATION_POINTWISE_Y);
    break;
  default:
    return false;
  }
  program->operations[program->n_operations++] = o;
  return o.x >= 0 && o.out >= 0 && o.b != -2 && o.t != -2;
}

/* What the attention engine takes: two matmuls of bf16 around a softmax, head_dim in 8s. */
static cudnn_status check_engine(const struct program *program) {
  const struct operation *first = &program->operations[0];
  const struct operation *last = &program->operations[program->n_operations - 1];
  if (program->n_operations < 3 || first->kind != OPERATION_MATMUL ||
      last->kind != OPERATION_MATMUL)
    return dnn_refuse(STATUS_NOT_SUPPORTED_GRAPH, "no engine for this graph");
  const struct tensor *q = &program->tensors[first->x], *out = &program->tensors[last->out];
  const struct tensor *weights = &program->tensors[last->x];
  if (q->dimensions[3] % 8 || q->dimensions[3] > HEAD_DIM_MAX)
    return dnn_refuse(STATUS_NOT_SUPPORTED_SHAPE, "no engine for head_dim %lld",
                      (long long)q->dimensions[3]);
  if (q->data != DNN_BF16 || out->data != DNN_BF16 || weights->data != DNN_BF16)
    return dnn_refuse(STATUS_NOT_SUPPORTED_DATA, "no engine but for bf16");
  for (int i = 0; i < program->n_tensors; i++) {
    const struct tensor *tensor = &program->tensors[i];
    if (!tensor->is_virtual && !tensor->by_value && tensor->alignment < 16)
      return dnn_refuse(STATUS_NOT_SUPPORTED, "no engine for tensors aligned to %lld bytes",
                        (long long)tensor->alignment);
  }
  return DNN_SUCCESS;
}

cudnn_status program_make(struct program *program, const struct descriptor *graph) {
  const struct attribute *operations = attribute_find(graph, DNN_GRAPH_OPERATIONS);
  struct descriptor *const *each = operations->values;
  *program = (struct program){.n_tensors = 0};
  for (int64_t i = 0; i < operations->n; i++)
    if (!add_operation(program, each[i]))
      return dnn_refuse(STATUS_BAD_PARAM, "operation %lld of the graph is not usable",
                        (long long)i);
  return check_engine(program);
}
