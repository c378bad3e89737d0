/*
 * What the environment says of the virtual GPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vgpu/libcuda/state.h"

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  if (!text || !*text) return otherwise;
  char *end = NULL;
  long value = strtol(text, &end, 0);
  if (*end == 'k') value *= 1000;
  if (*end == 'M') value <<= 20;
  if (*end == 'G') value <<= 30;
  if (*end && (end[1] || !strchr("kMG", *end))) {
    fprintf(stderr, "vgpu: %s=%s is not a number\n", name, text);
    exit(86);
  }
  return value;
}

static bool word(const char *name, const char *value) {
  const char *text = getenv(name);
  return text && strcmp(text, value) == 0;
}

void settings_read(struct settings *settings) {
  long capability = number("VGPU_CAPABILITY", 90);
  *settings = (struct settings){
      .stub = number("VGPU_STUB", 0) != 0,
      .driver_version = (int)number("VGPU_DRIVER_VERSION", 13000),
      .n_devices = (int)number("VGPU_DEVICES", 1),
      .major = (int)(capability / 10),
      .minor = (int)(capability % 10),
      .multiprocessors = (int)number("VGPU_MULTIPROCESSORS", 132),
      .name = getenv("VGPU_NAME"),
      .memory_bytes = (size_t)number("VGPU_MEMORY", 81559L << 20),
      .l2_bytes = (size_t)number("VGPU_L2", 50L << 20),
      .manifest = getenv("VGPU_MANIFEST"),
      .refuse_cubins = number("VGPU_REFUSE_CUBINS", 0) != 0,
      .findings_warn = word("VGPU_FINDINGS", "warn"),
      .pageable_is_finding = number("VGPU_PAGEABLE", 1) == 0,
      .any_memory = number("VGPU_ANY_MEMORY", 0) != 0,
      .leaks = number("VGPU_LEAKS", 0) != 0,
      .schedule = word("VGPU_SCHEDULE", "reverse")  ? PTX_REVERSE
                  : word("VGPU_SCHEDULE", "random") ? PTX_RANDOM
                                                    : PTX_IN_ORDER,
      .lazy_copies = number("VGPU_LAZY_COPIES", 0) != 0,
      .seed = (uint64_t)number("VGPU_SEED", 1),
      .threads = (int)number("VGPU_THREADS", sysconf(_SC_NPROCESSORS_ONLN)),
      .jitter_us = (int)number("VGPU_JITTER_US", 50),
      .slow_copies_us = (int)number("VGPU_SLOW_COPIES_US", 0),
      .slow_kernels_us = (int)number("VGPU_SLOW_KERNELS_US", 0),
      .fail = getenv("VGPU_FAIL"),
  };
}
