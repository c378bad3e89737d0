/*
 * The help, read as a stranger would: every option of the command with its default, nothing of
 * other commands, nothing wider than a terminal.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#include "bench/options_table.h"
#include "bench_test.h"

#define HELP_BYTES 16384

/* What options_print_help() prints to stdout. */
static void help_of(const char *command, char text[HELP_BYTES]) {
  cr_redirect_stdout();
  options_print_help(command);
  fflush(stdout);
  size_t n = fread(text, 1, HELP_BYTES - 1, cr_get_redirected_stdout());
  cr_assert(n > 0 && n < HELP_BYTES - 1);
  text[n] = '\0';
}

static void check_entry(const char *help, const struct options_entry *entry, int command) {
  char name[64];
  snprintf(name, sizeof name, "--%s%s", entry->name, entry->argument ? " " : "\n");
  bool named = strstr(help, name) != NULL;
  snprintf(name, sizeof name, "--%s ", entry->name);
  named = named || strstr(help, name);
  bool taken = entry->commands & (1U << command);
  cr_assert_eq(named, taken, "--%s in the help of %s", entry->name, options_command_name(command));
  if (!taken || !entry->initial) return;
  const char *at = strstr(help, name);
  const char *next = strstr(at, "\n      --"), *fallback = strstr(at, "(default");
  cr_assert(fallback && (!next || fallback < next), "--%s without its default", entry->name);
}

static void check_help(int command) {
  static char help[HELP_BYTES];
  help_of(options_command_name(command), help);
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) check_entry(help, entry, command);
  char *rest = help, *line;
  size_t width = 80;
  while ((line = strsep(&rest, "\n"))) {
    if (strcmp(line, "Examples") == 0) width = 100; /* a command is not broken */
    cr_assert_leq(strlen(line), width, "%s", line);
    cr_assert(line[0] == '\0' || line[strlen(line) - 1] != ' ', "'%s' ends in a blank", line);
  }
}

/* One test a command: Criterion redirects stdout once a test. */
Test(options_help, doctor) {
  check_help(OPTIONS_DOCTOR);
}
Test(options_help, calibrate) {
  check_help(OPTIONS_CALIBRATE);
}
Test(options_help, sweep) {
  check_help(OPTIONS_SWEEP);
}
Test(options_help, plan) {
  check_help(OPTIONS_PLAN);
}
Test(options_help, compare) {
  check_help(OPTIONS_COMPARE);
}
Test(options_help, verify) {
  check_help(OPTIONS_VERIFY);
}

Test(options_help, accepts_are_what_one_would_type) {
  static const struct {
    const char *name;
    int command;
    const char *text;
  } cases[] = {
      {"window", OPTIONS_SWEEP, "a count from 1 to 1,024"},
      {"page-tokens", OPTIONS_SWEEP, "a count from 1 to 65,536"},
      {"page-tokens", OPTIONS_CALIBRATE, "counts from 1 to 65,536, separated by commas"},
      {"page-tokens", -1, "counts from 1 to 65,536, separated by commas"},
      {"io-size", OPTIONS_SWEEP, "a size from 4KiB to 1GiB, a multiple of 4KiB"},
      {"io-timeout", OPTIONS_SWEEP, "a time from 10ms to 1h, with its unit: ns, us, ms, s, min, h"},
      {"alpha", OPTIONS_SWEEP, "numbers from 0 to below 1, separated by commas"},
      {"kv-dtype", OPTIONS_SWEEP, "bf16, fp8"},
      {"policy", OPTIONS_SWEEP, "recompute, serial, overlap, separated by commas"},
      {"store", OPTIONS_SWEEP, "on or off"},
      {"bind", OPTIONS_SWEEP, "auto, none or a NUMA node's number from 0 to 1023"},
      {"out", OPTIONS_SWEEP, "the path of a file"},
      {"output", OPTIONS_PLAN, "a count from 1 to 1,000,000,000"},
      {"hbm", OPTIONS_PLAN, "a size from 1MB to 1000TB"},
      {"nvme-bw", OPTIONS_PLAN, "a rate of at least 1 B/s, with its unit: GB/s, MB/s, GiB/s"},
      {"gpu-cost", OPTIONS_PLAN, "a number from 0 to 1e+06"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[OPTIONS_ACCEPTS_BYTES];
    const struct options_entry *entry = options_entry_find(cases[i].name, strlen(cases[i].name));
    cr_assert_str_eq(options_accepts(entry, cases[i].command, text), cases[i].text);
  }
}

Test(options_help, every_accepted_text_fits) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    char text[OPTIONS_ACCEPTS_BYTES];
    size_t length = strlen(options_accepts(entry, -1, text));
    cr_assert_gt(length, 0, "--%s", entry->name);
    cr_assert_lt(length, OPTIONS_ACCEPTS_BYTES - 1, "--%s", entry->name);
  }
}

Test(options_nearest, finds_what_was_meant) {
  const char *const words[] = {"window", "write-window", "tokens", "page-tokens", "seed", NULL};
  cr_assert_str_eq(options_nearest("windwo", words), "window");
  cr_assert_str_eq(options_nearest("window", words), "window");
  cr_assert_str_eq(options_nearest("page", words), "page-tokens");
  cr_assert_str_eq(options_nearest("sede", words), "seed");
  cr_assert_str_eq(options_nearest("esde", words), "seed", "two neighbours swapped are one error");
  cr_assert_str_eq(options_nearest("page_tokens", words), "page-tokens");
  cr_assert_null(options_nearest("bandwidth", words));
  cr_assert_null(options_nearest("x", words));
  cr_assert_null(options_nearest("", words));
}
