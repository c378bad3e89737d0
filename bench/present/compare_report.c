/*
 * A comparison in words, as tables, as JSON; and its rules.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "bench/present/compare.h"
#include "bench/present/result.h"

#define SHOWN_BYTES 120

/* ---- words --------------------------------------------------------------------------- */

/* +1 slower, -1 faster, 0 neither: by the sense of the quantity. */
static int direction(const struct compare_row *row) {
  if (row->sense == SENSE_NEUTRAL || row->difference.change == 0) return 0;
  bool rose = row->difference.change > 0;
  return rose == (row->sense == SENSE_LOWER) ? 1 : -1;
}

const char *compare_verdict(const struct compare_row *row) {
  if (!row->tested) return "not tested";
  if (!row->difference.enough) return "too few samples";
  if (!row->difference.significant) return "no significant change";
  int way = direction(row);
  if (way != 0) return way > 0 ? "slower" : "faster";
  return row->difference.change > 0 ? "more" : "less";
}

/* How much longer it takes in B: of a rate that fell to a half, 1.0. */
static double slowdown(const struct compare_row *row) {
  double change = row->difference.change;
  return row->sense == SENSE_HIGHER ? -change / (1 + change) : change;
}

static bool breaks(const struct compare_row *row, const struct compare_rule *rule) {
  if (!row->difference.significant) return false;
  switch (rule->kind) {
  case RULE_SLOWER:
    return row->main && slowdown(row) > rule->share;
  case RULE_FASTER:
    return row->main && -slowdown(row) > rule->share;
  default:
    return strcmp(row->field, rule->field) == 0 && fabs(row->difference.change) > rule->share;
  }
}

const struct compare_row *compare_broken(const struct compare *compare,
                                         const struct compare_rule *rule) {
  const struct compare_row *worst = NULL;
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    if (!breaks(row, rule)) continue;
    if (!worst || fabs(row->difference.change) > fabs(worst->difference.change)) worst = row;
  }
  return worst;
}

const char *compare_unknown_field(const struct compare *compare, const struct compare_rule *rules,
                                  int n) {
  for (int i = 0; i < n; i++) {
    bool known = rules[i].kind != RULE_FIELD;
    for (int k = 0; !known && k < compare->n_rows; k++)
      known = strcmp(compare->rows[k].field, rules[i].field) == 0;
    if (!known) return rules[i].field;
  }
  return NULL;
}

char *compare_answer(const struct compare *compare, char text[COMPARE_ANSWER_BYTES]) {
  int slower = 0, faster = 0, few = 0, n = 0;
  const struct compare_row *worst = NULL;
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    if (!row->main) continue;
    n++;
    few += !row->difference.enough;
    if (!row->difference.significant) continue;
    slower += direction(row) > 0;
    faster += direction(row) < 0;
    if (!worst || fabs(row->difference.change) > fabs(worst->difference.change)) worst = row;
  }
  int used = snprintf(text, COMPARE_ANSWER_BYTES,
                      "Of %d quantities B is slower in %d, faster in %d, and not significantly "
                      "changed in %d",
                      n, slower, faster, n - slower - faster - few);
  size_t left = COMPARE_ANSWER_BYTES - (size_t)used;
  if (few > 0)
    used += snprintf(text + used, left, " (%d have fewer than %d samples a side: --repeat)", few,
                     DIFFERENCE_SAMPLES_MIN);
  left = COMPARE_ANSWER_BYTES - (size_t)used;
  if (compare->only_a + compare->only_b > 0)
    used += snprintf(text + used, left, "; left out, without a match: %d rows of A, %d of B",
                     compare->only_a, compare->only_b);
  left = COMPARE_ANSWER_BYTES - (size_t)used;
  if (worst)
    snprintf(text + used, left, ". The largest change: %s %+.1f%% (95%%: %+.1f to %+.1f%%) at %s.",
             worst->field, 100 * worst->difference.change, 100 * worst->difference.low,
             100 * worst->difference.high, worst->key);
  else
    snprintf(text + used, left, ".");
  return text;
}

/* ---- tables --------------------------------------------------------------------------------- */

static bool in_seconds(const char *field) {
  static const char *const endings[] = {"_s", "_s_per_token"};
  size_t n = strlen(field);
  for (size_t i = 0; i < 2; i++) {
    size_t m = strlen(endings[i]);
    if (n > m && strcmp(field + n - m, endings[i]) == 0) return true;
  }
  return false;
}

/* In the unit that the quantity's name ends in. */
static void median_cell(struct table *table, const struct compare_row *row, double value) {
  char text[UNITS_TEXT_BYTES];
  if (row->sense == SENSE_HIGHER)
    units_format_rate(text, value);
  else if (in_seconds(row->field))
    units_format_seconds(text, value);
  else
    snprintf(text, sizeof text, "%.4g", value);
  table_text(table, text);
}

struct table *compare_table(const struct compare *compare) {
  static const struct table_column columns[] = {
      {.title = "at", .name = "row_key", .kind = TABLE_TEXT},
      {.title = "quantity", .name = "field", .kind = TABLE_TEXT},
      {.title = "A", .name = "a_median", .kind = TABLE_TEXT},
      {.title = "B", .name = "b_median", .kind = TABLE_TEXT},
      {.title = "change", .name = "change", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "low", .name = "change_low", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "high", .name = "change_high", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "verdict", .name = "verdict", .kind = TABLE_TEXT}};
  struct table *table = TABLE_OF(columns);
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    if (!row->main && strcmp(row->array, "summary") != 0) continue;
    table_row(table);
    table_text(table, row->key);
    table_text(table, row->field);
    median_cell(table, row, row->difference.median_a);
    median_cell(table, row, row->difference.median_b);
    const double values[] = {row->difference.change, row->difference.low, row->difference.high};
    table_reals(table, 3, values);
    table_text(table, compare_verdict(row));
  }
  return table;
}

struct table *compare_values_table(const struct compare *compare) {
  static const struct table_column columns[] = {
      {.title = "of", .name = "array_name", .kind = TABLE_TEXT},
      {.title = "at", .name = "row_key", .kind = TABLE_TEXT},
      {.title = "quantity", .name = "field", .kind = TABLE_TEXT},
      {.title = "A", .name = "a_median", .kind = TABLE_REAL, .digits = 6},
      {.title = "B", .name = "b_median", .kind = TABLE_REAL, .digits = 6},
      {.title = "change", .name = "change", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "low", .name = "change_low", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "high", .name = "change_high", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "verdict", .name = "verdict", .kind = TABLE_TEXT}};
  struct table *table = TABLE_OF(columns);
  for (int i = 0; i < compare->n_rows; i++) {
    const struct compare_row *row = &compare->rows[i];
    table_row(table);
    table_text(table, row->array);
    table_text(table, row->key);
    table_text(table, row->field);
    const double values[] = {row->difference.median_a, row->difference.median_b,
                             row->difference.change, row->difference.low, row->difference.high};
    table_reals(table, 5, values);
    table_text(table, compare_verdict(row));
  }
  return table;
}

struct table *compare_left_out_table(const struct compare *compare) {
  static const struct table_column columns[] = {
      {.title = "left out", .name = "row_key", .kind = TABLE_TEXT},
      {.title = "in", .name = "of", .kind = TABLE_TEXT}};
  struct table *table = table_new(columns, 2);
  for (size_t i = 0; i < json_array_size(compare->left_out); i++) {
    const json_t *row = json_array_get(compare->left_out, i);
    table_row(table);
    table_text(table, json_string_value(json_object_get(row, "key")));
    table_text(table, strcmp(json_string_value(json_object_get(row, "of")), "a") == 0 ? "A" : "B");
  }
  return table;
}

static void value_cell(struct table *table, const json_t *value) {
  char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
  char text[SHOWN_BYTES];
  snprintf(text, sizeof text, "%s", dump ? dump : "");
  table_text(table, text);
  free(dump);
}

struct table *compare_differences_table(const struct compare *compare) {
  static const struct table_column columns[] = {
      {.title = "differs", .name = "field_name", .kind = TABLE_TEXT},
      {.title = "A", .name = "a", .kind = TABLE_TEXT},
      {.title = "B", .name = "b", .kind = TABLE_TEXT}};
  struct table *table = table_new(columns, 3);
  for (size_t i = 0; i < json_array_size(compare->differences); i++) {
    const json_t *difference = json_array_get(compare->differences, i);
    table_row(table);
    table_text(table, json_string_value(json_object_get(difference, "field")));
    value_cell(table, json_object_get(difference, "a"));
    value_cell(table, json_object_get(difference, "b"));
  }
  return table;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static json_t *row_to_json(const struct compare_row *row) {
  const struct difference *d = &row->difference;
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:s}", "array", row->array,
                   "key", row->key, "field", row->field, "a_median", result_real(d->median_a),
                   "b_median", result_real(d->median_b), "change", result_real(d->change),
                   "change_low", result_real(d->low), "change_high", result_real(d->high),
                   "significant", d->significant, "main", row->main, "verdict",
                   compare_verdict(row));
}

void compare_to_json(const struct compare *compare, json_t *result) {
  json_t *rows = json_array();
  for (int i = 0; i < compare->n_rows; i++)
    json_array_append_new(rows, row_to_json(&compare->rows[i]));
  json_object_set_new(result, "compared", json_string(compare->command));
  json_object_set_new(result, "matched", json_integer(compare->matched));
  json_object_set_new(result, "only_a", json_integer(compare->only_a));
  json_object_set_new(result, "only_b", json_integer(compare->only_b));
  json_object_set(result, "left_out", compare->left_out);
  json_object_set(result, "differences", compare->differences);
  json_object_set_new(result, "rows", rows);
}
