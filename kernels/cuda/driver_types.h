/*
 * The part of the CUDA driver API that Refill uses, declared here, so that it
 * builds where no CUDA is installed. Handles keep NVIDIA's struct tags, which makes the types
 * compatible with cuda.h; abi_check.c compares every signature, constant and offset with
 * the real header where there is one.
 */
#ifndef REFILL_KERNELS_CUDA_DRIVER_TYPES_H
#define REFILL_KERNELS_CUDA_DRIVER_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned driver_result;                   /* CUresult */
typedef int driver_device;                        /* CUdevice */
typedef unsigned long long driver_pointer;        /* CUdeviceptr: an address in device memory */
typedef struct CUctx_st *driver_context;          /* CUcontext */
typedef struct CUmod_st *driver_module;           /* CUmodule */
typedef struct CUfunc_st *driver_function;        /* CUfunction */
typedef struct CUstream_st *driver_stream;        /* CUstream */
typedef struct CUevent_st *driver_event;          /* CUevent */
typedef struct CUgraph_st *driver_graph;          /* CUgraph */
typedef struct CUgraphExec_st *driver_graph_exec; /* CUgraphExec */
struct CUDA_MEMCPY2D_st;                          /* as driver_copy_2d below; cast at the call */

/* CUDA_MEMCPY2D: `height` rows of `width` bytes between two pitches. */
struct driver_copy_2d {
  size_t source_x_bytes, source_y;
  unsigned source_kind; /* DRIVER_MEMORY_* */
  const void *source_host;
  driver_pointer source_device;
  void *source_array;
  size_t source_pitch_bytes;
  size_t target_x_bytes, target_y;
  unsigned target_kind;
  void *target_host;
  driver_pointer target_device;
  void *target_array;
  size_t target_pitch_bytes;
  size_t width_bytes, height;
};

enum { DRIVER_MEMORY_HOST = 1, DRIVER_MEMORY_DEVICE = 2 };

/* CUresult values that are told apart. */
enum {
  DRIVER_SUCCESS = 0,
  DRIVER_INVALID_VALUE = 1,
  DRIVER_OUT_OF_MEMORY = 2,
  DRIVER_STUB_LIBRARY = 34,
  DRIVER_DEVICE_UNAVAILABLE = 46,
  DRIVER_NO_DEVICE = 100,
  DRIVER_INVALID_DEVICE = 101,
  DRIVER_NO_BINARY_FOR_GPU = 209,
  DRIVER_NOT_FOUND = 500,
  DRIVER_NOT_READY = 600,
  DRIVER_SYSTEM_NOT_READY = 802,
  DRIVER_MISMATCH = 803,
  DRIVER_COMPAT_NOT_SUPPORTED = 804,
  DRIVER_UNKNOWN = 999
};

enum {
  DRIVER_STREAM_NON_BLOCKING = 1,
  DRIVER_CAPTURE_RELAXED = 2, /* libraries may load what they have not loaded yet */
  DRIVER_EVENT_DEFAULT = 0,
  DRIVER_EVENT_DISABLE_TIMING = 2,
  DRIVER_PROC_DEFAULT = 0,
  DRIVER_POINTER_MEMORY_TYPE = 2,
  DRIVER_JIT_ERROR_LOG = 5,
  DRIVER_JIT_ERROR_LOG_BYTES = 6,
  DRIVER_FUNCTION_STATIC_SHARED = 1,
  DRIVER_FUNCTION_LOCAL_BYTES = 3,
  DRIVER_FUNCTION_REGISTERS = 4,
  DRIVER_FUNCTION_BINARY_VERSION = 6,
  DRIVER_FUNCTION_MAX_DYNAMIC_SHARED = 8
};

/* CUdevice_attribute */
enum {
  DRIVER_ATTRIBUTE_CLOCK_KHZ = 13,
  DRIVER_ATTRIBUTE_MULTIPROCESSORS = 16,
  DRIVER_ATTRIBUTE_COMPUTE_MODE = 20,
  DRIVER_ATTRIBUTE_MEMORY_CLOCK_KHZ = 36,
  DRIVER_ATTRIBUTE_MEMORY_BUS_BITS = 37,
  DRIVER_ATTRIBUTE_L2_BYTES = 38,
  DRIVER_ATTRIBUTE_CAPABILITY_MAJOR = 75,
  DRIVER_ATTRIBUTE_CAPABILITY_MINOR = 76,
  DRIVER_ATTRIBUTE_SHARED_OPTIN_BYTES = 97
};

#endif
