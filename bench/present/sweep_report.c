/*
 * Tables and JSON of a sweep.
 */
#include "bench/present/sweep_report.h"

#include <math.h>
#include <string.h>

#include "bench/present/result.h"

/* Median over rounds of a/b, sample by sample: both were taken in the same round. Where an
 * interruption left one of them more, the ratio of medians. */
static double paired_ratio(const struct samples *a, const struct samples *b) {
  if (a->n != b->n) return stats_median(a->values, a->n) / stats_median(b->values, b->n);
  struct samples ratios = {.n = a->n};
  for (int i = 0; i < a->n; i++) ratios.values[i] = a->values[i] / b->values[i];
  return stats_median(ratios.values, ratios.n);
}

double sweep_speedup(const struct sweep *sweep, const struct point *point) {
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *other = &sweep->points[i];
    if (other->n_tokens != point->n_tokens || other->policy != POLICY_RECOMPUTE) continue;
    return paired_ratio(&other->metrics[METRIC_FIRST_TOKEN], &point->metrics[METRIC_FIRST_TOKEN]);
  }
  return NAN;
}

static struct interval metric_interval(const struct point *point, enum metric metric) {
  return stats_interval(&point->metrics[metric], (uint64_t)metric + 1);
}

static double layer_bytes(const struct sweep *sweep, const struct point *point) {
  int64_t pages = point->n_past / sweep->rig->page_tokens;
  return (double)pages * (double)sweep->rig->page_payload_bytes;
}

/* ---- tables ---- */

static const struct table_column ttft_columns[] = {
    {.title = "tokens", .name = "n_tokens", .kind = TABLE_COUNT},
    {.title = "policy", .name = "policy", .kind = TABLE_TEXT},
    {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 4},
    {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT},
    {.title = "TTFT", .name = "first_token_s", .kind = TABLE_SECONDS},
    {.title = "+-", .name = "first_token_half_width", .kind = TABLE_PERCENT, .digits = 1},
    {.title = "ideal", .name = "model_ideal_s", .kind = TABLE_SECONDS},
    {.title = "error", .name = "error_ideal", .kind = TABLE_CHANGE, .digits = 1},
    {.title = "pipelined", .name = "model_pipelined_s", .kind = TABLE_SECONDS},
    {.title = "error", .name = "error_pipelined", .kind = TABLE_CHANGE, .digits = 1},
    {.title = "contended", .name = "model_contended_s", .kind = TABLE_SECONDS},
    {.title = "error", .name = "error_contended", .kind = TABLE_CHANGE, .digits = 1},
    {.title = "regime", .name = "regime", .kind = TABLE_TEXT},
    {.title = "speedup", .name = "speedup", .unit = "x", .kind = TABLE_REAL, .digits = 2},
    {.title = "overlap", .name = "overlap_efficiency", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "#wrong", .name = "wrong_bytes", .unit = "bytes", .kind = TABLE_COUNT},
    {.title = "mark", .name = "deviation", .kind = TABLE_TEXT},
};

static void ttft_row(struct table *table, const struct sweep *sweep, const struct point *point) {
  const struct samples *first_token = &point->metrics[METRIC_FIRST_TOKEN];
  bool models = point->policy != POLICY_RECOMPUTE;
  const enum metric shown[] = {METRIC_IDEAL,           METRIC_ERROR_IDEAL, METRIC_PIPELINED,
                               METRIC_ERROR_PIPELINED, METRIC_CONTENDED,   METRIC_ERROR_CONTENDED};
  table_row(table);
  table_count(table, point->n_tokens);
  table_text(table, policy_name(point->policy));
  table_real(table, point->alpha);
  table_count(table, point->n_new);
  table_real(table, point_median(point, METRIC_FIRST_TOKEN));
  table_real(table, samples_relative_half_width(first_token, METRIC_FIRST_TOKEN + 1));
  for (int i = 0; i < 6; i++) table_real(table, models ? point_median(point, shown[i]) : NAN);
  table_text(table, ttft_regime_name(point_regime(point)));
  table_real(table, sweep_speedup(sweep, point));
  table_real(table, models ? point_median(point, METRIC_EFFICIENCY) : NAN);
  if (point->checked)
    table_count(table, point->wrong_pages * (int64_t)sweep->rig->page_payload_bytes);
  else
    table_missing(table);
  enum point_deviation deviation = models ? point_deviation(point) : DEVIATION_NONE;
  table_text(table, deviation == DEVIATION_NONE ? "" : point_deviation_name(deviation));
}

struct table *sweep_table(const struct sweep *sweep) {
  struct table *table = table_new(ttft_columns, sizeof ttft_columns / sizeof *ttft_columns);
  for (int i = 0; i < sweep->n_points; i++)
    if (sweep->points[i].groups > 0) ttft_row(table, sweep, &sweep->points[i]);
  return table;
}

static const struct table_column layer_columns[] = {
    {.title = "tokens", .name = "n_tokens", .kind = TABLE_COUNT},
    {.title = "policy", .name = "policy", .kind = TABLE_TEXT},
    {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 4},
    {.title = "middle layer", .name = "middle_layer_bytes", .kind = TABLE_BYTES},
    {.title = "rate", .name = "middle_layer_read_bytes_per_s", .kind = TABLE_RATE},
    {.title = "read", .name = "middle_layer_read_s", .kind = TABLE_SECONDS},
    {.title = "compute", .name = "middle_layer_compute_s", .kind = TABLE_SECONDS},
    {.title = "compute slowed",
     .name = "slowdown_compute",
     .unit = "x",
     .kind = TABLE_REAL,
     .digits = 2},
    {.title = "reads slowed",
     .name = "slowdown_read",
     .unit = "x",
     .kind = TABLE_REAL,
     .digits = 2},
    {.title = "cold", .name = "cold", .kind = TABLE_TEXT},
};

static const char *cold_text(const struct sweep *sweep, const struct point *point) {
  if (sweep->rig->emulated) return "emulated drive";
  return point->cold_known ? point->cold.text : "";
}

struct table *sweep_layer_table(const struct sweep *sweep) {
  struct table *table = table_new(layer_columns, sizeof layer_columns / sizeof *layer_columns);
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *point = &sweep->points[i];
    if (point->groups == 0 || point->policy == POLICY_RECOMPUTE || point->n_past == 0) continue;
    double bytes = layer_bytes(sweep, point);
    double read_s = point_median(point, METRIC_MIDDLE_READ);
    table_row(table);
    table_count(table, point->n_tokens);
    table_text(table, policy_name(point->policy));
    table_real(table, point->alpha);
    table_real(table, bytes);
    table_real(table, bytes / read_s);
    table_real(table, read_s);
    table_real(table, point_median(point, METRIC_MIDDLE_COMPUTE));
    table_real(table, point_median(point, METRIC_SLOWDOWN_COMPUTE));
    table_real(table, point_median(point, METRIC_SLOWDOWN_READ));
    table_text(table, cold_text(sweep, point));
  }
  return table;
}

/* ---- JSON ---- */

static void set(json_t *object, const char *key, double value) {
  json_object_set_new(object, key, result_real(value));
}

static void rates_to_json(const struct point_rates *rates, json_t *json) {
  set(json, "compute_s_per_token", rates->compute_s_per_token);
  set(json, "read_s_per_token", rates->read_s_per_token);
  set(json, "write_s_per_token", rates->write_s_per_token);
  set(json, "storage_read_s_per_token", rates->storage_read_s_per_token);
  set(json, "h2d_s_per_token", rates->h2d_s_per_token);
  set(json, "storage_write_s_per_token", rates->storage_write_s_per_token);
  set(json, "d2h_s_per_token", rates->d2h_s_per_token);
}

static json_t *point_to_json(const struct sweep *sweep, const struct point *point) {
  json_t *json = json_pack("{s:I, s:I, s:I, s:f, s:f, s:s, s:i, s:i}", "n_tokens",
                           (json_int_t)point->n_tokens, "n_past", (json_int_t)point->n_past,
                           "n_new", (json_int_t)point->n_new, "alpha", point->alpha, "alpha_asked",
                           point->alpha_asked, "policy", policy_name(point->policy), "groups",
                           point->groups, "token", point->token);
  for (int metric = 0; metric < METRICS; metric++) {
    if (point->metrics[metric].n == 0) continue;
    json_object_set_new(
        json, metric_name((enum metric)metric),
        result_interval(&point->metrics[metric], metric_interval(point, (enum metric)metric)));
  }
  json_object_set_new(json, "held_down_runs", json_integer(point->held_down));
  struct point_rates rates = point_rates(point);
  rates_to_json(&rates, json);
  set(json, "speedup", sweep_speedup(sweep, point));
  json_object_set_new(json, "regime", json_string(ttft_regime_name(point_regime(point))));
  set(json, "middle_layer_bytes", layer_bytes(sweep, point));
  if (point->policy != POLICY_RECOMPUTE)
    json_object_set_new(json, "deviation",
                        json_string(point_deviation_name(point_deviation(point))));
  json_int_t wrong = (json_int_t)point->wrong_pages * (json_int_t)sweep->rig->page_payload_bytes;
  json_object_set_new(json, "wrong_bytes", point->checked ? json_integer(wrong) : json_null());
  json_object_set_new(json, "checked_pages", json_integer((json_int_t)point->checked_pages));
  json_object_set_new(json, "cold", json_string(cold_text(sweep, point)));
  set(json, "cold_counter_ratio", point->cold_known ? point->cold.counter_ratio : NAN);
  return json;
}

static json_t *summary_to_json(const struct sweep *sweep, int length) {
  struct sweep_summary summary = sweep_summarise(sweep, length);
  json_t *json = json_pack("{s:I}", "n_tokens", (json_int_t)summary.n_tokens);
  set(json, "e", summary.e);
  set(json, "alpha_star_constant_t", summary.alpha_star_constant);
  set(json, "alpha_star", summary.alpha_star);
  set(json, "recompute_s", summary.recompute_s);
  if (summary.best) {
    set(json, "best_alpha", summary.best->alpha);
    set(json, "best_speedup", sweep_speedup(sweep, summary.best));
    struct point_rates rates = point_rates(summary.best);
    rates_to_json(&rates, json);
  }
  if (summary.recompute) /* T of the summary is T(N, 0): the slides' T */
    set(json, "compute_s_per_token", point_rates(summary.recompute).compute_s_per_token);
  return json;
}

static json_t *break_even_to_json(const struct break_even *break_even) {
  json_t *points = json_array();
  for (int i = 0; i < break_even->n_points; i++) {
    const struct break_even_point *point = &break_even->points[i];
    json_t *json = json_pack("{s:I}", "n_past", (json_int_t)point->n_past);
    set(json, "recompute_s", point->recompute_s);
    set(json, "reload_s", point->reload_s);
    json_array_append_new(points, json);
  }
  json_t *prefix = break_even->prefix_tokens ? json_integer((json_int_t)break_even->prefix_tokens)
                                             : json_null();
  return json_pack("{s:I, s:o, s:o}", "n_new", (json_int_t)break_even->n_new, "prefix_tokens",
                   prefix, "points", points);
}

void sweep_to_json(const struct sweep *sweep, const struct break_even *break_even, json_t *result) {
  json_t *summary = json_array();
  json_t *points = json_array();
  for (int i = 0; i < sweep->n_lengths; i++)
    json_array_append_new(summary, summary_to_json(sweep, i));
  for (int i = 0; i < sweep->n_points; i++)
    if (sweep->points[i].groups > 0)
      json_array_append_new(points, point_to_json(sweep, &sweep->points[i]));
  json_object_set_new(result, "groups", json_integer(sweep->groups_done));
  json_object_set_new(result, "summary", summary);
  json_object_set_new(result, "break_even", break_even_to_json(break_even));
  json_object_set_new(result, "points", points);
}
