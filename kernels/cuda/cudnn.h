/*
 * The part of cuDNN 9's backend API that Refill uses, declared here and loaded at
 * run time. abi_check_cudnn.c compares it with NVIDIA's header where there is one.
 */
#ifndef REFILL_KERNELS_CUDA_CUDNN_H
#define REFILL_KERNELS_CUDA_CUDNN_H

#include <stdint.h>

#include "kernels/cuda/driver_types.h"
#include "kernels/cuda/libraries.h"

#define CUDNN_MAJOR_WANTED 9

typedef int cudnn_status;
typedef void *cudnn_descriptor; /* cudnnBackendDescriptor_t */
typedef struct cudnnContext *cudnn_handle;

enum { DNN_SUCCESS = 0 };
enum { DNN_FLOAT = 0, DNN_INT32 = 4, DNN_BF16 = 9, DNN_BOOLEAN = 11 }; /* cudnnDataType_t */
enum { DNN_HEURISTIC_A = 3, DNN_REDUCE_ADD = 0, DNN_REDUCE_MAX = 3 };

/* cudnnPointwiseMode_t */
enum {
  DNN_ADD = 0,
  DNN_MULTIPLY = 1,
  DNN_DIVIDE = 6,
  DNN_SUBTRACT = 9,
  DNN_EXP = 13,
  DNN_LOG = 15,
  DNN_GREATER_OR_EQUAL = 303,
  DNN_INDEX = 501,
  DNN_SELECT = 601
};

/* cudnnBackendDescriptorType_t */
enum {
  DNN_POINTWISE = 0,
  DNN_ENGINE_CONFIG = 3,
  DNN_HEURISTIC = 4,
  DNN_PLAN = 5,
  DNN_OPERATION_POINTWISE = 13,
  DNN_GRAPH = 15,
  DNN_PACK = 16,
  DNN_TENSOR = 17,
  DNN_MATMUL = 18,
  DNN_OPERATION_MATMUL = 19,
  DNN_REDUCTION = 21,
  DNN_OPERATION_REDUCTION = 22,
  DNN_DEVICE = 38
};

/* cudnnBackendAttributeType_t */
enum {
  DNN_TYPE_HANDLE = 0,
  DNN_TYPE_DATA = 1,
  DNN_TYPE_BOOL = 2,
  DNN_TYPE_INT64 = 3,
  DNN_TYPE_POINTER = 6,
  DNN_TYPE_HEURISTIC = 8,
  DNN_TYPE_POINTWISE = 14,
  DNN_TYPE_DESCRIPTOR = 15,
  DNN_TYPE_REDUCTION = 18,
  DNN_TYPE_CHAR = 24
};

/* cudnnBackendAttributeName_t */
enum {
  DNN_POINTWISE_MODE = 0,
  DNN_POINTWISE_PRECISION = 1,
  DNN_POINTWISE_AXIS = 9,
  DNN_HEURISTIC_MODE = 200,
  DNN_HEURISTIC_GRAPH = 201,
  DNN_HEURISTIC_RESULTS = 202,
  DNN_HEURISTIC_DEVICE = 204,
  DNN_PLAN_HANDLE = 400,
  DNN_PLAN_CONFIG = 401,
  DNN_PLAN_WORKSPACE = 402,
  DNN_PLAN_DEVICE = 407,
  DNN_OPERATION_POINTWISE_DESC = 750,
  DNN_OPERATION_POINTWISE_X = 751,
  DNN_OPERATION_POINTWISE_B = 752,
  DNN_OPERATION_POINTWISE_Y = 753,
  DNN_OPERATION_POINTWISE_T = 758,
  DNN_GRAPH_HANDLE = 800,
  DNN_GRAPH_OPERATIONS = 801,
  DNN_TENSOR_ALIGNMENT = 900,
  DNN_TENSOR_DATA = 901,
  DNN_TENSOR_DIMENSIONS = 902,
  DNN_TENSOR_STRIDES = 903,
  DNN_TENSOR_ID = 906,
  DNN_TENSOR_VIRTUAL = 907,
  DNN_TENSOR_BY_VALUE = 908,
  DNN_PACK_IDS = 1000,
  DNN_PACK_POINTERS = 1001,
  DNN_PACK_WORKSPACE = 1003,
  DNN_MATMUL_PRECISION = 1500,
  DNN_OPERATION_MATMUL_A = 1520,
  DNN_OPERATION_MATMUL_B = 1521,
  DNN_OPERATION_MATMUL_C = 1522,
  DNN_OPERATION_MATMUL_DESC = 1523,
  DNN_REDUCTION_OPERATOR = 1600,
  DNN_REDUCTION_PRECISION = 1601,
  DNN_OPERATION_REDUCTION_X = 1610,
  DNN_OPERATION_REDUCTION_Y = 1611,
  DNN_OPERATION_REDUCTION_DESC = 1612,
  DNN_DEVICE_JSON = 2702
};

#define CUDNN_TABLE(X)                                                                             \
  X(get_version, cudnnGetVersion, size_t, (void))                                                  \
  X(error_string, cudnnGetErrorString, const char *, (cudnn_status status))                        \
  X(last_error, cudnnGetLastErrorString, void, (char *text, size_t bytes))                         \
  X(create, cudnnCreate, cudnn_status, (cudnn_handle * handle))                                    \
  X(destroy, cudnnDestroy, cudnn_status, (cudnn_handle handle))                                    \
  X(set_stream, cudnnSetStream, cudnn_status, (cudnn_handle handle, driver_stream stream))         \
  X(descriptor_create, cudnnBackendCreateDescriptor, cudnn_status,                                 \
    (unsigned type, cudnn_descriptor *descriptor))                                                 \
  X(descriptor_destroy, cudnnBackendDestroyDescriptor, cudnn_status,                               \
    (cudnn_descriptor descriptor))                                                                 \
  X(finalise, cudnnBackendFinalize, cudnn_status, (cudnn_descriptor descriptor))                   \
  X(set, cudnnBackendSetAttribute, cudnn_status,                                                   \
    (cudnn_descriptor descriptor, unsigned name, unsigned type, int64_t n, const void *values))    \
  X(get, cudnnBackendGetAttribute, cudnn_status,                                                   \
    (cudnn_descriptor descriptor, unsigned name, unsigned type, int64_t n_asked, int64_t *n_got,   \
     void *values))                                                                                \
  X(execute, cudnnBackendExecute, cudnn_status,                                                    \
    (cudnn_handle handle, cudnn_descriptor plan, cudnn_descriptor pack))

struct cudnn {
  struct library library;
  cudnn_handle handle; /* NULL until cudnn_start() */
  int major, minor, patch;
#define CUDNN_MEMBER(member, symbol, result, parameters) result(*member) parameters;
  CUDNN_TABLE(CUDNN_MEMBER)
#undef CUDNN_MEMBER
};

/* Loads libcudnn.so.9; -ENOTSUP where it is missing or of another version. */
int cudnn_load(struct cudnn *cudnn, const char *directory, struct error *error);

/* Loads NVRTC, with which cuDNN compiles attention, and its builtins: of both majors where both are
 * there, since cuDNN does not say which is its own; `nvrtc` is the one that fits the driver better.
 * cuDNN asks the loader for it by name alone, when it first compiles, and NVRTC so for its
 * builtins: with pip's packages neither is on the loader's path. What is loaded already is found.
 * Looks where library_open() does and in the folders beside cuDNN's. -ENOTSUP where it is nowhere.
 */
int cudnn_load_nvrtc(const struct cudnn *cudnn, int driver_version, const char *directory,
                     struct library *nvrtc, struct error *error);

/* Makes a handle in the current context. */
int cudnn_start(struct cudnn *cudnn, struct error *error);
void cudnn_close(struct cudnn *cudnn);

/* 0, or a negative errno with "what: status, the library's own words". */
int cudnn_check(const struct cudnn *cudnn, cudnn_status status, const char *what,
                struct error *error);

#endif
