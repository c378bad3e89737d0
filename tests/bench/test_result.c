/*
 * Results: what they hold, and that what is written is what is read.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/present/result.h"
#include "bench_test.h"

static json_t *new_result(struct line *line, struct options *options) {
  struct error error = {0};
  cr_assert_eq(line_parse(line, "sweep --seed 7 --alpha 0.1,0.5", options, &error), 0);
  return result_new(options, json_pack("{s:s}", "cpu", "some CPU"));
}

static const char *text_at(const json_t *json, const char *key) {
  return json_string_value(json_object_get(json, key));
}

Test(result, holds_what_is_needed_to_judge_it) {
  struct line line;
  struct options options;
  json_t *result = new_result(&line, &options);
  cr_assert_str_eq(text_at(result, "schema"), "refill/1");
  cr_assert_str_eq(text_at(result, "command"), "sweep");
  const json_t *refill = json_object_get(result, "refill");
  cr_assert(text_at(refill, "version"));
  cr_assert(strstr(text_at(refill, "compiler"), "."));
  const json_t *config = json_object_get(result, "config");
  cr_assert_eq(json_integer_value(json_object_get(config, "seed")), 7);
  cr_assert_str_eq(text_at(json_object_get(result, "host"), "cpu"), "some CPU");
  const json_t *typed = json_object_get(result, "command_line");
  cr_assert_eq(json_array_size(typed), 6);
  cr_assert_str_eq(json_string_value(json_array_get(typed, 0)), "refill");
  cr_assert_str_eq(json_string_value(json_array_get(typed, 5)), "0.1,0.5");
  json_decref(result);
}

Test(result, times_are_utc_and_iso_8601) {
  json_t *now = result_time();
  int year, month, day, hour, minute, second, n = 0;
  const char *text = json_string_value(now);
  cr_assert_eq(
      sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute, &second, &n),
      6);
  cr_assert_eq(n, 20);
  cr_assert_eq(strlen(text), 20);
  cr_assert(year >= 2024 && month <= 12 && day <= 31 && hour < 24);
  json_decref(now);
}

Test(result, numbers_that_are_none_are_null) {
  json_t *array = json_pack("[o, o, o, o]", result_real(NAN), result_real(INFINITY),
                            result_real(-INFINITY), result_real(-1.5));
  cr_assert(array);
  for (size_t i = 0; i < 3; i++) cr_assert(json_is_null(json_array_get(array, i)));
  cr_assert_eq(json_real_value(json_array_get(array, 3)), -1.5);
  json_decref(array);
}

Test(result, an_interval_keeps_its_samples_in_order) {
  static struct samples samples = {.n = 3, .values = {3, 1, 2}};
  json_t *json = result_interval(&samples, (struct interval){2, 1, 3});
  cr_assert_eq(json_real_value(json_object_get(json, "median")), 2);
  cr_assert_eq(json_real_value(json_object_get(json, "ci_low")), 1);
  cr_assert_eq(json_real_value(json_object_get(json, "ci_high")), 3);
  const json_t *values = json_object_get(json, "samples");
  cr_assert_eq(json_array_size(values), 3);
  cr_assert_eq(json_real_value(json_array_get(values, 0)), 3);
  cr_assert_eq(json_real_value(json_array_get(values, 2)), 2);
  json_decref(json);

  static struct samples none;
  json = result_interval(&none, (struct interval){NAN, NAN, NAN});
  cr_assert(json_is_null(json_object_get(json, "median")));
  cr_assert_eq(json_array_size(json_object_get(json, "samples")), 0);
  json_decref(json);
}

Test(result, what_is_published_is_read_back) {
  char directory[PATH_MAX], path[PATH_MAX + 16];
  make_directory(directory);
  snprintf(path, sizeof path, "%s/a.json", directory);
  struct line line;
  struct options options;
  struct error error = {0};
  json_t *result = new_result(&line, &options);
  json_object_set_new(result, "third", result_real(1.0 / 3));
  cr_assert_eq(result_publish(result, path, &error), 0, "%s", error.message);
  json_t *again = result_read(path, &error);
  cr_assert(again, "%s", error.message);
  double third = json_real_value(json_object_get(again, "third"));
  cr_assert_float_eq(third, 1.0 / 3, 1e-15);
  json_object_del(result, "third");
  json_object_del(again, "third");
  cr_assert(json_equal(result, again));
  json_decref(again);

  cr_assert_eq(result_publish(result, path, &error), 0, "a result replaces a result");
  json_decref(result);
  remove_directory(directory);
}

Test(result, the_schema_comes_first) {
  struct line line;
  struct options options;
  json_t *result = new_result(&line, &options);
  char *text = NULL;
  size_t n = 0;
  FILE *stream = open_memstream(&text, &n);
  cr_assert_eq(result_print(result, stream), 0);
  fclose(stream);
  const char start[] = "{\n  \"schema\": \"refill/1\",\n";
  cr_assert_eq(strncmp(text, start, sizeof start - 1), 0, "%s", text);
  cr_assert(strstr(text, "0.1,\n"), "short decimals stay short: %s", text);
  cr_assert_eq(text[n - 1], '\n');
  free(text);
  json_decref(result);
}

Test(result, a_full_disk_is_told) {
  FILE *full = fopen("/dev/full", "w");
  cr_assert(full);
  setvbuf(full, NULL, _IONBF, 0);
  json_t *json = json_object();
  cr_assert_eq(result_print(json, full), -EIO);
  json_decref(json);
  fclose(full);
}

Test(result, what_is_no_result_of_this_version_is_refused) {
  static const struct {
    const char *text, *must;
  } cases[] = {
      {"{\"schema\": \"refill/2\", \"command\": \"sweep\"}", "refill/2"},
      {"{\"schema\": \"refill/10\", \"command\": \"sweep\"}", "refill/10"},
      {"{\"schema\": \"other/1\"}", "not a result"},
      {"{\"command\": \"sweep\"}", "not a result"},
      {"{\"schema\": \"refill/1\"}", "command"},
      {"[1]", "not a result"},
      {"", "line"},
      {"{\"schema\": \"refill/1\",", "line 1"},
      {"{\"schema\": \"refill/1\", \"schema\": \"refill/1\"}", "duplicate"},
  };
  char directory[PATH_MAX], path[PATH_MAX + 16];
  make_directory(directory);
  snprintf(path, sizeof path, "%s/a.json", directory);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    write_file(directory, "a.json", cases[i].text);
    struct error error = {0};
    cr_assert_null(result_read(path, &error), "%s", cases[i].text);
    cr_assert_eq(error.code, -EINVAL);
    cr_assert(strstr(error.message, path), "%s", error.message);
    cr_assert(strstr(error.message, cases[i].must), "%s", error.message);
  }
  struct error error = {0};
  cr_assert_null(result_read(directory, &error));
  cr_assert_eq(error.code, -EINVAL);
  cr_assert(strstr(error.message, "a directory; accepted: "), "%s", error.message);
  error_clear(&error);
  cr_assert_null(result_read("/nowhere/a.json", &error));
  cr_assert_eq(error.code, -ENOENT);
  remove_directory(directory);
}

static int read_without_right(void *path) {
  struct error error = {0};
  if (getuid() == 0 && setuid(65534) != 0) return 77;
  if (result_read(path, &error)) return 1;
  return error.code == -EACCES && strstr(error.message, "denied; accepted: ") ? 0 : 2;
}

/* A file that may not be read is no file of bad JSON. */
Test(result, a_file_that_may_not_be_read_is_named) {
  char directory[PATH_MAX], path[PATH_MAX + 16];
  make_directory(directory);
  write_file(directory, "a.json", "{}");
  snprintf(path, sizeof path, "%s/a.json", directory);
  cr_assert_eq(chmod(path, 0), 0);
  cr_assert_eq(chmod(directory, 0755), 0);
  pid_t child = fork();
  if (child == 0) _exit(read_without_right(path));
  int status = 0;
  cr_assert_eq(waitpid(child, &status, 0), child);
  remove_directory(directory);
  if (WEXITSTATUS(status) == 77) cr_skip_test("no other user to be");
  cr_expect_eq(WEXITSTATUS(status), 0);
}
