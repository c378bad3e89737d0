/*
 * Parts of a layer, copies, and the layer beside the sum of its parts: tables and JSON.
 */
#include <math.h>

#include "bench/present/calibrate_report.h"
#include "bench/present/result.h"

double calibration_mfu(const struct calibration *calibration, double flops_per_s) {
  if (!calibration->datasheet) return NAN;
  double peak = datasheet_flops_per_s(calibration->datasheet, calibration->element);
  return peak > 0 ? flops_per_s / peak : NAN;
}

/* ---- parts ---- */

static const struct table_column parts_columns[] = {
    {.title = "part", .name = "part", .kind = TABLE_TEXT},
    {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT},
    {.title = "n_past", .name = "n_past", .kind = TABLE_COUNT},
    {.title = "time", .name = "seconds", .kind = TABLE_SECONDS},
    {.title = "rate", .name = "flops_per_s", .kind = TABLE_FLOPS},
    {.title = "L2 flushed", .name = "cold_flops_per_s", .kind = TABLE_FLOPS},
    {.title = "of peak", .name = "of_peak", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "MFU", .name = "mfu", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "moved", .name = "bytes_per_s", .kind = TABLE_RATE},
    {.title = "of copy", .name = "of_copy", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "of link", .name = "of_link", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "clocks", .name = "clocks", .kind = TABLE_TEXT},
};

/* Rates of a part; NaN where it has none. */
struct rates {
  double flops_per_s, cold_flops_per_s, bytes_per_s;
  double of_copy; /* of the rate that copying device memory reaches */
};

static struct rates rates_of(const struct parts *parts, const struct part *part) {
  struct rates rates = {NAN, NAN, NAN, NAN};
  const struct part *copy = parts_find(parts, PROBE_MEMORY_COPY, 0, 0);
  if (part->flops > 0) rates.flops_per_s = part->flops / part->seconds;
  if (part->flops > 0 && part->cold_s > 0) rates.cold_flops_per_s = part->flops / part->cold_s;
  if (part->bytes > 0 && part->flops <= 0) rates.bytes_per_s = part->bytes / part->seconds;
  bool over_link = part->what == PROBE_H2D || part->what == PROBE_D2H ||
                   part->what == PROBE_BOTH_WAYS || part->what == PROBE_MEMORY_COPY;
  if (copy && !over_link) rates.of_copy = rates.bytes_per_s / (copy->bytes / copy->seconds);
  return rates;
}

static void count_or_missing(struct table *table, const struct part *part, int64_t value) {
  if (part->n_new > 0 || (value > 0 && part->n_past == value))
    table_count(table, value);
  else
    table_missing(table);
}

struct table *calibration_parts_table(const struct calibration *calibration) {
  const struct parts *parts = &calibration->parts;
  const double peak = parts->peak_flops_per_s;
  struct table *table = table_new(parts_columns, sizeof parts_columns / sizeof *parts_columns);
  for (int i = 0; i < parts->n; i++) {
    const struct part *part = &parts->all[i];
    const struct rates rates = rates_of(parts, part);
    table_row(table);
    table_text(table, part_name(part));
    count_or_missing(table, part, part->n_new);
    count_or_missing(table, part, part->n_past);
    table_real(table, part->seconds);
    table_real(table, rates.flops_per_s);
    table_real(table, rates.cold_flops_per_s);
    table_real(table, peak > 0 ? rates.flops_per_s / peak : NAN);
    table_real(table, calibration_mfu(calibration, rates.flops_per_s));
    table_real(table, rates.bytes_per_s);
    table_real(table, rates.of_copy);
    table_real(table, part_of_link(part));
    table_text(table, part->held_down ? "held down" : "");
  }
  return table;
}

json_t *calibration_parts_to_json(const struct calibration *calibration) {
  const struct parts *parts = &calibration->parts;
  json_t *list = json_array();
  for (int i = 0; i < parts->n; i++) {
    const struct part *part = &parts->all[i];
    const struct rates rates = rates_of(parts, part);
    json_t *json = json_pack("{s:s, s:I, s:I, s:b, s:b}", "part", part_name(part), "n_new",
                             (json_int_t)part->n_new, "n_past", (json_int_t)part->n_past,
                             "held_down", part->held_down, "beside_reads", part->beside_reads);
    json_object_set_new(json, "seconds", result_real(part->seconds));
    json_object_set_new(json, "cold_s", result_real(part->cold_s > 0 ? part->cold_s : NAN));
    json_object_set_new(json, "flops", result_real(part->flops));
    json_object_set_new(json, "bytes", result_real(part->bytes));
    json_object_set_new(json, "mfu", result_real(calibration_mfu(calibration, rates.flops_per_s)));
    json_object_set_new(json, "of_copy", result_real(rates.of_copy));
    json_object_set_new(json, "of_link", result_real(part_of_link(part)));
    json_array_append_new(list, json);
  }
  return list;
}

/* ---- the layer ---- */

static const struct table_column layer_columns[] = {
    {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT},
    {.title = "n_past", .name = "n_past", .kind = TABLE_COUNT},
    {.title = "layer in a run", .name = "layer_s", .kind = TABLE_SECONDS},
    {.title = "back to back", .name = "back_to_back_s", .kind = TABLE_SECONDS},
    {.title = "sum of kernels", .name = "sum_s", .kind = TABLE_SECONDS},
    {.title = "layer over sum", .name = "over_sum", .kind = TABLE_CHANGE, .digits = 1},
    {.title = "GEMMs", .name = "gemms_share", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "attention", .name = "attention_share", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "elementwise", .name = "elementwise_share", .kind = TABLE_PERCENT, .digits = 1},
};

struct layer_row {
  double layer_s, back_to_back_s, sum_s, over_sum;
  struct parts_layer parts;
};

/* False where nothing is known of the layer's parts. */
static bool layer_row(const struct calibration *calibration, const struct grid_point *point,
                      struct layer_row *row) {
  const struct parts *parts = &calibration->parts;
  const struct part *layers = parts_find(parts, PROBE_LAYER, point->n_new, point->n_past);
  row->parts = parts_layer_sum(parts, point->n_new, point->n_past);
  row->sum_s = row->parts.gemms_s + row->parts.attention_s + row->parts.elementwise_s;
  if (!(row->sum_s > 0) || point->layer_s.n == 0) return false;
  row->layer_s = stats_median(point->layer_s.values, point->layer_s.n);
  row->back_to_back_s = layers ? layers->seconds : NAN;
  row->over_sum = row->layer_s / row->sum_s - 1;
  return true;
}

struct table *calibration_layer_table(const struct calibration *calibration) {
  const struct compute_grid *grid = &calibration->compute;
  struct table *table = table_new(layer_columns, sizeof layer_columns / sizeof *layer_columns);
  for (int i = 0; i < grid->n_new * grid->n_past; i++) {
    struct layer_row row;
    if (!layer_row(calibration, &grid->points[i], &row)) continue;
    table_row(table);
    table_count(table, grid->points[i].n_new);
    table_count(table, grid->points[i].n_past);
    table_real(table, row.layer_s);
    table_real(table, row.back_to_back_s);
    table_real(table, row.sum_s);
    table_real(table, row.over_sum);
    table_real(table, row.parts.gemms_s / row.sum_s);
    table_real(table, row.parts.attention_s / row.sum_s);
    table_real(table, row.parts.elementwise_s / row.sum_s);
  }
  return table;
}

json_t *calibration_layers_to_json(const struct calibration *calibration) {
  const struct compute_grid *grid = &calibration->compute;
  json_t *list = json_array();
  for (int i = 0; i < grid->n_new * grid->n_past; i++) {
    struct layer_row row;
    if (!layer_row(calibration, &grid->points[i], &row)) continue;
    json_t *json = json_pack("{s:I, s:I}", "n_new", (json_int_t)grid->points[i].n_new, "n_past",
                             (json_int_t)grid->points[i].n_past);
    json_object_set_new(json, "layer_s", result_real(row.layer_s));
    json_object_set_new(json, "back_to_back_s", result_real(row.back_to_back_s));
    json_object_set_new(json, "gemms_s", result_real(row.parts.gemms_s));
    json_object_set_new(json, "attention_s", result_real(row.parts.attention_s));
    json_object_set_new(json, "elementwise_s", result_real(row.parts.elementwise_s));
    json_object_set_new(json, "over_sum", result_real(row.over_sum));
    json_array_append_new(list, json);
  }
  return list;
}

json_t *calibration_datasheet_to_json(const struct calibration *calibration) {
  const struct datasheet *sheet = calibration->datasheet;
  if (!sheet) return json_null();
  return json_pack("{s:s, s:f, s:f}", "device", sheet->device, "flops_per_s",
                   datasheet_flops_per_s(sheet, calibration->element), "memory_bytes_per_s",
                   sheet->memory_bytes_per_s);
}
