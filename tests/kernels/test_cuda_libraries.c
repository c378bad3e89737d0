/* Libraries that are missing, in a named place, or not what their name says. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/lt.h"
#include "kernels/cuda/nvml.h"

static char directory[] = "/tmp/refill-libraries-XXXXXX";

static void make_directory(void) {
  cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", directory);
  cr_expect_eq(system(command), 0);
}

TestSuite(cuda_libraries, .init = make_directory, .fini = remove_directory);

static void stand_in(const char *name, const char *source) {
  char command[1200];
  snprintf(command, sizeof command, "echo '%s' | cc -w -xc -shared -fPIC -o %s/%s - 2>/dev/null",
           source, directory, name);
  if (system(command) != 0) cr_skip_test("no C compiler here to make a stand-in library");
}

Test(cuda_libraries, missing_in_a_named_directory) {
  struct library library;
  struct error error = {0};
  cr_assert_eq(library_open(&library, "libcublasLt.so.13", directory, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, directory), "%s", error.message);
}

Test(cuda_libraries, missing_everywhere) {
  struct library library;
  struct error error = {0};
  cr_assert_eq(library_open(&library, "libnosuch.so.99", NULL, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, "--cuda-libdir"), "%s", error.message);
}

Test(cuda_libraries, found_in_the_named_directory) {
  struct library library;
  struct error error = {0};
  stand_in("libthing.so.1", "int thing(void) { return 5; }");
  cr_assert_eq(library_open(&library, "libthing.so.1", directory, &error), 0, "%s", error.message);
  cr_expect_not_null(strstr(library.path, directory), "%s", library.path);
  int (*thing)(void) = NULL;
  const struct library_symbol good = {"thing", &thing}, bad = {"other", &thing};
  cr_expect_eq(library_resolve(&library, &good, 1, &error), 0);
  cr_expect_eq(thing(), 5);
  cr_expect_eq(library_resolve(&library, &bad, 1, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, "no other"), "%s", error.message);
}

/* Everything that cuBLASLt exports for us, as one function; version and creation can be wrong. */
#define LT_NAMES(X)                                                                                \
  X(cublasLtDestroy)                                                                               \
  X(cublasLtMatmulDescCreate)                                                                      \
  X(cublasLtMatmulDescDestroy)                                                                     \
  X(cublasLtMatmulDescSetAttribute)                                                                \
  X(cublasLtMatrixLayoutCreate)                                                                    \
  X(cublasLtMatrixLayoutDestroy)                                                                   \
  X(cublasLtMatmulPreferenceCreate)                                                                \
  X(cublasLtMatmulPreferenceDestroy)                                                               \
  X(cublasLtMatmulPreferenceSetAttribute)                                                          \
  X(cublasLtMatmulAlgoGetHeuristic)                                                                \
  X(cublasLtMatmul)
#define LT_FUNCTION(name) "int " #name "(void) { return 0; }"

#define LT_REST LT_NAMES(LT_FUNCTION) "char *cublasLtGetStatusName(int s) { return \"STATUS\"; }"

Test(cuda_libraries, the_other_major_is_tried_where_the_first_has_no_handle) {
  struct lt lt;
  struct error error = {0};
  stand_in("libcublasLt.so.13", LT_REST "long cublasLtGetVersion(void) { return 130100; }"
                                        "int cublasLtCreate(void **h) { return 1; }");
  stand_in("libcublasLt.so.12", LT_REST "long cublasLtGetVersion(void) { return 120304; }"
                                        "int cublasLtCreate(void **h) { return 0; }");
  cr_assert_eq(lt_open(&lt, 13000, directory, &error), 0, "%s", error.message);
  cr_expect_eq(lt.major, 12);
  cr_expect_eq(lt.minor, 3);
  cr_expect_eq(lt.patch, 4);
}

Test(cuda_libraries, a_library_of_another_version_is_refused) {
  struct lt lt;
  struct error error = {0};
  stand_in("libcublasLt.so.13", LT_REST "long cublasLtGetVersion(void) { return 120304; }"
                                        "int cublasLtCreate(void **h) { return 0; }");
  cr_assert_eq(lt_open(&lt, 13000, directory, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, "12.3.4"), "%s", error.message);
}

Test(cuda_libraries, cudnn_without_its_functions_is_refused) {
  struct cudnn cudnn;
  struct error error = {0};
  stand_in("libcudnn.so.9", "long cudnnGetVersion(void) { return 91900; }");
  cr_assert_eq(cudnn_load(&cudnn, directory, &error), -ENOTSUP);
  cr_expect_not_null(strstr(error.message, "has no cudnn"), "%s", error.message);
}

Test(cuda_libraries, nvml_reads_what_holds_the_clocks_down_and_the_link) {
  struct nvml nvml;
  struct nvml_state state;
  struct nvml_link link;
  struct error error = {0};
  stand_in("libnvidia-ml.so.1",
           "int nvmlInit_v2(void) { return 0; } int nvmlShutdown(void) { return 0; }"
           "int nvmlDeviceGetHandleByPciBusId_v2(const char *i, void **d) {"
           "  *d = (void *)8; return i[0] == 65 ? 0 : 6; }"
           "int nvmlDeviceGetClockInfo(void *d, int t, unsigned *m) { *m = 1000 * t; return 0; }"
           "int nvmlDeviceGetPowerUsage(void *d, unsigned *p) { *p = 650500; return 0; }"
           "int nvmlDeviceGetTemperature(void *d, int s, unsigned *t) { *t = 61; return 0; }"
           "int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *r) {"
           "  *r = 5; return 0; }"
           "int nvmlDeviceGetCurrPcieLinkGeneration(void *d, unsigned *g) { *g = 4; return 0; }"
           "int nvmlDeviceGetMaxPcieLinkGeneration(void *d, unsigned *g) { *g = 5; return 0; }"
           "int nvmlDeviceGetCurrPcieLinkWidth(void *d, unsigned *w) { *w = 8; return 0; }"
           "int nvmlDeviceGetMaxPcieLinkWidth(void *d, unsigned *w) { *w = 16; return 0; }");
  cr_assert_eq(setenv("CUDA_HOME", directory, 1), 0);
  char command[192];
  snprintf(command, sizeof command, "mkdir %s/lib64 && cp %s/lib*.so.1 %s/lib64", directory,
           directory, directory);
  cr_assert_eq(system(command), 0);
  cr_assert_eq(nvml_open(&nvml, "A:00", &error), 0, "%s", error.message);
  cr_assert_eq(nvml_read(&nvml, &state, &error), 0, "%s", error.message);
  cr_expect_eq(state.sm_mhz, 1000);
  cr_expect_eq(state.memory_mhz, 2000);
  cr_expect_float_eq(state.power_w, 650.5, 1e-9);
  cr_expect_str_eq(nvml_reason_name(state.reasons), "power cap", "idle (1) is no reason");
  cr_assert_eq(nvml_read_link(&nvml, &link, &error), 0, "%s", error.message);
  cr_expect_eq(link.gt_per_s, 16);
  cr_expect_eq(link.max_gt_per_s, 32);
  cr_expect_eq(link.width, 8);
  cr_expect_eq(link.max_width, 16);
  nvml_close(&nvml);
  cr_expect_eq(nvml_open(&nvml, "B:00", &error), -ENOTSUP);
  cr_expect_eq(nvml_read(&nvml, &state, NULL), -ENOTSUP);
  cr_expect_eq(nvml_read_link(&nvml, &link, NULL), -ENOTSUP);
}

/* As pip lays them out; the directory that is named holds cuDNN only. */
Test(cuda_libraries, nvrtc_is_found_beside_cudnn) {
  char command[400], cudnn_directory[64];
  struct cudnn cudnn = {0};
  struct library nvrtc;
  struct error error = {0};
  snprintf(command, sizeof command, "mkdir -p %s/cudnn/lib %s/other/lib", directory, directory);
  cr_assert_eq(system(command), 0);
  stand_in("other/lib/libnvrtc.so.12", "int nvrtcVersion(void) { return 0; }");
  stand_in("other/lib/libnvrtc-builtins.so.12.8 -Wl,-soname,libnvrtc-builtins.so.12.8",
           "int builtins;");
  snprintf(cudnn.library.path, sizeof cudnn.library.path, "%s/cudnn/lib/libcudnn.so.9", directory);
  snprintf(cudnn_directory, sizeof cudnn_directory, "%s/cudnn/lib", directory);
  cr_assert_eq(cudnn_load_nvrtc(&cudnn, 12080, cudnn_directory, &nvrtc, &error), 0, "%s",
               error.message);
  cr_expect_not_null(strstr(nvrtc.path, directory), "%s", nvrtc.path);
  cr_expect_not_null(dlopen("libnvrtc-builtins.so.12.8", RTLD_NOW | RTLD_NOLOAD));
}
