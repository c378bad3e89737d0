/* The null engine: no cost of its own, and as a paced drive a steady rate. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "io/engine.h"

#define MIB ((size_t)1 << 20)

static struct io_engine *open_null(const char *name, int queue_depth) {
  struct io_engine *engine;
  struct error error = {0};
  int no_file = -1;
  struct io_engine_config config = {.queue_depth = queue_depth, .fds = &no_file, .n_files = 1};
  cr_assert_eq(io_engine_open(&engine, name, &config, &error), 0, "%s", error.message);
  return engine;
}

static struct io_request request_of(enum io_op op, size_t bytes) {
  static char byte;
  return (struct io_request){.op = op, .file = 0, .buffer = &byte, .bytes = bytes, .tag = op};
}

/* Seconds for 10,000 requests in batches of 32. */
static double run_many(struct io_engine *engine) {
  struct io_request batch[32];
  struct io_completion done[32];
  for (int i = 0; i < 32; i++) batch[i] = request_of(IO_READ, MIB);
  double start_s = clock_now_s();
  for (int finished = 0; finished < 10000;) {
    engine->ops->submit(engine, batch, 32, NULL);
    finished += engine->ops->reap(engine, done, 32, 1, 1, NULL);
  }
  return clock_now_s() - start_s;
}

/* Seconds for as many readings of the clock as those requests have at least. */
static double read_clocks(void) {
  double start_s = clock_now_s();
  for (int i = 0; i < 20000; i++) (void)clock_now_s();
  return clock_now_s() - start_s;
}

Test(engine_null, costs_next_to_nothing) {
  struct io_engine *engine = open_null("null", 32);
  double best_s = INFINITY, clocks_s = INFINITY;
  for (int i = 0; i < 10; i++) {
    best_s = fmin(best_s, run_many(engine));
    clocks_s = fmin(clocks_s, read_clocks());
  }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  cr_expect_lt(best_s, 0.1);
#else
  cr_expect_lt(best_s, 2 * clocks_s, "10,000 requests took %g s, 20,000 readings of the clock %g s",
               best_s, clocks_s);
#endif
  engine->ops->close(engine);
}

/* Moves n requests of a kind with the queue always full; seconds from first submit to last reap. */
static double run_paced(struct io_engine *engine, enum io_op op, int n) {
  struct io_request request = request_of(op, MIB);
  struct io_completion done[8];
  int submitted = 0, finished = 0;
  double start_s = clock_now_s();
  while (finished < n) {
    while (submitted < n && engine->ops->submit(engine, &request, 1, NULL) == 1) submitted++;
    finished += engine->ops->reap(engine, done, 8, 1, 10, NULL);
  }
  return clock_now_s() - start_s;
}

/* The smallest error of so many runs: a loaded machine may wake us late after the last request, but
 * a pace that is wrong or drifts is wrong each time. */
static double pace_error(const char *name, enum io_op op, int n, double wanted_s) {
  double error = INFINITY;
  for (int i = 0; i < 20 && error >= 0.01; i++) {
    struct io_engine *engine = open_null(name, 32);
    error = fmin(error, fabs(run_paced(engine, op, n) / wanted_s - 1));
    engine->ops->close(engine);
  }
  return error;
}

Test(engine_null, keeps_its_pace_within_a_percent) {
  int n = 572; /* 0.3 s at 2 GB/s */
  double read_error = pace_error("null:read=2GB/s,write=1GB/s", IO_READ, n, n * (double)MIB / 2e9);
  cr_expect_lt(read_error, 0.01, "off by %g", read_error);
  double write_error =
      pace_error("null:write=1GB/s,read=2GB/s", IO_WRITE, n / 2, n / 2 * (double)MIB / 1e9);
  cr_expect_lt(write_error, 0.01, "off by %g", write_error);
}

Test(engine_null, paces_the_directions_apart) {
  struct io_engine *engine = open_null("null:read=100MB/s,write=10MB/s", 8);
  struct io_request batch[3] = {request_of(IO_WRITE, MIB), request_of(IO_READ, MIB),
                                request_of(IO_READ, MIB)};
  struct io_completion done[3];
  cr_assert_eq(engine->ops->submit(engine, batch, 3, NULL), 3);
  cr_assert_eq(engine->ops->reap(engine, done, 3, 3, 10, NULL), 3);
  cr_expect_eq(done[0].tag, IO_READ);
  cr_expect_eq(done[1].tag, IO_READ);
  cr_expect_eq(done[2].tag, IO_WRITE, "the slower direction ends last though it began first");
  cr_expect_geq(done[0].complete_s - done[0].submit_s, 0.0104);
  cr_expect_geq(done[1].complete_s - done[1].submit_s, 0.0209);
  cr_expect_geq(done[2].complete_s - done[2].submit_s, 0.1048);
  engine->ops->close(engine);
}

Test(engine_null, an_unpaced_direction_is_at_once) {
  struct io_engine *engine = open_null("null:write=1MB/s", 8);
  struct io_request batch[2] = {request_of(IO_WRITE, MIB), request_of(IO_READ, MIB)};
  struct io_completion done[2];
  cr_assert_eq(engine->ops->submit(engine, batch, 2, NULL), 2);
  cr_expect_eq(engine->ops->reap(engine, done, 2, 0, 0, NULL), 1);
  cr_expect_eq(done[0].tag, IO_READ);
  engine->ops->close(engine);
}

Test(engine_null, a_sync_waits_for_the_writes_before_it) {
  struct io_engine *engine = open_null("null:write=50MB/s", 8);
  struct io_request batch[2] = {request_of(IO_WRITE, MIB), request_of(IO_SYNC, 0)};
  struct io_completion done[2];
  cr_assert_eq(engine->ops->submit(engine, batch, 2, NULL), 2);
  cr_assert_eq(engine->ops->reap(engine, done, 2, 2, 10, NULL), 2);
  cr_expect_eq(done[1].tag, IO_SYNC);
  cr_expect_geq(done[1].complete_s - done[1].submit_s, 0.0209);
  engine->ops->close(engine);
}

Test(engine_null, keeps_its_timeout) {
  struct io_engine *engine = open_null("null:read=1MB/s", 8);
  struct io_request request = request_of(IO_READ, MIB);
  struct io_completion done;
  cr_assert_eq(engine->ops->submit(engine, &request, 1, NULL), 1);
  double start_s = clock_now_s();
  cr_expect_eq(engine->ops->reap(engine, &done, 1, 1, 0.05, NULL), 0);
  double waited_s = clock_now_s() - start_s;
  cr_expect(waited_s >= 0.05 && waited_s < 0.9, "waited %g s", waited_s);
  engine->ops->close(engine);
}

Test(engine_null, says_that_it_is_emulated) {
  struct io_engine *engine = open_null("null:read=2GB/s", 1);
  cr_expect(engine->info.emulated);
  cr_expect_str_eq(engine->info.description,
                   "paced null: emulated drive, reads 2.00 GB/s, writes at once");
  engine->ops->close(engine);
  engine = open_null("null", 1);
  cr_expect(engine->info.emulated);
  cr_expect_null(strstr(engine->info.description, "paced"));
  engine->ops->close(engine);
}

Test(engine_null, refuses_other_options) {
  const char *const names[] = {"null:",           "null:read",        "null:read=",
                               "null:read=2GB",   "null:read=0GB/s",  "null:reads=1GB/s",
                               "null:fast",       "null:read=1GB/s,", "null:read=1GB/s,read=2GB/s",
                               "null:read=-1GB/s"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct io_engine *engine;
    struct error error = {0};
    struct io_engine_config config = {.queue_depth = 1};
    cr_expect_eq(io_engine_open(&engine, names[i], &config, &error), -EINVAL, "%s", names[i]);
    cr_expect_not_null(strstr(error.message, "GB/s"), "%s", error.message);
  }
}
