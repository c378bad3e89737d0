/*
 * Nothing is allocated between begin() and wait(): this program's malloc, calloc,
 * realloc, aligned_alloc and mmap are watched while layers run.
 *
 * oneDNN makes small objects (its argument table) for each execution and can
 * not be told otherwise, so calls from other libraries count only from
 * LIBRARY_BYTES up, which a scratchpad or a copy of an operand would be; calls from this
 * program count whatever their size.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "kernels/cpu/device_cpu.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)

Test(no_allocation, in_a_run) {
  cr_skip_test("the sanitizer has its own malloc");
}

#else

/* Never inlined: the return address must be the caller's. */
#define OWN __attribute__((noinline))

enum { LIBRARY_BYTES = 4096 };

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern char __executable_start, etext;

static atomic_int watching;
static atomic_int own_calls, library_calls;

/* Counts one call from `caller` while watching. */
static void count(const void *caller, size_t bytes) {
  if (!atomic_load(&watching)) return;
  const uintptr_t at = (uintptr_t)caller;
  const int own = at >= (uintptr_t)&__executable_start && at < (uintptr_t)&etext;
  if (own) atomic_fetch_add(&own_calls, 1);
  if (!own && bytes >= LIBRARY_BYTES) atomic_fetch_add(&library_calls, 1);
}

OWN void *malloc(size_t bytes) {
  count(__builtin_return_address(0), bytes);
  return __libc_malloc(bytes);
}

OWN void *calloc(size_t n, size_t bytes) {
  count(__builtin_return_address(0), n * bytes);
  return __libc_calloc(n, bytes);
}

OWN void *realloc(void *memory, size_t bytes) {
  count(__builtin_return_address(0), bytes);
  return __libc_realloc(memory, bytes);
}

OWN void *aligned_alloc(size_t alignment, size_t bytes) {
  count(__builtin_return_address(0), bytes);
  return __libc_memalign(alignment, bytes);
}

OWN int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  count(__builtin_return_address(0), bytes);
  *memory = __libc_memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}

OWN void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  count(__builtin_return_address(0), bytes);
  return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

static void run(struct device *device, const struct device_sequence *sequence, int layers) {
  const struct device_ops *ops = device->ops;
  struct error error = {0};
  device_ticket ticket = 0;
  cr_assert_eq(ops->begin(device, sequence, 1, &error), 0, "%s", error.message);
  int status = 0;
  atomic_store(&watching, 1);
  for (int layer = 0; layer < layers && status == 0; layer++) {
    status = ops->kv_in(device, layer, 0, sequence->n_past / 16, &ticket, &error);
    if (status == 0)
      status = ops->forward_layer(device, layer, sequence, 1, NULL, 0, &ticket, &error);
    if (status == 0) status = ops->kv_out(device, layer, 1, ticket, &ticket, &error);
  }
  if (status == 0) status = ops->head(device, sequence, 1, &ticket, &error);
  if (status == 0) status = ops->wait(device, ticket, 1.0, NULL, &error);
  atomic_store(&watching, 0);
  cr_assert_eq(status, 0, "%s", error.message);
}

Test(no_allocation, the_watch_sees_this_program) {
  atomic_store(&watching, 1);
  void *volatile memory = malloc(10);
  atomic_store(&watching, 0);
  free(memory);
  cr_expect_eq(atomic_load(&own_calls), 1);
}

Test(no_allocation, in_a_run) {
  const struct shape shape = {.name = "tiny",
                              .layers = 3,
                              .hidden = 256,
                              .q_heads = 4,
                              .kv_heads = 2,
                              .head_dim = 64,
                              .ffn = 512,
                              .vocabulary = 1000,
                              .rope_theta = 10000.0,
                              .norm_eps = 1e-5};
  struct device_config config = {.shape = shape,
                                 .layers = 3,
                                 .tokens_max = 200,
                                 .page_tokens = 16,
                                 .chunk_tokens = 64,
                                 .element = ELEMENT_BF16,
                                 .kv_element = ELEMENT_BF16,
                                 .window = 1,
                                 .write_window = 1};
  config.page_stride_bytes =
      memory_round_up(device_page_payload_bytes(&shape, 16, ELEMENT_BF16), 4096);
  struct device *device = NULL;
  struct error error = {0};
  cr_assert_eq(device_cpu_ops.open(&device, &config, &error), 0, "%s", error.message);
  int32_t tokens[200] = {0};
  const struct device_sequence first = {0, 200, tokens}, second = {48, 77, tokens};
  run(device, &first, 3); /* the very first run: nothing may be made lazily */
  run(device, &second, 3);
  cr_expect_eq(atomic_load(&own_calls), 0);
  cr_expect_eq(atomic_load(&library_calls), 0);
  device->ops->close(device);
}

#endif
