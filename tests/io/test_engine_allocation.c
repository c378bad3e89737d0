/*
 * No engine allocates after open(): malloc() and its kin are counted here for
 * the whole test program, by standing in front of the C library's.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/io/engine_rig.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_COUNT 1

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

static atomic_long n_allocations;

void *malloc(size_t bytes) {
  atomic_fetch_add(&n_allocations, 1);
  return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
  atomic_fetch_add(&n_allocations, 1);
  return __libc_calloc(n, bytes);
}

void *realloc(void *memory, size_t bytes) {
  atomic_fetch_add(&n_allocations, 1);
  return __libc_realloc(memory, bytes);
}

static long count_allocations(void) {
  return atomic_load(&n_allocations);
}
#else
#define CAN_COUNT 0
static long count_allocations(void) {
  return 0;
}
#endif

struct subject {
  char name[48];
};

ParameterizedTestParameters(allocation, none_after_open) {
  static struct subject subjects[] = {
      {"uring"}, {"uring:nofixed"}, {"pread"}, {"null"}, {"null:read=20GB/s,write=20GB/s"}};
  return cr_make_param_array(struct subject, subjects, sizeof subjects / sizeof subjects[0]);
}

ParameterizedTest(struct subject *subject, allocation, none_after_open, .timeout = 120) {
  if (!CAN_COUNT) cr_skip_test("a sanitizer or another C library owns malloc");
  struct rig rig;
  struct io_completion done[RIG_DEPTH];
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  const struct io_engine_ops *ops = rig.engine->ops;
  long before = count_allocations();
  for (int i = 0; i < 400; i++) {
    struct io_request request = rig_request(&rig, i % 3 == 0 ? IO_WRITE : IO_READ, i % 64);
    while (ops->submit(rig.engine, &request, 1, NULL) == 0)
      ops->reap(rig.engine, done, RIG_DEPTH, 1, 10, NULL);
  }
  while (ops->reap(rig.engine, done, RIG_DEPTH, 1, 10, NULL) > 0) continue;
  cr_expect_eq(count_allocations(), before);
  void *volatile some = malloc(100); /* volatile, or the compiler leaves it out */
  free(some);
  if (CAN_COUNT) cr_expect_gt(count_allocations(), before, "the count itself works");
  rig_end(&rig);
}
