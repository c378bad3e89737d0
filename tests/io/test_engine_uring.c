/* What only io_uring has: registration, its limits, threads, and kernels that forbid it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/engine_uring.h"
#include "tests/io/engine_rig.h"

/* ---- registered buffers ----------------------------------------------------------------- */

#define GIB ((size_t)1 << 30)

Test(uring_pieces, cuts_at_one_gib) {
  struct uring_piece pieces[4];
  cr_expect_eq(uring_cut_pieces(NULL, 4096, 1), 1);
  cr_expect_eq(uring_cut_pieces(NULL, 4096, GIB), 1);
  cr_expect_eq(uring_cut_pieces(NULL, 4096, GIB + 1), 2);
  cr_assert_eq(uring_cut_pieces(pieces, 4096, 3 * GIB + 8192), 4);
  cr_expect_eq(pieces[1].address, 4096 + GIB);
  cr_expect_eq(pieces[1].bytes, GIB);
  cr_expect_eq(pieces[3].bytes, 8192);
}

Test(uring_pieces, finds_whole_requests_only) {
  struct uring_piece pieces[] = {{1000, 100, 0}, {1100, 50, 1}, {5000, 10, 2}};
  struct uring_engine engine = {.pieces = pieces, .n_pieces = 3};
  const struct {
    uintptr_t address;
    size_t bytes;
    int index;
  } cases[] = {{1000, 100, 0}, {1099, 1, 0},  {1099, 2, -1},  {1100, 50, 1},
               {999, 2, -1},   {1150, 1, -1}, {4999, 5, -1},  {5000, 10, 2},
               {5009, 1, 2},   {5010, 1, -1}, {5000, 11, -1}, {9000, SIZE_MAX, -1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    cr_expect_eq(uring_find_piece(&engine, (void *)cases[i].address, cases[i].bytes),
                 cases[i].index, "case %zu", i);
  engine.n_pieces = 0;
  cr_expect_eq(uring_find_piece(&engine, (void *)1000, 1), -1);
}

Test(uring, registers_and_counts_what_is_not) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, "uring");
  cr_expect_not_null(strstr(rig.engine->info.description, "files registered"));
  cr_expect_not_null(strstr(rig.engine->info.description, ", buffers registered"));
  struct io_request request = rig_request(&rig, IO_READ, 1);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_expect_eq(rig.engine->info.unregistered_count, 0);
  request.buffer = io_test_memory(RIG_BYTES);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_expect_eq(rig.engine->info.unregistered_count, 1);
  cr_expect_eq(memcmp(request.buffer, rig_slot(&rig, 1), RIG_BYTES), 0);
  free(request.buffer);
  rig_end(&rig);
}

/* Two regions that touch, a request across the seam: it works, unregistered. */
Test(uring, crosses_a_seam_unregistered) {
  struct rig rig;
  rig_begin(&rig, false);
  struct io_buffer halves[2] = {{rig.memory + 4096, rig.buffer.bytes - 4096, IO_BUFFER_HOST},
                                {rig.memory, 4096, IO_BUFFER_HOST}};
  rig.config.buffers = halves;
  rig.config.n_buffers = 2;
  rig_open(&rig, "uring");
  struct io_request request = rig_request(&rig, IO_READ, 0);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_expect(rig_slot_holds(&rig, 0, 0));
  cr_expect_eq(rig.engine->info.unregistered_count, 1);
  request = rig_request(&rig, IO_READ, 1);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_expect_eq(rig.engine->info.unregistered_count, 1);
  rig_end(&rig);
}

Test(uring, says_what_was_obtained) {
  const struct {
    const char *name, *said;
  } cases[] = {{"uring:nofixed", "buffers not registered (nofixed)"},
               {"uring:plain", "io_uring: plain"},
               {"uring:coop-taskrun", "io_uring: coop-taskrun"},
               {"uring:nofixed,sqpoll", "io_uring: sqpoll, files not registered"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct rig rig;
    rig_begin(&rig, false);
    rig_open(&rig, cases[i].name);
    cr_expect_not_null(strstr(rig.engine->info.description, cases[i].said), "%s: %s", cases[i].name,
                       rig.engine->info.description);
    rig_end(&rig);
  }
}

/* ---- limits and sandboxes, each in a child ---------------------------------------------- */

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition)) return __LINE__ % 251 + 1;                                                   \
  } while (0)

/* With 1 MiB of memlock 4 MiB cannot be registered: the engine works without and says so. */
static int run_under_memlock(void *argument) {
  struct rig *rig = argument;
  struct rlimit limit = {1 << 20, 1 << 20};
  EXPECT(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
  if (!io_test_drop_capabilities()) return IO_TEST_SKIP;
  char *memory = io_test_memory(4 << 20);
  struct io_buffer buffer = {memory, 4 << 20, IO_BUFFER_HOST};
  rig->config.buffers = &buffer;
  EXPECT(io_engine_open(&rig->engine, "uring", &rig->config, &rig->error) == 0);
  EXPECT(strstr(rig->engine->info.description,
                "buffers not registered (memlock 1.00 MiB; raise ulimit -l)") != NULL);
  struct io_request request = rig_request(rig, IO_READ, 4);
  request.buffer = memory;
  EXPECT(rig_run(rig, &request) == 0);
  EXPECT(rig->engine->info.unregistered_count == 1);
  rig->engine->ops->close(rig->engine);
  free(memory);
  return IO_TEST_PASS;
}

static void expect_in_child(int (*body)(void *), struct rig *rig) {
  int status = io_test_in_child(body, rig);
  rig_end(rig);
  if (status == IO_TEST_SKIP) cr_skip_test("not to be had here: capset or seccomp");
  cr_expect_eq(status, IO_TEST_PASS, "line %d (modulo 251)", status - 1);
}

Test(uring, works_without_locked_memory) {
  struct rig rig;
  rig_begin(&rig, false);
  expect_in_child(run_under_memlock, &rig);
}

static int run_forbidden(struct rig *rig, int code, const char *said) {
  if (!io_test_forbid(SYS_io_uring_setup, 0, 0, code)) return IO_TEST_SKIP;
  EXPECT(io_engine_open(&rig->engine, "uring", &rig->config, &rig->error) == -ENOTSUP);
  EXPECT(rig->engine == NULL);
  EXPECT(strstr(rig->error.message, said) != NULL);
  EXPECT(strstr(rig->error.message, "--engine pread") != NULL);
  return IO_TEST_PASS;
}

static int run_with_eperm(void *rig) {
  return run_forbidden(rig, EPERM, "io_uring_disabled");
}

static int run_with_enosys(void *rig) {
  return run_forbidden(rig, ENOSYS, "no io_uring");
}

Test(uring, names_the_setting_that_forbids_it) {
  struct rig rig;
  rig_begin(&rig, false);
  expect_in_child(run_with_eperm, &rig);
}

Test(uring, tells_a_kernel_without_it) {
  struct rig rig;
  rig_begin(&rig, false);
  expect_in_child(run_with_enosys, &rig);
}

/* Where files and buffers cannot be registered at all, everything still works. */
static int run_without_register(void *argument) {
  struct rig *rig = argument;
  /* Opcodes 0 (buffers) and 2 (files); 12, enabling the ring, has bit 2 too: 0x1 | 0x2 spares it.
   */
  if (!io_test_forbid(SYS_io_uring_register, 1, 0x3, EINVAL)) return IO_TEST_SKIP;
  EXPECT(io_engine_open(&rig->engine, "uring", &rig->config, &rig->error) == 0);
  EXPECT(strstr(rig->engine->info.description, "files not registered (Invalid") != NULL);
  struct io_request request = rig_request(rig, IO_READ, 4);
  EXPECT(rig_run(rig, &request) == 0);
  EXPECT(rig_slot_holds(rig, 4, 4));
  rig->engine->ops->close(rig->engine);
  return IO_TEST_PASS;
}

Test(uring, works_without_registered_files) {
  struct rig rig;
  rig_begin(&rig, false);
  expect_in_child(run_without_register, &rig);
}

/* ---- threads and time ------------------------------------------------------------------- */

static void *read_some(void *argument) {
  struct rig *rig = argument;
  for (int i = 0; i < 20; i++) {
    struct io_request request = rig_request(rig, IO_READ, i);
    cr_expect_eq(rig_run(rig, &request), 0);
    cr_expect(rig_slot_holds(rig, i % RIG_DEPTH, i));
  }
  return NULL;
}

/* Opened here, used there, closed here. */
Test(uring, may_be_used_on_another_thread) {
  struct rig rig;
  pthread_t thread;
  rig_begin(&rig, false);
  rig_open(&rig, "uring");
  cr_assert_eq(pthread_create(&thread, NULL, read_some, &rig), 0);
  cr_assert_eq(pthread_join(thread, NULL), 0);
  rig_end(&rig);
}

static void *submit_elsewhere(void *argument) {
  struct rig *rig = argument;
  struct io_request request = rig_request(rig, IO_READ, 0);
  int code = rig->engine->ops->submit(rig->engine, &request, 1, &rig->error);
  return (void *)(intptr_t)code;
}

Test(uring, belongs_to_the_first_thread_that_submits) {
  struct rig rig;
  pthread_t thread;
  void *code = NULL;
  rig_begin(&rig, false);
  rig_open(&rig, "uring");
  if (strstr(rig.engine->info.description, "defer-taskrun") == NULL) {
    rig_end(&rig);
    cr_skip_test("this kernel has no single-issuer rings");
  }
  struct io_request request = rig_request(&rig, IO_READ, 0);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_assert_eq(pthread_create(&thread, NULL, submit_elsewhere, &rig), 0);
  cr_assert_eq(pthread_join(thread, &code), 0);
  cr_expect_eq((intptr_t)code, -EEXIST);
  cr_expect_not_null(strstr(rig.error.message, "thread"), "%s", rig.error.message);
  rig_end(&rig);
}

/* A pipe is a drive that answers when we want it to. */
Test(uring, waits_no_longer_than_its_timeout) {
  struct rig rig;
  int ends[2];
  rig_begin(&rig, false);
  cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
  close(rig.fds[1]);
  rig.fds[1] = ends[0];
  rig_open(&rig, "uring");
  struct io_request request = rig_request(&rig, IO_READ, 0);
  request.file = 1;
  request.bytes = 5;
  struct io_completion done;
  cr_assert_eq(rig.engine->ops->submit(rig.engine, &request, 1, NULL), 1);
  double start_s = clock_now_s();
  cr_expect_eq(rig.engine->ops->reap(rig.engine, &done, 1, 1, 0.05, NULL), 0);
  double waited_s = clock_now_s() - start_s;
  cr_expect(waited_s >= 0.05 && waited_s < 2, "waited %g s", waited_s);
  cr_expect_eq(rig.engine->ops->reap(rig.engine, &done, 1, 0, 10, NULL), 0, "a poll");
  cr_assert_eq(write(ends[1], "abc", 3), 3);
  cr_expect_eq(rig.engine->ops->reap(rig.engine, &done, 1, 1, 0.05, NULL), 0, "part is no whole");
  cr_assert_eq(write(ends[1], "de", 2), 2);
  cr_expect_eq(rig.engine->ops->reap(rig.engine, &done, 1, 1, 10, NULL), 1);
  cr_expect_eq(done.error, 0);
  cr_expect_eq(memcmp(request.buffer, "abcde", 5), 0);
  cr_expect_eq(rig.engine->info.short_count, 1);
  close(ends[1]);
  rig_end(&rig);
}
