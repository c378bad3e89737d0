/*
 * A rig in a directory of its own, opened from a command line as a user would type it.
 */
#ifndef REFILL_TESTS_BENCH_FIXTURE_H
#define REFILL_TESTS_BENCH_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure/group.h"
#include "bench/measure/rig.h"
#include "bench/options.h"

struct fixture {
  char directory[64];
  char *argv[32];
  struct options options;
  struct rig rig;
};

/* The tiny shape of these tests: 4 layers, so that windows of 1 and 2 bind. */
static const struct shape fixture_shape = {.name = "fixture",
                                           .layers = 6,
                                           .hidden = 128,
                                           .q_heads = 2,
                                           .kv_heads = 2,
                                           .head_dim = 64,
                                           .ffn = 256,
                                           .vocabulary = 512,
                                           .rope_theta = 10000,
                                           .norm_eps = 1e-5};

/* Parses `line` (words separated by one space; --target is added) for `sweep`. */
static inline void fixture_options(struct fixture *fixture, const char *line) {
  static char words[32][96];
  snprintf(fixture->directory, sizeof fixture->directory, "/var/tmp/refill-test-XXXXXX");
  cr_assert_not_null(mkdtemp(fixture->directory));
  int n = 0;
  fixture->argv[n++] = (char *)"sweep";
  fixture->argv[n++] = (char *)"--target";
  fixture->argv[n++] = fixture->directory;
  for (const char *at = line; *at;) {
    size_t length = strcspn(at, " ");
    snprintf(words[n], sizeof words[n], "%.*s", (int)length, at);
    fixture->argv[n] = words[n];
    n++;
    at += length + (at[length] == ' ');
  }
  struct error error = {0};
  cr_assert_eq(options_parse(&fixture->options, "sweep", n, fixture->argv, &error), 0, "%s",
               error.message);
}

static inline int fixture_open(struct fixture *fixture, const char *line, int64_t tokens_max,
                               struct error *error) {
  fixture_options(fixture, line);
  struct rig_config config = {
      .options = &fixture->options,
      .shape = fixture_shape,
      .tokens_max = tokens_max,
      .past_max = rig_past_tokens(1, tokens_max, fixture->options.page_tokens.values[0]),
      .page_tokens = fixture->options.page_tokens.values[0],
      .queue_depth = (int)fixture->options.queue_depth.values[0],
      .io_bytes = fixture->options.io_bytes,
      .keep_source = true};
  return rig_open(&fixture->rig, &config, error);
}

static inline int fixture_files(const struct fixture *fixture) {
  int n = 0;
  DIR *directory = opendir(fixture->directory);
  for (struct dirent *entry; directory && (entry = readdir(directory));)
    n += entry->d_name[0] != '.';
  if (directory) closedir(directory);
  return n;
}

static inline void fixture_close(struct fixture *fixture) {
  rig_close(&fixture->rig);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
  if (system(command) != 0) cr_log_warn("%s was not removed", fixture->directory);
}

#endif
