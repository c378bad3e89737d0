/*
 * The contract that every engine keeps, run over all of them and their options.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "io/engine.h"
#include "tests/io/engine_rig.h"

struct subject {
  char name[48];
  bool moves; /* bytes are really moved */
};

#define SUBJECTS                                                                                   \
  {                                                                                                \
    {"uring", true}, {"uring:nofixed", true}, {"uring:coop-taskrun", true}, {"uring:plain", true}, \
        {"uring:sqpoll", true}, {"uring:buffered", true}, {"uring:iopoll", true}, {"mmap", true},  \
        {"pread", true}, {"null", false}, {                                                        \
      "null:read=10GB/s,write=5GB/s", false                                                        \
    }                                                                                              \
  }

#define CONTRACT(test)                                                                             \
  ParameterizedTestParameters(engine, test) {                                                      \
    static struct subject subjects[] = SUBJECTS;                                                   \
    return cr_make_param_array(struct subject, subjects, sizeof subjects / sizeof subjects[0]);    \
  }                                                                                                \
  ParameterizedTest(struct subject *subject, engine, test, .timeout = 120)

CONTRACT(completes_each_request_once) {
  enum { N = 500 };
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  const struct io_engine_ops *ops = rig.engine->ops;
  int seen[N] = {0}, slots[N], submitted = 0, finished = 0;
  int free_slots[RIG_DEPTH],
      n_free = RIG_DEPTH; /* requests end in any order; memory is one's own */
  for (int i = 0; i < RIG_DEPTH; i++) free_slots[i] = i;
  while (finished < N) {
    struct io_request batch[50];
    struct io_completion done[7];
    int n = N - submitted < 50 ? N - submitted : 50;
    for (int i = 0; i < n; i++) {
      batch[i] = rig_request(&rig, IO_READ, (submitted + i) % RIG_REQUESTS);
      batch[i].tag = (uint64_t)(submitted + i);
      if (i < n_free) slots[submitted + i] = free_slots[n_free - 1 - i];
      if (i < n_free) batch[i].buffer = rig_slot(&rig, slots[submitted + i]);
    }
    int taken = ops->submit(rig.engine, batch, n, &rig.error);
    cr_assert_geq(taken, 0, "%s", rig.error.message);
    submitted += taken;
    n_free -= taken;
    cr_assert_leq(submitted - finished, RIG_DEPTH, "more under way than the queue is deep");
    int reaped = ops->reap(rig.engine, done, 7, 1, 10, &rig.error);
    cr_assert(reaped >= 1 && reaped <= 7, "reaped %d: %s", reaped, rig.error.message);
    for (int i = 0; i < reaped; i++) {
      cr_assert_lt(done[i].tag, N);
      cr_expect_eq(done[i].error, 0);
      cr_expect_leq(done[i].submit_s, done[i].complete_s);
      cr_expect_leq(done[i].complete_s, clock_now_s());
      cr_assert_eq(seen[done[i].tag]++, 0, "request %d completed twice", (int)done[i].tag);
      free_slots[n_free++] = slots[done[i].tag];
    }
    finished += reaped;
  }
  for (int i = 0; i < N; i++) cr_assert_eq(seen[i], 1, "request %d never completed", i);
  struct io_completion none;
  cr_expect_eq(ops->reap(rig.engine, &none, 1, 1, 10, NULL), 0);
  cr_expect_eq(rig.engine->info.short_count, 0);
  cr_expect_neq(rig.engine->info.description[0], '\0');
  cr_expect_eq(rig.engine->info.emulated, !subject->moves);
  rig_end(&rig);
}

CONTRACT(returns_at_once_when_idle) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_completion done[4];
  double start_s = clock_now_s();
  cr_expect_eq(rig.engine->ops->reap(rig.engine, done, 4, 4, 20, NULL), 0);
  cr_expect_eq(rig.engine->ops->reap(rig.engine, done, 4, 0, INFINITY, NULL), 0);
  cr_expect_lt(clock_now_s() - start_s, 5.0);
  rig_end(&rig);
}

CONTRACT(takes_no_more_than_its_depth) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_request batch[RIG_DEPTH + 5];
  struct io_completion done[RIG_DEPTH + 5];
  for (int i = 0; i < RIG_DEPTH + 5; i++) batch[i] = rig_request(&rig, IO_READ, i);
  cr_expect_eq(rig.engine->ops->submit(rig.engine, batch, RIG_DEPTH + 5, NULL), RIG_DEPTH);
  cr_expect_eq(rig.engine->ops->submit(rig.engine, batch, 5, NULL), 0);
  cr_expect_eq(
      rig.engine->ops->reap(rig.engine, done, RIG_DEPTH + 5, RIG_DEPTH + 5, INFINITY, NULL),
      RIG_DEPTH, "min beyond what is under way ends with all of it");
  rig_end(&rig);
}

CONTRACT(polls_without_waiting) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_request request = rig_request(&rig, IO_READ, 3);
  struct io_completion done;
  cr_assert_eq(rig.engine->ops->submit(rig.engine, &request, 1, NULL), 1);
  double deadline_s = clock_now_s() + 10;
  int n = 0;
  while (n == 0 && clock_now_s() < deadline_s)
    n = rig.engine->ops->reap(rig.engine, &done, 1, 0, 0, NULL);
  cr_expect_eq(n, 1);
  cr_expect_eq(done.tag, 3);
  rig_end(&rig);
}

CONTRACT(reads_what_is_in_the_file) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  for (int i = 0; i < RIG_REQUESTS; i++) {
    struct io_request request = rig_request(&rig, IO_READ, i);
    cr_assert_eq(rig_run(&rig, &request), 0);
    if (subject->moves) cr_assert(rig_slot_holds(&rig, i % RIG_DEPTH, i), "block %d", i);
  }
  rig_end(&rig);
}

/* Writes new contents in a shuffled order, syncs, and reads them back into other slots. */
static void write_and_read_back(const struct subject *subject, bool in_memory) {
  struct rig rig;
  rig_begin(&rig, in_memory);
  rig_open(&rig, subject->name);
  uint32_t crcs[RIG_REQUESTS];
  for (int i = 0; i < RIG_REQUESTS; i++) {
    int block = (i * 37) % RIG_REQUESTS;
    struct io_request request = rig_request(&rig, IO_WRITE, block);
    prng_fill(request.buffer, RIG_BYTES, 99, (uint64_t)i * RIG_BYTES);
    crcs[block] = crc32c(0, request.buffer, RIG_BYTES);
    cr_assert_eq(rig_run(&rig, &request), 0);
  }
  struct io_request sync = {.op = IO_SYNC, .file = 0, .tag = 1234};
  cr_expect_eq(rig_run(&rig, &sync), 0);
  for (int i = 0; i < RIG_REQUESTS && subject->moves; i++) {
    struct io_request request = rig_request(&rig, IO_READ, i);
    request.buffer = rig_slot(&rig, (i + 5) % RIG_DEPTH);
    memset(request.buffer, 0, RIG_BYTES);
    cr_assert_eq(rig_run(&rig, &request), 0);
    cr_assert_eq(crc32c(0, request.buffer, RIG_BYTES), crcs[i], "block %d", i);
  }
  rig_end(&rig);
}

CONTRACT(writes_and_reads_back_on_disk) {
  write_and_read_back(subject, false);
}

CONTRACT(writes_and_reads_back_in_memory) {
  write_and_read_back(subject, true);
}

CONTRACT(refuses_bad_files_and_requests) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_request request = rig_request(&rig, IO_READ, 0);
  request.file = 3;
  cr_expect_eq(rig_run(&rig, &request), -EBADF);
  request.file = -1;
  cr_expect_eq(rig_run(&rig, &request), -EBADF);
  request.file = 0;
  request.bytes = 0;
  cr_expect_eq(rig_run(&rig, &request), -EINVAL);
  request = rig_request(&rig, IO_READ, 0);
  request.op = (enum io_op)77;
  cr_expect_eq(rig_run(&rig, &request), -EINVAL);
  if (subject->moves) {
    request = rig_request(&rig, IO_READ, 0);
    request.file = 2; /* was never open */
    cr_expect_eq(rig_run(&rig, &request), -EBADF);
    request = rig_request(&rig, IO_WRITE, 0);
    request.file = 1; /* open for reading */
    cr_expect_eq(rig_run(&rig, &request), -EBADF);
  }
  request = rig_request(&rig, IO_READ, 0);
  cr_expect_eq(rig_run(&rig, &request), 0, "the engine goes on");
  rig_end(&rig);
}

CONTRACT(reports_reads_past_the_end) {
  if (!subject->moves) cr_skip_test("this engine has no file that could end");
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_request request = rig_request(&rig, IO_READ, RIG_REQUESTS);
  cr_expect_eq(rig_run(&rig, &request), -ENODATA, "at the end");
  request = rig_request(&rig, IO_READ, RIG_REQUESTS + 100);
  cr_expect_eq(rig_run(&rig, &request), -ENODATA, "beyond");
  cr_assert_eq(truncate(rig.path, 3 * RIG_BYTES + 4096), 0);
  request = rig_request(&rig, IO_READ, 3);
  cr_expect_eq(rig_run(&rig, &request), -ENODATA, "cut on a block's edge");
  cr_expect_geq(rig.engine->info.short_count, 1);
  cr_assert_eq(truncate(rig.path, 3 * RIG_BYTES + 4096 + 100), 0);
  cr_expect_eq(rig_run(&rig, &request), -ENODATA, "cut within a block");
  request = rig_request(&rig, IO_READ, 2);
  cr_expect_eq(rig_run(&rig, &request), 0);
  cr_expect(rig_slot_holds(&rig, 2, 2));
  rig_end(&rig);
}

CONTRACT(closes_with_requests_under_way) {
  struct rig rig;
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  struct io_request batch[RIG_DEPTH];
  for (int i = 0; i < RIG_DEPTH; i++) batch[i] = rig_request(&rig, IO_READ, i);
  cr_expect_eq(rig.engine->ops->submit(rig.engine, batch, RIG_DEPTH, NULL), RIG_DEPTH);
  rig.engine->ops->close(rig.engine);
  rig.engine = NULL;
  /* After close() nothing may arrive in the memory any more. */
  memset(rig.memory, 0x5a, rig.buffer.bytes);
  clock_sleep_until_s(clock_now_s() + 0.02);
  for (size_t i = 0; i < rig.buffer.bytes; i++) cr_assert_eq(rig.memory[i], 0x5a);
  rig_end(&rig);
}

/* A pipe that nobody writes to is a drive that does not answer. */
CONTRACT(closes_over_a_request_that_nothing_answers) {
  if (!subject->moves) return;
  struct rig rig;
  int ends[2];
  rig_begin(&rig, false);
  cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
  close(rig.fds[1]);
  rig.fds[1] = ends[0];
  rig_open(&rig, subject->name);
  struct io_request request = rig_request(&rig, IO_READ, 0);
  request.file = 1;
  cr_assert_eq(rig.engine->ops->submit(rig.engine, &request, 1, NULL), 1);
  double start_s = clock_now_s();
  rig.engine->ops->close(rig.engine);
  rig.engine = NULL;
  cr_expect_lt(clock_now_s() - start_s, 8);
  close(ends[1]); /* now it is answered; what was left behind must find what it needs */
  clock_sleep_until_s(clock_now_s() + 0.1);
  rig_end(&rig);
}

CONTRACT(closing_nothing_is_allowed) {
  char name[48];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(subject->name, ":"), subject->name);
  const struct io_engine_ops *ops = io_engine_find(name);
  cr_assert_not_null(ops);
  ops->close(NULL);
}

Test(engine_table, lists_and_finds) {
  cr_expect_str_eq(io_engine_at(0)->name, "uring");
  cr_expect_str_eq(io_engine_at(1)->name, "pread");
  cr_expect_str_eq(io_engine_at(2)->name, "null");
  cr_expect_str_eq(io_engine_at(3)->name, "mmap");
  cr_expect_str_eq(io_engine_at(4)->name, "cufile");
  cr_expect_null(io_engine_at(5));
  cr_expect_null(io_engine_at(-1));
  cr_expect_null(io_engine_find("uringg"));
  cr_expect_null(io_engine_find("uring:nofixed"));
}

static void expect_refused(const char *name, struct io_engine_config config, const char *said) {
  struct io_engine *engine = (struct io_engine *)&config;
  struct error error = {0};
  cr_expect_eq(io_engine_open(&engine, name, &config, &error), -EINVAL, "%s", name);
  cr_expect_null(engine);
  cr_expect_not_null(strstr(error.message, said), "'%s' lacks '%s'", error.message, said);
}

Test(engine_table, refuses_with_what_is_accepted) {
  struct io_engine_config good = {.queue_depth = 4};
  expect_refused("libaio", good, "uring, pread, null");
  expect_refused("", good, "uring, pread, null");
  expect_refused("uring:iopol", good, "nofixed");
  expect_refused("uring:iopoll,sqpoll", good, "only one");
  expect_refused("uring:iopoll,buffered", good, "O_DIRECT");
  expect_refused("mmap:x", good, "none");
  expect_refused("uring:", good, "nofixed");
  expect_refused("uring:nofixed,", good, "nofixed");
  expect_refused("uring:plain,sqpoll", good, "only one");
  expect_refused("pread:x", good, "none");
  struct io_engine_config bad = good;
  bad.queue_depth = 0;
  expect_refused("null", bad, "queue depth 0");
  bad.queue_depth = 4097;
  expect_refused("uring", bad, "4096");
  bad = good;
  bad.n_files = 1;
  expect_refused("pread", bad, "files");
  struct io_buffer empty = {.address = NULL, .bytes = 10};
  bad = good;
  bad.buffers = &empty;
  bad.n_buffers = 1;
  expect_refused("uring", bad, "buffer 0");
}

Test(engine_table, tells_whose_memory_an_engine_moves) {
  cr_expect_eq(io_engine_moves("uring"), IO_BUFFER_HOST);
  cr_expect_eq(io_engine_moves("null:read=1GB/s"), IO_BUFFER_HOST);
  cr_expect_eq(io_engine_moves("cufile"), IO_BUFFER_DEVICE);
  cr_expect_eq(io_engine_moves("cufiles"), IO_BUFFER_HOST);
}

Test(engine_table, refuses_device_buffers) {
  int byte = 0;
  struct io_buffer device = {.address = &byte, .bytes = 4096, .kind = IO_BUFFER_DEVICE};
  struct io_engine_config config = {.queue_depth = 1, .buffers = &device, .n_buffers = 1};
  struct io_engine *engine;
  cr_expect_eq(io_engine_open(&engine, "uring", &config, NULL), -ENOTSUP);
  cr_expect_eq(io_engine_open(&engine, "pread", &config, NULL), -ENOTSUP);
  cr_expect_eq(io_engine_open(&engine, "mmap", &config, NULL), -ENOTSUP);
}

/* On a box without driver or library, and with host buffers on any: a reason, and what to do. */
Test(engine_table, cufile_is_refused_with_a_reason) {
  int byte = 0;
  struct io_buffer host = {.address = &byte, .bytes = 4096, .kind = IO_BUFFER_HOST};
  struct io_engine_config config = {.queue_depth = 1, .buffers = &host, .n_buffers = 1};
  struct io_engine *engine;
  struct error error = {0};
  cr_expect_eq(io_engine_open(&engine, "cufile", &config, &error), -ENOTSUP);
  cr_expect_null(engine);
  cr_expect_not_null(strstr(error.message, "--engine uring"), "%s", error.message);
}
