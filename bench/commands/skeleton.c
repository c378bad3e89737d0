/*
 * A command to copy: compiled with the rest so that it stays right, listed nowhere.
 *
 * A command is one function of validated options. main has parsed them, answered --help and will
 * print the sentence left in `error`; the command measures and leaves its result. To add one:
 *
 *   1. copy this file to NAME.c and rename what is called skeleton;
 *   2. name it in commands/table.h and commands/table.c;
 *   3. give it a line in enum options_command and a name in options_table.c, and its bit to every
 *      option that it takes.
 */
#include "bench/commands/table.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/result.h"

#define STEPS 3

/* One column an entry: title, name in CSV, kind. Units are chosen by the table. */
static const struct table_column columns[] = {
    {.title = "step", .name = "step", .kind = TABLE_COUNT},
    {.title = "took", .name = "took_s", .kind = TABLE_SECONDS},
};

/* Measures step by step; ends early, with what is complete, where the user interrupts. */
static void measure(struct table *table, json_t *steps, struct warnings *warnings) {
  struct progress progress;
  progress_begin(&progress, stderr, "skeleton", STEPS);
  for (int i = 0; i < STEPS; i++) {
    if (command_interrupted()) {
      warnings_add(warnings, WARNING_INTERRUPTED, "%d of %d steps", i, STEPS);
      break;
    }
    progress_running(&progress, "step %d", i);
    double took_s = 0.001 * (i + 1); /* where the measuring would be */
    table_row(table);
    table_count(table, i);
    table_real(table, took_s);
    json_array_append_new(steps, result_real(took_s));
    progress_done(&progress, 1.0);
  }
  progress_end(&progress);
}

static int skeleton_run(const struct options *options, struct error *error) {
  /* First, what would fail after minutes of measuring. */
  int code = leave_check(options, error);
  if (code < 0) return EXIT_USAGE;

  struct warnings warnings = {0};
  struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
  json_t *result = result_new(options, NULL);
  json_t *steps = json_array();
  json_object_set_new(result, "steps", steps);
  measure(table, steps, &warnings);

  const struct table *const tables[] = {table};
  code = leave(options, result, tables, 1, &warnings, error);
  json_decref(result);
  table_free(table);
  return command_exit_code(code);
}

const struct command command_skeleton = {
    .name = "skeleton",                               /* Required: as typed. */
    .summary = "what a command looks like",           /* Required: one line, lower case. */
    .examples = "  refill skeleton -o skeleton.json", /* Required: two to five lines. */
    .run = skeleton_run,                              /* Required. */
};
