/*
 * What the parser refuses: for every option of the table, in every command that takes it, every
 * kind of bad value. A new option of a known kind is covered at once; one of a new kind fails here
 * until it has bad values.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "bench/options_table.h"
#include "bench_test.h"

#define BAD_MAX 16

struct bad {
  char value[BAD_MAX][512];
  int n;
};

static void add(struct bad *bad, const char *value) {
  cr_assert_lt(bad->n, BAD_MAX);
  cr_assert_lt(strlen(value), sizeof bad->value[0]);
  snprintf(bad->value[bad->n++], sizeof bad->value[0], "%s", value);
}

static void add_numbers(struct bad *bad, const struct options_entry *entry, const char *unit) {
  char value[64];
  if (entry->min > 0 && !entry->zero) {
    snprintf(value, sizeof value, "0%s", unit);
    add(bad, value);
  }
  snprintf(value, sizeof value, "%.0f%s", entry->max + 1, unit);
  add(bad, value);
  snprintf(value, sizeof value, "99999999999999999999999%s", unit);
  add(bad, value);
  snprintf(value, sizeof value, "-1%s", unit);
  add(bad, value);
  add(bad, "many");
  add(bad, "12parsecs");
  add(bad, "nan");
  add(bad, "0x10");
}

static void add_list(struct bad *bad, const struct options_entry *entry) {
  add_numbers(bad, entry, "");
  add(bad, ",");
  add(bad, "1,,2");
}

static void add_quantities(struct bad *bad, const struct options_entry *entry) {
  switch (entry->kind) {
  case OPTIONS_COUNT:
  case OPTIONS_SEED:
    add_numbers(bad, entry, "");
    add(bad, "1.5");
    add(bad, "3MB");
    break;
  case OPTIONS_COUNT_LIST:
    add_list(bad, entry);
    add(bad, "64,64");
    break;
  case OPTIONS_REAL_LIST:
    add_list(bad, entry);
    add(bad, "0.5,0.5");
    add(bad, "1");
    break;
  case OPTIONS_BYTES:
    add_numbers(bad, entry, "");
    add(bad, "1MiB/s");
    if (entry->multiple) add(bad, "4097");
    break;
  case OPTIONS_BYTES_LIST:
    add(bad, "0");
    add(bad, "4097");
    add(bad, "4096,4KiB");
    add(bad, "1MiB,");
    add(bad, "1MB/s");
    break;
  case OPTIONS_REAL:
    add_numbers(bad, entry, "");
    add(bad, "3MB");
    break;
  case OPTIONS_RATE:
    add_numbers(bad, entry, "GB/s");
    add(bad, "56GB");
    add(bad, "56");
    break;
  case OPTIONS_SECONDS:
    add_numbers(bad, entry, "s");
    add(bad, "30");
    add(bad, "2MiB");
    break;
  default:
    break;
  }
}

static void add_names(struct bad *bad, const struct options_entry *entry) {
  switch (entry->kind) {
  case OPTIONS_CHOICE:
  case OPTIONS_CHOICES:
  case OPTIONS_POLICIES:
    add(bad, "nonsense");
    add(bad, "BF16");
    add(bad, "overlap,overlap");
    add(bad, "overlap,");
    break;
  case OPTIONS_DEVICE:
    add(bad, "gpu");
    add(bad, "playback");
    add(bad, "playback:");
    add(bad, "auto:1");
    break;
  case OPTIONS_MODEL:
    add(bad, "llama");
    add(bad, ".json");
    break;
  case OPTIONS_ENGINE:
    add(bad, "libaio");
    add(bad, "pread:x");
    add(bad, "null:");
    add(bad, "null:read=2");
    add(bad, "null:read=0GB/s");
    add(bad, "null:speed=2GB/s");
    add(bad, "uring:");
    break;
  case OPTIONS_SETTINGS:
    add(bad, "nonsense=1");
    add(bad, "batch");
    add(bad, "batch=0");
    add(bad, "hbm-bw=3.35TB");
    break;
  case OPTIONS_RANGES:
    add(bad, "nonsense=1..2");
    add(bad, "nvme-bw=56GB/s");
    add(bad, "nvme-bw=56..1GB/s");
    add(bad, "nvme-bw=1..56");
    add(bad, "nvme-bw=1..56GB/s:1");
    add(bad, "nvme-bw=..56GB/s");
    break;
  case OPTIONS_SECTIONS:
    add(bad, "costs");
    add(bad, "cost,");
    add(bad, ",cost");
    break;
  case OPTIONS_RULES:
    add(bad, "slower");
    add(bad, "slower:");
    add(bad, "slower:x%");
    add(bad, ":5%");
    add(bad, "slower:5%,");
    add(bad, "SLOWER:5%");
    break;
  case OPTIONS_BIND:
    add(bad, "node0");
    add(bad, "-1");
    add(bad, "1024");
    break;
  case OPTIONS_TARGETS:
    add(bad, ",/a");
    add(bad, "/a,");
    add(bad, "/a,,/b");
    break;
  default:
    break;
  }
}

static void add_of_kind(struct bad *bad, const struct options_entry *entry) {
  switch (entry->kind) {
  case OPTIONS_SWITCH:
    add(bad, "yes");
    add(bad, "1");
    add(bad, "ON");
    break;
  case OPTIONS_FLAG:
    add(bad, "1");
    add(bad, "on");
    break;
  case OPTIONS_FILE:
  case OPTIONS_PATHS:
    break; /* any text is a path; the empty one is added to all */
  default:
    add_quantities(bad, entry);
    add_names(bad, entry);
    cr_assert_gt(bad->n, 0, "--%s: a kind without bad values here", entry->name);
  }
}

/* Parses and expects one line that names the option and what is accepted. */
static void expect_refused(const char *text, const struct options_entry *entry, int command) {
  struct line line;
  struct options options;
  struct error error = {0};
  char accepts[OPTIONS_ACCEPTS_BYTES], name[64];
  cr_assert_eq(line_parse(&line, text, &options, &error), -EINVAL, "accepted: %s", text);
  snprintf(name, sizeof name, "--%s", entry->name);
  cr_assert(strstr(error.message, name), "%s: %s", text, error.message);
  cr_assert_null(strchr(error.message, '\n'));
  cr_assert(strstr(error.message, "accepted"), "%s: %s", text, error.message);
  if (entry->kind == OPTIONS_FLAG || strstr(error.message, "given twice")) return;
  cr_assert(strstr(error.message, options_accepts(entry, command, accepts)), "%s: %s", text,
            error.message);
}

static void expect_bad_values_refused(const struct options_entry *entry, int command) {
  struct bad bad = {.n = 0};
  add_of_kind(&bad, entry);
  if (entry->kind != OPTIONS_FLAG) add(&bad, "");
  cr_assert_gt(bad.n, 0, "--%s has no bad value here", entry->name);
  for (int i = 0; i < bad.n; i++) {
    char text[640];
    snprintf(text, sizeof text, "%s --%s=%s", options_command_name(command), entry->name,
             bad.value[i]);
    expect_refused(text, entry, command);
    if (entry->kind == OPTIONS_FLAG) continue;
    snprintf(text, sizeof text, "%s --%s %s", options_command_name(command), entry->name,
             bad.value[i]);
    expect_refused(text, entry, command);
  }
}

/* -h and --help answer before anything is refused; only their wrong forms can be. */
static bool helps(const struct options_entry *entry) {
  return strcmp(entry->name, "help") == 0;
}

Test(options_bad, every_option_refuses_every_bad_value) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    for (int command = 0; command < OPTIONS_COMMANDS; command++) {
      if (entry->commands & (1U << command)) expect_bad_values_refused(entry, command);
    }
  }
}

Test(options_bad, a_value_may_not_be_missing) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (entry->kind == OPTIONS_FLAG) continue;
    for (int command = 0; command < OPTIONS_COMMANDS; command++) {
      if (!(entry->commands & (1U << command))) continue;
      char text[128];
      snprintf(text, sizeof text, "%s --%s", options_command_name(command), entry->name);
      expect_refused(text, entry, command);
      snprintf(text, sizeof text, "%s --%s --json", options_command_name(command), entry->name);
      expect_refused(text, entry, command);
    }
  }
}

Test(options_bad, an_option_may_not_be_given_twice) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (options_repeats(entry) || helps(entry)) continue;
    const char *value = entry->initial ? entry->initial : "0.5";
    if (entry->kind == OPTIONS_RULES) value = "slower:5%";
    if (entry->kind == OPTIONS_MODEL) value = "mha-125m";
    for (int command = 0; command < OPTIONS_COMMANDS; command++) {
      if (!(entry->commands & (1U << command))) continue;
      char text[256];
      if (entry->kind == OPTIONS_FLAG)
        snprintf(text, sizeof text, "%s --%s --%s", options_command_name(command), entry->name,
                 entry->name);
      else
        snprintf(text, sizeof text, "%s --%s %s --%s %s", options_command_name(command),
                 entry->name, value, entry->name, value);
      expect_refused(text, entry, command);
    }
  }
}

Test(options_bad, an_option_of_another_command_is_refused_by_name) {
  const struct options_entry *entry;
  int refused = 0;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    for (int command = 0; command < OPTIONS_COMMANDS; command++) {
      if (entry->commands & (1U << command)) continue;
      char text[128];
      struct line line;
      struct options options;
      struct error error = {0};
      snprintf(text, sizeof text, "%s --%s 1", options_command_name(command), entry->name);
      cr_assert_eq(line_parse(&line, text, &options, &error), -EINVAL, "%s", text);
      cr_assert(strstr(error.message, entry->name), "%s", error.message);
      cr_assert(strstr(error.message, "accepted by"), "%s", error.message);
      refused++;
    }
  }
  cr_assert_gt(refused, 0);
}

/* What is refused, and what the sentence must hold. */
static const struct {
  const char *line, *must[3];
} refusals[] = {
    {"sweep --windw 4", {"--windw", "did you mean --window?"}},
    {"sweep --tok 4", {"--tok", "--tokens"}},
    {"sweep --quue-depth 4", {"--quue-depth", "--queue-depth"}},
    {"sweep --xyzzy 4", {"--xyzzy", "refill sweep --help"}},
    {"sweep -x", {"-x", "refill sweep --help"}},
    {"sweep -ofile", {"-ofile", "refill sweep --help"}},
    {"sweep 4096", {"4096", "not an option"}},
    {"sweep --", {"--", "no such option"}},
    {"sweep -", {"-:", "no such option"}},
    {"sweep ", {"''", "not an option"}},
    {"sweep --window 0", {"--window 0", "too small", "from 1 to 1,024"}},
    {"sweep --window -3", {"--window -3", "negative"}},
    {"sweep --io-timeout 30", {"--io-timeout 30", "a unit is missing", "ms"}},
    {"sweep --alpha 1", {"--alpha 1", "too large", "below 1"}},
    {"sweep --alpha=-0.5", {"--alpha -0.5", "negative"}},
    {"sweep -o", {"-o/--out", "no value"}},
    {"sweep -o --json", {"-o/--out", "no value before --json"}},
    {"sweep --json=yes", {"--json=yes", "takes no value"}},
    {"sweep --page-tokens 32,64", {"--page-tokens 32,64", "more than one value"}},
    {"sweep --target /a --target /a", {"--target /a", "given twice"}},
    /* values that are good apart and senseless together */
    {"sweep --layers 2 --weight-sets 3", {"--weight-sets 3", "--layers 2", "accepted"}},
    {"sweep --trace t --tokens 1k,2k", {"--trace", "2 values", "accepted"}},
    {"sweep --tokens 64 --page-tokens 64", {"--page-tokens 64", "--tokens 64", "accepted"}},
    {"sweep --policy recompute --alpha 0.5", {"--alpha", "recompute", "accepted"}},
    {"sweep --store off --sync on", {"--sync on", "--store off", "accepted"}},
    {"sweep -o a --csv a", {"--csv a", "-o/--out", "accepted"}},
    {"sweep --output r.json", {"--output", "not an option of sweep", "accepted by: plan"}},
    {"plan --jsonl a --csv a", {"--jsonl a", "--csv", "accepted"}},
    {"plan --nvme-bw 56", {"--nvme-bw 56", "a unit is missing", "GB/s"}},
    {"plan stray", {"stray", "not an option"}},
    {"compare", {"nothing: too few", "A.json B.json"}},
    {"compare a", {"a: too few files", "A.json B.json"}},
    {"compare a b c", {"c: a file too many", "A.json B.json"}},
    {"compare a ", {"''", "not an option"}},
    {"calibrate --profile a --csv a", {"--profile a", "--csv", "accepted"}},
};

Test(options_bad, the_sentence_says_what_is_wrong) {
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    struct line line;
    struct options options;
    struct error error = {0};
    cr_assert_eq(line_parse(&line, refusals[i].line, &options, &error), -EINVAL, "%s",
                 refusals[i].line);
    for (int k = 0; k < 3 && refusals[i].must[k]; k++)
      cr_assert(strstr(error.message, refusals[i].must[k]), "%s: %s lacks %s", refusals[i].line,
                error.message, refusals[i].must[k]);
  }
}

Test(options_bad, what_was_typed_cannot_break_the_line) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "sweep --window 1\n2\x1b[31m", &options, &error), -EINVAL);
  cr_assert(strstr(error.message, "--window 1?2?[31m:"), "%s", error.message);

  char text[600] = "sweep --engine ";
  memset(text + strlen(text), 'x', 500);
  error_clear(&error);
  cr_assert_eq(line_parse(&line, text, &options, &error), -EINVAL);
  cr_assert(strstr(error.message, "xxx...: no such engine; accepted: "), "%s", error.message);
}

Test(options_bad, lists_and_targets_have_an_end) {
  char text[1024] = "sweep --tokens 1000";
  for (int i = 1; i <= OPTIONS_LIST_MAX; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), ",%d", 1000 + i);
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, text, &options, &error), -EINVAL);
  cr_assert(strstr(error.message, "more than 32 values"), "%s", error.message);

  options = (struct options){.n_targets = OPTIONS_TARGETS_MAX};
  for (int i = 0; i < OPTIONS_TARGETS_MAX; i++) options.targets[i] = "/a";
  error_clear(&error);
  cr_assert_eq(options_scan(options_entry_find("target", 6), "/b", &options, &error), -EINVAL);
  cr_assert(strstr(error.message, "more than 16 targets"), "%s", error.message);
}
