/*
 * Every way in which a driver can be missing or wrong has its own sentence.
 * Stand-ins for libcuda.so.1 are compiled here, each with one fault.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cuda/gpu.h"

/* A driver with one GPU: each entry point is the same function but where a case says otherwise. */
static const char common[] =
    "#include <string.h>\n"
    "#ifndef INIT\n#define INIT 0\n#endif\n"
    "#ifndef VERSION\n#define VERSION 13000\n#endif\n"
    "#ifndef COUNT\n#define COUNT 1\n#endif\n"
    "#ifndef RETAIN\n#define RETAIN 0\n#endif\n"
    "#ifndef MAJOR\n#define MAJOR 9\n#endif\n"
    "#ifndef MISSING\n#define MISSING \"\"\n#endif\n"
    "static int nothing(void) { return 0; }\n"
    "static int init(unsigned f) { return INIT; }\n"
    "static int version(int *v) { *v = VERSION; return 0; }\n"
    "static int count(int *n) { *n = COUNT; return 0; }\n"
    "static int attribute(int *v, int a, int d) { *v = a == 75 ? MAJOR : 0; return 0; }\n"
    "static int retain(void **c, int d) { return RETAIN; }\n"
    "static int name(char *n, int b, int d) { strcpy(n, \"Stand-in\"); return 0; }\n"
    "int cuGetProcAddress_v2(const char *s, void **f, int v, unsigned long long x, int *q) {\n"
    "  if (v != 12000) return 1;\n"
    "  if (!strcmp(s, MISSING)) { *f = 0; return 500; }\n"
    "  *f = !strcmp(s, \"cuInit\") ? (void *)init : !strcmp(s, \"cuDriverGetVersion\") ? \n"
    "       (void *)version : !strcmp(s, \"cuDeviceGetCount\") ? (void *)count :\n"
    "       !strcmp(s, \"cuDeviceGetAttribute\") ? (void *)attribute :\n"
    "       !strcmp(s, \"cuDeviceGetName\") || !strcmp(s, \"cuDeviceGetPCIBusId\") ? (void *)name "
    ":\n"
    "       !strcmp(s, \"cuDevicePrimaryCtxRetain\") ? (void *)retain : (void *)nothing;\n"
    "  return 0;\n"
    "}\n";

static char directory[] = "/tmp/refill-driver-XXXXXX";

static void make_directory(void) {
  cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", directory);
  cr_expect_eq(system(command), 0);
}

TestSuite(cuda_driver, .init = make_directory, .fini = remove_directory);

/* Compiles a stand-in with `flags`; its path. */
static const char *stand_in(const char *source, const char *flags) {
  static char path[64];
  char file[64], command[400];
  snprintf(file, sizeof file, "%s/driver.c", directory);
  snprintf(path, sizeof path, "%s/libcuda.so.1", directory);
  FILE *stream = fopen(file, "w");
  cr_assert_not_null(stream);
  fputs(source, stream);
  fclose(stream);
  snprintf(command, sizeof command, "cc -w -shared -fPIC %s -o %s %s 2>/dev/null", flags, path,
           file);
  if (system(command) != 0) cr_skip_test("no C compiler here to make a stand-in driver");
  return path;
}

static void expect_refusal(const char *file, const char *index, int code, const char *words) {
  struct gpu gpu;
  struct error error = {0};
  cr_expect_eq(gpu_open(&gpu, index, file, &error), code, "%s", error.message);
  cr_expect_not_null(strstr(error.message, words), "does not say \"%s\": %s", words, error.message);
  gpu_close(&gpu);
}

Test(cuda_driver, none) {
  expect_refusal("/nowhere/libcuda.so.1", NULL, -ENOTSUP, "no NVIDIA driver here");
}

Test(cuda_driver, before_12_has_no_lookup) {
  expect_refusal(stand_in("int cuInit(unsigned f) { return 0; }", ""), NULL, -ENOTSUP, "too old");
}

Test(cuda_driver, lacks_an_entry_point) {
  expect_refusal(stand_in(common, "-DMISSING='\"cuMemHostRegister\"'"), NULL, -ENOTSUP,
                 "no cuMemHostRegister");
}

Test(cuda_driver, old_version) {
  expect_refusal(stand_in(common, "-DVERSION=11080"), NULL, -ENOTSUP, "for CUDA 11.8");
}

Test(cuda_driver, stub) {
  expect_refusal(stand_in(common, "-DINIT=34"), NULL, -ENOTSUP, "LD_LIBRARY_PATH");
}

Test(cuda_driver, no_device) {
  expect_refusal(stand_in(common, "-DINIT=100"), NULL, -ENOTSUP, "sees no GPU");
}

Test(cuda_driver, no_device_counted) {
  expect_refusal(stand_in(common, "-DCOUNT=0"), NULL, -ENOTSUP, "sees no GPU");
}

Test(cuda_driver, mismatch) {
  expect_refusal(stand_in(common, "-DINIT=803"), NULL, -ENOTSUP, "different versions");
}

Test(cuda_driver, does_not_start) {
  expect_refusal(stand_in(common, "-DINIT=3"), NULL, -ENOTSUP, "cuInit returned 3");
}

/* On an HGX board, even with nvidia-smi content. */
Test(cuda_driver, fabric_manager_is_down) {
  expect_refusal(stand_in(common, "-DINIT=802"), NULL, -ENOTSUP, "nvidia-fabricmanager");
}

Test(cuda_driver, compatibility_library_that_does_not_fit) {
  expect_refusal(stand_in(common, "-DINIT=804"), NULL, -ENOTSUP, "cuda-compat");
}

Test(cuda_driver, container_without_uvm) {
  expect_refusal(stand_in(common, "-DINIT=999"), NULL, -ENOTSUP, "nvidia-uvm");
}

Test(cuda_driver, another_process_has_the_gpu_to_itself) {
  expect_refusal(stand_in(common, "-DRETAIN=46"), NULL, -ENOTSUP, "EXCLUSIVE_PROCESS");
}

Test(cuda_driver, no_memory_for_a_context) {
  expect_refusal(stand_in(common, "-DRETAIN=2"), NULL, -ENOMEM, "end what else uses it");
}

Test(cuda_driver, wrong_index) {
  expect_refusal(stand_in(common, ""), "1", -ENOTSUP, "there is 1 GPU here");
}

Test(cuda_driver, index_that_is_no_number) {
  expect_refusal(stand_in(common, ""), "first", -EINVAL, "cuda:first");
}

Test(cuda_driver, capability_too_low) {
  expect_refusal(stand_in(common, "-DMAJOR=7"), "0", -ENOTSUP, "compute capability 7.0");
}

Test(cuda_driver, one_that_works_opens) {
  struct gpu gpu;
  struct error error = {0};
  cr_assert_eq(gpu_open(&gpu, "0", stand_in(common, ""), &error), 0, "%s", error.message);
  cr_expect_str_eq(gpu.name, "Stand-in");
  cr_expect_eq(gpu.driver.version, 13000);
  gpu_close(&gpu);
}
