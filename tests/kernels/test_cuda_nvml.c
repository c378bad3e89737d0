/* NVML's readings, by stand-ins for the library: each by itself, and the link from sysfs where the
 * library does not tell it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/nvml.h"

static char directory[] = "/tmp/refill-nvml-XXXXXX";

static void make_directory(void) {
  cr_assert_not_null(mkdtemp(directory));
  cr_assert_eq(setenv("CUDA_HOME", directory, 1), 0);
}

static void remove_directory(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", directory);
  cr_expect_eq(system(command), 0);
}

TestSuite(cuda_nvml, .init = make_directory, .fini = remove_directory);

/* One function a reading; a case leaves one out, or has it refuse. */
static const char *const functions[] = {
    "int nvmlDeviceGetClockInfo(void *d, int t, unsigned *m) { *m = 1000 * t; return 0; }",
    "int nvmlDeviceGetPowerUsage(void *d, unsigned *p) { *p = 650500; return 0; }",
    "int nvmlDeviceGetTemperature(void *d, int s, unsigned *t) { *t = 61; return 0; }",
    "int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *r) {"
    "  *r = 5; return 0; }",
    "int nvmlDeviceGetCurrPcieLinkGeneration(void *d, unsigned *g) { *g = 4; return 0; }",
    "int nvmlDeviceGetMaxPcieLinkGeneration(void *d, unsigned *g) { *g = 5; return 0; }",
    "int nvmlDeviceGetCurrPcieLinkWidth(void *d, unsigned *w) { *w = 8; return 0; }",
    "int nvmlDeviceGetMaxPcieLinkWidth(void *d, unsigned *w) { *w = 16; return 0; }",
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], ALL = FUNCTIONS };
enum { CLOCK, POWER, HEAT, REASONS, GENERATION, GENERATION_MAX, WIDTH, WIDTH_MAX };

static void write_source(int without, bool refuses) {
  char path[96];
  snprintf(path, sizeof path, "%s/nvml.c", directory);
  FILE *file = fopen(path, "we");
  cr_assert_not_null(file);
  fputs("int nvmlInit_v2(void) { return 0; } int nvmlShutdown(void) { return 0; }\n"
        "int nvmlDeviceGetHandleByPciBusId_v2(const char *i, void **d) {\n"
        "  *d = (void *)8; return i[0] == 48 ? 0 : 6; }\n",
        file);
  for (int i = 0; i < FUNCTIONS; i++) {
    if (i != without) fprintf(file, "%s\n", functions[i]);
    if (i == without && refuses) {
      const int head = (int)(strchr(functions[i], '{') - functions[i]);
      fprintf(file, "%.*s { return 3; }\n", head, functions[i]);
    }
  }
  cr_assert_eq(fclose(file), 0);
}

/* A process loads a library once: each case forks, so opens its own. */
static void open_without(struct nvml *nvml, int without, bool refuses) {
  char command[300];
  struct error error = {0};
  write_source(without, refuses);
  snprintf(command, sizeof command,
           "mkdir -p %s/lib64 && cc -w -shared -fPIC -o %s/lib64/libnvidia-ml.so.1 %s/nvml.c "
           "2>/dev/null",
           directory, directory, directory);
  if (system(command) != 0) cr_skip_test("no C compiler here to make a stand-in library");
  cr_assert_eq(nvml_open(nvml, "0000:1B:00.0", &error), 0, "%s", error.message);
}

static void expect_state(const struct nvml *nvml, int without) {
  struct nvml_state state;
  nvml_read(nvml, &state);
  cr_expect_eq(!isnan(state.sm_hz), without != CLOCK);
  cr_expect_eq(!isnan(state.memory_hz), without != CLOCK);
  cr_expect_eq(!isnan(state.power_w), without != POWER);
  cr_expect_eq(!isnan(state.temperature_c), without != HEAT);
  cr_expect_eq(state.reasons_known, without != REASONS);
  if (without != CLOCK) cr_expect(state.sm_hz == 1e9 && state.memory_hz == 2e9);
  if (without != POWER) cr_expect_float_eq(state.power_w, 650.5, 1e-9);
  if (without != HEAT) cr_expect_eq(state.temperature_c, 61);
  cr_expect_str_eq(nvml_reason_name(state.reasons), without == REASONS ? "" : "power cap",
                   "idle (1) is no reason");
}

static void expect_link(const struct nvml *nvml, int without) {
  struct device_link link;
  nvml_read_link(nvml, directory, &link);
  cr_expect_eq(link.gt_per_s, without == GENERATION ? 0 : 16);
  cr_expect_eq(link.max_gt_per_s, without == GENERATION_MAX ? 0 : 32);
  cr_expect_eq(link.width, without == WIDTH ? 0 : 8);
  cr_expect_eq(link.max_width, without == WIDTH_MAX ? 0 : 16);
}

#define ONE(name, without, refuses)                                                                \
  Test(cuda_nvml, name) {                                                                          \
    struct nvml nvml;                                                                              \
    open_without(&nvml, without, refuses);                                                         \
    expect_state(&nvml, without);                                                                  \
    expect_link(&nvml, without);                                                                   \
    nvml_close(&nvml);                                                                             \
  }

ONE(all_is_told, ALL, false)
ONE(no_clocks, CLOCK, true)
ONE(no_power, POWER, true)
ONE(no_heat, HEAT, true)
ONE(no_reasons, REASONS, true)
ONE(no_generation, GENERATION, true)
ONE(no_generation_at_most, GENERATION_MAX, true)
ONE(no_width, WIDTH, true)
ONE(no_width_at_most, WIDTH_MAX, true)
ONE(a_library_without_power, POWER, false)
ONE(a_library_without_reasons, REASONS, false)
ONE(a_library_without_width, WIDTH, false)

static void put(const char *attribute, const char *text) {
  char command[256];
  snprintf(command, sizeof command,
           "d=%s/sys/bus/pci/devices/0000:1b:00.0; mkdir -p $d && echo '%s' >$d/%s", directory,
           text, attribute);
  cr_assert_eq(system(command), 0);
}

static void put_link(void) {
  put("current_link_speed", "8.0 GT/s PCIe");
  put("max_link_speed", "32.0 GT/s PCIe");
  put("current_link_width", "4");
  put("max_link_width", "16");
}

Test(cuda_nvml, what_it_does_not_tell_of_the_link_comes_from_sysfs) {
  struct nvml nvml;
  struct device_link link;
  put_link();
  open_without(&nvml, WIDTH, true);
  nvml_read_link(&nvml, directory, &link);
  cr_expect_eq(link.width, 4, "by sysfs");
  cr_expect_eq(link.gt_per_s, 16, "by NVML, which is asked first");
  nvml_close(&nvml);
}

Test(cuda_nvml, without_it_nothing_is_told_but_the_link) {
  struct nvml nvml;
  struct nvml_state state;
  struct device_link link;
  put_link();
  cr_expect_eq(nvml_open(&nvml, "0000:1B:00.0", NULL), -ENOTSUP);
  nvml_read(&nvml, &state);
  cr_expect(isnan(state.sm_hz) && isnan(state.power_w) && !state.reasons_known);
  nvml_read_link(&nvml, directory, &link);
  cr_expect(link.gt_per_s == 8 && link.max_gt_per_s == 32);
  cr_expect(link.width == 4 && link.max_width == 16);
  nvml_close(&nvml);
}

Test(cuda_nvml, a_device_that_it_does_not_know) {
  struct nvml nvml;
  struct nvml_state state;
  open_without(&nvml, ALL, false);
  nvml_close(&nvml);
  cr_expect_eq(nvml_open(&nvml, "B:00", NULL), -ENOTSUP);
  nvml_read(&nvml, &state);
  cr_expect(isnan(state.sm_hz) && isnan(state.temperature_c));
}
