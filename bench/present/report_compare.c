/*
 * What changed between the results of one page, by the rule of `refill compare`: computed here once
 * and embedded, so that the page says nothing else than the command does.
 *
 * Of each command's results the first is what the others are held against; of a storage result's
 * targets likewise the first.
 */
#include <string.h>

#include "bench/present/compare.h"
#include "bench/present/report_page.h"
#include "bench/present/result.h"

#define COMPARISONS_MAX 64
#define LEFT_OUT_MAX 40 /* named on the page; all are counted */

struct place {
  int result, target;
};

/* {"a", "a_target", "b", "b_target"} and either "refused" or the rows with their verdicts. */
static json_t *new_comparison(struct place a, struct place b) {
  return json_pack("{s:i, s:i, s:i, s:i}", "a", a.result, "a_target", a.target, "b", b.result,
                   "b_target", b.target);
}

/* [array, key, field, A, B, change, low, high, verdict]: names would take most of a page. */
static json_t *row_of(const struct compare_row *row) {
  const struct difference *d = &row->difference;
  return json_pack("[s, s, s, o, o, o, o, o, s]", row->array, row->key, row->field,
                   result_real(d->median_a), result_real(d->median_b), result_real(d->change),
                   result_real(d->low), result_real(d->high), compare_verdict(row));
}

static void add_rows(const struct compare *compare, json_t *comparison) {
  char answer[COMPARE_ANSWER_BYTES];
  json_t *rows = json_array(), *left_out = json_array();
  for (int i = 0; i < compare->n_rows; i++)
    if (compare->rows[i].tested) json_array_append_new(rows, row_of(&compare->rows[i]));
  for (size_t i = 0; i < json_array_size(compare->left_out) && i < LEFT_OUT_MAX; i++)
    json_array_append(left_out, json_array_get(compare->left_out, i));
  json_object_set_new(comparison, "answer", json_string(compare_answer(compare, answer)));
  json_object_set_new(comparison, "rows", rows);
  json_object_set_new(comparison, "left_out", left_out);
  json_object_set_new(comparison, "only_a", json_integer(compare->only_a));
  json_object_set_new(comparison, "only_b", json_integer(compare->only_b));
  json_object_set(comparison, "differences", compare->differences);
}

static void compare_places(json_t *comparisons, const json_t *results, struct place a,
                           struct place b) {
  if (json_array_size(comparisons) >= COMPARISONS_MAX) return;
  const struct place places[] = {a, b};
  struct compare_side sides[2];
  for (int i = 0; i < 2; i++) {
    const json_t *entry = json_array_get(results, (size_t)places[i].result);
    sides[i] = (struct compare_side){json_object_get(entry, "result"),
                                     json_string_value(json_object_get(entry, "file")),
                                     places[i].target};
  }
  json_t *comparison = new_comparison(a, b);
  struct compare compare = {.brief = true};
  struct error error = {0};
  if (compare_sides(&compare, &sides[0], &sides[1], &error) == 0)
    add_rows(&compare, comparison);
  else
    json_object_set_new(comparison, "refused", json_string(error.message));
  compare_free(&compare);
  json_array_append_new(comparisons, comparison);
}

static const char *command_at(const json_t *results, size_t i) {
  const char *command = json_string_value(
      json_object_get(json_object_get(json_array_get(results, i), "result"), "command"));
  return command ? command : "";
}

/* Whether samples of this command's results are compared. */
static bool has_samples(const char *command) {
  return strcmp(command, "sweep") == 0 || strcmp(command, "calibrate") == 0 ||
         strcmp(command, "storage") == 0;
}

/* The first result of the same command; i itself where there is none before it. */
static size_t baseline_of(const json_t *results, size_t i) {
  for (size_t k = 0; k < i; k++)
    if (strcmp(command_at(results, k), command_at(results, i)) == 0) return k;
  return i;
}

void report_compare(json_t *report) {
  json_t *comparisons = json_array();
  const json_t *results = json_object_get(report, "results");
  for (size_t i = 0; i < json_array_size(results); i++) {
    size_t base = baseline_of(results, i);
    if (!has_samples(command_at(results, i))) continue;
    if (base < i)
      compare_places(comparisons, results, (struct place){(int)base, COMPARE_TARGETS},
                     (struct place){(int)i, COMPARE_TARGETS});
    const json_t *result = json_object_get(json_array_get(results, i), "result");
    for (size_t k = 1; k < json_array_size(json_object_get(result, "targets")); k++)
      compare_places(comparisons, results, (struct place){(int)i, 0},
                     (struct place){(int)i, (int)k});
  }
  json_object_set_new(report, "comparisons", comparisons);
}
