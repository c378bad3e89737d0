/*
 * Which rows of two results belong together: alphas within a page, storage rows by their target and
 * setting; what is left out; T, R and W from the samples they were taken from.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/present/compare.h"
#include "bench/present/report_page.h"
#include "bench/present/result.h"

/* Five samples about a centre: enough for a test. */
static json_t *around(double centre) {
  struct samples samples = {0};
  for (int i = -2; i <= 2; i++) samples_add(&samples, centre * (1 + 0.01 * i));
  return result_interval(&samples, stats_interval(&samples, 1));
}

static json_t *parse(const char *text) {
  json_error_t wrong;
  json_t *json = json_loads(text, 0, &wrong);
  cr_assert(json, "%s: %s", wrong.text, text);
  return json;
}

/* ---- sweeps -------------------------------------------------------------------------------- */

/* A sweep of 4096 tokens in pages of `page`, overlapped at these n_past. */
static json_t *sweep_at(int page, const int *n_past, int n, double first_token_s) {
  json_t *sweep = parse("{\"schema\": \"refill/1\", \"command\": \"sweep\", \"config\": {}}");
  json_object_set_new(sweep, "rig", json_pack("{s:i}", "page_tokens", page));
  json_t *points = json_array();
  for (int i = 0; i < n; i++) {
    json_t *point = json_pack("{s:i, s:s, s:f, s:i, s:i}", "n_tokens", 4096, "policy", "overlap",
                              "alpha", n_past[i] / 4096.0, "n_past", n_past[i], "n_new",
                              4096 - n_past[i]);
    json_object_set_new(point, "first_token_s", around(first_token_s));
    json_object_set_new(point, "read_alone_s", around(1e-6 * n_past[i]));
    json_array_append_new(points, point);
  }
  json_object_set_new(sweep, "points", points);
  json_object_set_new(
      sweep, "summary",
      json_pack("[{s:i, s:f}]", "n_tokens", 4096, "best_alpha", n_past[n - 1] / 4096.0));
  return sweep;
}

static void compared(struct compare *compare, json_t *a, json_t *b) {
  struct error error = {0};
  cr_assert_eq(compare_results(compare, a, "a.json", b, "b.json", &error), 0, "%s", error.message);
}

static const struct compare_row *find(const struct compare *compare, const char *array,
                                      const char *key, const char *field) {
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    if (strcmp(row->array, array) == 0 && strstr(row->key, key) && strcmp(row->field, field) == 0)
      return row;
  }
  return NULL;
}

Test(compare_rows, alphas_match_within_a_page) {
  const int in_a[] = {640, 704, 2048, 3072}, in_b[] = {704, 2112, 3264};
  json_t *a = sweep_at(64, in_a, 4, 0.1), *b = sweep_at(64, in_b, 3, 0.1);
  struct compare compare;
  compared(&compare, a, b);
  cr_assert_eq(compare.matched, 2, "%d", compare.matched);
  cr_assert_eq(compare.only_a, 2);
  cr_assert_eq(compare.only_b, 1);
  cr_assert(find(&compare, "points", "alpha 0.1719", "first_token_s"),
            "704 matches 704, though 640 is within a page of it");
  cr_assert(find(&compare, "points", "alpha 0.5000 (B: 0.5156)", "first_token_s"));
  cr_assert_eq(json_array_size(compare.left_out), 3);
  const json_t *out = json_array_get(compare.left_out, 0);
  cr_assert(strstr(json_string_value(json_object_get(out, "key")), "alpha 0.1562"));
  cr_assert_str_eq(json_string_value(json_object_get(out, "of")), "a");
  char answer[COMPARE_ANSWER_BYTES];
  cr_assert(strstr(compare_answer(&compare, answer), "2 rows of A, 1 of B"), "%s", answer);
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare_rows, the_larger_page_bounds_the_match) {
  const int in_a[] = {2048}, in_b[] = {2240};
  json_t *a = sweep_at(64, in_a, 1, 0.1), *small = sweep_at(64, in_b, 1, 0.1),
         *large = sweep_at(256, in_b, 1, 0.1);
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_results(&compare, a, "a", small, "b", &error), -EINVAL);
  compare_free(&compare);
  compared(&compare, a, large);
  cr_assert_eq(compare.matched, 1);
  compare_free(&compare);
  json_decref(a);
  json_decref(small);
  json_decref(large);
}

Test(compare_rows, read_time_a_token_is_of_the_best_alpha) {
  const int in_a[] = {1024, 2048}, in_b[] = {1024, 2048};
  json_t *a = sweep_at(64, in_a, 2, 0.1), *b = sweep_at(64, in_b, 2, 0.1);
  json_object_set_new(json_array_get(json_object_get(b, "points"), 1), "read_alone_s",
                      around(2e-6 * 2048));
  struct compare compare;
  compared(&compare, a, b);
  const struct compare_row *row = find(&compare, "summary", "n_tokens 4096", "read_s_per_token");
  cr_assert(row);
  cr_assert(fabs(row->difference.median_a - 1e-6) < 1e-12);
  cr_assert(fabs(row->difference.change - 1) < 1e-9);
  cr_assert_str_eq(compare_verdict(row), "slower");
  cr_assert(!row->main, "--fail-if looks at times to first token, not at what they are made of");
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

/* ---- storage ------------------------------------------------------------------------------ */

#define TARGETS                                                                                    \
  "[{\"target\": \"/a\", \"summary\": [{\"best_read_row\": 0, \"read_s_per_token\": 2e-4}]},"      \
  " {\"target\": \"/b\", \"summary\": [{\"best_read_row\": 1, \"read_s_per_token\": 1e-4}]}]"

/* Reads of /a and /b by `engine`, at these bytes/s. */
static json_t *storage_of(const char *engine, int depth, double a, double b) {
  json_t *storage = parse("{\"schema\": \"refill/1\", \"command\": \"storage\", \"config\": {},"
                          " \"model\": \"llama-3-8b\", \"layers_run\": 32, \"targets\": " TARGETS
                          "}");
  json_t *rows = json_array();
  for (int i = 0; i < 2; i++) {
    json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:i, s:{s:f, s:f}}", "target", i ? "/b" : "/a",
                            "engine", engine, "rw", "read", "page_bytes", 1048576, "queue_depth",
                            depth, "page_latency_s", "p50", 1e-4, "p99", 2e-4);
    json_object_set_new(row, "read_bytes_per_s", around(i ? b : a));
    json_array_append_new(rows, row);
  }
  json_object_set_new(storage, "rows", rows);
  return storage;
}

Test(compare_rows, targets_are_matched_by_their_place) {
  json_t *a = storage_of("uring", 8, 1e9, 2e9), *b = storage_of("uring", 8, 1e9, 1e9);
  json_object_set_new(json_array_get(json_object_get(b, "targets"), 1), "target",
                      json_string("/moved"));
  json_object_set_new(json_array_get(json_object_get(b, "rows"), 1), "target",
                      json_string("/moved"));
  struct compare compare;
  compared(&compare, a, b);
  cr_assert_eq(compare.matched, 2);
  const struct compare_row *row = find(&compare, "rows", "target 1", "read_bytes_per_s");
  cr_assert(row && row->main && strstr(row->key, "page_bytes 1048576"), "%s", row ? row->key : "");
  cr_assert_str_eq(compare_verdict(row), "slower");
  cr_assert_str_eq(compare_verdict(find(&compare, "rows", "target 0", "read_bytes_per_s")),
                   "no significant change");
  row = find(&compare, "summary", "target 1", "read_s_per_token");
  cr_assert(row && fabs(row->difference.median_a - 1e-4) < 1e-9);
  cr_assert_str_eq(compare_verdict(find(&compare, "rows", "target 0", "page_latency_p99_s")),
                   "not tested");
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare_rows, hostile_storage_does_no_harm) {
  static const char *const values[] = {"1e300", "-5", "[]", "null", "\"x\"", "{\"a\": 1}"};
  static const char *const keys[] = {"best_read_row", "read_s_per_token", "target", "summary"};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    json_t *value = json_loads(values[i], JSON_DECODE_ANY, NULL);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
      json_t *a = storage_of("uring", 8, 1e9, 2e9), *b = storage_of("uring", 8, 1e9, 2e9);
      json_t *target = json_array_get(json_object_get(b, "targets"), 0);
      json_t *summary = json_array_get(json_object_get(target, "summary"), 0);
      json_object_set(k < 2 ? summary : target, keys[k], value);
      json_array_append(json_object_get(b, "rows"), value);
      struct compare compare;
      struct error error = {0};
      (void)compare_results(&compare, a, "a", b, "b", &error);
      compare_free(&compare);
      json_object_set(b, "rows", value);
      json_object_set(b, "targets", value);
      (void)compare_results(&compare, a, "a", b, "b", &error);
      compare_free(&compare);
      json_decref(a);
      json_decref(b);
    }
    json_decref(value);
  }
}

Test(compare_rows, one_setting_each_is_what_is_compared) {
  json_t *a = storage_of("uring", 8, 1e9, 2e9), *b = storage_of("pread", 32, 1e9, 2e9);
  struct compare compare;
  compared(&compare, a, b);
  cr_assert_eq(compare.matched, 2, "engine and depth are not keys where each has one");
  compare_free(&compare);
  json_object_set_new(json_array_get(json_object_get(a, "rows"), 1), "engine", json_string("mmap"));
  struct error error = {0};
  cr_assert_eq(compare_results(&compare, a, "a", b, "b", &error), -EINVAL);
  cr_assert(strstr(error.message, "engine"), "%s", error.message);
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare_rows, targets_of_a_result_are_held_against_its_first) {
  json_t *report = json_pack("{s:[{s:s, s:o}, {s:s, s:o}]}", "results", "file", "1.json", "result",
                             storage_of("uring", 8, 1e9, 2e9), "file", "2.json", "result",
                             storage_of("uring", 8, 1e9, 1e9));
  report_compare(report);
  const json_t *comparisons = json_object_get(report, "comparisons");
  cr_assert_eq(json_array_size(comparisons), 3, "1: b against a; 2 against 1; 2: b against a");
  static const struct {
    int a, a_target, b, b_target;
    const char *verdict;
  } expected[] = {{0, 0, 0, 1, "faster"},
                  {0, -1, 1, -1, "no significant change"},
                  {1, 0, 1, 1, "no significant change"}};
  for (size_t i = 0; i < 3; i++) {
    const json_t *one = json_array_get(comparisons, i);
    int a, a_target, b, b_target;
    json_t *rows;
    cr_assert_eq(json_unpack((json_t *)one, "{s:i, s:i, s:i, s:i, s:o}", "a", &a, "a_target",
                             &a_target, "b", &b, "b_target", &b_target, "rows", &rows),
                 0);
    cr_assert(a == expected[i].a && b == expected[i].b && a_target == expected[i].a_target &&
              b_target == expected[i].b_target);
    cr_assert_str_eq(json_string_value(json_array_get(json_array_get(rows, 0), 8)),
                     expected[i].verdict);
  }
  json_decref(report);
}
