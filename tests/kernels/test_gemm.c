/*
 * oneDNN behind gemm.h against the reference: row counts of full and partial
 * chunks on one packed order, residual sums, and the table of plans.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/cpu/gemm.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/tolerance.h"

/* A linear layer with its weights, and room for m_max rows. */
struct bench {
  int64_t k, n, m_max;
  struct gemm *gemm;
  struct gemm_linear *linear;
  struct gemm_packed *packed;
  struct memory memory;
  bf16 *x, *y, *w;
  float *x_plain, *y_plain, *w_plain;
};

static void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  cr_assert_not_null(memory);
  return memory;
}

static struct bench open_bench(int64_t m_full, int64_t k, int64_t n, bool accumulate) {
  struct bench b = {.k = k, .n = n, .m_max = m_full};
  struct error error = {0};
  cr_assert_eq(gemm_open(&b.gemm, NULL, &error), 0, "%s", error.message);
  cr_assert_eq(gemm_linear_open(b.gemm, &b.linear, m_full, k, n, accumulate, &error), 0, "%s",
               error.message);
  cr_assert_eq(memory_map(&b.memory, gemm_packed_bytes(b.linear), NULL, 1, &error), 0);
  b.x = allocate((size_t)(m_full * k) * sizeof(bf16));
  b.y = allocate((size_t)(m_full * n) * sizeof(bf16));
  b.w = allocate((size_t)(n * k) * sizeof(bf16));
  b.x_plain = allocate((size_t)(m_full * k) * sizeof(float));
  b.y_plain = allocate((size_t)(m_full * n) * sizeof(float));
  b.w_plain = allocate((size_t)(n * k) * sizeof(float));
  for (int64_t i = 0; i < m_full; i++)
    tolerance_fill(k, (uint64_t)(100 + i), b.x + i * k, b.x_plain + i * k);
  tolerance_fill(n * k, 2, b.w, b.w_plain);
  cr_assert_eq(gemm_pack(b.linear, b.w, b.memory.address, &b.packed, &error), 0, "%s",
               error.message);
  return b;
}

static void close_bench(struct bench *b) {
  gemm_packed_close(b->packed);
  gemm_linear_close(b->linear);
  gemm_close(b->gemm);
  memory_unmap(&b->memory);
  free(b->x);
  free(b->y);
  free(b->w);
  free(b->x_plain);
  free(b->y_plain);
  free(b->w_plain);
}

static void expect_rows(struct bench *b, int64_t m, bool accumulate) {
  const struct tolerance tolerance = TOLERANCE_OPERATION;
  struct error error = {0};
  char name[64];
  (void)snprintf(name, sizeof name, "%lld x %lld x %lld", (long long)m, (long long)b->n,
                 (long long)b->k);
  cr_assert_eq(gemm_prepare(b->linear, m, &error), 0, "%s", error.message);
  tolerance_fill(m * b->n, 3, b->y, b->y_plain);
  reference_linear(m, b->k, b->n, accumulate, b->x_plain, b->w_plain, b->y_plain);
  cr_assert_eq(gemm_run(b->linear, b->packed, m, b->x, b->y, &error), 0, "%s", error.message);
  cr_expect_eq(tolerance_count_wrong(name, m * b->n, b->y, b->y_plain, tolerance), 0);
}

Test(gemm, every_row_count_matches_the_reference) {
  static const int64_t rows[] = {64, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64};
  static const int64_t sizes[][2] = {{64, 64},  {96, 128},  {33, 50},
                                     {160, 96}, {256, 320}, {2048, 48}};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    for (int accumulate = 0; accumulate < 2; accumulate++) {
      struct bench b = open_bench(64, sizes[s][0], sizes[s][1], accumulate != 0);
      for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_rows(&b, rows[i], accumulate != 0);
      close_bench(&b);
    }
  }
}

Test(gemm, rows_that_were_not_prepared_are_refused) {
  struct bench b = open_bench(16, 32, 32, false);
  struct error error = {0};
  cr_expect_eq(gemm_run(b.linear, b.packed, 5, b.x, b.y, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "5 rows"), "%s", error.message);
  close_bench(&b);
}

Test(gemm, old_plans_go_but_the_full_chunk_stays) {
  struct bench b = open_bench(40, 32, 32, false);
  struct error error = {0};
  for (int64_t m = 1; m <= GEMM_PLANS_MAX; m++) cr_assert_eq(gemm_prepare(b.linear, m, &error), 0);
  cr_expect_eq(gemm_run(b.linear, b.packed, 1, b.x, b.y, &error), -EINVAL,
               "the oldest must be gone");
  cr_expect_eq(gemm_run(b.linear, b.packed, 2, b.x, b.y, &error), 0);
  cr_expect_eq(gemm_run(b.linear, b.packed, 40, b.x, b.y, &error), 0);
  close_bench(&b);
}
