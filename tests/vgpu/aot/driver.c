/*
 * A libcuda.so.1 without a device, before which the real cuDNN compiles attention for an H100 that
 * is only described to it.
 *
 * cuDNN compiles nothing where no driver is loaded, resolves the names below when one is, and
 * hands it the machine code: which is taken, and never run. Only documented names, and none that
 * says that there were a GPU.
 */
#include <stddef.h>

enum { OK = 0, NO_DEVICE = 100 };

#pragma GCC visibility push(default)

/* Resolved, and not called while compiling. */
#define UNUSED_ENTRIES(X)                                                                          \
  X(cuCtxGetCurrent)                                                                               \
  X(cuCtxGetDevice)                                                                                \
  X(cuCtxGetLimit)                                                                                 \
  X(cuCtxPopCurrent)                                                                               \
  X(cuCtxPushCurrent)                                                                              \
  X(cuDeviceGet)                                                                                   \
  X(cuDeviceGetAttribute)                                                                          \
  X(cuDevicePrimaryCtxRelease)                                                                     \
  X(cuDevicePrimaryCtxReset)                                                                       \
  X(cuDevicePrimaryCtxRetain)                                                                      \
  X(cuFuncGetAttribute)                                                                            \
  X(cuFuncSetAttribute)                                                                            \
  X(cuKernelGetAttribute)                                                                          \
  X(cuLaunchCooperativeKernel)                                                                     \
  X(cuLaunchKernel)                                                                                \
  X(cuLaunchKernelEx)                                                                              \
  X(cuLibraryLoadFromFile)                                                                         \
  X(cuLinkAddData)                                                                                 \
  X(cuLinkAddData_v2)                                                                              \
  X(cuLinkAddFile_v2)                                                                              \
  X(cuLinkComplete)                                                                                \
  X(cuLinkCreate)                                                                                  \
  X(cuLinkCreate_v2)                                                                               \
  X(cuLinkDestroy)                                                                                 \
  X(cuMemcpyDtoH_v2)                                                                               \
  X(cuModuleGetFunction)                                                                           \
  X(cuModuleGetGlobal_v2)                                                                          \
  X(cuModuleLoadData)                                                                              \
  X(cuModuleLoadDataEx)                                                                            \
  X(cuModuleLoadFatBinary)                                                                         \
  X(cuModuleUnload)                                                                                \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor)                                                   \
  X(cuOccupancyMaxPotentialClusterSize)                                                            \
  X(cuStreamGetCtx)                                                                                \
  X(cuStreamSynchronize)                                                                           \
  X(cuTensorMapEncodeTiled)

#define UNUSED_ENTRY(name)                                                                         \
  int name(void);                                                                                  \
  int name(void) {                                                                                 \
    return NO_DEVICE;                                                                              \
  }
UNUSED_ENTRIES(UNUSED_ENTRY)
#undef UNUSED_ENTRY

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);
int cuGetErrorName(int result, const char **name);
int cuGetErrorString(int result, const char **text);
int cuLibraryLoadData(void **library, const void *code);
int cuLibraryGetKernel(void **kernel, void *library, const char *name);
int cuLibraryUnload(void *library);
int cuKernelSetAttribute(int attribute, int value, void *kernel, int device);

#pragma GCC visibility pop

int cuInit(unsigned flags) {
  (void)flags;
  return NO_DEVICE;
}

int cuDriverGetVersion(int *version) {
  *version = 13000;
  return OK;
}

int cuDeviceGetCount(int *count) {
  *count = 0;
  return NO_DEVICE;
}

int cuGetErrorName(int result, const char **name) {
  *name = result == OK ? "CUDA_SUCCESS" : "CUDA_ERROR_NO_DEVICE";
  return OK;
}

int cuGetErrorString(int result, const char **text) {
  return cuGetErrorName(result, text);
}

/* The real one takes six parameters more: options, of which none matters here. */
int cuLibraryLoadData(void **library, const void *code) {
  *library = (void *)code;
  return OK;
}

int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
  (void)name;
  *kernel = library;
  return OK;
}

int cuLibraryUnload(void *library) {
  (void)library;
  return OK;
}

int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) {
  (void)attribute;
  (void)value;
  (void)kernel;
  (void)device;
  return OK;
}
