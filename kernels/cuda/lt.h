/*
 * The part of cuBLASLt that Refill uses, declared here and loaded at run time.
 * abi_check_lt.c compares every constant and size with NVIDIA's header where there is one.
 */
#ifndef REFILL_KERNELS_CUDA_LT_H
#define REFILL_KERNELS_CUDA_LT_H

#include <stdint.h>

#include "kernels/cuda/driver_types.h"
#include "kernels/cuda/libraries.h"

typedef int lt_status; /* cublasStatus_t */
typedef void *lt_handle, *lt_desc, *lt_layout, *lt_preference;

enum { LT_SUCCESS = 0, LT_NOT_INITIALIZED = 1, LT_INVALID_VALUE = 7, LT_NOT_SUPPORTED = 15 };
enum { LT_TYPE_FLOAT = 0, LT_TYPE_BF16 = 14, LT_TYPE_E4M3 = 28 }; /* cudaDataType */
enum { LT_COMPUTE_FLOAT = 68, LT_OP_NONE = 0, LT_OP_TRANSPOSE = 1 };

/* cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t */
enum {
  LT_DESC_TRANS_A = 3,
  LT_DESC_TRANS_B = 4,
  LT_DESC_SCALE_A = 17,
  LT_DESC_SCALE_B = 18,
  LT_DESC_FAST_ACCUMULATION = 25,
  LT_PREFERENCE_WORKSPACE = 1,
  LT_PREFERENCE_ALIGNMENT_A = 5,
  LT_PREFERENCE_ALIGNMENT_B = 6,
  LT_PREFERENCE_ALIGNMENT_C = 7,
  LT_PREFERENCE_ALIGNMENT_D = 8
};

struct lt_algorithm {
  uint64_t data[8];
};

struct lt_choice { /* cublasLtMatmulHeuristicResult_t */
  struct lt_algorithm algorithm;
  size_t workspace_bytes;
  lt_status state;
  float waves;
  int reserved[4];
};

#define LT_TABLE(X)                                                                                \
  X(create, cublasLtCreate, lt_status, (lt_handle * handle))                                       \
  X(destroy, cublasLtDestroy, lt_status, (lt_handle handle))                                       \
  X(get_version, cublasLtGetVersion, size_t, (void))                                               \
  X(status_name, cublasLtGetStatusName, const char *, (lt_status status))                          \
  X(desc_create, cublasLtMatmulDescCreate, lt_status,                                              \
    (lt_desc * desc, int compute_type, int scale_type))                                            \
  X(desc_destroy, cublasLtMatmulDescDestroy, lt_status, (lt_desc desc))                            \
  X(desc_set, cublasLtMatmulDescSetAttribute, lt_status,                                           \
    (lt_desc desc, int attribute, const void *value, size_t bytes))                                \
  X(layout_create, cublasLtMatrixLayoutCreate, lt_status,                                          \
    (lt_layout * layout, int type, uint64_t rows, uint64_t columns, int64_t leading))              \
  X(layout_destroy, cublasLtMatrixLayoutDestroy, lt_status, (lt_layout layout))                    \
  X(preference_create, cublasLtMatmulPreferenceCreate, lt_status, (lt_preference * preference))    \
  X(preference_destroy, cublasLtMatmulPreferenceDestroy, lt_status, (lt_preference preference))    \
  X(preference_set, cublasLtMatmulPreferenceSetAttribute, lt_status,                               \
    (lt_preference preference, int attribute, const void *value, size_t bytes))                    \
  X(heuristic, cublasLtMatmulAlgoGetHeuristic, lt_status,                                          \
    (lt_handle handle, lt_desc desc, lt_layout a, lt_layout b, lt_layout c, lt_layout d,           \
     lt_preference preference, int n_asked, struct lt_choice *choices, int *n_got))                \
  X(matmul, cublasLtMatmul, lt_status,                                                             \
    (lt_handle handle, lt_desc desc, const void *alpha, const void *a, lt_layout a_layout,         \
     const void *b, lt_layout b_layout, const void *beta, const void *c, lt_layout c_layout,       \
     void *d, lt_layout d_layout, const struct lt_algorithm *algorithm, void *workspace,           \
     size_t workspace_bytes, driver_stream stream))

struct lt {
  struct library library;
  lt_handle handle;
  int major, minor, patch;
#define LT_MEMBER(member, symbol, result, parameters) result(*member) parameters;
  LT_TABLE(LT_MEMBER)
#undef LT_MEMBER
};

/* Loads the major that fits the driver's version, or the other where that has no handle, and makes
 * a handle in the current context. Returns 0 or -ENOTSUP with what each refused. */
int lt_open(struct lt *lt, int driver_version, const char *directory, struct error *error);
void lt_close(struct lt *lt);

/* 0, or a negative errno with "what: CUBLAS_STATUS_..." */
int lt_check(const struct lt *lt, lt_status status, const char *what, struct error *error);

#endif
