/*
 * Attention's graph through the real cuDNN, compiled ahead of time for an H100 that is only
 * described, from the builder that the device uses: every preset's heads, whole and as each of 2, 4
 * or 8 GPUs would have them; whole chunks, remainders and single tokens, over pasts up to 128k; K
 * and V as they lie in the cache, Q inside the QKV product.
 *
 * cuDNN looks for a driver before it compiles anything, so a stand-in is loaded first (driver.c).
 * A second a plan: by default one of each preset, with VGPU_FULL=1 all. Without
 * cuDNN this is skipped.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/memory_plan.h"
#include "kernels/cuda/sdpa_graph.h"
#include "model/shape.h"

#define PLAN_JSON 405 /* CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION */
#define JSON_BYTES_MAX (1 << 20)
#define WGMMA_QUERIES_MIN 64 /* the Hopper engine's tile; fewer may go to an older one */

static const char h100[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"multiProcessorCount\":132,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"totalGlobalMem\":85520809984,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"driverVer\":13000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

struct lengths {
  int64_t n_new, n_past;
};

/* The device's chunk, what remains of a prompt after whole ones, one token, a page's worth; without
 * a past, with a short one, with the longest. */
static const struct lengths all_lengths[] = {
    {CHUNK_TOKENS_DEFAULT, 131072 - CHUNK_TOKENS_DEFAULT},
    {37, 128},
    {CHUNK_TOKENS_DEFAULT, 0},
    {CHUNK_TOKENS_DEFAULT, CHUNK_TOKENS_DEFAULT},
    {CHUNK_TOKENS_DEFAULT - 64, 131072 - CHUNK_TOKENS_DEFAULT},
    {2048, 32768},
    {512, 130560},
    {64, 131008},
    {1, 131071},
    {1, 0},
};
#define LENGTHS ((int)(sizeof all_lengths / sizeof all_lengths[0]))
#define LENGTHS_PARTED 4 /* for the heads that one of several GPUs has */
#define LENGTHS_SHORT 1  /* without VGPU_FULL */

/* The H100 as cuDNN knows it. */
static cudnn_descriptor describe(const struct cudnn *cudnn) {
  cudnn_descriptor device = NULL;
  cr_assert_eq(cudnn->descriptor_create(DNN_DEVICE, &device), DNN_SUCCESS);
  cr_assert_eq(cudnn->set(device, DNN_DEVICE_JSON, DNN_TYPE_CHAR, (int64_t)sizeof h100 - 1, h100),
               DNN_SUCCESS);
  cr_assert_eq(cudnn->finalise(device), DNN_SUCCESS);
  return device;
}

/* Whether the plan's own description names a kernel of 9.0's tensor cores. */
static bool is_for_hopper(const struct cudnn *cudnn, cudnn_descriptor plan) {
  int64_t n = 0;
  char *json = calloc(1, JSON_BYTES_MAX);
  bool found = json && cudnn->get(plan, PLAN_JSON, DNN_TYPE_CHAR, JSON_BYTES_MAX - 1, &n, json) ==
                           DNN_SUCCESS;
  found = found && strstr(json, "sm90_flash_fprop_wgmma");
  free(json);
  return found;
}

static void compile(const struct cudnn *cudnn, cudnn_descriptor device, struct sdpa_heads heads,
                    struct lengths lengths) {
  struct sdpa_graph graph;
  struct error error = {0};
  const struct sdpa_problem problem = {lengths.n_new, lengths.n_new + lengths.n_past,
                                       (heads.q_heads + 2 * heads.kv_heads) * heads.head_dim};
  const int failed = sdpa_graph_open(&graph, cudnn, device, heads, &problem, &error);
  cr_expect_eq(failed, 0, "%d/%d heads of %d, %lld new tokens after %lld: %s", heads.q_heads,
               heads.kv_heads, heads.head_dim, (long long)lengths.n_new, (long long)lengths.n_past,
               error.message);
  if (!failed) {
    cr_expect_leq(graph.workspace_bytes, 1 << 20);
    if (lengths.n_new >= WGMMA_QUERIES_MIN)
      cr_expect(is_for_hopper(cudnn, graph.plan),
                "%d/%d heads of %d, %lld new after %lld: no wgmma", heads.q_heads, heads.kv_heads,
                heads.head_dim, (long long)lengths.n_new, (long long)lengths.n_past);
  }
  sdpa_graph_close(&graph, cudnn);
}

static void load(struct cudnn *cudnn) {
  struct error error = {0};
  cr_assert_not_null(dlopen(VGPU_AOT_DRIVER, RTLD_NOW | RTLD_GLOBAL), "%s", dlerror());
  if (cudnn_load(cudnn, NULL, &error) != 0) cr_skip_test("SKIPPED: %s", error.message);
}

static void check_preset(const char *name) {
  struct cudnn cudnn;
  const struct shape *shape = shape_preset(name);
  const bool full = getenv("VGPU_FULL") != NULL;
  cr_assert_not_null(shape, "no preset %s: the list here is to follow model/shape.c", name);
  load(&cudnn);
  cudnn_descriptor device = describe(&cudnn);
  for (int gpus = 1; gpus <= (full ? 8 : 1); gpus *= 2) {
    const struct sdpa_heads heads = {shape->q_heads / gpus, shape->kv_heads / gpus,
                                     shape->head_dim};
    if (shape->q_heads % gpus || shape->kv_heads % gpus) break;
    const int n = !full ? LENGTHS_SHORT : gpus > 1 ? LENGTHS_PARTED : LENGTHS;
    for (int i = 0; i < n; i++) compile(&cudnn, device, heads, all_lengths[i]);
  }
  cudnn.descriptor_destroy(device);
}

#define PRESETS(X)                                                                                 \
  X(llama_3_70b, "llama-3-70b")                                                                    \
  X(llama_3_8b, "llama-3-8b")                                                                      \
  X(llama_3_2_1b, "llama-3.2-1b")                                                                  \
  X(llama_2_7b, "llama-2-7b")                                                                      \
  X(qwen3_14b, "qwen3-14b")                                                                        \
  X(mha_125m, "mha-125m")

#define PRESET_TEST(test, name)                                                                    \
  Test(aot, test) {                                                                                \
    check_preset(name);                                                                            \
  }
PRESETS(PRESET_TEST)
#undef PRESET_TEST

Test(aot, odd_sizes_and_few_heads) {
  struct cudnn cudnn;
  load(&cudnn);
  compile(&cudnn, describe(&cudnn), (struct sdpa_heads){4, 2, 64}, (struct lengths){37, 128});
}

/* A preset that is added is to be compiled here too. */
Test(aot, every_preset_is_here) {
  static const char *const names[] = {
#define PRESET_NAME(test, name) name,
      PRESETS(PRESET_NAME)
#undef PRESET_NAME
  };
  for (int i = 0; shape_preset_name(i); i++) {
    bool found = false;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
      found = found || strcmp(names[k], shape_preset_name(i)) == 0;
    cr_expect(found, "%s is not among them", shape_preset_name(i));
  }
}
