/* The proof of a cold read: what it believes, and what it does not. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/cold.h"
#include "io/cold_judge.h"
#include "tests/io/io_test.h"

static char directory[IO_TEST_PATH_BYTES];
static char path[IO_TEST_PATH_BYTES + 16];

static void tear_down(void) {
  io_test_remove(directory);
}

TestSuite(cold_file, .fini = tear_down, .timeout = 120);

Test(cold, judges) {
  const struct target real = {.transport = "nvme"};
  const struct target guest = {.transport = "nvme", .virtual_drive = true};
  const struct target network = {.transport = "network"}, raid = {.transport = "raid"};
  const struct target memory = {.transport = "ram"};
  const struct {
    const struct target *target;
    double ratio;
    int64_t cached;
    const char *text;
  } cases[] = {
      {&real, 1.0, 0, "proven"},
      {&real, 1.1, 0, "proven"},
      {&real, 1.11, 0, "not proven (the drive read 1.11 times the bytes: others read too)"},
      {&real, 0.999, 0, "not proven (the drive read 0.999 of the bytes asked for)"},
      {&real, 0.0, 0, "not proven (the drive's counters did not move; iostats off?)"},
      {&real, (double)NAN, 0, "not proven (no drive counters)"},
      {&real, 1.0, 4096, "not proven (4.00 KiB of the file in the page cache)"},
      {&real, 1.0, -1, "not proven (page cache cannot be asked)"},
      {&guest, 1.0, 0, "not proven (cache below the guest)"},
      {&network, 1.0, 0, "not proven (cache below: network storage)"},
      {&raid, 1.0, 0, "not proven (cache below: RAID controller)"},
      {&memory, (double)NAN, 0, "not proven (the target is memory)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct cold_result result;
    cold_judge(&result, cases[i].target, cases[i].ratio, cases[i].cached);
    cr_expect_str_eq(result.text, cases[i].text);
    cr_expect_eq(result.verdict == COLD_PROVEN, strcmp(cases[i].text, "proven") == 0);
    cr_expect_eq(result.cached_bytes, cases[i].cached);
  }
}

/* A file of 1 MiB, synced: its pages are in the cache. */
static int make_file(void) {
  char *data = io_test_memory(1 << 20);
  cr_assert(io_test_directory(directory));
  snprintf(path, sizeof path, "%s/data", directory);
  io_test_write_file(path, data, 1 << 20);
  free(data);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  cr_assert_geq(fd, 0);
  cr_assert_eq(fsync(fd), 0);
  return fd;
}

Test(cold_file, both_ways_see_the_page_cache) {
  int fd = make_file();
  cr_expect_eq(cold_cached_bytes(fd), 1 << 20);
  cr_expect_eq(cold_cached_by_mincore(fd), 1 << 20);
  cr_assert_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  cr_expect_eq(cold_cached_bytes(fd), 0);
  cr_expect_eq(cold_cached_by_mincore(fd), 0);
  char byte;
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
  cr_assert_eq(pread(fd, &byte, 1, 500000), 1);
  cr_expect_gt(cold_cached_bytes(fd), 0);
  cr_expect_eq(cold_cached_by_mincore(fd), cold_cached_bytes(fd));
  close(fd);
}

static int ask_as_another_user(void *unused) {
  (void)unused;
  if (geteuid() != 0 || setuid(65534) != 0) return IO_TEST_SKIP;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 1;
  return cold_cached_by_mincore(fd) == -1 ? IO_TEST_PASS : 2;
}

/* The kernel tells others that all of a file is cached, whatever is. */
Test(cold_file, the_cache_of_another_users_file_is_unknown) {
  int fd = make_file();
  chmod(directory, 0755);
  chmod(path, 0644);
  cr_assert_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
  int status = io_test_in_child(ask_as_another_user, NULL);
  if (status == IO_TEST_SKIP) cr_skip_test("no other user to be had here");
  cr_expect_eq(status, IO_TEST_PASS, "case %d", status);
}

/* A loop device over our file, gone with its last descriptor; -1 where there are none to be had. */
static int open_loop(int backing) {
  char device[32];
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
  if (control >= 0) close(control);
  snprintf(device, sizeof device, "/dev/loop%d", number);
  int fd = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
  const struct loop_config config = {.fd = (unsigned)backing, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
  if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* fstat() tells no size of a block device. */
Test(cold_file, both_ways_see_the_page_cache_of_a_device) {
  int backing = make_file();
  int fd = open_loop(backing);
  close(backing);
  if (fd < 0) cr_skip_test("no loop devices can be made here");
  char *data = io_test_memory(1 << 20);
  cr_expect_eq(pread(fd, data, 1 << 20, 0), 1 << 20);
  cr_expect_eq(cold_cached_by_mincore(fd), 1 << 20);
  cr_expect_eq(cold_cached_bytes(fd), 1 << 20);
  free(data);
  close(fd);
}

Test(cold_file, a_cached_read_is_not_proven_and_a_direct_one_counts) {
  struct target target;
  struct cold_probe probe;
  struct cold_result result;
  int cached = make_file();
  cr_assert_eq(target_describe(&target, directory, NULL), 0);
  char *data = io_test_memory(1 << 20);
  cold_begin(&probe, &target, cached);
  cr_assert_eq(pread(cached, data, 1 << 20, 0), 1 << 20);
  cold_end(&probe, 1 << 20, &result);
  cr_expect_eq(result.verdict, COLD_NOT_PROVEN);
  cr_expect_eq(result.cached_bytes, 1 << 20);
  cr_assert_eq(posix_fadvise(cached, 0, 0, POSIX_FADV_DONTNEED), 0);
  int direct = open(path, O_RDONLY | O_DIRECT);
  if (direct >= 0 && probe.before.known) {
    cold_begin(&probe, &target, direct);
    cr_assert_eq(pread(direct, data, 1 << 20, 0), 1 << 20);
    cold_end(&probe, 1 << 20, &result);
    cr_expect_eq(result.cached_bytes, 0);
    cr_expect_geq(result.counter_ratio, 1.0);
    if (target.virtual_drive) cr_expect_eq(result.verdict, COLD_NOT_PROVEN);
    close(direct);
  }
  free(data);
  close(cached);
}
