/*
 * What the virtual driver must refuse, asked of it directly: each bad call is an error, its good
 * twin is not. Findings only print here (VGPU_FINDINGS=warn), so that one test can ask for many.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cuda/gpu.h"

enum { INVALID_VALUE = 1, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500 };
enum { ILLEGAL_ADDRESS = 700, OUT_OF_RESOURCES = 701, LAUNCH_FAILED = 719 };

static const char kernels[] =
    ".version 8.0\n.target sm_90a\n.address_size 64\n"
    ".visible .entry plain()\n{\nret;\n}\n"
    ".visible .entry limited()\n.maxntid 128, 1, 1\n{\nret;\n}\n"
    ".visible .entry shares()\n{\n.shared .align 4 .b8 tile[40000];\nret;\n}\n"
    ".visible .entry stores(.param .u64 to)\n{\n.reg .b64 %d<2>;\n"
    "ld.param.u64 %d1, [to];\nst.global.u64 [%d1], %d1;\nret;\n}\n";

static void open_gpu(struct gpu *gpu) {
  struct error error = {0};
  cr_assert_eq(setenv("VGPU_FINDINGS", "warn", 0), 0);
  cr_assert_eq(setenv("VGPU_MEMORY", "64M", 1), 0);
  cr_assert_eq(gpu_open(gpu, "0", VGPU_LIBCUDA, &error), 0, "%s", error.message);
}

static driver_stream make_stream(struct gpu *gpu) {
  driver_stream stream = NULL;
  cr_assert_eq(gpu->driver.stream_create(&stream, DRIVER_STREAM_NON_BLOCKING), 0);
  return stream;
}

static driver_pointer make_memory(struct gpu *gpu, size_t bytes) {
  driver_pointer pointer = 0;
  cr_assert_eq(gpu->driver.memory_alloc(&pointer, bytes), 0);
  return pointer;
}

/* ---- what a driver need not tell, and when it cannot be asked ------------------------------ */

/* Compute capability, multiprocessors and shared memory are asked for first. */
Test(libcuda, attributes_that_are_not_told_are_done_without) {
  struct gpu gpu;
  cr_assert_eq(setenv("VGPU_FAIL", "cuDeviceGetAttribute:5+:1", 1), 0);
  open_gpu(&gpu);
  cr_expect(gpu.major == 9 && gpu.multiprocessors == 132 && gpu.shared_optin_bytes == 232448);
  cr_expect_eq(gpu.l2_bytes, 0);
  cr_expect_eq(gpu.memory_clock_khz, 0);
}

Test(libcuda, attributes_that_are_needed) {
  for (int i = 1; i <= 4; i++) {
    struct gpu gpu;
    struct error error = {0};
    char fails[48];
    snprintf(fails, sizeof fails, "cuDeviceGetAttribute:%d:1", i);
    pid_t child = fork(); /* the driver reads it once */
    if (child == 0) {
      cr_assert_eq(setenv("VGPU_FAIL", fails, 1), 0);
      _exit(gpu_open(&gpu, "0", VGPU_LIBCUDA, &error) != 0 &&
                    strstr(error.message, "cuDeviceGetAttribute")
                ? 0
                : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", fails);
  }
}

Test(libcuda, nothing_can_be_waited_for_inside_a_capture) {
  enum { CAPTURE_UNSUPPORTED = 900 };
  struct gpu gpu;
  driver_graph graph = NULL;
  open_gpu(&gpu);
  struct driver *driver = &gpu.driver;
  driver_stream stream = make_stream(&gpu), other = make_stream(&gpu);
  cr_assert_eq(driver->capture_begin(stream, DRIVER_CAPTURE_RELAXED), 0);
  cr_expect_eq(driver->stream_synchronize(stream), CAPTURE_UNSUPPORTED);
  cr_expect_eq(driver->context_synchronize(), CAPTURE_UNSUPPORTED);
  cr_expect_eq(driver->stream_synchronize(other), 0);
  cr_assert_eq(driver->capture_end(stream, &graph), 0);
  cr_expect_eq(driver->context_synchronize(), 0);
  cr_expect_eq(driver->graph_destroy(graph), 0);
}

/* ---- entry points and threads ------------------------------------------------------------ */

/* What dlsym would find of the real driver, cuMemAlloc for one, has an ABI of 2008. */
Test(libcuda, there_is_one_way_in) {
  static const char *const legacy[] = {"cuInit",          "cuMemAlloc",     "cuMemAlloc_v2",
                                       "cuMemcpy",        "cuCtxCreate_v2", "cuLaunchKernel",
                                       "cuGetProcAddress"};
  void *library = dlopen(VGPU_LIBCUDA, RTLD_NOW);
  cr_assert_not_null(library, "%s", dlerror());
  for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++)
    cr_expect_null(dlsym(library, legacy[i]), "%s", legacy[i]);
  driver_get_proc *get_proc = NULL;
  void *found = dlsym(library, "cuGetProcAddress_v2"), *function = NULL;
  cr_assert_not_null(found);
  memcpy(&get_proc, &found, sizeof get_proc);
  unsigned status = 0;
  cr_expect_eq(get_proc("cuMemAlloc", &function, DRIVER_API_VERSION, 0, &status), 0);
  cr_expect_not_null(function);
  cr_expect_eq(get_proc("cuMemAlloc", &function, 3010, 0, &status), NOT_FOUND, "an older ABI");
  cr_expect_null(function);
  cr_expect_eq(status, 2, "the version is not sufficient");
  cr_expect_eq(get_proc("cuMemAllocManaged", &function, DRIVER_API_VERSION, 0, &status), NOT_FOUND);
  cr_expect_eq(get_proc("cuMemAlloc", &function, 99000, 0, &status), NOT_FOUND, "a newer driver's");
}

static void *without_context(void *argument) {
  struct gpu *gpu = argument;
  driver_pointer pointer = 0;
  cr_expect_eq(gpu->driver.memory_alloc(&pointer, 512), INVALID_CONTEXT);
  cr_expect_eq(gpu->driver.context_synchronize(), INVALID_CONTEXT);
  cr_expect_eq(gpu_enter(gpu, NULL), 0);
  cr_expect_eq(gpu->driver.memory_alloc(&pointer, 512), 0);
  return NULL;
}

Test(libcuda, each_thread_must_enter_the_context) {
  struct gpu gpu;
  pthread_t thread;
  open_gpu(&gpu);
  cr_assert_eq(pthread_create(&thread, NULL, without_context, &gpu), 0);
  cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* ---- streams and events ------------------------------------------------------------------ */

Test(libcuda, the_legacy_stream_is_an_error_under_all_its_names) {
  struct gpu gpu;
  open_gpu(&gpu);
  const driver_pointer memory = make_memory(&gpu, 512);
  driver_event event = NULL;
  cr_assert_eq(gpu.driver.event_create(&event, DRIVER_EVENT_DEFAULT), 0);
  for (uintptr_t name = 0; name <= 2; name++) {
    driver_stream legacy = (driver_stream)name;
    cr_expect_eq(gpu.driver.fill(memory, 0, 512, legacy), INVALID_HANDLE);
    cr_expect_eq(gpu.driver.event_record(event, legacy), INVALID_HANDLE);
    cr_expect_eq(gpu.driver.stream_synchronize(legacy), INVALID_HANDLE);
  }
  driver_stream blocking = NULL;
  cr_expect_eq(gpu.driver.stream_create(&blocking, 0), INVALID_VALUE, "it waits for that one");
}

Test(libcuda, events_that_were_never_recorded_are_not_waited_for) {
  struct gpu gpu;
  open_gpu(&gpu);
  driver_stream stream = make_stream(&gpu);
  driver_event event = NULL, untimed = NULL;
  float milliseconds = 0;
  cr_assert_eq(gpu.driver.event_create(&event, DRIVER_EVENT_DEFAULT), 0);
  cr_assert_eq(gpu.driver.event_create(&untimed, DRIVER_EVENT_DISABLE_TIMING), 0);
  cr_expect_eq(gpu.driver.stream_wait_event(stream, event, 0), INVALID_VALUE);
  cr_expect_eq(gpu.driver.event_synchronize(event), INVALID_VALUE);
  cr_expect_eq(gpu.driver.event_record(event, stream), 0);
  cr_expect_eq(gpu.driver.event_record(untimed, stream), 0);
  cr_expect_eq(gpu.driver.event_synchronize(event), 0);
  cr_expect_eq(gpu.driver.event_elapsed(&milliseconds, event, event), 0);
  cr_expect_eq(gpu.driver.event_elapsed(&milliseconds, event, untimed), INVALID_HANDLE);
}

/* ---- launches ---------------------------------------------------------------------------- */

/* A manifest that tells the registers of `plain`, as ptxas' log does. */
static void tell_registers(int registers) {
  static char folder[] = "/tmp/refill-libcuda-XXXXXX";
  char name[3][64];
  cr_assert_not_null(mkdtemp(folder));
  for (int i = 0; i < 3; i++) {
    snprintf(name[i], sizeof name[i], "%s/%d", folder, i);
    FILE *file = fopen(name[i], "w");
    cr_assert_not_null(file);
    if (i == 0) fprintf(file, "%s/none %s/1 %s/2\n", folder, folder, folder);
    if (i == 1) fputs(kernels, file);
    if (i == 2)
      fprintf(file, "Compiling entry function 'plain' for 'sm_90a'\nUsed %d registers\n",
              registers);
    fclose(file);
  }
  cr_assert_eq(setenv("VGPU_MANIFEST", name[0], 1), 0);
}

static void forget_registers(void) {
  char folder[64];
  snprintf(folder, sizeof folder, "%s", getenv("VGPU_MANIFEST"));
  for (int i = 0; i < 3; i++) {
    folder[strlen(folder) - 1] = (char)('0' + i);
    cr_expect_eq(unlink(folder), 0);
  }
  folder[strlen(folder) - 2] = '\0';
  cr_expect_eq(rmdir(folder), 0);
}

static driver_function find(struct gpu *gpu, const char *name) {
  driver_module module = NULL;
  driver_function function = NULL;
  char text[sizeof kernels];
  memcpy(text, kernels, sizeof text);
  cr_assert_eq(gpu->driver.module_load(&module, text, 0, NULL, NULL), 0);
  cr_assert_eq(gpu->driver.module_get_function(&function, module, name), 0);
  return function;
}

struct launch {
  const char *kernel;
  unsigned grid[3], block[3], shared_bytes;
  driver_result wanted;
};

static void check_launches(struct gpu *gpu, const struct launch *rows, size_t n) {
  driver_stream stream = make_stream(gpu);
  for (size_t i = 0; i < n; i++) {
    const unsigned *g = rows[i].grid, *b = rows[i].block;
    driver_result result = gpu->driver.launch(find(gpu, rows[i].kernel), g[0], g[1], g[2], b[0],
                                              b[1], b[2], rows[i].shared_bytes, stream, NULL, NULL);
    cr_expect_eq(result, rows[i].wanted, "%s (%u,%u,%u) x (%u,%u,%u), %u bytes: %u", rows[i].kernel,
                 g[0], g[1], g[2], b[0], b[1], b[2], rows[i].shared_bytes, result);
  }
  cr_expect_eq(gpu->driver.stream_synchronize(stream), 0);
}

/* Of the CUDA programming guide's table for compute capability 9.0. */
Test(libcuda, launches_beyond_an_h100_are_refused) {
  static const struct launch rows[] = {
      {"plain", {1, 1, 1}, {1024, 1, 1}, 0, 0},
      {"plain", {1, 1, 1}, {16, 1, 64}, 0, 0},
      {"plain", {0, 1, 1}, {32, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {32, 0, 1}, 0, INVALID_VALUE},
      {"plain", {0x80000000U, 1, 1}, {32, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 65536, 1}, {32, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 65536}, {32, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {1025, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {1, 1025, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {1, 1, 65}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {32, 33, 1}, 0, INVALID_VALUE}, /* 1056 threads */
      {"limited", {1, 1, 1}, {128, 1, 1}, 0, 0},
      {"limited", {1, 1, 1}, {160, 1, 1}, 0, INVALID_VALUE},
      {"plain", {1, 1, 1}, {32, 1, 1}, 48 << 10, 0},
      {"plain", {1, 1, 1}, {32, 1, 1}, (48 << 10) + 1, INVALID_VALUE}, /* without asking */
      {"shares", {1, 1, 1}, {32, 1, 1}, (48 << 10) - 40000, 0},
      {"shares", {1, 1, 1}, {32, 1, 1}, (48 << 10) - 40000 + 1, INVALID_VALUE},
  };
  struct gpu gpu;
  open_gpu(&gpu);
  check_launches(&gpu, rows, sizeof rows / sizeof *rows);
}

Test(libcuda, registers_limit_the_block) {
  static const struct launch rows[] = {
      {"plain", {1, 1, 1}, {512, 1, 1}, 0, 0}, /* 65,536 at 128 a thread */
      {"plain", {1, 1, 1}, {513, 1, 1}, 0, OUT_OF_RESOURCES},
      {"limited", {1, 1, 1}, {128, 1, 1}, 0, 0}, /* nothing is said of its own */
  };
  struct gpu gpu;
  tell_registers(122); /* given in eights: 128 */
  open_gpu(&gpu);
  check_launches(&gpu, rows, sizeof rows / sizeof *rows);
  forget_registers();
}

Test(libcuda, shared_memory_must_be_asked_for_up_to_what_there_is) {
  const int attribute = DRIVER_FUNCTION_MAX_DYNAMIC_SHARED, most = 227 << 10;
  struct gpu gpu;
  open_gpu(&gpu);
  driver_stream stream = make_stream(&gpu);
  driver_function plain = find(&gpu, "plain"), shares = find(&gpu, "shares");
  cr_expect_eq(gpu.driver.function_set_attribute(plain, (unsigned)attribute, most + 1),
               INVALID_VALUE);
  cr_expect_eq(gpu.driver.function_set_attribute(plain, (unsigned)attribute, most), 0);
  cr_expect_eq(gpu.driver.launch(plain, 1, 1, 1, 32, 1, 1, (unsigned)most, stream, NULL, NULL), 0);
  cr_expect_eq(gpu.driver.function_set_attribute(shares, (unsigned)attribute, most - 40000 + 1),
               INVALID_VALUE, "static and dynamic together");
  cr_expect_eq(gpu.driver.function_set_attribute(shares, (unsigned)attribute, most - 40000), 0);
  cr_expect_eq(gpu.driver.stream_synchronize(stream), 0);
}

/* ---- memory ------------------------------------------------------------------------------ */

Test(libcuda, host_code_that_reads_device_memory_dies, .signal = SIGSEGV) {
  struct gpu gpu;
  open_gpu(&gpu);
  const volatile char *pointer = (const volatile char *)(uintptr_t)make_memory(&gpu, 512);
  cr_assert_fail("device memory holds %d", *pointer);
}

Test(libcuda, copies_are_judged) {
  enum { BYTES = 4096 };
  static char host[BYTES] __attribute__((aligned(BYTES)));
  struct gpu gpu;
  open_gpu(&gpu);
  const struct driver *d = &gpu.driver;
  driver_stream stream = make_stream(&gpu);
  const driver_pointer memory = make_memory(&gpu, BYTES), freed = make_memory(&gpu, BYTES);
  cr_assert_eq(d->memory_free(freed), 0);
  cr_expect_eq(d->memory_free(freed), INVALID_VALUE, "twice");
  cr_expect_eq(d->copy_in(memory, host, BYTES, stream), 0);
  cr_expect_eq(d->copy_in(memory + 1, host, BYTES, stream), INVALID_VALUE, "past the end");
  cr_expect_eq(d->copy_in(freed, host, BYTES, stream), INVALID_VALUE, "freed");
  cr_expect_eq(d->copy_in(memory, (void *)(uintptr_t)memory, 16, stream), INVALID_VALUE, "no host");
  cr_expect_eq(d->copy_out(host, (driver_pointer)(uintptr_t)host, 16, stream), INVALID_VALUE);
  cr_expect_eq(d->copy_within(memory + 8, memory, 16, stream), INVALID_VALUE, "overlap");
  struct driver_copy_2d copy = {.source_kind = DRIVER_MEMORY_HOST,
                                .source_host = host,
                                .source_pitch_bytes = 256,
                                .target_kind = DRIVER_MEMORY_DEVICE,
                                .target_device = memory,
                                .target_pitch_bytes = 512,
                                .width_bytes = 256,
                                .height = 8};
  cr_expect_eq(d->copy_2d((const void *)&copy, stream), 0);
  copy.height = 9;
  cr_expect_eq(d->copy_2d((const void *)&copy, stream), INVALID_VALUE, "the last row is outside");
  copy.height = 8;
  copy.source_pitch_bytes = 128;
  cr_expect_eq(d->copy_2d((const void *)&copy, stream), INVALID_VALUE, "pitch under width");
  cr_expect_eq(d->stream_synchronize(stream), 0);
}

/* ---- what comes later, and what is made to fail ------------------------------------------- */

/* A finding in work that is under way ends the context: every later call tells of it. */
static void expect_sticky(struct gpu *gpu, driver_stream stream, driver_result wanted) {
  driver_pointer pointer = 0;
  cr_expect_eq(gpu->driver.stream_synchronize(stream), wanted);
  cr_expect_eq(gpu->driver.memory_alloc(&pointer, 512), wanted, "and so does the next call");
}

Test(libcuda, reading_what_nobody_wrote_is_sticky) {
  static char host[512];
  struct gpu gpu;
  cr_assert_eq(setenv("VGPU_FINDINGS", "", 1), 0);
  open_gpu(&gpu);
  driver_stream stream = make_stream(&gpu);
  (void)gpu.driver.copy_out(host, make_memory(&gpu, 512), 512, stream);
  expect_sticky(&gpu, stream, LAUNCH_FAILED);
}

Test(libcuda, a_kernel_that_stores_elsewhere_is_sticky) {
  struct gpu gpu;
  open_gpu(&gpu);
  driver_stream stream = make_stream(&gpu);
  driver_pointer freed = make_memory(&gpu, 512);
  void *arguments[] = {&freed};
  driver_function stores = find(&gpu, "stores");
  cr_expect_eq(gpu.driver.launch(stores, 1, 1, 1, 1, 1, 1, 0, stream, arguments, NULL), 0);
  cr_expect_eq(gpu.driver.stream_synchronize(stream), 0);
  cr_assert_eq(gpu.driver.memory_free(freed), 0);
  cr_expect_eq(gpu.driver.launch(stores, 1, 1, 1, 1, 1, 1, 0, stream, arguments, NULL), 0);
  expect_sticky(&gpu, stream, ILLEGAL_ADDRESS);
}

Test(libcuda, calls_fail_on_request) {
  struct gpu gpu;
  driver_pointer pointer = 0;
  cr_assert_eq(setenv("VGPU_FAIL", "cuMemAlloc:2", 1), 0);
  open_gpu(&gpu);
  cr_expect_eq(gpu.driver.memory_alloc(&pointer, 512), 0);
  cr_expect_eq(gpu.driver.memory_alloc(&pointer, 512), DRIVER_OUT_OF_MEMORY);
  cr_expect_eq(gpu.driver.memory_alloc(&pointer, 512), 0);
}

/* 86: the virtual GPU's own exit status. */
Test(libcuda, what_is_left_at_the_end_is_told, .exit_code = 86) {
  struct gpu gpu;
  cr_assert_eq(setenv("VGPU_LEAKS", "1", 1), 0);
  open_gpu(&gpu);
  (void)make_memory(&gpu, 512);
  gpu_close(&gpu);
}
