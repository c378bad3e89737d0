/*
 * The lab as JSON: see results/README.md for each field.
 */
#include <math.h>
#include <stdio.h>

#include "bench/measure/lab_fio.h"
#include "bench/options_table.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"
#include "bench/present/storage_report.h"

static void set(json_t *object, const char *key, json_t *value) {
  json_object_set_new(object, key, value);
}

static json_t *interval(const struct samples *samples) {
  return result_interval(samples, stats_interval(samples, 1));
}

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

static json_t *latency_to_json(const struct latency *latency) {
  json_t *json = json_object();
  set(json, "unit", json_string("one request, submission to completion"));
  set(json, "p50", result_real(latency_quantile_s(latency, 0.5)));
  set(json, "p99", result_real(latency_quantile_s(latency, 0.99)));
  set(json, "p999", result_real(latency_quantile_s(latency, 0.999)));
  set(json, "count", json_integer((json_int_t)latency->count));
  return json;
}

static void setting_to_json(const struct lab_row *row, json_t *json) {
  const struct lab_setting *setting = &row->setting;
  bool writes = setting->rw != LAB_READ;
  set(json, "engine", json_string(setting->engine));
  set(json, "rw", json_string(lab_rw_name(setting->rw)));
  set(json, "layout", json_string(lab_layout_name(setting->layout)));
  set(json, "page_bytes", json_integer((json_int_t)setting->payload_bytes));
  set(json, "page_tokens", result_real(setting->page_tokens));
  set(json, "request_bytes",
      json_integer((json_int_t)(setting->rw == LAB_WRITE ? row->geometry.write_bytes
                                                         : row->geometry.slot_bytes)));
  set(json, "queue_depth", json_integer(setting->queue_depth));
  set(json, "streams", json_integer(setting->streams));
  set(json, "stream_order",
      setting->streams ? json_string(setting->fair ? "fair" : "first-come") : json_null());
  set(json, "write_to", writes ? json_string(setting->fresh ? "fresh" : "reused") : json_null());
  set(json, "preallocated", writes ? json_boolean(setting->preallocate) : json_null());
  set(json, "sync_at", writes ? json_string(lab_sync_name(setting->sync)) : json_null());
  set(json, "write_asked_bytes_per_s",
      result_real(setting->rw == LAB_MIXED ? setting->write_bytes_per_s : NAN));
}

static void fio_to_json(const struct storage_lab *lab, const struct lab_row *row, json_t *json) {
  struct lab_fio fio;
  char line[FIO_TEXT_BYTES];
  bool there = lab_fio_command(&fio, &lab->targets[row->target], row,
                               storage_lab_time_s(lab->config.options), false);
  set(json, "fio_command",
      there ? options_text_to_json(lab_fio_line(&fio, line, sizeof line)) : json_null());
  bool ran = row->fio_ratio.n > 0;
  set(json, "fio_bytes_per_s", ran ? interval(&row->fio_bytes_per_s) : json_null());
  set(json, "fio_ratio", ran ? interval(&row->fio_ratio) : json_null());
  set(json, "fio_cpu_ratio", ran ? interval(&row->fio_cpu_ratio) : json_null());
}

static json_t *row_to_json(const struct storage_lab *lab, const struct lab_row *row) {
  bool reads = row->setting.rw != LAB_WRITE;
  bool writes = row->setting.rw != LAB_READ;
  double tokens = (double)lab->config.options->tokens.values[0];
  double read_rate = median_of(&row->read_bytes_per_s);
  double write_rate = median_of(&row->write_bytes_per_s);
  json_t *json = json_object();
  set(json, "target", options_text_to_json(lab->targets[row->target].name));
  setting_to_json(row, json);
  set(json, "obtained", json_string(row->obtained));
  set(json, "emulated", json_boolean(row->emulated));
  set(json, "refused", options_text_to_json(row->refused));
  set(json, "read_bytes_per_s", reads ? interval(&row->read_bytes_per_s) : json_null());
  set(json, "write_bytes_per_s", writes ? interval(&row->write_bytes_per_s) : json_null());
  set(json, "storage_read_s_per_token", result_real(lab_row_s_per_token(row, read_rate)));
  set(json, "storage_write_s_per_token",
      result_real(row->setting.rw == LAB_WRITE ? lab_row_s_per_token(row, write_rate) : NAN));
  set(json, "layer_s", result_real(lab_row_layer_s(row, reads ? read_rate : write_rate, tokens)));
  set(json, "stream_bytes_per_s",
      row->setting.streams && reads ? interval(&row->stream_bytes_per_s) : json_null());
  set(json, "stream_read_s_per_token",
      result_real(lab_row_s_per_token(row, median_of(&row->stream_bytes_per_s))));
  set(json, "page_latency_s", latency_to_json(reads ? &row->read_latency : &row->write_latency));
  if (row->setting.rw == LAB_MIXED)
    set(json, "write_page_latency_s", latency_to_json(&row->write_latency));
  set(json, "cpu_s_per_gb", interval(&row->cpu_s_per_gb));
  set(json, "check_s_per_gb", interval(&row->check_s_per_gb));
  set(json, "unchecked_bytes_per_s",
      row->unchecked_bytes_per_s.n ? interval(&row->unchecked_bytes_per_s) : json_null());
  set(json, "checked_share", result_real(row->checked_blocks ? lab_row_checked_share(row) : NAN));
  set(json, "checked_bytes", json_integer((json_int_t)row->checked_blocks * LAB_BLOCK_BYTES));
  set(json, "wrong_bytes",
      row->checked_blocks ? json_integer((json_int_t)row->wrong_blocks * LAB_BLOCK_BYTES)
                          : json_null());
  set(json, "wrong_at", options_text_to_json(row->wrong_at));
  set(json, "short_count", json_integer((json_int_t)row->short_count));
  set(json, "retry_count", json_integer((json_int_t)row->retry_count));
  set(json, "cold", row->cold_known ? json_string(row->cold.text) : json_null());
  fio_to_json(lab, row, json);
  return json;
}

static json_t *target_summary(const struct storage_lab *lab, const struct lab_compute *compute,
                              int index, double alpha) {
  struct lab_summary summary = lab_summarise(lab, compute, index, alpha);
  json_t *json = json_object();
  const struct {
    const char *key;
    double value;
  } values[] = {{"n_tokens", summary.n_tokens},
                {"alpha", summary.alpha},
                {"compute_s_per_token", summary.compute_s_per_token},
                {"read_s_per_token", summary.read_s_per_token},
                {"write_s_per_token", summary.write_s_per_token},
                {"storage_read_s_per_token", summary.read_s_per_token},
                {"storage_write_s_per_token", summary.write_s_per_token},
                {"page_s", summary.page_s},
                {"e", summary.e},
                {"alpha_star_constant_t", summary.alpha_star_constant},
                {"alpha_star", summary.alpha_star},
                {"model_ideal_s", summary.ttft_ideal_s},
                {"model_pipelined_s", summary.ttft_pipelined_s},
                {"recompute_s", summary.recompute_s},
                {"break_even_tokens", summary.break_even_tokens}};
  set(json, "best_read_row", summary.read ? json_integer(summary.read - lab->rows) : json_null());
  set(json, "best_write_row",
      summary.write ? json_integer(summary.write - lab->rows) : json_null());
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
    set(json, values[i].key, result_real(values[i].value));
  return json;
}

/* Bytes that a member keeps in its directory for later runs. */
static uint64_t kept_bytes(const struct lab_member *member) {
  uint64_t bytes = 0;
  if (member->kind != LAB_DIRECTORY) return 0;
  if (member->data) bytes = kv_file_bytes(kv_file_identity(member->data));
  for (int i = 0; i < member->n_pages; i++)
    bytes += member->pages[i].data.n_pages * member->pages[i].data.page_bytes;
  return bytes;
}

/* A NUMA node, null where that is any. */
static json_t *node_to_json(int node) {
  return node < 0 ? json_null() : json_integer(node);
}

static json_t *members_to_json(const struct lab_target *target) {
  static const char *const kinds[] = {"directory", "file", "device"};
  json_t *members = json_array();
  for (int i = 0; i < target->n_members; i++) {
    const struct lab_member *member = &target->members[i];
    json_t *json = target_to_json(&member->target);
    set(json, "path", options_text_to_json(member->path));
    set(json, "kind", json_string(kinds[member->kind]));
    set(json, "made_s", result_real(member->made_s > 0 ? member->made_s : NAN));
    set(json, "placement_node", node_to_json(member->placement.node));
    set(json, "kept_bytes", json_integer((json_int_t)kept_bytes(member)));
    json_array_append_new(members, json);
  }
  return members;
}

void storage_to_json(const struct storage_lab *lab, const struct lab_compute *compute,
                     json_t *result) {
  const struct options *options = lab->config.options;
  json_t *rows = json_array();
  for (int i = 0; i < lab->n_rows; i++)
    json_array_append_new(rows, row_to_json(lab, &lab->rows[i]));
  json_t *targets = json_array();
  for (int i = 0; i < lab->n_targets; i++) {
    const struct lab_target *target = &lab->targets[i];
    json_t *json = json_object();
    set(json, "target", options_text_to_json(target->name));
    set(json, "working_set_bytes", json_integer((json_int_t)target->working_set_bytes));
    set(json, "whole_bytes", json_integer((json_int_t)target->whole_bytes));
    set(json, "whole_checked_bytes", json_integer((json_int_t)target->whole_checked_bytes));
    set(json, "thread_node", node_to_json(lab_target_node(target)));
    set(json, "members", members_to_json(target));
    json_t *summaries = json_array();
    for (int k = 0; k < options->alpha.n || k == 0; k++)
      json_array_append_new(
          summaries,
          target_summary(lab, compute, i, options->alpha.n ? options->alpha.values[k] : NAN));
    set(json, "summary", summaries);
    json_array_append_new(targets, json);
  }
  set(result, "model", json_string(lab->config.shape.name));
  set(result, "layers_run", json_integer(lab->config.layers));
  set(result, "layers_model", json_integer(lab->config.shape.layers));
  set(result, "rounds", json_integer(lab->rounds));
  set(result, "targets", targets);
  set(result, "rows", rows);
}
