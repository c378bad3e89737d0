/*
 * The driver's entry points, in one table: nothing else of libcuda.so.1 is ever
 * called. Each is resolved by cuGetProcAddress at API version 12000 (a plain dlsym of
 * "cuMemAlloc" would give the 32-bit function of 2008), so that one build serves
 * drivers 12.x and 13.x. The only dlsym is of cuGetProcAddress_v2 itself.
 *
 *   X(member, symbol, ABI version, parameters)
 *
 * The ABI version is that of the signature, as in cudaTypedefs.h (PFN_cuMemAlloc_v3020).
 */
#ifndef REFILL_KERNELS_CUDA_DRIVER_H
#define REFILL_KERNELS_CUDA_DRIVER_H

#include "base/error.h"
#include "kernels/cuda/driver_types.h"

#define DRIVER_API_VERSION 12000 /* asked of cuGetProcAddress; the oldest driver that serves */

#define DRIVER_TABLE(X)                                                                            \
  X(init, cuInit, 2000, (unsigned flags))                                                          \
  X(get_error_name, cuGetErrorName, 6000, (driver_result result, const char **name))               \
  X(get_error_string, cuGetErrorString, 6000, (driver_result result, const char **text))           \
  X(driver_get_version, cuDriverGetVersion, 2020, (int *version))                                  \
  X(device_get_count, cuDeviceGetCount, 2000, (int *count))                                        \
  X(device_get, cuDeviceGet, 2000, (driver_device * device, int ordinal))                          \
  X(device_get_name, cuDeviceGetName, 2000, (char *name, int bytes, driver_device device))         \
  X(device_get_attribute, cuDeviceGetAttribute, 2000,                                              \
    (int *value, unsigned attribute, driver_device device))                                        \
  X(device_get_pci_bus_id, cuDeviceGetPCIBusId, 4010, (char *id, int bytes, driver_device device)) \
  X(primary_retain, cuDevicePrimaryCtxRetain, 7000,                                                \
    (driver_context * context, driver_device device))                                              \
  X(primary_release, cuDevicePrimaryCtxRelease, 11000, (driver_device device))                     \
  X(set_current, cuCtxSetCurrent, 4000, (driver_context context))                                  \
  X(get_current, cuCtxGetCurrent, 4000, (driver_context * context))                                \
  X(context_synchronize, cuCtxSynchronize, 2000, (void))                                           \
  X(memory_get_info, cuMemGetInfo, 3020, (size_t * free_bytes, size_t * total_bytes))              \
  X(memory_alloc, cuMemAlloc, 3020, (driver_pointer * pointer, size_t bytes))                      \
  X(memory_free, cuMemFree, 3020, (driver_pointer pointer))                                        \
  X(host_register, cuMemHostRegister, 6050, (void *address, size_t bytes, unsigned flags))         \
  X(host_unregister, cuMemHostUnregister, 4000, (void *address))                                   \
  X(pointer_get_attribute, cuPointerGetAttribute, 4000,                                            \
    (void *value, unsigned attribute, driver_pointer pointer))                                     \
  X(copy_in, cuMemcpyHtoDAsync, 3020,                                                              \
    (driver_pointer target, const void *source, size_t bytes, driver_stream stream))               \
  X(copy_out, cuMemcpyDtoHAsync, 3020,                                                             \
    (void *target, driver_pointer source, size_t bytes, driver_stream stream))                     \
  X(copy_within, cuMemcpyDtoDAsync, 3020,                                                          \
    (driver_pointer target, driver_pointer source, size_t bytes, driver_stream stream))            \
  X(copy_2d, cuMemcpy2DAsync, 3020, (const struct CUDA_MEMCPY2D_st *copy, driver_stream stream))   \
  X(fill, cuMemsetD8Async, 3020,                                                                   \
    (driver_pointer target, unsigned char value, size_t bytes, driver_stream stream))              \
  X(module_load, cuModuleLoadDataEx, 2010,                                                         \
    (driver_module * module, const void *image, unsigned n_options, unsigned *options,             \
     void **values))                                                                               \
  X(module_unload, cuModuleUnload, 2000, (driver_module module))                                   \
  X(module_get_function, cuModuleGetFunction, 2000,                                                \
    (driver_function * function, driver_module module, const char *name))                          \
  X(function_get_attribute, cuFuncGetAttribute, 2020,                                              \
    (int *value, unsigned attribute, driver_function function))                                    \
  X(function_set_attribute, cuFuncSetAttribute, 9000,                                              \
    (driver_function function, unsigned attribute, int value))                                     \
  X(launch, cuLaunchKernel, 4000,                                                                  \
    (driver_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,                  \
     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,                  \
     driver_stream stream, void **arguments, void **extra))                                        \
  X(stream_create, cuStreamCreate, 2000, (driver_stream * stream, unsigned flags))                 \
  X(stream_destroy, cuStreamDestroy, 4000, (driver_stream stream))                                 \
  X(stream_wait_event, cuStreamWaitEvent, 3020,                                                    \
    (driver_stream stream, driver_event event, unsigned flags))                                    \
  X(stream_synchronize, cuStreamSynchronize, 2000, (driver_stream stream))                         \
  X(capture_begin, cuStreamBeginCapture, 10010, (driver_stream stream, unsigned mode))             \
  X(capture_end, cuStreamEndCapture, 10000, (driver_stream stream, driver_graph * graph))          \
  X(graph_instantiate, cuGraphInstantiateWithFlags, 11040,                                         \
    (driver_graph_exec * exec, driver_graph graph, unsigned long long flags))                      \
  X(graph_upload, cuGraphUpload, 11010, (driver_graph_exec exec, driver_stream stream))            \
  X(graph_launch, cuGraphLaunch, 10000, (driver_graph_exec exec, driver_stream stream))            \
  X(graph_destroy, cuGraphDestroy, 10000, (driver_graph graph))                                    \
  X(graph_exec_destroy, cuGraphExecDestroy, 10000, (driver_graph_exec exec))                       \
  X(event_create, cuEventCreate, 2000, (driver_event * event, unsigned flags))                     \
  X(event_destroy, cuEventDestroy, 4000, (driver_event event))                                     \
  X(event_record, cuEventRecord, 2000, (driver_event event, driver_stream stream))                 \
  X(event_query, cuEventQuery, 2000, (driver_event event))                                         \
  X(event_synchronize, cuEventSynchronize, 2000, (driver_event event))                             \
  X(event_elapsed, cuEventElapsedTime, 2000,                                                       \
    (float *milliseconds, driver_event start, driver_event end))

/* cuGetProcAddress_v2, by which the rest is found. */
typedef driver_result driver_get_proc(const char *symbol, void **function, int version,
                                      uint64_t flags, unsigned *status);

struct driver {
  void *library;  /* of dlopen */
  char path[256]; /* of the file that was loaded */
  int version;    /* of the driver: 13000 for 13.0 */
#define DRIVER_MEMBER(member, symbol, abi, parameters) driver_result(*member) parameters;
  DRIVER_TABLE(DRIVER_MEMBER)
#undef DRIVER_MEMBER
};

/* Loads `file` (NULL: libcuda.so.1, from the loader's path), resolves the table and initialises.
 * Returns 0, or -ENOTSUP with a sentence that tells no driver, stub library, old driver, mismatch
 * and no device apart and says what to do. driver_close() frees in every case. */
int driver_open(struct driver *driver, const char *file, struct error *error);
void driver_close(struct driver *driver);

/* "CUDA_ERROR_OUT_OF_MEMORY"; never NULL. */
const char *driver_error_name(const struct driver *driver, driver_result result);

#endif
