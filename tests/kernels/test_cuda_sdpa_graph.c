/*
 * Attention's graph through the real cuDNN, compiled for an H100 that is only
 * described: what the device builds is what the library's engines accept, K and V as they lie in
 * the cache and Q inside the QKV product. Where cuDNN is not installed this is skipped.
 *
 * cuDNN looks for a driver before it compiles anything, so a stand-in with its name is loaded
 * first. It has no device; it only takes the code that was compiled.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/sdpa_graph.h"

static const char h100[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"multiProcessorCount\":132,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"totalGlobalMem\":85520809984,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"driverVer\":13000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

/* Entry points that cuDNN resolves; none but those with a body of their own is called. */
static const char stand_in[] =
    "#define S(n) int n(void) { return 100; }\n"
    "S(cuCtxGetCurrent) S(cuCtxGetDevice) S(cuCtxGetLimit) S(cuCtxPopCurrent) S(cuCtxPushCurrent)\n"
    "S(cuDeviceGet) S(cuDeviceGetAttribute) S(cuDevicePrimaryCtxRelease)\n"
    "S(cuDevicePrimaryCtxReset) S(cuDevicePrimaryCtxRetain) S(cuFuncGetAttribute)\n"
    "S(cuFuncSetAttribute) S(cuKernelGetAttribute) S(cuLaunchCooperativeKernel) S(cuLaunchKernel)\n"
    "S(cuLaunchKernelEx) S(cuLibraryLoadFromFile) S(cuLinkAddData) S(cuLinkAddData_v2)\n"
    "S(cuLinkAddFile_v2) S(cuLinkComplete) S(cuLinkCreate) S(cuLinkCreate_v2) S(cuLinkDestroy)\n"
    "S(cuMemcpyDtoH_v2) S(cuModuleGetFunction) S(cuModuleGetGlobal_v2) S(cuModuleLoadData)\n"
    "S(cuModuleLoadDataEx) S(cuModuleLoadFatBinary) S(cuModuleUnload)\n"
    "S(cuOccupancyMaxActiveBlocksPerMultiprocessor) S(cuOccupancyMaxPotentialClusterSize)\n"
    "S(cuStreamGetCtx) S(cuStreamSynchronize) S(cuTensorMapEncodeTiled)\n"
    "int cuInit(unsigned f) { return 100; }\n"
    "int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n"
    "int cuDeviceGetCount(int *n) { *n = 0; return 100; }\n"
    "int cuLibraryLoadData(void **l) { *l = (void *)4096; return 0; }\n"
    "int cuLibraryGetKernel(void **k) { *k = (void *)8192; return 0; }\n"
    "int cuLibraryUnload(void *l) { return 0; }\n"
    "int cuGetErrorString(int e, const char **s) { *s = \"none\"; return 0; }\n"
    "int cuGetErrorName(int e, const char **s) { *s = \"NONE\"; return 0; }\n"
    "int cuKernelSetAttribute(void) { return 0; }\n";

static void load_stand_in(void) {
  char directory[] = "/tmp/refill-sdpa-XXXXXX", path[64], command[256];
  cr_assert_not_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/driver.c", directory);
  FILE *stream = fopen(path, "w");
  cr_assert_not_null(stream);
  fputs(stand_in, stream);
  fclose(stream);
  snprintf(command, sizeof command,
           "cd %s && cc -w -shared -fPIC -Wl,-soname,libcuda.so.1 -o libcuda.so.1 driver.c",
           directory);
  const int compiled = system(command);
  snprintf(path, sizeof path, "%s/libcuda.so.1", directory);
  void *library = compiled == 0 ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
  snprintf(command, sizeof command, "rm -r %s", directory);
  cr_expect_eq(system(command), 0);
  if (!library) cr_skip_test("no C compiler here to make a stand-in driver");
}

/* The H100 as cuDNN knows it. */
static cudnn_descriptor describe(const struct cudnn *cudnn) {
  cudnn_descriptor device = NULL;
  cr_assert_eq(cudnn->descriptor_create(DNN_DEVICE, &device), DNN_SUCCESS);
  cr_assert_eq(cudnn->set(device, DNN_DEVICE_JSON, DNN_TYPE_CHAR, (int64_t)sizeof h100 - 1, h100),
               DNN_SUCCESS);
  cr_assert_eq(cudnn->finalise(device), DNN_SUCCESS);
  return device;
}

static void compile(struct sdpa_heads heads, int64_t n_queries, int64_t n_keys) {
  struct cudnn cudnn;
  struct sdpa_graph graph;
  struct error error = {0};
  load_stand_in();
  if (cudnn_load(&cudnn, NULL, &error) != 0) cr_skip_test("%s", error.message);
  const struct sdpa_problem problem = {n_queries, n_keys,
                                       (heads.q_heads + 2 * heads.kv_heads) * heads.head_dim};
  cr_assert_eq(sdpa_graph_open(&graph, &cudnn, describe(&cudnn), heads, &problem, &error), 0, "%s",
               error.message);
  cr_expect_not_null(graph.plan);
  cr_expect_leq(graph.workspace_bytes, 1 << 20);
  sdpa_graph_close(&graph, &cudnn);
}

Test(cuda_sdpa_graph, a_chunk_over_a_long_past) {
  compile((struct sdpa_heads){64, 8, 128}, 2048, 34816);
}

Test(cuda_sdpa_graph, odd_sizes_and_small_heads) {
  compile((struct sdpa_heads){4, 2, 64}, 37, 165);
}

Test(cuda_sdpa_graph, more_queries_than_keys_never_reach_cudnn) {
  struct sdpa_graph graph;
  struct error error = {0};
  const struct cudnn none = {0};
  const struct sdpa_problem problem = {65, 64, 512};
  cr_expect_eq(
      sdpa_graph_open(&graph, &none, NULL, (struct sdpa_heads){4, 2, 64}, &problem, &error),
      -EINVAL);
  cr_expect_not_null(strstr(error.message, "not causal"), "%s", error.message);
}
