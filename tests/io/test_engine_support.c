/* The rule for short transfers, and engines whose kernel misbehaves. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "io/engine_support.h"
#include "tests/io/engine_rig.h"

/* ---- the rule, alone -------------------------------------------------------------------- */

static struct engine_transfer transfer_of(enum io_op op, size_t bytes) {
  struct engine_transfer transfer;
  memset(&transfer, 0, sizeof transfer);
  transfer.request.op = op;
  transfer.request.bytes = bytes;
  return transfer;
}

Test(transfer, ends_when_all_moved) {
  int error = -1;
  struct engine_transfer t = transfer_of(IO_READ, 8192);
  cr_expect_eq(engine_transfer_step(&t, 8192, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, 0);
  cr_expect_eq(t.n_short, 0);
}

Test(transfer, continues_short_ones) {
  int error = -1;
  struct engine_transfer t = transfer_of(IO_WRITE, 8192);
  cr_expect_eq(engine_transfer_step(&t, 4096, &error), ENGINE_STEP_CONTINUE);
  cr_expect_eq(t.done, 4096);
  cr_expect_eq(engine_transfer_step(&t, 4096, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, 0);
  cr_expect_eq(t.n_short, 1);
}

Test(transfer, tells_the_end_of_a_file) {
  int error = 0;
  struct engine_transfer t = transfer_of(IO_READ, 8192);
  cr_expect_eq(engine_transfer_step(&t, 0, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, -ENODATA);
  t = transfer_of(IO_READ, 8192);
  cr_expect_eq(engine_transfer_step(&t, 100, &error), ENGINE_STEP_CONTINUE);
  cr_expect_eq(engine_transfer_step(&t, -EINVAL, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, -ENODATA, "the continuation of a direct read that the file's end cut");
  t = transfer_of(IO_READ, 8192);
  cr_expect_eq(engine_transfer_step(&t, -EINVAL, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, -EINVAL, "a misaligned request stays one");
  t = transfer_of(IO_WRITE, 8192);
  cr_expect_eq(engine_transfer_step(&t, 0, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, -EIO, "a write that writes nothing");
}

Test(transfer, retries_up_to_a_limit) {
  int error = 0;
  struct engine_transfer t = transfer_of(IO_READ, 8192);
  for (int i = 0; i < ENGINE_RETRIES_MAX; i++)
    cr_assert_eq(engine_transfer_step(&t, i % 2 ? -EAGAIN : -EINTR, &error), ENGINE_STEP_CONTINUE);
  cr_expect_eq(engine_transfer_step(&t, -EAGAIN, &error), ENGINE_STEP_DONE);
  cr_expect_eq(error, -EAGAIN);
  cr_expect_eq(t.n_retries, ENGINE_RETRIES_MAX);
}

Test(transfer, progress_renews_the_retries) {
  int error = 0;
  struct engine_transfer t = transfer_of(IO_READ, 8192);
  for (int i = 0; i < ENGINE_RETRIES_MAX; i++) engine_transfer_step(&t, -EAGAIN, &error);
  cr_expect_eq(engine_transfer_step(&t, 4096, &error), ENGINE_STEP_CONTINUE);
  cr_expect_eq(engine_transfer_step(&t, -EAGAIN, &error), ENGINE_STEP_CONTINUE);
}

/* ---- faults, through engines ------------------------------------------------------------ */

struct subject {
  char name[48];
};

#define WITH_FAULTS(test)                                                                          \
  ParameterizedTestParameters(faults, test) {                                                      \
    static struct subject subjects[] = {                                                           \
        {"uring"}, {"uring:nofixed"}, {"uring:plain"}, {"uring:sqpoll"}, {"pread"}};               \
    return cr_make_param_array(struct subject, subjects, sizeof subjects / sizeof subjects[0]);    \
  }                                                                                                \
  ParameterizedTest(struct subject *subject, faults, test, .timeout = 120)

struct faulty {
  atomic_int calls;
  int fail_first; /* so many calls fail with `code` */
  int code;
};

/* Moves 4096 bytes at most; what the real call moved beyond is damaged again. */
static int64_t cut_short(void *context, const struct io_request *request, size_t done,
                         int64_t result) {
  struct faulty *faulty = context;
  atomic_fetch_add(&faulty->calls, 1);
  if (result <= 4096) return result;
  if (request->op == IO_READ)
    memset((char *)request->buffer + done + 4096, 0xee, (size_t)result - 4096);
  return 4096;
}

static int64_t fail_at_first(void *context, const struct io_request *request, size_t done,
                             int64_t result) {
  struct faulty *faulty = context;
  (void)request, (void)done;
  return atomic_fetch_add(&faulty->calls, 1) < faulty->fail_first ? faulty->code : result;
}

WITH_FAULTS(short_transfers_are_continued) {
  struct rig rig;
  struct faulty faulty = {0};
  struct engine_faults faults = {.context = &faulty, .result = cut_short};
  rig_begin(&rig, false);
  rig_open(&rig, subject->name);
  engine_inject_faults(rig.engine, &faults);
  struct io_request batch[RIG_DEPTH];
  struct io_completion done[RIG_DEPTH];
  for (int i = 0; i < RIG_DEPTH; i++) batch[i] = rig_request(&rig, IO_READ, i);
  cr_assert_eq(rig.engine->ops->submit(rig.engine, batch, RIG_DEPTH, NULL), RIG_DEPTH);
  cr_assert_eq(rig.engine->ops->reap(rig.engine, done, RIG_DEPTH, RIG_DEPTH, 20, NULL), RIG_DEPTH);
  for (int i = 0; i < RIG_DEPTH; i++) {
    cr_expect_eq(done[i].error, 0);
    cr_expect(rig_slot_holds(&rig, i, i), "block %d", i);
  }
  cr_expect_eq(rig.engine->info.short_count, RIG_DEPTH * (RIG_BYTES / 4096 - 1));
  cr_expect_eq(faulty.calls, RIG_DEPTH * RIG_BYTES / 4096);
  struct io_request write = rig_request(&rig, IO_WRITE, 5);
  cr_expect_eq(rig_run(&rig, &write), 0);
  cr_expect_eq(rig.engine->info.short_count, (RIG_DEPTH + 1) * (RIG_BYTES / 4096 - 1));
  rig_end(&rig);
}

static void run_failing(const char *name, int fail_first, int code, int wanted, uint64_t retries) {
  struct rig rig;
  struct faulty faulty = {.fail_first = fail_first, .code = code};
  struct engine_faults faults = {.context = &faulty, .result = fail_at_first};
  rig_begin(&rig, false);
  rig_open(&rig, name);
  engine_inject_faults(rig.engine, &faults);
  struct io_request request = rig_request(&rig, IO_READ, 9);
  cr_expect_eq(rig_run(&rig, &request), wanted);
  cr_expect_eq(rig.engine->info.retry_count, retries);
  if (wanted == 0) cr_expect(rig_slot_holds(&rig, 9, 9));
  rig_end(&rig);
}

WITH_FAULTS(eagain_is_retried) {
  run_failing(subject->name, 7, -EAGAIN, 0, 7);
}

WITH_FAULTS(eintr_is_retried) {
  run_failing(subject->name, 3, -EINTR, 0, 3);
}

WITH_FAULTS(eagain_for_ever_is_an_error) {
  run_failing(subject->name, 1000000, -EAGAIN, -EAGAIN, ENGINE_RETRIES_MAX);
}

WITH_FAULTS(io_errors_are_reported) {
  run_failing(subject->name, 1, -EIO, -EIO, 0);
}

WITH_FAULTS(no_space_is_reported) {
  run_failing(subject->name, 1, -ENOSPC, -ENOSPC, 0);
}

static int enter_fails_at_first(void *context) {
  struct faulty *faulty = context;
  return atomic_fetch_add(&faulty->calls, 1) < faulty->fail_first ? faulty->code : 0;
}

/* The kernel does not take the batch at first. */
Test(faults, a_batch_not_taken_is_handed_over_again) {
  const int codes[] = {-EAGAIN, -EBUSY, -EINTR};
  for (size_t i = 0; i < 3; i++) {
    struct rig rig;
    struct faulty faulty = {.fail_first = 2, .code = codes[i]};
    struct engine_faults faults = {.context = &faulty, .enter = enter_fails_at_first};
    rig_begin(&rig, false);
    rig_open(&rig, "uring");
    engine_inject_faults(rig.engine, &faults);
    struct io_request request = rig_request(&rig, IO_READ, 2);
    cr_expect_eq(rig_run(&rig, &request), 0);
    cr_expect(rig_slot_holds(&rig, 2, 2));
    cr_expect_eq(rig.engine->info.retry_count, 2);
    rig_end(&rig);
  }
}

/* More in one call, and the block layer would merge neighbours into larger requests. */
Test(faults, a_batch_is_handed_over_two_by_two) {
  struct rig rig;
  struct faulty faulty = {.fail_first = 0};
  struct engine_faults faults = {.context = &faulty, .enter = enter_fails_at_first};
  struct io_request requests[7];
  struct io_completion completions[7];
  rig_begin(&rig, false);
  rig_open(&rig, "uring");
  engine_inject_faults(rig.engine, &faults);
  for (int i = 0; i < 7; i++) requests[i] = rig_request(&rig, IO_READ, i);
  cr_expect_eq(rig.engine->ops->submit(rig.engine, requests, 7, &rig.error), 7);
  cr_expect_eq(atomic_load(&faulty.calls), 4);
  cr_expect_eq(rig.engine->ops->reap(rig.engine, completions, 7, 7, 10, &rig.error), 7);
  for (int i = 0; i < 7; i++) cr_expect(rig_slot_holds(&rig, i, i));
  rig_end(&rig);
}

Test(faults, a_broken_ring_ends_the_run) {
  struct rig rig;
  struct faulty faulty = {.fail_first = 1, .code = -EFAULT};
  struct engine_faults faults = {.context = &faulty, .enter = enter_fails_at_first};
  rig_begin(&rig, false);
  rig_open(&rig, "uring");
  engine_inject_faults(rig.engine, &faults);
  struct io_request request = rig_request(&rig, IO_READ, 2);
  cr_expect_eq(rig.engine->ops->submit(rig.engine, &request, 1, &rig.error), -EFAULT);
  cr_expect_not_null(strstr(rig.error.message, "io_uring_enter"));
  rig_end(&rig);
}
