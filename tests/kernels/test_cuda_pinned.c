/* Landing buffers: pieces that hold whole pages, and memory that is used where it cannot be pinned.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "kernels/cuda/pinned.h"

static int registered, refuse_from;
static void *last_unregistered;

static driver_result fake_register(void *address, size_t bytes, unsigned flags) {
  (void)address, (void)bytes, (void)flags;
  if (registered >= refuse_from) return DRIVER_OUT_OF_MEMORY;
  registered++;
  return DRIVER_SUCCESS;
}

static driver_result fake_unregister(void *address) {
  last_unregistered = address;
  registered--;
  return DRIVER_SUCCESS;
}

static void make(struct gpu *gpu) {
  *gpu =
      (struct gpu){.driver = {.host_register = fake_register, .host_unregister = fake_unregister}};
  cr_assert_eq(pthread_mutex_init(&gpu->lock, NULL), 0);
  registered = 0;
  refuse_from = 100;
}

Test(cuda_pinned, pieces_hold_whole_pages_of_both_kinds) {
  static const size_t strides[] = {
      512, 4096, 6144, 65536, 196608, (size_t)1 << 30, (size_t)3 << 30};
  for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
    const size_t piece = pinned_piece_bytes(strides[i]);
    cr_expect_eq(piece % strides[i], 0);
    cr_expect_eq(piece % 4096, 0);
    cr_expect(piece <= PINNED_PIECE_BYTES || piece == strides[i]);
    cr_expect_gt(piece, PINNED_PIECE_BYTES / 2);
  }
}

Test(cuda_pinned, buffers_are_registered_one_by_one_and_given_back) {
  struct gpu gpu;
  struct pinned pinned;
  struct error error = {0};
  make(&gpu);
  cr_assert_eq(pinned_open(&pinned, &gpu, 100000, 3, 4096, NULL, &error), 0, "%s", error.message);
  cr_expect(pinned.registered);
  cr_expect_eq(registered, 3);
  cr_expect_eq((char *)pinned_at(&pinned, 2) - (char *)pinned_at(&pinned, 1), 102400);
  void *first = pinned_at(&pinned, 0);
  pinned_close(&pinned);
  cr_expect_eq(registered, 0);
  cr_expect_eq(last_unregistered, first, "undone in reverse");
}

Test(cuda_pinned, a_refusal_leaves_usable_memory_and_says_why) {
  struct gpu gpu;
  struct pinned pinned;
  struct error error = {0};
  make(&gpu);
  refuse_from = 2;
  cr_assert_eq(pinned_open(&pinned, &gpu, 4096, 3, 4096, NULL, &error), 0, "%s", error.message);
  cr_expect_not(pinned.registered);
  cr_expect_eq(registered, 0, "the pieces that were registered are given back");
  cr_expect_not_null(strstr(pinned.refused, "cuMemHostRegister"), "%s", pinned.refused);
  memset(pinned_at(&pinned, 0), 1, 3 * 4096);
  pinned_close(&pinned);
}
