/*
 * Threads that wait inside the kernel, of a process that is made up and of this one.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "bench/box/stuck.h"
#include "tests/bench/bench_test.h"

static void add_thread(const char *root, int thread, const char *stat) {
  char path[PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/task/%d", root, thread);
  cr_assert_eq(mkdir(path, 0700), 0);
  write_file(path, "stat", stat);
}

Test(stuck, threads_in_the_kernel_are_counted_whatever_their_names) {
  char root[PATH_MAX], path[PATH_MAX + 64];
  make_directory(root);
  cr_expect_eq(stuck_threads(root), 0, "no such process");
  snprintf(path, sizeof path, "%s/task", root);
  cr_assert_eq(mkdir(path, 0700), 0);
  add_thread(root, 10, "10 (refill) S 1 10 10");
  cr_expect_eq(stuck_threads(root), 0);
  add_thread(root, 11, "11 (a) D) D 1 10 10");
  add_thread(root, 12, "12 (a) D b) S 1 10 10");
  add_thread(root, 13, "13 (iou-wrk-10) D 1 10 10");
  add_thread(root, 14, "");
  cr_expect_eq(stuck_threads(root), 2);
  for (int thread = 10; thread <= 14; thread++) {
    snprintf(path, sizeof path, "%s/task/%d", root, thread);
    remove_directory(path);
  }
  snprintf(path, sizeof path, "%s/task", root);
  remove_directory(path);
  remove_directory(root);
}

/* But for a moment, when a page of the program comes from the drive. */
Test(stuck, this_process_waits_for_nothing) {
  int n = 1;
  for (int try = 0; try < 200 && n > 0; try++) {
    n = stuck_threads("/proc/self");
    if (n > 0) clock_sleep_until_s(clock_now_s() + 0.05);
  }
  cr_expect_eq(n, 0);
}
