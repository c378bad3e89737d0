/*
 * Which strided copies bring pages between host memory and the KV cache: a stand-in for the driver
 * keeps what it is given.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

enum { STRIDE_BYTES = 4096, HALF_BYTES = 1024, PAGES = 10, PIECE_PAGES = 4, COPIES_MAX = 16 };
#define SLOT ((driver_pointer)0x7000000)
#define CACHE_HALF_BYTES ((size_t)PAGES * HALF_BYTES)

static struct driver_copy_2d copies[COPIES_MAX];
static int n_copies;

static driver_result keep(const struct CUDA_MEMCPY2D_st *copy, driver_stream stream) {
  (void)stream;
  cr_assert_lt(n_copies, COPIES_MAX);
  memcpy(&copies[n_copies++], copy, sizeof copies[0]);
  return DRIVER_SUCCESS;
}

/* Copies n_pages from the buffer's page `from` to the slot's page `to`. */
static void run(enum cuda_direction direction, char *buffer, int64_t from, int64_t to,
                int64_t n_pages) {
  struct pinned pinned = {.memory = {.address = buffer},
                          .buffer_bytes = PAGES * STRIDE_BYTES,
                          .piece_bytes = PIECE_PAGES * STRIDE_BYTES,
                          .n_buffers = 1};
  static struct cuda cuda;
  struct error error = {0};
  cuda = (struct cuda){.gpu = {.driver = {.copy_2d = keep}},
                       .config = {.page_stride_bytes = STRIDE_BYTES},
                       .plan = {.kv_half_bytes = CACHE_HALF_BYTES},
                       .crc = {.half_bytes = HALF_BYTES}};
  cr_assert_eq(pthread_mutex_init(&cuda.gpu.lock, NULL), 0);
  n_copies = 0;
  cr_assert_eq(cuda_copy_pages(&cuda, direction, &pinned, 0, from, SLOT, to, n_pages, NULL, &error),
               0, "%s", error.message);
}

/* Each page's K and V go to their rows once, and no copy reaches over the end of a piece that was
 * registered apart from the next. */
static void check(int64_t from, int64_t to, int64_t n_pages) {
  static char buffer[PAGES * STRIDE_BYTES];
  int seen[PAGES][2] = {{0}};
  run(CUDA_TO_DEVICE, buffer, from, to, n_pages);
  for (int i = 0; i < n_copies; i++) {
    const struct driver_copy_2d *c = &copies[i];
    const size_t first = (size_t)((const char *)c->source_host - buffer);
    const size_t last = first + (c->height - 1) * c->source_pitch_bytes + c->width_bytes - 1;
    const size_t piece_bytes = PIECE_PAGES * STRIDE_BYTES;
    cr_expect_eq(first / piece_bytes, last / piece_bytes, "copy %d crosses pieces", i);
    cr_assert_eq(c->source_pitch_bytes, STRIDE_BYTES);
    cr_assert_eq(c->target_pitch_bytes, HALF_BYTES);
    cr_assert_eq(c->width_bytes, HALF_BYTES);
    const size_t half = first % STRIDE_BYTES / HALF_BYTES; /* 0: K, 1: V */
    for (size_t row = 0; row < c->height; row++) {
      const size_t page = first / STRIDE_BYTES + row;
      const size_t at = (size_t)(to - from) + page;
      cr_expect_eq(c->target_device + row * HALF_BYTES,
                   SLOT + half * CACHE_HALF_BYTES + at * HALF_BYTES, "page %zu", page);
      seen[page][half]++;
    }
  }
  for (int64_t page = 0; page < PAGES; page++) {
    const int wanted = page >= from && page < from + n_pages;
    cr_expect(seen[page][0] == wanted && seen[page][1] == wanted, "page %lld: K %d, V %d times",
              (long long)page, seen[page][0], seen[page][1]);
  }
}

Test(cuda_page_copies, every_half_once_and_no_copy_over_two_pieces) {
  check(0, 0, PAGES);
  check(0, 0, PIECE_PAGES);
  check(3, 3, 2); /* the last page of a piece and the first of the next */
  check(0, 5, 5); /* new pages, behind a past */
  check(7, 7, 1);
  check(0, 0, 0);
}

Test(cuda_page_copies, as_few_copies_as_there_are_pieces) {
  static char buffer[PAGES * STRIDE_BYTES];
  run(CUDA_TO_DEVICE, buffer, 0, 0, PIECE_PAGES);
  cr_expect_eq(n_copies, 2);
  run(CUDA_TO_DEVICE, buffer, 0, 0, PAGES);
  cr_expect_eq(n_copies, 6);
}

Test(cuda_page_copies, out_is_in_the_other_way_round) {
  static char buffer[PAGES * STRIDE_BYTES];
  run(CUDA_TO_HOST, buffer, 1, 2, 2);
  cr_assert_eq(n_copies, 2);
  for (size_t half = 0; half < 2; half++) {
    const struct driver_copy_2d *c = &copies[half];
    cr_expect_eq(c->source_kind, DRIVER_MEMORY_DEVICE);
    cr_expect_eq(c->target_kind, DRIVER_MEMORY_HOST);
    cr_expect_eq(c->source_device, SLOT + half * CACHE_HALF_BYTES + 2 * HALF_BYTES);
    cr_expect_eq((char *)c->target_host, buffer + STRIDE_BYTES + half * HALF_BYTES);
    cr_expect_eq(c->source_pitch_bytes, HALF_BYTES);
    cr_expect_eq(c->target_pitch_bytes, STRIDE_BYTES);
    cr_expect_eq(c->height, 2);
  }
}
