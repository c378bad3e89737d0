/*
 * The kernels over pages: CRC32C by long division of polynomials, and the pattern.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/crc_plan.h"
#include "tests/vgpu/rig.h"

/* Remainder, bit by bit, of K's bytes, then V's. */
static uint32_t remainder_of(const uint8_t *k, const uint8_t *v, size_t half) {
  uint32_t crc = 0;
  for (size_t i = 0; i < 2 * half; i++) {
    crc ^= i < half ? k[i] : v[i - half];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
  }
  return crc;
}

static void check_crc(struct rig *rig, size_t half) {
  enum { FIRST = 1, PAGES = 2 };
  size_t bytes = (FIRST + PAGES) * half;
  uint8_t *k = malloc(bytes), *v = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) {
    k[i] = (uint8_t)(rig_random(rig, 128.0F) + 128.0F);
    v[i] = (uint8_t)(rig_random(rig, 128.0F) + 128.0F);
  }
  struct crc_plan plan;
  crc_plan(&plan, (int64_t)half);
  struct kernel_page_crc a = {.k = rig_put(rig, k, bytes),
                              .v = rig_put(rig, v, bytes),
                              .factors = rig_put(rig, plan.factors, sizeof plan.factors),
                              .out = rig_room(rig, PAGES * 4),
                              .first_page = FIRST,
                              .half_bytes = plan.half_bytes,
                              .slice_bytes = plan.slice_bytes};
  rig_run(rig, "refill_page_crc", PAGES, 1, &a);
  for (size_t page = 0; page < PAGES; page++) {
    size_t at = (FIRST + page) * half;
    cr_assert_eq(((uint32_t *)rig_data(rig, a.out))[page], remainder_of(k + at, v + at, half),
                 "page %zu of %zu bytes", page, half);
  }
  free(k);
  free(v);
}

Test(pages, crc_of_any_size) {
  static const size_t halves[] = {16, 48, 1024, 4112};
  struct rig rig;
  rig_open(&rig, "pages", "compute_90a");
  for (int mode = 0; mode < RIG_MODES; mode += 2) {
    rig_mode(&rig, mode);
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) check_crc(&rig, halves[i]);
  }
  rig_close(&rig);
}

Test(pages, spoil_a_little_of_each_step) {
  enum { STEP = 512, BYTES = 300 * STEP - 496, PART = 300 * STEP, PARTS = 2 };
  struct rig rig;
  rig_open(&rig, "pages", "compute_90a");
  struct kernel_spoil a = {.base = rig_room(&rig, PART + BYTES),
                           .part_bytes = PART,
                           .bytes = BYTES,
                           .step_bytes = STEP,
                           .pattern = 0x3c003c003c003c00U};
  rig_run(&rig, "refill_spoil", (300 + KERNEL_THREADS - 1) / KERNEL_THREADS, PARTS, &a);
  for (size_t at = 0; at < PART + BYTES; at += 16) {
    bool spoiled = at % PART % STEP == 0;
    cr_assert_eq(rig_written(&rig, a.base + at, 16), spoiled, "byte %zu", at);
    const uint64_t *got = (void *)((char *)rig_data(&rig, a.base) + at);
    if (spoiled) cr_assert(got[0] == a.pattern && got[1] == a.pattern, "pattern at %zu", at);
  }
  rig_close(&rig);
}
