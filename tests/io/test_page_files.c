/*
 * Page files: sets that are found again, made longer, refused and taken back; and the engines that
 * open, move and close a file for each page.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "io/page_files.h"
#include "io/page_files_engine.h"
#include "tests/io/io_test.h"

#define PAGE ((size_t)8192)
#define PAGES 24
#define DEPTH 8
#define SEED 5

static char directory[IO_TEST_PATH_BYTES];
static struct page_files set, other;
static struct error error;

static void begin(void) {
  if (!io_test_directory(directory)) cr_skip_test("no directory on a disk");
}

static void end(void) {
  page_files_close(&set);
  page_files_close(&other);
  io_test_remove(directory);
}

static int open_set(struct page_files *of, uint64_t n_pages) {
  return page_files_open(of, directory, PAGE, n_pages, SEED, &error);
}

TestSuite(page_files, .init = begin, .fini = end);

Test(page_files, a_set_is_found_again_and_made_longer) {
  cr_assert_eq(open_set(&set, PAGES), 0, "%s", error.message);
  cr_expect(set.made);
  cr_expect_eq(io_test_count(set.path), PAGES + 1, "pages and marker");
  page_files_close(&set);
  cr_expect_eq(page_files_there(directory, PAGE), PAGES);
  cr_expect_eq(page_files_there(directory, 2 * PAGE), 0);
  cr_assert_eq(open_set(&set, PAGES / 2), 0, "%s", error.message);
  cr_expect(!set.made, "made again");
  cr_expect_eq(set.n_pages, PAGES);
  page_files_close(&set);
  cr_assert_eq(open_set(&set, PAGES + 4), 0, "%s", error.message);
  cr_expect(set.made);
  cr_expect_eq(io_test_count(set.path), PAGES + 5);
  cr_expect_eq(io_test_count(directory), 1, "nothing else is left");
}

Test(page_files, what_is_not_ours_is_left_alone) {
  char path[2 * IO_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "%s/refill-pages-%zu", directory, PAGE);
  mkdir(path, 0755);
  snprintf(path, sizeof path, "%s/refill-pages-%zu/00000000", directory, PAGE);
  io_test_write_file(path, "mine", 4);
  cr_expect_eq(open_set(&set, PAGES), -EEXIST);
  cr_expect_not_null(strstr(error.message, "not a set of pages"), "%s", error.message);
  size_t bytes = 0;
  char *text = io_test_read_file(path, &bytes);
  cr_expect_eq(bytes, 4);
  free(text);
  cr_expect_eq(open_set(&set, PAGE_FILES_MAX + 1), -EINVAL);
}

/* Killed before the set could say what it is, or while new pages were begun: no more than names of
 * ours are left, and the next run goes on. */
Test(page_files, what_was_only_begun_is_made_or_removed) {
  const char *const left[] = {"refill-pages-8192/refill-pages.new",
                              "refill-pages-8192/refill-probe",
                              "refill-pages-new-abcdef/refill-probe"};
  char path[2 * IO_TEST_PATH_BYTES];
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, left[i]);
    *strrchr(path, '/') = '\0';
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s", directory, left[i]);
    io_test_write_file(path, "", 0);
  }
  cr_expect_eq(open_set(&set, PAGES), 0, "%s", error.message);
  cr_expect(set.made);
  cr_expect_eq(io_test_count(set.path), PAGES + 1);
  cr_expect_eq(page_files_open_new(&other, directory, PAGE, PAGES, &error), 0);
  cr_expect_eq(io_test_count(directory), 2, "the set and the new pages");
}

Test(page_files, a_set_in_use_is_not_made_longer) {
  cr_assert_eq(open_set(&set, PAGES), 0, "%s", error.message);
  cr_expect_eq(open_set(&other, PAGES + 1), -EBUSY);
  page_files_close(&set);
  cr_expect_eq(open_set(&other, PAGES + 1), 0, "%s", error.message);
}

/* A child that may write no more: what it began is gone, what was there stays. */
static int run_out(void *argument) {
  (void)argument;
  const struct rlimit limit = {.rlim_cur = PAGE / 2, .rlim_max = PAGE / 2};
  io_test_end_with_parent();
  setrlimit(RLIMIT_FSIZE, &limit);
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGXFSZ, &ignore, NULL);
  struct page_files failing;
  struct error why = {0};
  int code = page_files_open(&failing, directory, PAGE, PAGES, SEED, &why);
  return code == -EFBIG && strstr(why.message, "page 0 of 24") ? IO_TEST_PASS : __LINE__;
}

Test(page_files, what_cannot_be_made_is_taken_back) {
  cr_expect_eq(io_test_in_child(run_out, NULL), IO_TEST_PASS);
  cr_expect_eq(io_test_count(directory), 0);
}

Test(page_files, new_pages_go_with_the_run_or_the_next) {
  cr_assert_eq(page_files_open_new(&set, directory, PAGE, PAGES, &error), 0, "%s", error.message);
  cr_assert_eq(page_files_fill_zero(&set, &error), 0, "%s", error.message);
  cr_expect_eq(io_test_count(set.path), PAGES);
  cr_assert_eq(page_files_clear(&set, &error), 0);
  cr_expect_eq(io_test_count(set.path), 0);
  /* Another's is held, and so not swept; one that nobody holds is. */
  char path[2 * IO_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "%s/refill-pages-new-killed", directory);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/refill-pages-new-killed/0000000a", directory);
  io_test_write_file(path, "x", 1);
  cr_assert_eq(page_files_open_new(&other, directory, PAGE, PAGES, &error), 0);
  cr_expect_eq(io_test_count(directory), 2);
  page_files_close(&set);
  page_files_close(&other);
  cr_expect_eq(io_test_count(directory), 0);
}

/* ---- engines ---- */

static struct io_engine *engine;
static char *memory;

/* Opens an engine over `set` (file 0) and `other` (file 1, new pages). "unlinked" is uring as it is
 * where a kernel cannot link to an open. */
static int open_engine(const char *name) {
  if (!set.path[0]) {
    cr_assert_eq(open_set(&set, PAGES), 0, "%s", error.message);
    cr_assert_eq(page_files_open_new(&other, directory, PAGE, PAGES, &error), 0);
  }
  static int fds[2];
  fds[0] = set.fd;
  fds[1] = other.fd;
  memory = io_test_memory(DEPTH * PAGE);
  static struct io_buffer buffer;
  buffer = (struct io_buffer){.address = memory, .bytes = DEPTH * PAGE};
  const struct io_engine_config config = {
      .queue_depth = DEPTH, .fds = fds, .n_files = 2, .buffers = &buffer, .n_buffers = 1};
  const struct page_files_paths unlinked = {
      .page_bytes = PAGE, .direct = set.direct, .unlinked = true};
  if (strcmp(name, "unlinked") == 0)
    return page_files_uring_open(&engine, &config, &unlinked, &error);
  return page_files_engine_open(&engine, name, &config, PAGE, set.direct, &error);
}

static struct io_request request_of(enum io_op op, int file, uint64_t page, int slot) {
  return (struct io_request){.op = op,
                             .file = file,
                             .offset_bytes = page * PAGE,
                             .buffer = memory + (size_t)slot * PAGE,
                             .bytes = PAGE,
                             .tag = page};
}

/* Runs n requests; the last error among them. */
static int run(const struct io_request *requests, int n) {
  struct io_completion done[DEPTH];
  int code = 0, left = n;
  cr_assert_eq(engine->ops->submit(engine, requests, n, &error), n, "%s", error.message);
  while (left > 0) {
    int got = engine->ops->reap(engine, done, DEPTH, 1, 20, &error);
    cr_assert_gt(got, 0, "%s", error.message);
    for (int i = 0; i < got; i++) {
      cr_expect_leq(done[i].submit_s, done[i].complete_s);
      if (done[i].error) code = done[i].error;
    }
    left -= got;
  }
  return code;
}

static bool holds(int slot, uint64_t page) {
  static char expected[8192];
  prng_fill(expected, PAGE, SEED, page * PAGE / 8);
  return memcmp(memory + (size_t)slot * PAGE, expected, PAGE) == 0;
}

static void close_engine(void) {
  engine->ops->close(engine);
  free(memory);
}

static void read_all_pages(const char *name) {
  int code = open_engine(name);
  if (code == -ENOTSUP) cr_skip_test("%s: %s", name, error.message);
  cr_assert_eq(code, 0, "%s", error.message);
  for (uint64_t first = 0; first < PAGES; first += DEPTH) {
    struct io_request requests[DEPTH];
    for (int i = 0; i < DEPTH; i++) requests[i] = request_of(IO_READ, 0, first + (uint64_t)i, i);
    cr_assert_eq(run(requests, DEPTH), 0);
    for (int i = 0; i < DEPTH; i++) cr_expect(holds(i, first + (uint64_t)i), "%s", name);
  }
  close_engine();
}

static const char *const engines[] = {"pread", "uring", "uring:nofixed", "uring:buffered",
                                      "unlinked"};

Test(page_files, each_engine_reads_the_pages) {
  for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) read_all_pages(engines[i]);
  cr_expect_eq(io_test_count(directory), 2);
}

Test(page_files, each_engine_writes_new_files) {
  for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
    cr_assert_eq(open_engine(engines[i]), 0, "%s", error.message);
    page_files_clear(&other, &error);
    for (size_t k = 0; k < DEPTH; k++) prng_fill(memory + k * PAGE, PAGE, SEED, k * PAGE / 8);
    struct io_request requests[DEPTH];
    for (int k = 0; k < DEPTH; k++) requests[k] = request_of(IO_WRITE, 1, (uint64_t)k, k);
    cr_assert_eq(run(requests, DEPTH), 0, "%s", engines[i]);
    cr_assert_eq(run(requests, DEPTH), 0, "%s: over what is there", engines[i]);
    cr_expect_eq(io_test_count(other.path), DEPTH);
    memset(memory, 0, DEPTH * PAGE);
    for (int k = 0; k < DEPTH; k++) requests[k].op = IO_READ;
    cr_assert_eq(run(requests, DEPTH), 0);
    for (int k = 0; k < DEPTH; k++) cr_expect(holds(k, (uint64_t)k), "%s", engines[i]);
    close_engine();
  }
}

/* A page that is gone or short is an error of its request alone; the ring's table stays usable. */
Test(page_files, a_missing_page_is_an_error) {
  for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
    cr_assert_eq(open_engine(engines[i]), 0, "%s", error.message);
    struct io_request requests[3] = {request_of(IO_READ, 0, 1, 0), request_of(IO_READ, 1, 2, 1),
                                     request_of(IO_READ, 0, 3, 2)};
    cr_expect_eq(run(requests, 3), -ENOENT, "%s", engines[i]);
    cr_expect(holds(0, 1));
    cr_expect(holds(2, 3));
    char name[PAGE_FILES_NAME_BYTES], path[PATH_MAX + 32];
    page_files_name(5, name);
    snprintf(path, sizeof path, "%s/%s", set.path, name);
    cr_assert_eq(truncate(path, PAGE / 2), 0);
    requests[0] = request_of(IO_READ, 0, 5, 0);
    cr_expect_eq(run(requests, 1), -ENODATA, "%s", engines[i]);
    for (int k = 0; k < 5; k++) cr_expect_eq(run(&requests[2], 1), 0);
    close_engine();
  }
}

Test(page_files, other_engines_and_options_are_refused) {
  const char *const refused[] = {"null",    "mmap",    "uring:sqpoll", "uring:iopoll",
                                 "uring:x", "pread:x", "cufile"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    cr_expect_eq(open_engine(refused[i]), -EINVAL, "%s", refused[i]);
    free(memory);
  }
}
