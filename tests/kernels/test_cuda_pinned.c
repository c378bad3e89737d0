/* Landing buffers: pieces that hold whole pages, and memory that is used where it cannot be pinned.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "kernels/cuda/pinned.h"

static int registered, refuse_from, n_calls;
static void *last_unregistered;

static driver_result fake_register(void *address, size_t bytes, unsigned flags) {
  (void)address, (void)bytes, (void)flags;
  n_calls++;
  if (registered >= refuse_from) return DRIVER_OUT_OF_MEMORY;
  registered++;
  return DRIVER_SUCCESS;
}

static driver_result fake_unregister(void *address) {
  last_unregistered = address;
  registered--;
  return DRIVER_SUCCESS;
}

/* What the driver says of any address: an error for memory that it does not know. */
static driver_result kind_result;
static unsigned kind;
static int n_kinds_asked;
static driver_pointer kind_asked[8];

static driver_result fake_kind(void *value, unsigned attribute, driver_pointer pointer) {
  cr_expect_eq(attribute, DRIVER_POINTER_MEMORY_TYPE);
  if (n_kinds_asked < 8) kind_asked[n_kinds_asked] = pointer;
  n_kinds_asked++;
  *(unsigned *)value = kind;
  return kind_result;
}

static void make(struct gpu *gpu) {
  *gpu = (struct gpu){.driver = {.host_register = fake_register,
                                 .host_unregister = fake_unregister,
                                 .pointer_get_attribute = fake_kind}};
  kind_result = DRIVER_SUCCESS;
  kind = DRIVER_MEMORY_HOST;
  n_kinds_asked = 0;
  cr_assert_eq(pthread_mutex_init(&gpu->lock, NULL), 0);
  registered = n_calls = 0;
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
  cr_expect_eq(registered, 0, "storage comes first");
  pinned_register(&pinned);
  cr_expect(pinned.registered);
  cr_expect_eq(registered, 3);
  pinned_register(&pinned);
  cr_expect_eq(registered, 3, "nothing twice");
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
  refuse_from = 1;
  cr_assert_eq(pinned_open(&pinned, &gpu, 12288, 3, 4096, NULL, &error), 0, "%s", error.message);
  pinned.piece_bytes = 4096; /* three a buffer: not one buffer can be registered as a whole */
  pinned_register(&pinned);
  cr_expect_not(pinned.registered);
  cr_expect(pinned.given_up);
  cr_expect_eq(registered, 0, "the pieces that were registered are given back");
  cr_expect_eq(pinned.n_buffers, 3, "all buffers are used as they are");
  cr_expect_not_null(strstr(pinned.refused, "cuMemHostRegister"), "%s", pinned.refused);
  memset(pinned_at(&pinned, 2), 1, 4096);
  const int calls = n_calls;
  pinned_register(&pinned);
  cr_expect_eq(n_calls, calls, "it is not tried again");
  pinned_close(&pinned);
}

/* Halves of the ring, until one can be registered as a whole. */
Test(cuda_pinned, where_not_all_can_be_registered_fewer_are_used) {
  const struct {
    int n, allowed, used;
  } cases[] = {{8, 8, 8}, {8, 7, 4}, {8, 4, 4}, {8, 3, 2}, {8, 1, 1}, {5, 4, 2}, {3, 2, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct gpu gpu;
    struct pinned pinned;
    make(&gpu);
    refuse_from = cases[i].allowed;
    cr_assert_eq(pinned_open(&pinned, &gpu, 8192, cases[i].n, 4096, NULL, NULL), 0);
    for (int again = 0; again < 2; again++) { /* of the next pipeline */
      pinned_register(&pinned);
      cr_expect(pinned.registered, "case %zu", i);
      cr_expect_eq(pinned.n_buffers, cases[i].used, "case %zu: %d", i, pinned.n_buffers);
      cr_expect_eq(registered, cases[i].used, "case %zu: %d", i, registered);
      cr_expect_eq(pinned_bytes(&pinned), 8192 * (size_t)cases[i].used);
      cr_expect_eq(pinned.refused[0] == '\0', cases[i].allowed >= cases[i].n, "case %zu", i);
      pinned_unregister(&pinned);
      cr_expect_eq(registered, 0, "case %zu", i);
    }
    pinned_close(&pinned);
  }
}

Test(cuda_pinned, it_can_be_given_back_and_registered_again) {
  struct gpu gpu;
  struct pinned pinned;
  make(&gpu);
  cr_assert_eq(pinned_open(&pinned, &gpu, 4096, 2, 4096, NULL, NULL), 0);
  for (int i = 0; i < 2; i++) {
    pinned_register(&pinned);
    cr_expect_eq(registered, 2);
    cr_expect_geq(pinned.registered_s, 0);
    pinned_unregister(&pinned);
    cr_expect_eq(registered, 0);
    cr_expect_not(pinned.registered);
  }
  pinned_close(&pinned);
}

Test(cuda_pinned, both_ends_of_each_piece_are_asked_for) {
  struct gpu gpu;
  struct pinned pinned;
  make(&gpu);
  cr_assert_eq(pinned_open(&pinned, &gpu, 8192, 2, 4096, NULL, NULL), 0);
  pinned_register(&pinned);
  const driver_pointer first = (driver_pointer)(uintptr_t)pinned_at(&pinned, 0);
  cr_assert_eq(n_kinds_asked, 4);
  cr_expect_eq(kind_asked[0], first);
  cr_expect_eq(kind_asked[1], first + 8191);
  cr_expect_eq(kind_asked[3], first + 2 * 8192 - 1);
  pinned_close(&pinned);
}

/* Registered as the call says, and yet not taken for pinned memory of the host. */
Test(cuda_pinned, memory_of_another_kind_is_not_relied_on) {
  const struct {
    unsigned kind;
    driver_result result;
    const char *words;
  } cases[] = {{DRIVER_MEMORY_DEVICE, DRIVER_SUCCESS, "kind 2"},
               {0, DRIVER_INVALID_VALUE, "cuPointerGetAttribute"}};
  for (int i = 0; i < 2; i++) {
    struct gpu gpu;
    struct pinned pinned;
    make(&gpu);
    kind = cases[i].kind;
    kind_result = cases[i].result;
    cr_assert_eq(pinned_open(&pinned, &gpu, 4096, 2, 4096, NULL, NULL), 0);
    pinned_register(&pinned);
    cr_expect_not(pinned.registered);
    cr_expect_eq(registered, 0, "what was registered is given back");
    cr_expect_not_null(strstr(pinned.refused, cases[i].words), "%s", pinned.refused);
    pinned_close(&pinned);
  }
}

Test(cuda_pinned, a_small_limit_on_locked_memory_is_named) {
  struct gpu gpu;
  struct pinned pinned;
  const struct rlimit limit = {(rlim_t)64 << 10, (rlim_t)64 << 10};
  make(&gpu);
  refuse_from = 0;
  cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  cr_assert_eq(pinned_open(&pinned, &gpu, 65536, 2, 4096, NULL, NULL), 0);
  pinned_register(&pinned);
  cr_expect_not_null(strstr(pinned.refused, "ulimit -l is 64, this takes 128"), "%s",
                     pinned.refused);
  pinned_close(&pinned);
}
