/*
 * fio beside the lab: how it ends. What it is told and answers is in test_storage_lab.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "bench/measure/lab_fio.h"
#include "tests/bench/bench_test.h"

static char path[PATH_MAX];

static void set_up(void) {
  make_directory(path);
}

static void tear_down(void) {
  remove_directory(path);
}

TestSuite(lab_fio, .init = set_up, .fini = tear_down, .timeout = 60);

/* Runs a script in fio's place. */
static int run(const char *script, struct lab_fio_rate *rate, struct error *error) {
  static struct lab_fio fio;
  char name[PATH_MAX + 8];
  write_file(path, "fio", script);
  snprintf(name, sizeof name, "%s/fio", path);
  cr_assert_eq(chmod(name, 0755), 0);
  fio.argv[0] = name;
  return lab_fio_run(&fio, rate, error);
}

Test(lab_fio, its_answer_and_its_failure_are_told) {
  struct lab_fio_rate rate;
  struct error error = {0};
  cr_expect_eq(run("#!/bin/sh\necho a note; echo '{\"jobs\": [{\"read\": {\"io_bytes\": 2000, "
                   "\"bw_bytes\": 500}, \"job_runtime\": 4000}]}'\n",
                   &rate, &error),
               0, "%s", error.message);
  cr_expect_eq(rate.bytes_per_s, 500);
  cr_expect_eq(run("#!/bin/sh\necho no such file; exit 1\n", &rate, &error), -EIO);
  cr_expect_not_null(strstr(error.message, "no such file"), "%s", error.message);
  setenv("PATH", path, 1);
  static struct lab_fio fio = {.argv = {"no-fio"}};
  error_clear(&error);
  cr_expect_eq(lab_fio_run(&fio, &rate, &error), -ENOTSUP, "%s", error.message);
}

Test(lab_fio, its_line_is_one_command_to_a_shell) {
  static struct lab_fio fio = {.argc = 3,
                               .argv = {"fio", "--filename=/mnt/it's a \"drive\"", "-x"}};
  char line[128], small[24];
  cr_expect_str_eq(lab_fio_line(&fio, line, sizeof line),
                   "fio '--filename=/mnt/it'\\''s a \"drive\"' -x");
  cr_expect_eq(strlen(lab_fio_line(&fio, small, sizeof small)), sizeof small - 1, "cut");
}

/* Ctrl-C: whatever fio makes of it, complete rounds are to be told. */
Test(lab_fio, an_interrupt_ends_it) {
  struct lab_fio_rate rate;
  struct error error = {0};
  double start_s = clock_now_s();
  test_interrupted = 1;
  cr_expect_eq(run("#!/bin/sh\nexec sleep 40\n", &rate, &error), -EINTR, "%s", error.message);
  cr_expect_lt(clock_now_s() - start_s, 30);
  cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "it still runs");
}
