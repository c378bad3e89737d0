/*
 * Comparison of results: a known shift is found, equal ones are not, and what cannot be compared
 * is refused by name.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "bench/measure/difference.h"
#include "bench/present/compare.h"
#include "bench/present/jsonl.h"
#include "bench/present/result.h"
#include "bench_test.h"

/* n samples about `centre`, spread by 2% either way. */
static struct samples samples_about(double centre, int n, uint64_t seed) {
  struct samples samples = {0};
  for (int i = 0; i < n; i++)
    samples_add(&samples, centre * (1 + 0.02 * (2 * prng_unit(seed, (uint64_t)i) - 1)));
  return samples;
}

static json_t *field_of(const struct samples *samples) {
  return result_interval(samples, stats_interval(samples, 1));
}

/* A sweep with one overlapped point and one of recompute, `factor` slower in the first. */
static json_t *sweep_of(double factor, uint64_t seed) {
  json_t *rig = json_pack("{s:s, s:i, s:i, s:s, s:s}", "model", "mha-125m", "layers_run", 2,
                          "layers_model", 12, "dtype", "bf16", "kv_dtype", "bf16");
  json_t *points = json_array();
  const char *const policies[] = {"recompute", "overlap"};
  for (int i = 0; i < 2; i++) {
    struct samples first = samples_about(i == 1 ? 0.1 * factor : 0.2, 9, seed + (uint64_t)i);
    struct samples error = samples_about(0.03, 9, seed + 9);
    json_t *point = json_pack("{s:i, s:s, s:f}", "n_tokens", 4096, "policy", policies[i], "alpha",
                              i == 1 ? 0.5 : 0.0);
    json_object_set_new(point, "first_token_s", field_of(&first));
    json_object_set_new(point, "error_ideal", field_of(&error));
    json_array_append_new(points, point);
  }
  return json_pack("{s:s, s:s, s:{s:i, s:b}, s:o, s:o}", "schema", "refill/1", "command", "sweep",
                   "config", "window", 4, "store", true, "rig", rig, "points", points);
}

static int compare_both(struct compare *compare, json_t *a, json_t *b, struct error *error) {
  return compare_results(compare, a, "a.json", b, "b.json", error);
}

static const struct compare_row *row_of(const struct compare *compare, const char *policy,
                                        const char *field) {
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    if (strstr(row->key, policy) && strcmp(row->field, field) == 0) return row;
  }
  cr_assert(false, "no %s of %s", field, policy);
  return NULL;
}

static const struct compare_row *broken_by(const struct compare *compare, const char *text) {
  struct compare_rule rules[COMPARE_RULES_MAX];
  int n = 0;
  cr_assert_null(compare_rules_scan(text, rules, &n), "%s", text);
  for (int i = 0; i < n; i++) {
    const struct compare_row *row = compare_broken(compare, &rules[i]);
    if (row) return row;
  }
  return NULL;
}

Test(compare, a_known_shift_is_found) {
  json_t *a = sweep_of(1, 1);
  json_t *b = sweep_of(1.10, 100);
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, b, &error), 0, "%s", error.message);
  cr_assert_eq(compare.matched, 2);
  const struct compare_row *row = row_of(&compare, "overlap", "first_token_s");
  cr_assert(row->difference.significant);
  cr_assert(fabs(row->difference.change - 0.10) < 0.03, "%g", row->difference.change);
  cr_assert(row->difference.low < row->difference.change &&
            row->difference.change < row->difference.high);
  cr_assert_str_eq(compare_verdict(row), "slower");
  row = row_of(&compare, "recompute", "first_token_s");
  cr_assert(!row->difference.significant, "%g to %g", row->difference.low, row->difference.high);
  cr_assert(broken_by(&compare, "slower:5%"));
  cr_assert_null(broken_by(&compare, "slower:20%"));
  cr_assert_null(broken_by(&compare, "faster:1%"));
  cr_assert(broken_by(&compare, "error_ideal:90%,first_token_s:5"));
  compare_free(&compare);
  cr_assert_eq(compare_both(&compare, b, a, &error), 0);
  cr_assert_str_eq(compare_verdict(row_of(&compare, "overlap", "first_token_s")), "faster");
  cr_assert(broken_by(&compare, "faster:5%"));
  cr_assert_null(broken_by(&compare, "slower:0%"));
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare, equal_results_have_not_changed) {
  json_t *a = sweep_of(1, 1);
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, a, &error), 0);
  for (int i = 0; i < compare.n_rows; i++) {
    cr_assert(!compare.rows[i].difference.significant, "%s", compare.rows[i].field);
    cr_assert_eq(compare.rows[i].difference.change, 0.0);
  }
  cr_assert_eq(json_array_size(compare.differences), 0);
  cr_assert_null(broken_by(&compare, "slower:0%,faster:0%,first_token_s:0%"));
  compare_free(&compare);
  json_decref(a);
}

Test(compare, chance_alone_is_seldom_called_a_change) {
  int called = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    struct samples a = samples_about(1, 9, 2 * seed);
    struct samples b = samples_about(1, 9, 2 * seed + 1);
    called += difference_of(&a, &b, 1).significant;
  }
  cr_assert_lt(called, 24, "%d of 200 equal pairs are called changed", called);
}

Test(compare, too_few_samples_prove_nothing) {
  struct samples a = samples_about(1, 3, 1);
  struct samples b = samples_about(2, 9, 2);
  struct difference difference = difference_of(&a, &b, 1);
  cr_assert(!difference.enough && !difference.significant);
  cr_assert(isnan(difference.low));
  cr_assert(fabs(difference.change - 1) < 0.1);
  struct samples none = {0};
  difference = difference_of(&none, &b, 1);
  cr_assert(isnan(difference.change) && !difference.significant);
}

Test(compare, a_rate_that_fell_is_slower) {
  json_t *a = sweep_of(1, 1);
  json_t *b = sweep_of(1, 1);
  json_t *const both[] = {a, b};
  for (int i = 0; i < 2; i++) {
    struct samples rate = samples_about(i == 0 ? 2e9 : 1e9, 9, 7);
    json_t *row = json_pack("{s:i, s:i}", "page_tokens", 64, "queue_depth", 32);
    json_object_set_new(row, "read_bytes_per_s", field_of(&rate));
    json_t *rows = json_array();
    json_array_append_new(rows, row);
    json_object_set_new(both[i], "storage", rows);
  }
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, b, &error), 0);
  cr_assert_str_eq(compare_verdict(row_of(&compare, "page_tokens 64", "read_bytes_per_s")),
                   "slower");
  cr_assert(broken_by(&compare, "slower:90%"), "half the rate takes twice as long");
  cr_assert_null(broken_by(&compare, "slower:110%"));
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

/* ---- what cannot be compared ------------------------------------------------------------------
 */

static void expect_refused(json_t *a, json_t *b, const char *must) {
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, b, &error), -EINVAL, "%s", must);
  cr_assert(strstr(error.message, must), "%s lacks %s", error.message, must);
  cr_assert(strstr(error.message, "accepted"), "%s", error.message);
  compare_free(&compare);
}

Test(compare, the_field_that_differs_is_named) {
  static const struct {
    const char *object, *key, *value;
  } cases[] = {{NULL, "command", "calibrate"}, {"rig", "model", "llama-3-8b"},
               {"rig", "layers_run", "3"},     {"rig", "dtype", "fp8"},
               {"rig", "kv_dtype", "fp8"},     {"config", "store", "off"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    json_t *a = sweep_of(1, 1);
    json_t *b = sweep_of(1, 1);
    json_t *object = cases[i].object ? json_object_get(b, cases[i].object) : b;
    json_object_set_new(object, cases[i].key, json_string(cases[i].value));
    expect_refused(a, b, cases[i].key);
    json_object_del(object, cases[i].key);
    expect_refused(a, b, cases[i].key);
    json_decref(a);
    json_decref(b);
  }
}

Test(compare, no_row_in_common_is_refused) {
  json_t *a = sweep_of(1, 1);
  json_t *b = sweep_of(1, 1);
  size_t i;
  json_t *point;
  json_array_foreach(json_object_get(b, "points"), i, point) {
    json_object_set_new(point, "n_tokens", json_integer(8192));
  }
  expect_refused(a, b, "n_tokens");
  json_object_set_new(b, "points", json_array());
  expect_refused(b, b, "without rows of samples");
  json_decref(a);
  json_decref(b);
}

Test(compare, fields_that_are_null_or_of_another_type_are_passed_over) {
  json_t *a = sweep_of(1, 1);
  json_t *b = sweep_of(1, 1);
  json_t *point = json_array_get(json_object_get(b, "points"), 1);
  json_t *first = json_object_get(point, "first_token_s");
  json_array_append_new(json_object_get(first, "samples"), json_null());
  json_array_append_new(json_object_get(first, "samples"), json_string("<script>"));
  json_object_set_new(point, "error_ideal", json_null());
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, b, &error), 0, "%s", error.message);
  cr_assert(!row_of(&compare, "overlap", "first_token_s")->difference.significant);
  cr_assert_eq(compare.n_rows, 3, "two of recompute, one of overlap: %d", compare.n_rows);
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare, what_else_differs_is_listed) {
  json_t *a = sweep_of(1, 1);
  json_t *b = sweep_of(1, 1);
  json_object_set_new(json_object_get(b, "config"), "window", json_integer(8));
  struct compare compare;
  struct error error = {0};
  cr_assert_eq(compare_both(&compare, a, b, &error), 0);
  cr_assert_eq(json_array_size(compare.differences), 1);
  const json_t *difference = json_array_get(compare.differences, 0);
  cr_assert_str_eq(json_string_value(json_object_get(difference, "field")), "config.window");
  cr_assert_eq(json_integer_value(json_object_get(difference, "b")), 8);
  compare_free(&compare);
  json_decref(a);
  json_decref(b);
}

Test(compare, rules_name_what_was_compared) {
  json_t *a = sweep_of(1, 1);
  struct compare compare;
  struct error error = {0};
  struct compare_rule rules[COMPARE_RULES_MAX];
  int n = 0;
  cr_assert_eq(compare_both(&compare, a, a, &error), 0);
  cr_assert_null(compare_rules_scan("slower:5%,nonsense:1%", rules, &n));
  cr_assert_eq(n, 2);
  cr_assert_eq(rules[0].kind, RULE_SLOWER);
  cr_assert(fabs(rules[0].share - 0.05) < 1e-12);
  cr_assert_str_eq(compare_unknown_field(&compare, rules, n), "nonsense");
  cr_assert_null(compare_unknown_field(&compare, rules, 1));
  compare_free(&compare);
  json_decref(a);
}

/* ---- JSON lines
 * ----------------------------------------------------------------------------------- */

static void print_lines(void *context, FILE *stream) {
  cr_assert_eq(jsonl_print(context, stream), 2);
}

Test(compare, each_json_line_stands_alone) {
  json_t *a = sweep_of(1, 1);
  char *text = printed(print_lines, a);
  char *rest = text, *line;
  int n = 0;
  while ((line = strsep(&rest, "\n")) && *line) {
    json_t *json = json_loads(line, 0, NULL);
    cr_assert(json, "%s", line);
    cr_assert_str_eq(json_string_value(json_object_get(json, "schema")), "refill/1");
    cr_assert_str_eq(json_string_value(json_object_get(json, "model")), "mha-125m");
    cr_assert_str_eq(json_string_value(json_object_get(json, "row")), "points");
    cr_assert(json_object_get(json, "first_token_s"));
    json_decref(json);
    n++;
  }
  cr_assert_eq(n, 2);
  free(text);
  json_decref(a);
}
