/*
 * Compares lt.h with NVIDIA's cublasLt.h, at compile time, where that is installed.
 */
#include "kernels/cuda/lt.h"

#if __has_include(<cublasLt.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <cublasLt.h>
#pragma GCC diagnostic pop

#define CHECK_VALUE(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)
CHECK_VALUE(LT_SUCCESS, CUBLAS_STATUS_SUCCESS);
CHECK_VALUE(LT_NOT_INITIALIZED, CUBLAS_STATUS_NOT_INITIALIZED);
CHECK_VALUE(LT_INVALID_VALUE, CUBLAS_STATUS_INVALID_VALUE);
CHECK_VALUE(LT_NOT_SUPPORTED, CUBLAS_STATUS_NOT_SUPPORTED);
CHECK_VALUE(LT_TYPE_FLOAT, CUDA_R_32F);
CHECK_VALUE(LT_TYPE_BF16, CUDA_R_16BF);
CHECK_VALUE(LT_TYPE_E4M3, CUDA_R_8F_E4M3);
CHECK_VALUE(LT_COMPUTE_FLOAT, CUBLAS_COMPUTE_32F);
CHECK_VALUE(LT_OP_NONE, CUBLAS_OP_N);
CHECK_VALUE(LT_OP_TRANSPOSE, CUBLAS_OP_T);
CHECK_VALUE(LT_DESC_TRANS_A, CUBLASLT_MATMUL_DESC_TRANSA);
CHECK_VALUE(LT_DESC_TRANS_B, CUBLASLT_MATMUL_DESC_TRANSB);
CHECK_VALUE(LT_DESC_SCALE_A, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER);
CHECK_VALUE(LT_DESC_SCALE_B, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER);
CHECK_VALUE(LT_DESC_FAST_ACCUMULATION, CUBLASLT_MATMUL_DESC_FAST_ACCUM);
CHECK_VALUE(LT_PREFERENCE_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
CHECK_VALUE(LT_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
CHECK_VALUE(LT_PREFERENCE_ALIGNMENT_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
CHECK_VALUE(LT_PREFERENCE_ALIGNMENT_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
CHECK_VALUE(LT_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
_Static_assert(sizeof(struct lt_algorithm) == sizeof(cublasLtMatmulAlgo_t), "cublasLtMatmulAlgo_t");
_Static_assert(sizeof(struct lt_choice) == sizeof(cublasLtMatmulHeuristicResult_t), "result");
#define CHECK_OFFSET(ours, theirs)                                                                 \
  _Static_assert(offsetof(struct lt_choice, ours) ==                                               \
                     offsetof(cublasLtMatmulHeuristicResult_t, theirs),                            \
                 #theirs)
CHECK_OFFSET(workspace_bytes, workspaceSize);
CHECK_OFFSET(state, state);
CHECK_OFFSET(waves, wavesCount);
_Static_assert(sizeof(lt_handle) == sizeof(cublasLtHandle_t), "handle");
_Static_assert(sizeof(lt_status) == sizeof(cublasStatus_t), "status");
#else
typedef int abi_check_lt_needs_cublas_headers; /* a translation unit may not be empty */
#endif
