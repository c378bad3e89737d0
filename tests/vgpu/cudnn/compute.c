/*
 * Carries a graph out, operation by operation, as it is written: nothing is recognised, so that a
 * mask off by one in the graph is off by one in the result.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cudnn/dnn_state.h"
#include "tests/vgpu/ptx/number.h"

struct values {
  const struct program *program;
  float *of[PROGRAM_TENSORS]; /* packed, as the dimensions say */
};

static int64_t count(const struct tensor *t) {
  return t->dimensions[0] * t->dimensions[1] * t->dimensions[2] * t->dimensions[3];
}

/* Position in a packed tensor of what belongs to (h, r, c) of another: a dimension of 1 serves
 * all, fewer heads serve groups. */
static int64_t at(const struct tensor *t, const struct tensor *of, int64_t h, int64_t r,
                  int64_t c) {
  int64_t head = t->dimensions[1] == 1 ? 0 : h / (of->dimensions[1] / t->dimensions[1]);
  int64_t row = t->dimensions[2] == 1 ? 0 : r, column = t->dimensions[3] == 1 ? 0 : c;
  return (head * t->dimensions[2] + row) * t->dimensions[3] + column;
}

static float rounded(float value, int data) {
  if (data == DNN_BF16) return float_of_bf16(bf16_of_float(value, false));
  return data == DNN_INT32 ? truncf(value) : value;
}

static float pointwise(const struct operation *o, float x, float b, float t) {
  switch (o->mode) {
  case DNN_ADD:
    return x + b;
  case DNN_MULTIPLY:
    return x * b;
  case DNN_DIVIDE:
    return x / b;
  case DNN_SUBTRACT:
    return x - b;
  case DNN_EXP:
    return expf(x);
  case DNN_LOG:
    return logf(x);
  case DNN_GREATER_OR_EQUAL:
    return x >= b ? 1.0F : 0.0F;
  case DNN_SELECT:
    return t != 0.0F ? x : b;
  default:
    return NAN;
  }
}

static void run_pointwise(struct values *v, const struct operation *o) {
  const struct tensor *tensors = v->program->tensors, *out = &tensors[o->out];
  for (int64_t h = 0; h < out->dimensions[1]; h++)
    for (int64_t r = 0; r < out->dimensions[2]; r++)
      for (int64_t c = 0; c < out->dimensions[3]; c++) {
        float *target = &v->of[o->out][at(out, out, h, r, c)];
        if (o->mode == DNN_INDEX) {
          *target = (float)(o->axis == 3 ? c : o->axis == 2 ? r : h);
          continue;
        }
        float x = v->of[o->x][at(&tensors[o->x], out, h, r, c)];
        float b = o->b >= 0 ? v->of[o->b][at(&tensors[o->b], out, h, r, c)] : 0.0F;
        float t = o->t >= 0 ? v->of[o->t][at(&tensors[o->t], out, h, r, c)] : 0.0F;
        *target = rounded(pointwise(o, x, b, t), out->data);
      }
}

static void run_reduction(struct values *v, const struct operation *o) {
  const struct tensor *in = &v->program->tensors[o->x], *out = &v->program->tensors[o->out];
  for (int64_t i = 0; i < count(out); i++)
    v->of[o->out][i] = o->mode == DNN_REDUCE_MAX ? -INFINITY : 0.0F;
  for (int64_t h = 0; h < in->dimensions[1]; h++)
    for (int64_t r = 0; r < in->dimensions[2]; r++)
      for (int64_t c = 0; c < in->dimensions[3]; c++) {
        float x = v->of[o->x][at(in, in, h, r, c)];
        float *sum = &v->of[o->out][at(out, in, h, r, c)];
        *sum = o->mode == DNN_REDUCE_MAX ? fmaxf(*sum, x) : *sum + x;
      }
}

static void run_matmul(struct values *v, const struct operation *o) {
  const struct tensor *a = &v->program->tensors[o->x], *b = &v->program->tensors[o->b];
  const struct tensor *out = &v->program->tensors[o->out];
  const int64_t inner = a->dimensions[3], width = out->dimensions[3];
  for (int64_t h = 0; h < out->dimensions[1]; h++)
    for (int64_t r = 0; r < out->dimensions[2]; r++) {
      float *row = &v->of[o->out][at(out, out, h, r, 0)];
      memset(row, 0, (size_t)width * sizeof *row);
      for (int64_t k = 0; k < inner; k++) {
        float x = v->of[o->x][at(a, out, h, r, 0) + k];
        int64_t head = h / (out->dimensions[1] / b->dimensions[1]);
        const float *y = &v->of[o->b][(head * inner + k) * width];
        if (x != 0.0F)
          for (int64_t c = 0; c < width; c++) row[c] += x * y[c];
      }
      for (int64_t c = 0; c < width; c++) row[c] = rounded(row[c], out->data);
    }
}

/* ---- device memory ------------------------------------------------------------------------ */

static uint64_t element_at(const struct tensor *t, uint64_t base, int64_t i) {
  int64_t offset = 0;
  for (int d = 3; d >= 0; d--) {
    offset += i % t->dimensions[d] * t->strides[d];
    i /= t->dimensions[d];
  }
  return base + (uint64_t)offset * data_bytes(t->data);
}

static bool read_tensor(float *out, const struct tensor *t, uint64_t base) {
  bool written = true;
  for (int64_t i = 0; i < count(t); i++) {
    uint64_t address = element_at(t, base, i);
    uint16_t half;
    written = written && vgpu_written(address, 2);
    memcpy(&half, vgpu_bytes(address), 2);
    out[i] = float_of_bf16(half);
  }
  return written;
}

static void write_tensor(const float *in, const struct tensor *t, uint64_t base) {
  for (int64_t i = 0; i < count(t); i++) {
    uint64_t address = element_at(t, base, i);
    uint16_t half = bf16_of_float(in[i], false);
    memcpy(vgpu_bytes(address), &half, 2);
    vgpu_mark(address, 2, true);
  }
}

/* The tensors that operations make, and those that come from outside. */
static bool prepare(struct values *v, const struct execution *e) {
  const struct program *p = &e->program;
  for (int i = 0; i < p->n_tensors; i++) {
    const struct tensor *t = &p->tensors[i];
    v->of[i] = malloc((size_t)count(t) * sizeof(float));
    if (!v->of[i]) return false;
    if (t->by_value) v->of[i][0] = (float)e->value[i];
    bool is_output = p->operations[p->n_operations - 1].out == i;
    if (!t->is_virtual && !t->by_value && !is_output && !read_tensor(v->of[i], t, e->device[i]))
      vgpu_finding("cudnnBackendExecute: tensor %lld is read where nobody wrote it",
                   (long long)t->id);
  }
  return true;
}

/* An engine that computes something else than the graph. */
static void spoil(float *out, int64_t n) {
  const char *text = getenv("VGPU_WRONG");
  if (!text || strcmp(text, "attention") != 0) return;
  for (int64_t i = 0; i < n; i++) out[i] = -out[i];
}

void run_program(void *argument) {
  const struct execution *e = argument;
  const struct program *p = &e->program;
  struct values v = {.program = p};
  if (vgpu_is_broken()) return;
  if (prepare(&v, e)) {
    for (int i = 0; i < p->n_operations; i++) {
      const struct operation *o = &p->operations[i];
      if (o->kind == OPERATION_MATMUL)
        run_matmul(&v, o);
      else if (o->kind == OPERATION_REDUCTION)
        run_reduction(&v, o);
      else
        run_pointwise(&v, o);
    }
    int out = p->operations[p->n_operations - 1].out;
    spoil(v.of[out], count(&p->tensors[out]));
    write_tensor(v.of[out], &p->tensors[out], e->device[out]);
  } else {
    vgpu_finding("cudnnBackendExecute: no host memory");
  }
  for (int i = 0; i < p->n_tensors; i++) free(v.of[i]);
}
