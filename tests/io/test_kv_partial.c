/* Sweeping partial files: ours that nobody holds, and nothing else. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/kv_internal.h"
#include "tests/io/io_test.h"

#define OUR_NAME "refill-tiny-0123456789abcdef.kv.fedcba9876543210.partial"

static char directory[IO_TEST_PATH_BYTES];

static void set_up(void) {
  cr_assert(io_test_directory(directory));
}

static void tear_down(void) {
  io_test_remove(directory);
}

TestSuite(kv_partial, .init = set_up, .fini = tear_down, .timeout = 120);

static void write_file(const char *name, const char *data, size_t bytes) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  io_test_write_file(path, data, bytes);
}

static bool exists(const char *name) {
  char path[PATH_MAX];
  struct stat status;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return lstat(path, &status) == 0;
}

Test(kv_partial, knows_its_own_names) {
  const struct {
    const char *name;
    bool ours;
  } cases[] = {{OUR_NAME, true},
               {"refill--0123456789abcdef.kv.fedcba9876543210.partial", true},
               {"refill-0123456789abcdef.kv.fedcba9876543210.partial", false},
               {"refill-tiny-0123456789abcdef.kv.partial", false},
               {"refill-tiny-0123456789ABCDEF.kv.fedcba9876543210.partial", false},
               {"refill-tiny-0123456789abcdef.kw.fedcba9876543210.partial", false},
               {"refill-tiny-0123456789abcdef.kv.fedcba9876543210.partial2", false},
               {"xefill-tiny-0123456789abcdef.kv.fedcba9876543210.partial", false},
               {".partial", false},
               {"", false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    cr_expect_eq(kv_partial_name_is_ours(cases[i].name), cases[i].ours, "%s", cases[i].name);
}

Test(kv_partial, creates_names_it_knows) {
  struct kv_identity identity = io_test_identity();
  char name[KV_PARTIAL_NAME_BYTES];
  int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
  int fd = kv_partial_create(directory_fd, &identity, 0, name);
  cr_assert_geq(fd, 0);
  cr_expect(kv_partial_name_is_ours(name), "%s", name);
  cr_expect(exists(name));
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 0, "held");
  close(fd);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 1, "let go");
  cr_expect_not(exists(name));
  close(directory_fd);
}

Test(kv_partial, sweeps_ours) {
  write_file(OUR_NAME, "", 0);
  write_file("old.partial", KV_HEADER_MAGIC "and more", 16);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 2);
  cr_expect_eq(io_test_count(directory), 0);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 0);
}

Test(kv_partial, leaves_everything_else) {
  char path[PATH_MAX];
  write_file("thesis.partial", "my only copy", 12);
  write_file("empty.partial", "", 0);
  write_file("short.partial", "REF", 3);
  write_file("refill-tiny-0123456789abcdef.kv", KV_HEADER_MAGIC, 8);
  write_file("refill-tiny-0123456789abcdef.kv.1111111111111111.partial", "other bytes", 11);
  write_file("target", KV_HEADER_MAGIC, 8);
  snprintf(path, sizeof path, "%s/link.partial", directory);
  cr_assert_eq(symlink("target", path), 0);
  snprintf(path, sizeof path, "%s/directory.partial", directory);
  cr_assert_eq(mkdir(path, 0700), 0);
  snprintf(path, sizeof path, "%s/refill-x-0123456789abcdef.kv.2222222222222222.partial",
           directory);
  cr_assert_eq(mkfifo(path, 0600), 0);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 0);
  cr_expect_eq(io_test_count(directory), 9);
}

Test(kv_partial, leaves_what_is_held) {
  char path[PATH_MAX];
  write_file(OUR_NAME, KV_HEADER_MAGIC, 8);
  snprintf(path, sizeof path, "%s/%s", directory, OUR_NAME);
  int fd = open(path, O_RDONLY);
  cr_assert_eq(flock(fd, LOCK_SH), 0);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 0);
  close(fd);
  cr_expect_eq(kv_file_sweep_partial(directory, NULL), 1);
}

Test(kv_partial, removes_only_the_file_it_has_open) {
  char path[PATH_MAX];
  write_file(OUR_NAME, KV_HEADER_MAGIC, 8);
  snprintf(path, sizeof path, "%s/%s", directory, OUR_NAME);
  int fd = open(path, O_RDONLY), directory_fd = open(directory, O_RDONLY);
  cr_assert_eq(unlink(path), 0);
  write_file(OUR_NAME, "another's", 9);
  kv_partial_remove(directory_fd, OUR_NAME, fd);
  cr_expect(exists(OUR_NAME));
  close(fd);
  close(directory_fd);
}

Test(kv_partial, names_a_bad_directory) {
  struct error error = {0};
  cr_expect_eq(kv_file_sweep_partial("/nonexistent/refill", &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, "/nonexistent/refill"));
}
