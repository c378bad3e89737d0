/* Libraries that are missing, in a named place, or not what their name says. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/lt.h"

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

/* An environment whose python is in PATH, and which no variable names. */
Test(cuda_libraries, found_in_the_environment_of_a_python_in_the_path) {
  char command[256], path[128];
  struct library library;
  struct error error = {0};
  stand_in("libthing.so.7", "int thing;");
  snprintf(command, sizeof command,
           "cd %s && mkdir -p bin lib/python3.12/site-packages/nvidia/x/lib && mv libthing.so.7 "
           "lib/python3.12/site-packages/nvidia/x/lib",
           directory);
  cr_assert_eq(system(command), 0);
  cr_assert_eq(setenv("PATH", "/nowhere::/usr/bin", 1), 0);
  cr_assert_eq(library_open(&library, "libthing.so.7", NULL, &error), -ENOTSUP);
  snprintf(path, sizeof path, "/nowhere::%s/bin:/usr/bin", directory);
  cr_assert_eq(setenv("PATH", path, 1), 0);
  cr_assert_eq(library_open(&library, "libthing.so.7", NULL, &error), 0, "%s", error.message);
  cr_expect_not_null(strstr(library.path, directory), "%s", library.path);
}

/* One in the user's own folders, whose name begins with a dot or not. */
Test(cuda_libraries, found_in_environments_below_home) {
  static const char *const places[] = {".venv", "torch", "work/.venv", "conda/envs/gpu"};
  for (int i = 0; i < 4; i++) {
    char command[400], file[32];
    struct library library;
    struct error error = {0};
    snprintf(file, sizeof file, "libthing.so.%d", 20 + i);
    stand_in(file, "int thing;");
    snprintf(command, sizeof command,
             "cd %s && mkdir -p %s/lib/python3.11/site-packages/nvidia/x/lib && mv %s "
             "%s/lib/python3.11/site-packages/nvidia/x/lib",
             directory, places[i], file, places[i]);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(setenv("HOME", directory, 1), 0);
    cr_expect_eq(library_open(&library, file, NULL, &error), 0, "%s", error.message);
  }
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
