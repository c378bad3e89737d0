/* Targets on this machine: what must hold wherever tests run. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/target.h"
#include "tests/io/io_test.h"

static char directory[IO_TEST_PATH_BYTES];

static void tear_down(void) {
  io_test_remove(directory);
}

TestSuite(target, .fini = tear_down, .timeout = 30);

Test(target, describes_a_directory_and_leaves_nothing) {
  struct target target;
  struct error error = {0};
  struct statvfs space;
  cr_assert(io_test_directory(directory));
  cr_assert_eq(target_describe(&target, directory, &error), 0, "%s", error.message);
  cr_expect_eq(io_test_count(directory), 0);
  cr_expect_str_eq(target.path, directory);
  cr_expect_neq(target.filesystem[0], '\0');
  cr_expect_neq(target.mount_options[0], '\0');
  cr_expect_neq(target.transport[0], '\0');
  cr_assert_eq(statvfs(directory, &space), 0);
  cr_expect_gt(target.free_bytes, 0);
  cr_expect_leq(target.free_bytes, space.f_bfree * space.f_frsize + (UINT64_C(1) << 30));
  cr_expect_geq(target.direct_alignment_bytes, 512);
  cr_expect_eq(target.direct_alignment_bytes & (target.direct_alignment_bytes - 1), 0);
}

Test(target, memory_is_ram) {
  struct target target;
  struct target_counters counters;
  if (!io_test_memory_directory(directory)) cr_skip_test("no directory in /dev/shm");
  cr_assert_eq(target_describe(&target, directory, NULL), 0);
  cr_expect_str_eq(target.filesystem, "tmpfs");
  cr_expect_str_eq(target.transport, "ram");
  cr_expect_str_eq(target.drive, "");
  target_counters_read(&target, &counters);
  cr_expect_not(counters.known);
}

/* What is written and synced here has moved the drive's counter. */
Test(target, counters_move_with_writes) {
  struct target target;
  struct target_counters before, after;
  char path[IO_TEST_PATH_BYTES + 16];
  cr_assert(io_test_directory(directory));
  cr_assert_eq(target_describe(&target, directory, NULL), 0);
  target_counters_read(&target, &before);
  if (!before.known) {
    tear_down();
    cr_skip_test("the drive under %s has no counters", directory);
  }
  char *data = io_test_memory(8 << 20);
  memset(data, 0x5a, 8 << 20);
  snprintf(path, sizeof path, "%s/data", directory);
  io_test_write_file(path, data, 8 << 20);
  int fd = open(path, O_RDONLY);
  cr_assert_eq(fsync(fd), 0);
  close(fd);
  free(data);
  target_counters_read(&target, &after);
  cr_expect_geq(after.write_bytes - before.write_bytes, 8 << 20);
}

static void expect_error(const char *path, int code) {
  struct target target;
  struct error error = {0};
  cr_expect_eq(target_describe(&target, path, &error), code, "%s", path);
  cr_expect_not_null(strstr(error.message, path), "%s", error.message);
  const char *advice = target_advice(code);
  cr_expect_gt(strlen(advice), 10, "%s", path);
  cr_expect_not_null(strstr(error.message, advice), "%s", error.message);
}

Test(target, names_bad_paths) {
  char path[IO_TEST_PATH_BYTES + 16];
  cr_assert(io_test_directory(directory));
  snprintf(path, sizeof path, "%s/none", directory);
  expect_error(path, -ENOENT);
  io_test_write_file(path, "x", 1);
  expect_error(path, -ENOTDIR);
  expect_error("/proc", -EOPNOTSUPP);
}

/* A file that is only read, in a directory that may not be written. */
static int describe_file_of_another(void *unused) {
  struct target target, of_directory;
  struct error error = {0};
  char path[IO_TEST_PATH_BYTES + 16];
  (void)unused;
  snprintf(path, sizeof path, "%s/file", directory);
  io_test_write_file(path, "x", 1);
  if (target_describe(&of_directory, directory, NULL) != 0) return 1;
  if (chmod(directory, 0555) < 0 || (getuid() == 0 && setuid(65534) != 0)) return IO_TEST_SKIP;
  if (target_describe_file(&target, path, &error) != 0) return 2;
  if (strcmp(target.path, path) != 0 || target.direct != of_directory.direct) return 3;
  if (strcmp(target.drive, of_directory.drive) != 0) return 4;
  return target.direct_alignment_bytes == of_directory.direct_alignment_bytes ? IO_TEST_PASS : 5;
}

static int describe_without_tmpfile(void *unused) {
  struct target target;
  (void)unused;
  if (!io_test_forbid(SYS_openat, 2, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP)) return IO_TEST_SKIP;
  if (target_describe(&target, directory, NULL) != 0) return 1;
  return io_test_count(directory) == 0 ? IO_TEST_PASS : 2;
}

static int describe_without_direct(void *unused) {
  struct target target;
  (void)unused;
  if (!io_test_forbid(SYS_openat, 2, O_DIRECT, EINVAL)) return IO_TEST_SKIP;
  if (target_describe(&target, directory, NULL) != 0) return 1;
  if (target.direct) return 2;
  return io_test_count(directory) == 0 ? IO_TEST_PASS : 3;
}

static int describe_without_right(void *unused) {
  struct target target;
  struct error error = {0};
  (void)unused;
  if (getuid() == 0 && setuid(65534) != 0) return IO_TEST_SKIP;
  if (target_describe(&target, directory, &error) != -EACCES) return 1;
  return strstr(error.message, target_advice(-EACCES)) ? IO_TEST_PASS : 2;
}

static void expect_in_child(int (*body)(void *)) {
  cr_assert(io_test_directory(directory));
  int status = io_test_in_child(body, NULL);
  if (status == IO_TEST_SKIP) {
    tear_down();
    cr_skip_test("not to be had here: seccomp or another user");
  }
  cr_expect_eq(status, IO_TEST_PASS, "case %d", status);
}

Test(target, a_file_is_only_read) {
  expect_in_child(describe_file_of_another);
}

Test(target, works_without_unnamed_files) {
  expect_in_child(describe_without_tmpfile);
}

Test(target, tells_that_direct_io_is_missing) {
  expect_in_child(describe_without_direct);
}

Test(target, tells_a_missing_right) {
  expect_in_child(describe_without_right);
}
