/* Making KV files: whole or not at all, whatever happens in between. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/prng.h"
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

TestSuite(kv_create, .init = set_up, .fini = tear_down, .timeout = 150);

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition)) return __LINE__ % 251 + 1;                                                   \
  } while (0)

static void expect_in_child(int (*body)(void *)) {
  int status = io_test_in_child(body, NULL);
  if (status == IO_TEST_SKIP) {
    tear_down();
    cr_skip_test("not to be had here: seccomp, or mounting in a namespace of one's own");
  }
  cr_expect_eq(status, IO_TEST_PASS, "line %d (modulo 251)", status - 1);
}

static void set_all_crcs(struct kv_file *file) {
  for (int layer = 0; layer < identity.layers; layer++) {
    for (int64_t page = 0; page < kv_file_pages_per_layer(file); page++)
      kv_file_set_crc(file, layer, page, 1);
  }
}

Test(kv_create, nothing_is_seen_before_publishing) {
  struct kv_file *file;
  struct stat status;
  cr_assert_eq(kv_file_create(&file, directory, &identity, &error), 0, "%s", error.message);
  cr_expect_eq(io_test_count(directory), 0);
  cr_expect_str_eq(kv_file_path(file), "");
  cr_expect_not_null(strstr(kv_file_title(file), directory), "%s", kv_file_title(file));
  cr_assert_eq(fstat(kv_file_fd(file), &status), 0);
  cr_expect_eq((uint64_t)status.st_size, kv_file_bytes(&identity));
  cr_expect_geq((uint64_t)status.st_blocks * 512, kv_file_bytes(&identity), "preallocated");
  set_all_crcs(file);
  cr_assert_eq(kv_file_publish(file, &error), 0, "%s", error.message);
  cr_expect_eq(io_test_count(directory), 1);
  cr_expect_eq(access(kv_file_path(file), R_OK), 0);
  cr_expect_str_eq(kv_file_title(file), kv_file_path(file));
  cr_expect_eq(kv_file_crc(file, 1, 1), 1);
  kv_file_close(file);
}

Test(kv_create, an_unpublished_file_vanishes) {
  struct kv_file *file;
  cr_assert_eq(kv_file_create(&file, directory, &identity, &error), 0);
  kv_file_close(file);
  cr_expect_eq(io_test_count(directory), 0);
}

Test(kv_create, a_forgotten_crc_is_refused) {
  struct kv_file *file;
  cr_assert_eq(kv_file_create(&file, directory, &identity, &error), 0);
  for (int i = 0; i < 9; i++)
    if (i != 5) kv_file_set_crc(file, i / 3, i % 3, 0);
  cr_expect_eq(kv_file_publish(file, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "layer 1, page 2"), "%s", error.message);
  kv_file_set_crc(file, 1, 2, 0);
  cr_expect_eq(kv_file_publish(file, NULL), 0);
  kv_file_close(file);
}

Test(kv_create, of_two_creators_one_wins) {
  struct kv_file *files[2];
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(kv_file_create(&files[i], directory, &identity, &error), 0);
    set_all_crcs(files[i]);
  }
  cr_expect_eq(kv_file_publish(files[1], &error), 0);
  cr_expect_eq(kv_file_publish(files[0], &error), -EEXIST);
  cr_expect_not_null(strstr(error.message, "use that one"));
  cr_expect_eq(io_test_count(directory), 1);
  kv_file_close(files[0]);
  struct kv_file *opened;
  error_clear(&error);
  cr_expect_eq(kv_file_open(&opened, directory, &identity, &error), 0, "%s", error.message);
  kv_file_close(opened);
  kv_file_close(files[1]);
  cr_expect_eq(io_test_count(directory), 1);
}

Test(kv_create, readers_hold_it_shared) {
  struct kv_file *made, *opened;
  cr_assert_eq(kv_file_create(&made, directory, &identity, &error), 0);
  set_all_crcs(made);
  cr_assert_eq(kv_file_publish(made, &error), 0);
  cr_assert_eq(kv_file_open(&opened, directory, &identity, &error), 0);
  int fd = open(kv_file_path(made), O_RDONLY);
  kv_file_close(opened);
  cr_expect_neq(flock(fd, LOCK_EX | LOCK_NB), 0, "its maker reads it too");
  kv_file_close(made);
  cr_expect_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
  close(fd);
}

/* A child makes, publishes and removes files until it is killed at a random moment. */
static void make_for_ever(void) {
  char path[PATH_MAX], name[KV_NAME_BYTES];
  io_test_end_with_parent();
  kv_file_name(&identity, name);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  for (;;) {
    struct kv_file *file;
    if (kv_file_create(&file, directory, &identity, NULL) != 0) _exit(1);
    set_all_crcs(file);
    if (kv_file_publish(file, NULL) != 0) _exit(2);
    kv_file_close(file);
    unlink(path);
  }
}

/* Kills a maker `rounds` times; at most one file may be there, and a whole one. */
static int kill_makers(int rounds, bool has_partials) {
  for (int i = 0; i < rounds; i++) {
    pid_t child = fork();
    if (child == 0) make_for_ever();
    clock_sleep_until_s(clock_now_s() + 0.0005 + 0.01 * prng_unit(5, (uint64_t)i));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT(WIFSIGNALED(status));
    if (has_partials) EXPECT(kv_file_sweep_partial(directory, NULL) >= 0);
    int n = io_test_count(directory);
    EXPECT(n == 0 || n == 1);
    if (n == 0) continue;
    struct kv_file *file;
    EXPECT(kv_file_open(&file, directory, &identity, NULL) == 0);
    unlink(kv_file_path(file));
    kv_file_close(file);
  }
  return IO_TEST_PASS;
}

Test(kv_create, a_killed_maker_leaves_nothing_or_a_whole_file) {
  int line = kill_makers(60, false);
  cr_expect_eq(line, 0, "line %d (modulo 251)", line - 1);
}

/* ---- the fallback, on a filesystem that seems to lack O_TMPFILE -------------------------- */

static bool forbid_tmpfile(void) {
  return io_test_forbid(SYS_openat, 2, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP);
}

static int make_partial(void *unused) {
  (void)unused;
  if (!forbid_tmpfile()) return IO_TEST_SKIP;
  struct kv_file *files[2];
  EXPECT(kv_file_create(&files[0], directory, &identity, NULL) == 0);
  EXPECT(kv_file_create(&files[1], directory, &identity, NULL) == 0);
  EXPECT(io_test_count(directory) == 2);
  EXPECT(kv_file_sweep_partial(directory, NULL) == 0); /* both are held */
  EXPECT(io_test_count(directory) == 2);
  set_all_crcs(files[0]);
  set_all_crcs(files[1]);
  EXPECT(kv_file_publish(files[0], NULL) == 0);
  EXPECT(io_test_count(directory) == 2);
  EXPECT(kv_file_publish(files[1], NULL) == -EEXIST);
  kv_file_close(files[1]);
  EXPECT(io_test_count(directory) == 1);
  kv_file_close(files[0]);
  EXPECT(kv_file_open(&files[0], directory, &identity, NULL) == 0);
  kv_file_close(files[0]);
  return io_test_count(directory) == 1 ? IO_TEST_PASS : 250;
}

Test(kv_create, falls_back_to_partial_files) {
  expect_in_child(make_partial);
}

static int kill_partial_makers(void *unused) {
  (void)unused;
  return forbid_tmpfile() ? kill_makers(60, true) : IO_TEST_SKIP;
}

Test(kv_create, what_a_killed_maker_left_is_swept) {
  expect_in_child(kill_partial_makers);
}

static int make_buffered(void *unused) {
  (void)unused;
  struct kv_file *file;
  if (!io_test_forbid(SYS_openat, 2, O_DIRECT, EINVAL)) return IO_TEST_SKIP;
  EXPECT(kv_file_create(&file, directory, &identity, NULL) == 0);
  EXPECT(!kv_file_is_direct(file));
  set_all_crcs(file);
  EXPECT(kv_file_publish(file, NULL) == 0);
  kv_file_close(file);
  EXPECT(kv_file_open(&file, directory, &identity, NULL) == 0);
  EXPECT(!kv_file_is_direct(file));
  kv_file_close(file);
  return IO_TEST_PASS;
}

Test(kv_create, does_without_direct_io) {
  expect_in_child(make_buffered);
}

/* ---- no room, no right ------------------------------------------------------------------- */

/* In a namespace of its own: a tmpfs of 1 MiB. */
static bool mount_small(unsigned long flags) {
  return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("refill-test", directory, "tmpfs", flags, "size=1m") == 0;
}

static int fill_small(void *unused) {
  (void)unused;
  struct kv_file *file;
  if (!mount_small(0)) return IO_TEST_SKIP;
  identity.n_tokens = 4 * 100;
  EXPECT(kv_file_create(&file, directory, &identity, &error) == -ENOSPC);
  EXPECT(file == NULL);
  EXPECT(strstr(error.message, "2523136 bytes") != NULL);
  EXPECT(strstr(error.message, "1048576 bytes) are free") != NULL);
  EXPECT(strstr(error.message, "fewer tokens") != NULL);
  EXPECT(io_test_count(directory) == 0);
  identity.n_tokens = 4;
  EXPECT(kv_file_create(&file, directory, &identity, &error) == 0);
  kv_file_close(file);
  return IO_TEST_PASS;
}

Test(kv_create, no_space_is_told_before_any_is_taken) {
  expect_in_child(fill_small);
}

static int write_read_only(void *unused) {
  (void)unused;
  struct kv_file *file;
  if (!mount_small(MS_RDONLY)) return IO_TEST_SKIP;
  EXPECT(kv_file_create(&file, directory, &identity, &error) < 0);
  EXPECT(error.code == -EROFS || error.code == -ENOSPC);
  EXPECT(strstr(error.message, directory) != NULL);
  return IO_TEST_PASS;
}

Test(kv_create, a_read_only_filesystem_is_told) {
  expect_in_child(write_read_only);
}

static int run_over_limit(void *unused) {
  (void)unused;
  struct kv_file *file;
  struct rlimit limit = {100000, 100000};
  EXPECT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  EXPECT(kv_file_create(&file, directory, &identity, &error) == -EFBIG);
  EXPECT(strstr(error.message, "ulimit -f") != NULL);
  return IO_TEST_PASS;
}

Test(kv_create, the_limit_on_file_sizes_is_told) {
  expect_in_child(run_over_limit);
}

static int run_without_right(void *unused) {
  (void)unused;
  struct kv_file *file;
  if (getuid() == 0 && seteuid(65534) != 0) return IO_TEST_SKIP;
  EXPECT(kv_file_create(&file, directory, &identity, &error) == -EACCES);
  EXPECT(strstr(error.message, directory) != NULL);
  return IO_TEST_PASS;
}

Test(kv_create, a_directory_without_right_is_named) {
  cr_assert_eq(chmod(directory, 0555), 0);
  expect_in_child(run_without_right);
}

Test(kv_create, bad_directories_are_named) {
  struct kv_file *file;
  char path[IO_TEST_PATH_BYTES + 16];
  snprintf(path, sizeof path, "%s/none", directory);
  cr_expect_eq(kv_file_create(&file, path, &identity, &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, path));
  io_test_write_file(path, "x", 1);
  cr_expect_eq(kv_file_create(&file, path, &identity, NULL), -ENOTDIR);
}

Test(kv_create, bad_identities_are_refused) {
  struct kv_file *file;
  identity.page_stride_bytes = 8192 + 512;
  cr_expect_eq(kv_file_create(&file, directory, &identity, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "page_stride_bytes is 8704"), "%s", error.message);
  identity.layers = 0;
  cr_expect_eq(kv_file_create(&file, directory, &identity, NULL), -EINVAL);
  cr_expect_eq(kv_file_bytes(&identity), 0);
  cr_expect_eq(io_test_count(directory), 0);
}
