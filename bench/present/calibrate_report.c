/*
 * Tables and JSON of a calibration.
 */
#include "bench/present/calibrate_report.h"

#include <math.h>

#include "bench/present/result.h"
#include "bench/present/rig_report.h"
#include "model/ttft.h"

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

/* Counted FLOPs of the layers run: GEMMs and both products of causal attention, no head. */
static double flops_of(const struct calibration *calibration, int64_t n_new, int64_t n_past) {
  const struct shape *shape = &calibration->shape;
  double all = shape_linear_flops_per_token(shape) * (double)n_new +
               shape_attention_flops(shape, (double)n_past, (double)n_new);
  return all * calibration->layers / shape->layers;
}

/* ---- tables ---- */

static const struct table_column compute_columns[] = {
    {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT},
    {.title = "n_past", .name = "n_past", .kind = TABLE_COUNT},
    {.title = "compute", .name = "compute_s", .kind = TABLE_SECONDS},
    {.title = "low", .name = "compute_ci_low_s", .kind = TABLE_SECONDS},
    {.title = "high", .name = "compute_ci_high_s", .kind = TABLE_SECONDS},
    {.title = "T, per token", .name = "compute_s_per_token", .kind = TABLE_SECONDS},
    {.title = "rate", .name = "flops_per_s", .kind = TABLE_FLOPS},
    {.title = "of peak", .name = "of_peak", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "MFU", .name = "mfu", .kind = TABLE_PERCENT, .digits = 0},
};

struct table *calibration_compute_table(const struct calibration *calibration) {
  const struct compute_grid *grid = &calibration->compute;
  struct table *table =
      table_new(compute_columns, sizeof compute_columns / sizeof *compute_columns);
  const double peak = calibration->parts.peak_flops_per_s;
  for (int i = 0; i < grid->n_new * grid->n_past; i++) {
    const struct grid_point *point = &grid->points[i];
    if (point->compute_s.n == 0) continue;
    struct interval interval = stats_interval(&point->compute_s, (uint64_t)i + 1);
    double rate = flops_of(calibration, point->n_new, point->n_past) / interval.median;
    table_row(table);
    table_count(table, point->n_new);
    table_count(table, point->n_past);
    table_real(table, interval.median);
    table_real(table, interval.ci_low);
    table_real(table, interval.ci_high);
    table_real(table, interval.median / (double)point->n_new);
    table_real(table, rate);
    table_real(table, peak > 0 ? rate / peak : NAN);
    table_real(table, calibration_mfu(calibration, rate));
  }
  return table;
}

static const struct table_column storage_columns[] = {
    {.title = "page", .name = "page_tokens", .unit = "tokens", .kind = TABLE_COUNT},
    {.title = "request", .name = "request_bytes", .kind = TABLE_BYTES},
    {.title = "depth", .name = "queue_depth", .kind = TABLE_COUNT},
    {.title = "read", .name = "read_bytes_per_s", .kind = TABLE_RATE},
    {.title = "R, per token", .name = "storage_read_s_per_token", .kind = TABLE_SECONDS},
    {.title = "per layer", .name = "read_s_per_layer", .kind = TABLE_SECONDS},
    {.title = "write", .name = "write_bytes_per_s", .kind = TABLE_RATE},
    {.title = "W, per token", .name = "storage_write_s_per_token", .kind = TABLE_SECONDS},
    {.title = "CPU", .name = "cpu_s_per_gb", .unit = "s/GB", .kind = TABLE_REAL, .digits = 3},
    {.title = "#wrong", .name = "wrong_pages", .unit = "pages", .kind = TABLE_COUNT},
    {.title = "cold", .name = "cold", .kind = TABLE_TEXT},
};

struct table *calibration_storage_table(const struct calibration *calibration) {
  const struct storage_grid *grid = &calibration->storage;
  struct table *table =
      table_new(storage_columns, sizeof storage_columns / sizeof *storage_columns);
  for (int i = 0; i < grid->n_rows; i++) {
    const struct storage_row *row = &grid->rows[i];
    if (row->read_s.n == 0) continue;
    double read_s = median_of(&row->read_s);
    double write_s = median_of(&row->write_s);
    table_row(table);
    table_count(table, row->page_tokens);
    table_real(table, (double)row->request_bytes);
    table_count(table, row->queue_depth);
    table_real(table, (double)row->bytes / read_s);
    table_real(table, read_s / (double)row->n_tokens);
    table_real(table, read_s / calibration->layers);
    table_real(table, (double)row->bytes / write_s);
    table_real(table, write_s / (double)row->n_tokens);
    table_real(table, row->cpu_s_per_gb);
    table_count(table, row->wrong_pages);
    table_text(table, row->cold_known ? row->cold.text : "");
  }
  return table;
}

/* ---- JSON ---- */

static json_t *with_interval(const struct samples *samples, uint64_t seed) {
  return result_interval(samples, stats_interval(samples, seed));
}

static json_t *compute_to_json(const struct calibration *calibration) {
  const struct compute_grid *grid = &calibration->compute;
  json_t *points = json_array();
  for (int i = 0; i < grid->n_new * grid->n_past; i++) {
    const struct grid_point *point = &grid->points[i];
    if (point->compute_s.n == 0) continue;
    double median_s = median_of(&point->compute_s);
    json_t *json = json_pack("{s:I, s:I}", "n_new", (json_int_t)point->n_new, "n_past",
                             (json_int_t)point->n_past);
    json_object_set_new(json, "held_down_samples", json_integer(point->held_down));
    json_object_set_new(json, "compute_s", with_interval(&point->compute_s, (uint64_t)i + 1));
    json_object_set_new(json, "layer_s", with_interval(&point->layer_s, (uint64_t)i + 1));
    json_object_set_new(json, "compute_s_per_token", result_real(median_s / (double)point->n_new));
    double rate = flops_of(calibration, point->n_new, point->n_past) / median_s;
    json_object_set_new(json, "flops_per_s", result_real(rate));
    json_object_set_new(json, "mfu", result_real(calibration_mfu(calibration, rate)));
    json_array_append_new(points, json);
  }
  return points;
}

/* Rates as {median, ci_low, ci_high, samples}: each sample a pass. */
static json_t *rate_to_json(const struct samples *seconds, uint64_t bytes) {
  struct samples rates = {0};
  for (int i = 0; i < seconds->n; i++) samples_add(&rates, (double)bytes / seconds->values[i]);
  return with_interval(&rates, 1);
}

static json_t *storage_to_json(const struct storage_grid *grid) {
  json_t *rows = json_array();
  for (int i = 0; i < grid->n_rows; i++) {
    const struct storage_row *row = &grid->rows[i];
    if (row->read_s.n == 0) continue;
    double tokens = (double)row->n_tokens;
    json_t *json = json_pack(
        "{s:I, s:I, s:i, s:b, s:I, s:I}", "page_tokens", (json_int_t)row->page_tokens,
        "request_bytes", (json_int_t)row->request_bytes, "queue_depth", row->queue_depth, "merged",
        row->merged, "n_tokens", (json_int_t)row->n_tokens, "bytes", (json_int_t)row->bytes);
    json_object_set_new(json, "read_bytes_per_s", rate_to_json(&row->read_s, row->bytes));
    json_object_set_new(json, "write_bytes_per_s", rate_to_json(&row->write_s, row->bytes));
    json_object_set_new(json, "storage_read_s_per_token",
                        result_real(median_of(&row->read_s) / tokens));
    json_object_set_new(json, "storage_write_s_per_token",
                        result_real(median_of(&row->write_s) / tokens));
    json_object_set_new(json, "first_page_s", with_interval(&row->first_page_s, 1));
    json_object_set_new(json, "cpu_s_per_gb", result_real(row->cpu_s_per_gb));
    json_object_set_new(
        json, "wrong_bytes",
        json_integer((json_int_t)row->wrong_pages * (json_int_t)row->request_bytes));
    json_object_set_new(json, "cold", json_string(row->cold_known ? row->cold.text : ""));
    json_array_append_new(rows, json);
  }
  return rows;
}

void calibration_to_json(const struct calibration *calibration, json_t *result) {
  struct calibration_summary summary = calibration_summarise(calibration);
  json_t *json = json_pack("{s:I}", "n_tokens", (json_int_t)calibration->n_tokens);
  const struct {
    const char *key;
    double value;
  } values[] = {
      {"compute_s_per_token", summary.compute_s_per_token},
      {"read_s_per_token", summary.read_s_per_token},
      {"write_s_per_token", summary.write_s_per_token},
      {"storage_read_s_per_token", summary.storage_read_s_per_token},
      {"h2d_s_per_token", summary.h2d_s_per_token},
      {"storage_write_s_per_token", summary.storage_write_s_per_token},
      {"d2h_s_per_token", summary.d2h_s_per_token},
      {"e", summary.e},
      {"alpha_star_constant_t", summary.alpha_star_constant},
      {"alpha_star", summary.alpha_star},
  };
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
    json_object_set_new(json, values[i].key, result_real(values[i].value));
  json_object_set_new(json, "break_even_tokens",
                      summary.break_even_tokens
                          ? json_integer((json_int_t)summary.break_even_tokens)
                          : json_null());
  json_object_set_new(result, "summary", json);
  json_object_set_new(result, "compute", compute_to_json(calibration));
  json_object_set_new(result, "parts", calibration_parts_to_json(calibration));
  double beside = calibration->parts.read_bytes_per_s;
  json_object_set_new(result, "copies_read_bytes_per_s", result_real(beside > 0 ? beside : NAN));
  json_object_set_new(result, "layers", calibration_layers_to_json(calibration));
  json_object_set_new(result, "datasheet", calibration_datasheet_to_json(calibration));
  json_object_set_new(result, "storage", storage_to_json(&calibration->storage));
  const struct target *target = &calibration->storage.target;
  json_object_set_new(result, "target", target->path[0] ? target_to_json(target) : json_null());
  json_object_set_new(result, "engine", json_string(calibration->storage.engine));
}
