/*
 * Progress: the estimate, and what a terminal and a log get to see.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/present/progress.h"
#include "bench_test.h"

/* A terminal of our own: what is written to `stream` is read from `fd`. */
struct terminal {
  int fd;
  FILE *stream;
};

static struct terminal open_terminal(unsigned short columns) {
  struct terminal terminal = {.fd = posix_openpt(O_RDWR | O_NOCTTY)};
  cr_assert_geq(terminal.fd, 0);
  cr_assert_eq(grantpt(terminal.fd), 0);
  cr_assert_eq(unlockpt(terminal.fd), 0);
  const struct winsize size = {.ws_row = 24, .ws_col = columns};
  cr_assert_eq(ioctl(terminal.fd, TIOCSWINSZ, &size), 0);
  terminal.stream = fopen(ptsname(terminal.fd), "w");
  cr_assert(terminal.stream);
  setenv("TERM", "xterm", 1);
  return terminal;
}

/* All that was written so far. */
static void read_terminal(const struct terminal *terminal, char text[4096]) {
  fcntl(terminal->fd, F_SETFL, O_NONBLOCK);
  ssize_t n = read(terminal->fd, text, 4095);
  text[n > 0 ? n : 0] = '\0';
}

static void close_terminal(struct terminal *terminal) {
  fclose(terminal->stream);
  close(terminal->fd);
}

Test(progress, a_terminal_shows_what_runs_and_is_cleared) {
  struct terminal terminal = open_terminal(120);
  struct progress progress;
  char text[4096];
  progress_begin(&progress, terminal.stream, "sweep", 100);
  read_terminal(&terminal, text);
  cr_assert(strstr(text, "\rsweep [                    ]   0%  about 1m 40s left\033[K"), "%s",
            text);
  progress_done(&progress, 50);
  progress_running(&progress, "alpha %.2f", 0.5);
  read_terminal(&terminal, text);
  cr_assert(strstr(text, "[==========          ]  50%  alpha 0.50  about "), "%s", text);
  cr_assert_null(strchr(text, '\n'));
  progress_end(&progress);
  read_terminal(&terminal, text);
  cr_assert_str_eq(text, "\r\033[K");
  progress_end(&progress);
  read_terminal(&terminal, text);
  cr_assert_str_eq(text, "");
  close_terminal(&terminal);
}

Test(progress, a_narrow_terminal_is_not_overflowed) {
  struct terminal terminal = open_terminal(30);
  struct progress progress;
  char text[4096];
  progress_begin(&progress, terminal.stream, "sweep", 100);
  progress_running(&progress, "%s", "something that takes many words to say");
  read_terminal(&terminal, text);
  const char *last = strrchr(text, '\r');
  cr_assert_eq(strcspn(last + 1, "\033"), 29, "%s", last);
  progress_end(&progress);
  close_terminal(&terminal);
}

Test(progress, a_log_gets_one_line_a_phase) {
  char *text = NULL;
  size_t n = 0;
  FILE *stream = tmpfile();
  struct progress progress;
  progress_begin(&progress, stream, "sweep", 200);
  for (int i = 0; i < 100; i++) {
    progress_running(&progress, "point %d", i);
    progress_done(&progress, 1);
  }
  progress_expect(&progress, 50);
  progress_end(&progress);
  progress_begin(&progress, stream, "doctor", 0);
  progress_end(&progress);
  rewind(stream);
  cr_assert_gt(getdelim(&text, &n, '\0', stream), 0);
  cr_assert_str_eq(text, "refill: sweep, about 3m 20s\nrefill: doctor\n");
  free(text);
  fclose(stream);
}

Test(progress, without_a_stream_it_is_silent) {
  struct progress progress;
  progress_begin(&progress, NULL, "sweep", 10);
  progress_running(&progress, "x");
  progress_done(&progress, 1);
  progress_end(&progress);
  struct progress none = {0};
  progress_end(&none);
}

Test(progress, what_is_left_follows_how_the_plan_has_held) {
  struct progress progress = {.expected_s = 100, .started_s = 1000, .stepped_s = 1000};
  cr_assert_float_eq(progress_left_s(&progress, 1000), 100, 1e-9, "by the plan at first");
  cr_assert_float_eq(progress_left_s(&progress, 1030), 70, 1e-9, "counting down in a step");

  progress.done_s = 50;
  progress.stepped_s = 1050;
  cr_assert_float_eq(progress_left_s(&progress, 1050), 50, 1e-9, "as planned");
  progress.stepped_s = 1100; /* took twice as long */
  cr_assert_float_eq(progress_left_s(&progress, 1100), 50 * 110.0 / 60, 1e-9);
  cr_assert_eq(progress_left_s(&progress, 9999), 0, "never negative");

  progress.done_s = 120; /* more than planned */
  cr_assert_eq(progress_left_s(&progress, 1100), 0);
  progress.expected_s = 0;
  cr_assert(isnan(progress_left_s(&progress, 1100)), "unknown");
}
