/*
 * What the stand-in of cuDNN keeps: descriptors as lists of attributes, and what a plan makes of
 * them.
 */
#ifndef REFILL_TESTS_VGPU_DNN_STATE_H
#define REFILL_TESTS_VGPU_DNN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/cudnn.h"
#include "tests/vgpu/libcuda/hooks.h"

#define DNN_ALIVE 0x444e4e44U
#define ATTRIBUTES_MAX 12
#define PROGRAM_TENSORS 48
#define PROGRAM_OPERATIONS 32

/* cudnnStatus_t */
enum {
  STATUS_NOT_INITIALIZED = 1001,
  STATUS_BAD_PARAM = 2000,
  STATUS_NULL_POINTER = 2002,
  STATUS_MISALIGNED_POINTER = 2003,
  STATUS_NOT_FINALIZED = 2004,
  STATUS_OUT_OF_BOUND = 2005,
  STATUS_SIZE_INSUFFICIENT = 2006,
  STATUS_SHAPE_MISMATCH = 2008,
  STATUS_DUPLICATED_ENTRIES = 2009,
  STATUS_ATTRIBUTE_TYPE = 2010,
  STATUS_DESCRIPTOR_TYPE = 2012,
  STATUS_NOT_SUPPORTED = 3000,
  STATUS_NOT_SUPPORTED_GRAPH = 3001,
  STATUS_NOT_SUPPORTED_SHAPE = 3002,
  STATUS_NOT_SUPPORTED_DATA = 3003,
  STATUS_INTERNAL_ERROR = 4000
};

struct attribute {
  unsigned name;
  int64_t n;
  size_t bytes;
  void *values;
};

struct cudnnContext {
  unsigned alive;
  driver_stream stream;
  bool has_stream;
};

struct tensor {
  int64_t id, alignment;
  int data, n_dimensions;
  int64_t dimensions[4], strides[4];
  bool is_virtual, by_value;
};

enum operation_kind { OPERATION_POINTWISE, OPERATION_MATMUL, OPERATION_REDUCTION };

/* Tensors by index in the program; -1: none. */
struct operation {
  enum operation_kind kind;
  int mode; /* of pointwise, or the reduction's operator */
  int64_t axis;
  int x, b, t, out;
};

struct program {
  struct tensor tensors[PROGRAM_TENSORS];
  int n_tensors;
  struct operation operations[PROGRAM_OPERATIONS];
  int n_operations;
};

struct descriptor {
  unsigned alive, type;
  bool finalised;
  bool refuses; /* an engine configuration whose plan does not compile */
  struct attribute attributes[ATTRIBUTES_MAX];
  int n_attributes;
  struct descriptor *graph; /* of an engine configuration */
  struct program program;   /* of a plan */
  bool executed;            /* a plan: its kernel is loaded */
};

/* attributes.c: the attribute of this name, or NULL; its first value as a descriptor or number. */
const struct attribute *attribute_find(const struct descriptor *descriptor, unsigned name);
struct descriptor *attribute_descriptor(const struct descriptor *descriptor, unsigned name);
int64_t attribute_int64(const struct descriptor *descriptor, unsigned name, int64_t otherwise);
int attribute_int(const struct descriptor *descriptor, unsigned name, int otherwise);

/* Stores values where the real library takes them: status. */
cudnn_status attribute_set(struct descriptor *descriptor, unsigned name, unsigned type, int64_t n,
                           const void *values);

/* Whether all that is required is there. */
cudnn_status attributes_complete(const struct descriptor *descriptor);

/* Records and prints why; returns the status. */
cudnn_status dnn_refuse(cudnn_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* program.c: checks single descriptors when they are finalised, and makes a plan's program. */
cudnn_status descriptor_check(const struct descriptor *descriptor);
cudnn_status program_make(struct program *program, const struct descriptor *graph);

/* compute.c: runs on the stream. */
struct execution {
  struct program program;
  uint64_t device[PROGRAM_TENSORS]; /* addresses of tensors that are neither virtual nor values */
  double value[PROGRAM_TENSORS];    /* by value, read when the execution was enqueued */
};
void run_program(void *argument);

/* Bytes from the first to the last element, and of one. */
size_t tensor_bytes(const struct tensor *tensor);
size_t data_bytes(int data);

#endif
