/* KV files on a real filesystem: round trip, damage, strangers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "io/kv_file.h"
#include "io/kv_header.h"
#include "tests/io/io_test.h"

static char directory[IO_TEST_PATH_BYTES];
static struct kv_identity identity;
static struct error error;

static void set_up(void) {
  cr_assert(io_test_directory(directory));
  identity = io_test_identity();
  error_clear(&error);
}

static void tear_down(void) {
  io_test_remove(directory);
}

TestSuite(kv_file, .init = set_up, .fini = tear_down, .timeout = 120);

Test(kv_file, round_trip) {
  cr_assert_eq(io_test_make_kv_file(directory, &identity), 0);
  cr_expect_eq(io_test_count(directory), 1);
  struct kv_file *file;
  cr_assert_eq(kv_file_open(&file, directory, &identity, &error), 0, "%s", error.message);
  cr_expect_eq(kv_file_pages_per_layer(file), 3);
  cr_expect_eq(kv_file_alignment(file) % 4096, 0);
  cr_expect_eq(memcmp(kv_file_identity(file), &identity, sizeof identity), 0);
  struct stat status;
  cr_assert_eq(stat(kv_file_path(file), &status), 0);
  cr_expect_eq((uint64_t)status.st_size, kv_file_bytes(&identity));
  char *page = io_test_memory(identity.page_stride_bytes);
  char *wanted = io_test_memory(identity.page_stride_bytes);
  for (int layer = 0; layer < identity.layers; layer++) {
    for (int64_t i = 0; i < 3; i++) {
      uint64_t offset = kv_file_page_offset(file, layer, i);
      cr_expect_eq(offset % 4096, 0);
      cr_assert_eq(pread(kv_file_fd(file), page, identity.page_stride_bytes, (off_t)offset),
                   (ssize_t)identity.page_stride_bytes);
      io_test_fill_page(wanted, &identity, layer, i);
      cr_expect_eq(memcmp(page, wanted, identity.page_stride_bytes), 0);
      cr_expect_eq(crc32c(kv_file_crc_start(file, layer, i), page, identity.page_payload_bytes),
                   kv_file_crc(file, layer, i));
    }
  }
  free(page);
  free(wanted);
  kv_file_close(file);
}

/* ---- damage ----------------------------------------------------------------------------- */

static void path_of(const struct kv_identity *which, char *path) {
  char name[KV_NAME_BYTES];
  kv_file_name(which, name);
  snprintf(path, IO_TEST_PATH_BYTES * 2, "%s/%s", directory, name);
}

static void flip(const char *path, off_t at, int bit) {
  uint8_t byte;
  int fd = open(path, O_RDWR);
  cr_assert_geq(fd, 0);
  cr_assert_eq(pread(fd, &byte, 1, at), 1);
  byte ^= (uint8_t)(1 << bit);
  cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
  close(fd);
}

static int open_and_close(const struct kv_identity *which) {
  struct kv_file *file = NULL;
  error_clear(&error);
  int code = kv_file_open(&file, directory, which, &error);
  cr_expect_eq(code == 0, file != NULL);
  kv_file_close(file);
  return code;
}

Test(kv_file, damage_of_header_and_table_is_refused) {
  char path[IO_TEST_PATH_BYTES * 2];
  cr_assert_eq(io_test_make_kv_file(directory, &identity), 0);
  path_of(&identity, path);
  for (off_t at = 0; at < KV_HEADER_BYTES + 36; at += at < KV_HEADER_BYTES ? 41 : 1) {
    flip(path, at, (int)(at % 8));
    cr_expect_lt(open_and_close(&identity), 0, "byte %lld", (long long)at);
    cr_expect_neq(error.message[0], '\0');
    flip(path, at, (int)(at % 8));
  }
  cr_expect_eq(open_and_close(&identity), 0, "%s", error.message);
  flip(path, KV_HEADER_BYTES + 5, 0);
  cr_expect_eq(open_and_close(&identity), -EBADMSG);
  cr_expect_not_null(strstr(error.message, "table"));
  cr_expect_not_null(strstr(error.message, path));
}

Test(kv_file, wrong_sizes_are_refused) {
  char path[IO_TEST_PATH_BYTES * 2];
  cr_assert_eq(io_test_make_kv_file(directory, &identity), 0);
  path_of(&identity, path);
  const off_t whole = (off_t)kv_file_bytes(&identity);
  const off_t sizes[] = {whole + 1, whole + 8192, whole - 1, whole - 8192, 65536,
                         65535,     4096,         4095,      100,          0};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    cr_assert_eq(truncate(path, sizes[i]), 0);
    cr_expect_eq(open_and_close(&identity), -EBADMSG, "%lld bytes: %s", (long long)sizes[i],
                 error.message);
  }
}

Test(kv_file, strangers_are_refused) {
  char path[IO_TEST_PATH_BYTES * 2];
  char *text = io_test_memory(100000);
  path_of(&identity, path);
  io_test_write_file(path, text, 100000);
  cr_expect_eq(open_and_close(&identity), -EBADMSG);
  cr_expect_not_null(strstr(error.message, "REFILLKV"));
  free(text);
  unlink(path);
  cr_expect_eq(open_and_close(&identity), -ENOENT);
  cr_assert_eq(mkdir(path, 0700), 0);
  cr_expect_lt(open_and_close(&identity), 0);
}

/* A page in another's place, though whole, does not have that place's CRC. */
Test(kv_file, swapped_pages_are_found) {
  cr_assert_eq(io_test_make_kv_file(directory, &identity), 0);
  struct kv_file *file;
  cr_assert_eq(kv_file_open(&file, directory, &identity, &error), 0);
  char *page = io_test_memory(identity.page_stride_bytes);
  for (int from = 0; from < 9; from++) {
    cr_assert_gt(pread(kv_file_fd(file), page, identity.page_stride_bytes,
                       (off_t)kv_file_page_offset(file, from / 3, from % 3)),
                 0);
    for (int to = 0; to < 9; to++) {
      uint32_t crc =
          crc32c(kv_file_crc_start(file, to / 3, to % 3), page, identity.page_payload_bytes);
      cr_expect_eq(crc == kv_file_crc(file, to / 3, to % 3), from == to);
    }
  }
  free(page);
  kv_file_close(file);
}

/* A file under another identity's name, as after a wrong copy. */
Test(kv_file, another_runs_file_is_refused) {
  char from[IO_TEST_PATH_BYTES * 2], to[IO_TEST_PATH_BYTES * 2];
  struct kv_identity wanted = identity;
  wanted.seed = 43;
  cr_assert_eq(io_test_make_kv_file(directory, &identity), 0);
  path_of(&identity, from);
  path_of(&wanted, to);
  cr_expect_eq(open_and_close(&wanted), -ENOENT);
  cr_assert_eq(rename(from, to), 0);
  cr_expect_eq(open_and_close(&wanted), -ESTALE);
  cr_expect_not_null(strstr(error.message, "differs in seed: found 42, wanted 43"), "%s",
                     error.message);
  struct kv_file *file;
  cr_assert_eq(kv_file_open_path(&file, to, &error), 0, "whatever its identity");
  cr_expect_eq(kv_file_identity(file)->seed, 42);
  cr_expect_str_eq(kv_file_path(file), to);
  kv_file_close(file);
}

Test(kv_file, each_file_has_an_id_of_its_own) {
  struct kv_file *files[2];
  uint32_t starts[2];
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(kv_file_create(&files[i], directory, &identity, &error), 0);
    starts[i] = kv_file_crc_start(files[i], 0, 0);
  }
  cr_expect_neq(starts[0], starts[1]);
  kv_file_close(files[0]);
  kv_file_close(files[1]);
  kv_file_close(NULL);
}
