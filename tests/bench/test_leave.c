/*
 * The end of a command: all that was asked for is left, and the first failure is told.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/leave.h"
#include "bench/present/result.h"
#include "bench_test.h"

#define OUT_BYTES 8192

/* A command's end in a directory of its own. */
struct end {
  char directory[PATH_MAX];
  struct line line;
  struct options options;
  struct table *tables[2];
  json_t *result;
  struct warnings warnings;
};

/* Options with %s for the directory. */
static void set_up(struct end *end, const char *format) {
  memset(end, 0, sizeof *end);
  make_directory(end->directory);
  char text[2048];
  snprintf(text, sizeof text, format, end->directory, end->directory);
  struct error error = {0};
  cr_assert_eq(line_parse(&end->line, text, &end->options, &error), 0, "%s", error.message);
  static const struct table_column columns[] = {
      {.title = "took", .name = "took_s", .kind = TABLE_SECONDS}};
  for (int i = 0; i < 2; i++) {
    end->tables[i] = table_new(columns, 1);
    table_row(end->tables[i]);
    table_real(end->tables[i], i + 1);
  }
  end->result = result_new(&end->options, NULL);
  cr_redirect_stdout();
  cr_redirect_stderr();
}

static void tear_down(struct end *end) {
  json_decref(end->result);
  for (int i = 0; i < 2; i++) table_free(end->tables[i]);
  remove_directory(end->directory);
}

static int leave_all(struct end *end, struct error *error) {
  const struct table *const tables[] = {end->tables[0], end->tables[1]};
  return leave(&end->options, end->result, tables, 2, &end->warnings, error);
}

static void read_all(FILE *stream, char text[OUT_BYTES]) {
  size_t n = fread(text, 1, OUT_BYTES - 1, stream);
  text[n] = '\0';
}

Test(leave, tables_and_files) {
  struct end end;
  struct error error = {0};
  static char out[OUT_BYTES], told[OUT_BYTES];
  set_up(&end, "sweep -o %s/a.json --csv %s/a.csv");
  cr_assert_eq(leave_check(&end.options, &error), 0, "%s", error.message);
  cr_assert_eq(files_in(end.directory), 0);
  warnings_add(&end.warnings, WARNING_INTERRUPTED, "2 of 3 points");
  cr_assert_eq(leave_all(&end, &error), 0, "%s", error.message);
  fflush(stderr);
  read_all(cr_get_redirected_stdout(), out);
  read_all(cr_get_redirected_stderr(), told);
  cr_assert_str_eq(out, "took\n   s\n1.00\n\ntook\n   s\n2.00\n");
  cr_assert(strstr(told, "refill: warning: interrupted"), "%s", told);

  char *csv = read_text(end.directory, "a.csv");
  cr_assert_str_eq(csv, "took_s\r\n1\r\n\r\ntook_s\r\n2\r\n");
  free(csv);
  char path[PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/a.json", end.directory);
  json_t *json = result_read(path, &error);
  cr_assert(json, "%s", error.message);
  cr_assert(json_is_true(json_object_get(json, "interrupted")));
  cr_assert(json_is_string(json_object_get(json, "finished")));
  cr_assert_eq(json_array_size(json_object_get(json, "warnings")), 1);
  json_decref(json);

  cr_assert_eq(leave_check(&end.options, &error), 0, "our own files may be replaced: %s",
               error.message);
  tear_down(&end);
}

Test(leave, json_instead_of_tables) {
  struct end end;
  struct error error = {0};
  static char out[OUT_BYTES];
  set_up(&end, "sweep --json");
  cr_assert_eq(leave_all(&end, &error), 0);
  read_all(cr_get_redirected_stdout(), out);
  json_t *json = json_loads(out, 0, NULL);
  cr_assert(json, "%s", out);
  cr_assert(json_is_false(json_object_get(json, "interrupted")));
  json_decref(json);
  tear_down(&end);
}

Test(leave, what_cannot_be_written_is_told_before_measuring) {
  static const struct {
    const char *format, *must;
  } cases[] = {
      {"calibrate -o %s/missing/a", "-o "},
      {"calibrate --csv %s/missing/a", "--csv "},
      {"calibrate --profile %s/missing/a", "--profile "},
      {"sweep --trace %s/missing/a", "--trace "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct line line;
    struct options options;
    struct error error = {0};
    char directory[PATH_MAX], text[2048];
    make_directory(directory);
    snprintf(text, sizeof text, cases[i].format, directory);
    cr_assert_eq(line_parse(&line, text, &options, &error), 0, "%s", error.message);
    cr_assert_eq(leave_check(&options, &error), -ENOENT);
    cr_assert_eq(strncmp(error.message, cases[i].must, strlen(cases[i].must)), 0, "%s",
                 error.message);
    remove_directory(directory);
  }
}

/* The table must not be lost with the file, nor the CSV with the result. */
Test(leave, one_failure_does_not_take_the_rest_along) {
  struct end end;
  struct error error = {0};
  static char out[OUT_BYTES];
  set_up(&end, "sweep -o %s/missing/a.json --csv %s/a.csv");
  cr_assert_eq(leave_all(&end, &error), -ENOENT);
  cr_assert(strstr(error.message, "missing/a.json"), "%s", error.message);
  read_all(cr_get_redirected_stdout(), out);
  cr_assert(strstr(out, "1.00"), "%s", out);
  char *csv = read_text(end.directory, "a.csv");
  cr_assert(csv);
  free(csv);
  tear_down(&end);
}

Test(leave, a_full_disk_under_stdout_does_not_cost_the_files) {
  struct end end;
  struct error error = {0};
  set_up(&end, "sweep -o %s/a.json --csv %s/a.csv");
  cr_assert(freopen("/dev/full", "w", stdout));
  cr_assert_lt(leave_all(&end, &error), 0);
  cr_assert(strstr(error.message, "standard output cannot be written: No space"), "%s",
            error.message);
  cr_assert_eq(files_in(end.directory), 2);
  tear_down(&end);
}
