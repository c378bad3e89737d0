/*
 * Calls that a drive never answers: a FIFO in a KV file's place is one, since opening it waits for
 * a writer.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/measure/bounded_file.h"
#include "tests/bench/bench_test.h"

static char directory[PATH_MAX];
static struct error error;
static struct kv_identity identity;

static void set_up(void) {
  make_directory(directory);
  error_clear(&error);
  identity = (struct kv_identity){.model = "tiny",
                                  .content = "synthetic",
                                  .layers = 1,
                                  .n_tokens = 16,
                                  .page_tokens = 16,
                                  .page_payload_bytes = 4096,
                                  .page_stride_bytes = 4096};
}

static void tear_down(void) {
  remove_directory(directory);
}

TestSuite(bounded_file, .init = set_up, .fini = tear_down, .timeout = 120);

Test(bounded_file, opening_ends_when_the_time_is_over) {
  char name[KV_FILE_TEXT_BYTES * 2];
  char path[PATH_MAX + KV_FILE_TEXT_BYTES * 2 + 1];
  kv_file_name(&identity, name);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  cr_assert_eq(mkfifo(path, 0600), 0);
  struct kv_file *file = (struct kv_file *)path;
  double start_s = clock_now_s();
  cr_expect_eq(bounded_file_open(&file, directory, &identity, 0.1, &error), -ETIMEDOUT);
  double waited_s = clock_now_s() - start_s;
  cr_expect(waited_s >= 0.1 && waited_s < 5, "waited %g s", waited_s);
  cr_expect_null(file);
  cr_expect_not_null(strstr(error.message, "--io-timeout"), "%s", error.message);
  cr_expect_not_null(strstr(error.message, directory), "%s", error.message);
  int writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC); /* lets the thread end */
  clock_sleep_until_s(clock_now_s() + 0.1);
  close(writer);
}

Test(bounded_file, errors_and_sentences_come_through) {
  struct kv_file *file = NULL;
  cr_expect_eq(bounded_file_open(&file, directory, &identity, 10, &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, directory), "%s", error.message);
  error_clear(&error);
  cr_expect_eq(bounded_file_sweep("/nonexistent", 10, &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, "/nonexistent"), "%s", error.message);
}

Test(bounded_file, makes_publishes_and_reads_back) {
  struct kv_file *file = NULL;
  cr_assert_eq(bounded_file_create(&file, directory, &identity, 10, &error), 0, "%s",
               error.message);
  kv_file_set_crc(file, 0, 0, 1);
  cr_assert_eq(bounded_file_publish(&file, 10, &error), 0, "%s", error.message);
  struct bounded_reader reader = {0};
  const void *data = NULL;
  uint64_t offset_bytes = kv_file_page_offset(file, 0, 0);
  cr_assert_eq(bounded_file_read(&reader, file, offset_bytes, 4096, &data, 10, &error), 0);
  cr_expect_eq(((const char *)data)[4095], 0);
  cr_expect_eq(bounded_file_read(&reader, file, offset_bytes, 8192, &data, 10, &error), -ENODATA);
  cr_expect_not_null(strstr(error.message, "the file ends there"), "%s", error.message);
  bounded_reader_free(&reader);
  bounded_file_close(file, 10);
  bounded_file_close(NULL, 10);
}
