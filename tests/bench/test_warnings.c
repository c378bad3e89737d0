/*
 * Warnings: merged, counted, and each with something to do.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/warnings.h"
#include "bench_test.h"

static void print_warnings(void *warnings, FILE *stream) {
  warnings_print(warnings, stream);
}

static int lines_in(const char *text) {
  int n = 0;
  for (; *text; text++) n += *text == '\n';
  return n;
}

Test(warnings, none_print_nothing) {
  struct warnings warnings = {0};
  char *text = printed(print_warnings, &warnings);
  cr_assert_str_eq(text, "");
  free(text);
  json_t *json = warnings_to_json(&warnings);
  cr_assert_eq(json_array_size(json), 0);
  json_decref(json);
}

Test(warnings, each_has_a_name_a_cause_and_something_to_do) {
  for (int i = 0; i < WARNING_COUNT; i++) {
    struct warnings warnings = {0};
    warnings_add(&warnings, (enum warning)i, "%s", "detail");
    char *text = printed(print_warnings, &warnings);
    cr_assert_eq(lines_in(text), 1, "%s", text);
    cr_assert_eq(strncmp(text, "refill: warning: ", 17), 0, "%s", text);
    const char *next = strstr(text, " (detail): ");
    cr_assert(next && next > text + 20 && strlen(next) > 20, "%s", text);
    const char *name = warning_name((enum warning)i);
    cr_assert_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name), "%s", name);
    for (int k = 0; k < i; k++) cr_assert_str_neq(name, warning_name((enum warning)k));
    free(text);
  }
}

Test(warnings, the_same_one_is_merged) {
  struct warnings warnings = {0};
  for (int i = 0; i < 3; i++) warnings_add(&warnings, WARNING_OUTLIERS, "alpha 0.5");
  warnings_add(&warnings, WARNING_OUTLIERS, "alpha 0.9");
  char *text = printed(print_warnings, &warnings);
  cr_assert_eq(lines_in(text), 1);
  cr_assert(strstr(text, "(alpha 0.5; alpha 0.9): "), "%s", text);
  free(text);
  json_t *json = warnings_to_json(&warnings);
  cr_assert_eq(json_array_size(json), 1);
  const json_t *entry = json_array_get(json, 0);
  cr_assert_eq(json_integer_value(json_object_get(entry, "count")), 4);
  cr_assert_eq(json_array_size(json_object_get(entry, "details")), 2);
  cr_assert_str_eq(json_string_value(json_object_get(entry, "name")), "outliers");
  json_decref(json);
}

Test(warnings, more_details_than_are_kept_are_counted) {
  struct warnings warnings = {0};
  for (int i = 0; i < WARNINGS_DETAILS_MAX + 3; i++)
    warnings_add(&warnings, WARNING_INTERVAL, "point %d", i);
  char *text = printed(print_warnings, &warnings);
  cr_assert(strstr(text, "; and 3 more)"), "%s", text);
  free(text);
}

/* A directory's name may be of any bytes, and a long one ends within a character. */
Test(warnings, details_of_any_bytes_stay_in_json) {
  struct warnings warnings = {0};
  char name[1000] = "";
  for (int i = 0; i < 499; i++) memcpy(name + 2 * (size_t)i, "\xc3\xa4", 2);
  warnings_add(&warnings, WARNING_COLD_NOT_PROVEN, "x/%s", name);
  warnings_add(&warnings, WARNING_COLD_NOT_PROVEN, "/mnt/\xe9");
  json_t *json = warnings_to_json(&warnings);
  const json_t *entry = json_array_get(json, 0);
  cr_expect_not_null(json_string_value(json_object_get(entry, "text")));
  cr_expect_eq(json_array_size(json_object_get(entry, "details")), 2);
  json_decref(json);
}

Test(warnings, without_details_no_brackets) {
  struct warnings warnings = {0};
  warnings_add(&warnings, WARNING_LOAD, "%s", "");
  char *text = printed(print_warnings, &warnings);
  cr_assert_null(strchr(text, '('), "%s", text);
  free(text);
  cr_assert(warnings_has(&warnings, WARNING_LOAD));
  cr_assert(!warnings_has(&warnings, WARNING_WEAR));
}

Test(warnings, what_was_told_at_once_is_not_repeated_but_kept) {
  struct warnings warnings = {0};
  char *text = NULL;
  size_t n = 0;
  FILE *stream = open_memstream(&text, &n);
  warnings_tell(&warnings, WARNING_WEAR, stream, "%d GiB", 40);
  fclose(stream);
  cr_assert(strstr(text, "(40 GiB)"), "%s", text);
  free(text);
  text = printed(print_warnings, &warnings);
  cr_assert_str_eq(text, "");
  free(text);
  json_t *json = warnings_to_json(&warnings);
  cr_assert_eq(json_array_size(json), 1);
  json_decref(json);
}

Test(warnings, long_details_do_not_overflow) {
  struct warnings warnings = {0};
  char detail[4000];
  memset(detail, 'x', sizeof detail - 1);
  detail[sizeof detail - 1] = '\0';
  for (int i = 0; i < WARNINGS_DETAILS_MAX; i++) {
    detail[0] = (char)('a' + i);
    warnings_add(&warnings, WARNING_OUTLIERS, "%s", detail);
  }
  char *text = printed(print_warnings, &warnings);
  cr_assert_eq(lines_in(text), 1);
  cr_assert(strstr(text, "raise --repeat"), "the advice is still there: %s", text);
  free(text);
}

/* A second run of the same script tells what is new in full, and names what is not. */
Test(warnings, told_before_are_only_named) {
  char directory[PATH_MAX], path[PATH_MAX + 8];
  make_directory(directory);
  write_file(directory, "told", "");
  snprintf(path, sizeof path, "%s/told", directory);
  cr_assert_eq(setenv("REFILL_TOLD", path, 1), 0);
  struct warnings warnings = {0};
  warnings_add(&warnings, WARNING_DRIVE_VIRTUAL, "vda");
  warnings_add(&warnings, WARNING_LOAD, "load average 1.5");
  char *first = printed(print_warnings, &warnings);
  cr_expect_eq(lines_in(first), 2, "%s", first);
  struct warnings later = {0};
  warnings_add(&later, WARNING_DRIVE_VIRTUAL, "vda");
  warnings_add(&later, WARNING_LOAD, "load average 0.9");
  char *second = printed(print_warnings, &later);
  cr_expect(strstr(second, "load average 0.9"), "%s", second);
  cr_expect(strstr(second, "\nrefill: warnings as before: drive-virtual\n"), "%s", second);
  cr_expect_eq(lines_in(second), 2, "%s", second);
  unsetenv("REFILL_TOLD");
  free(first);
  free(second);
  remove_directory(directory);
}
