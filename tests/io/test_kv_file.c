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

TestSuite(kv_file, .init = set_up, .fini = tear_down, .timeout = 30);

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
