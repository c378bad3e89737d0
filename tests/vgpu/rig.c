/*
 * A kernel of the project on the interpreter.
 */
#include "tests/vgpu/rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/element.h"

#define ARENA_BYTES ((size_t)64 << 30) /* of address space; pages come when they are touched */

static char *read_text(const char *path) {
  FILE *file = fopen(path, "re");
  if (!file) return NULL;
  char *text = NULL;
  fseek(file, 0, SEEK_END);
  long bytes = ftell(file);
  rewind(file);
  if (bytes > 0) text = calloc(1, (size_t)bytes + 1);
  if (text && fread(text, 1, (size_t)bytes, file) != (size_t)bytes) {
    free(text);
    text = NULL;
  }
  fclose(file);
  return text;
}

void rig_open(struct rig *rig, const char *module, const char *form) {
  const char *folder = getenv("VGPU_IMAGES");
  char path[1024];
  snprintf(path, sizeof path, "%s/%s.%s.ptx", folder ? folder : VGPU_IMAGES_DIR, module, form);
  *rig = (struct rig){.random = 1};
  char *text = read_text(path);
  if (!text) cr_skip_test("SKIPPED: no %s: nvcc is missing, or the kernels were not built", path);
  rig->arena = arena_open(ARENA_BYTES);
  struct error error = {0};
  int code = ptx_module_open(&rig->module, text, rig->arena, &error);
  free(text);
  cr_assert_eq(code, 0, "%s: %s", path, error.message);
}

void rig_close(struct rig *rig) {
  ptx_module_close(rig->module);
  arena_close(rig->arena);
}

void rig_mode(struct rig *rig, int mode) {
  rig->options = (struct ptx_options){
      .schedule = (enum ptx_schedule)(mode / 2), .lazy_copies = mode % 2, .seed = 7};
}

uint64_t rig_room(struct rig *rig, size_t bytes) {
  uint64_t address = arena_alloc(rig->arena, bytes, false);
  cr_assert_neq(address, 0, "no memory for %zu bytes", bytes);
  return address;
}

uint64_t rig_put(struct rig *rig, const void *data, size_t bytes) {
  uint64_t address = rig_room(rig, bytes);
  memcpy(arena_data(rig->arena, address), data, bytes);
  arena_mark(rig->arena, address, bytes);
  return address;
}

void *rig_data(const struct rig *rig, uint64_t address) {
  return arena_data(rig->arena, address);
}

bool rig_written(const struct rig *rig, uint64_t address, size_t bytes) {
  return arena_written(rig->arena, address, bytes);
}

void rig_run(struct rig *rig, const char *name, int64_t grid_x, int64_t grid_y,
             const void *arguments) {
  static const struct {
    const char *name;
    unsigned threads, shared_bytes;
    size_t argument_bytes;
  } table[] = {
#define RIG_ROW(kernel, module, arguments, threads, shared)                                        \
  {#kernel, threads, shared, sizeof(struct arguments)},
      KERNEL_TABLE(RIG_ROW)
#undef RIG_ROW
  };
  const struct ptx_kernel *kernel = ptx_kernel_find(rig->module, name);
  cr_assert_not_null(kernel, "no kernel %s", name);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (strcmp(table[i].name, name) != 0) continue;
    cr_assert_eq(ptx_kernel_info(kernel)->parameter_bytes, table[i].argument_bytes);
    struct ptx_launch launch = {.grid = {(unsigned)grid_x, (unsigned)grid_y, 1},
                                .block = {table[i].threads, 1, 1},
                                .shared_bytes = table[i].shared_bytes,
                                .parameters = arguments};
    struct error error = {0};
    int code = ptx_run(kernel, &launch, rig->arena, &rig->options, NULL, &error);
    cr_assert_eq(code, 0, "schedule %d, copies %s: %s", (int)rig->options.schedule,
                 rig->options.lazy_copies ? "lazy" : "eager", error.message);
    return;
  }
  cr_assert_fail("%s is not in the table of kernels", name);
}

float rig_random(struct rig *rig, float scale) {
  rig->random = rig->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return ((float)(rig->random >> 40) / 8388608.0F - 1.0F) * scale;
}

void rig_random_bf16(struct rig *rig, size_t n, float scale, uint16_t *out, float *values) {
  for (size_t i = 0; i < n; i++) {
    out[i] = bf16_from_float(rig_random(rig, scale));
    if (values) values[i] = bf16_to_float(out[i]);
  }
}

void rig_close_to(const char *what, size_t i, float got, float wanted, float absolute,
                  float relative) {
  cr_assert(fabsf(got - wanted) <= absolute + relative * fabsf(wanted), "%s[%zu] is %g, not %g",
            what, i, (double)got, (double)wanted);
}
