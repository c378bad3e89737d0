/*
 * The lab's tables, warnings and answer. JSON is in storage_json.c.
 */
#include "bench/present/storage_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "bench/measure/lab_fio.h"
#include "bench/present/rig_report.h"

#define CACHE_BYTES_MIN ((uint64_t)4 << 30) /* a working set that drives' caches do not hold */
#define AMPLIFIED 1.05 /* bytes moved over bytes needed, from here on worth a word */

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

static const struct table_column row_columns[] = {
    {.title = "target", .name = "target", .kind = TABLE_TEXT},
    {.title = "engine", .name = "engine", .kind = TABLE_TEXT, .shared = true},
    {.title = "rw", .name = "rw", .kind = TABLE_TEXT},
    {.title = "layout", .name = "layout", .kind = TABLE_TEXT, .shared = true},
    {.title = "page", .name = "page_bytes", .kind = TABLE_BYTES, .shared = true},
    {.title = "tokens", .name = "page_tokens", .kind = TABLE_REAL, .digits = 0, .shared = true},
    {.title = "depth", .name = "queue_depth", .kind = TABLE_COUNT, .shared = true},
    {.title = "rate", .name = "bytes_per_s", .kind = TABLE_RATE},
    {.title = "+-", .name = "half_width", .kind = TABLE_PERCENT, .digits = 0},
    {.title = "writes", .name = "mixed_write_bytes_per_s", .kind = TABLE_RATE, .optional = true},
    {.title = "a layer", .name = "layer_s", .kind = TABLE_SECONDS},
    {.title = "a token: R, W", .name = "s_per_token", .kind = TABLE_SECONDS},
    {.title = "page p50", .name = "page_latency_p50_s", .kind = TABLE_SECONDS},
    {.title = "p99", .name = "page_latency_p99_s", .kind = TABLE_SECONDS},
    {.title = "p99.9", .name = "page_latency_p999_s", .kind = TABLE_SECONDS},
    {.title = "one request", .name = "stream_bytes_per_s", .kind = TABLE_RATE, .optional = true},
    {.title = "its R", .name = "stream_read_s_per_token", .kind = TABLE_SECONDS, .optional = true},
    {.title = "CPU", .name = "cpu_s_per_gb", .unit = "s/GB", .kind = TABLE_REAL, .digits = 3},
    {.title = "checked", .name = "checked_share", .kind = TABLE_PERCENT, .optional = true},
    {.title = "checks' cost", .name = "check_cost", .kind = TABLE_CHANGE, .optional = true},
    {.title = "fio",
     .name = "fio_ratio",
     .unit = "ours/fio",
     .kind = TABLE_REAL,
     .digits = 3,
     .optional = true},
    {.title = "#wrong", .name = "wrong_blocks", .unit = "blocks", .kind = TABLE_COUNT},
    {.title = "cold", .name = "cold", .kind = TABLE_TEXT, .shared = true},
};

/* "write fresh, sync end" */
static void name_direction(const struct lab_setting *setting, char *text, size_t bytes) {
  if (setting->rw != LAB_WRITE) {
    snprintf(text, bytes, "%s", lab_rw_name(setting->rw));
    return;
  }
  snprintf(text, bytes, "write %s%s%s%s", setting->fresh ? "fresh" : "reused",
           setting->fresh && !setting->preallocate && setting->layout != LAB_FILE_PER_PAGE
               ? " grown"
               : "",
           setting->sync == LAB_SYNC_NEVER ? "" : ", sync ",
           setting->sync == LAB_SYNC_NEVER ? "" : lab_sync_name(setting->sync));
}

static void add_row(struct table *table, const struct storage_lab *lab, const struct lab_row *row) {
  const struct lab_setting *setting = &row->setting;
  char direction[64];
  bool reads = setting->rw != LAB_WRITE;
  const struct samples *rates = reads ? &row->read_bytes_per_s : &row->write_bytes_per_s;
  const struct latency *latency = reads ? &row->read_latency : &row->write_latency;
  double rate = median_of(rates);
  double tokens = (double)lab->config.options->tokens.values[0];
  name_direction(setting, direction, sizeof direction);
  table_row(table);
  table_text(table, lab->targets[row->target].name);
  table_text(table, setting->engine);
  table_text(table, direction);
  table_text(table, lab_layout_name(setting->layout));
  table_real(table, (double)setting->payload_bytes);
  table_real(table, setting->page_tokens);
  table_count(table, setting->queue_depth);
  double stream = median_of(&row->stream_bytes_per_s);
  bool mixed = setting->rw == LAB_MIXED;
  const double values[] = {rate,
                           samples_relative_half_width(rates, 1),
                           mixed ? median_of(&row->write_bytes_per_s) : NAN,
                           lab_row_layer_s(row, rate, tokens),
                           lab_row_s_per_token(row, rate),
                           latency_quantile_s(latency, 0.5),
                           latency_quantile_s(latency, 0.99),
                           latency_quantile_s(latency, 0.999),
                           stream,
                           lab_row_s_per_token(row, stream),
                           median_of(&row->cpu_s_per_gb),
                           row->checked_blocks > 0 ? lab_row_checked_share(row) : NAN,
                           rate / median_of(&row->unchecked_bytes_per_s) - 1,
                           median_of(&row->fio_ratio)};
  table_reals(table, sizeof values / sizeof *values, values);
  if (row->checked_blocks > 0)
    table_count(table, row->wrong_blocks);
  else
    table_missing(table);
  table_text(table, row->emulated ? "emulated drive" : row->cold_known ? row->cold.text : "");
}

struct table *storage_rows_table(const struct storage_lab *lab) {
  struct table *table = TABLE_OF(row_columns);
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    if (row->cpu_s_per_gb.n > 0) add_row(table, lab, row);
  }
  return table;
}

static const struct table_column target_columns[] = {
    {.title = "target", .name = "target", .kind = TABLE_TEXT},
    {.title = "drive", .name = "drive", .kind = TABLE_TEXT},
    {.title = "filesystem", .name = "filesystem", .kind = TABLE_TEXT},
    {.title = "best reads by", .name = "best_read", .kind = TABLE_TEXT},
    {.title = "R", .name = "read_s_per_token", .kind = TABLE_SECONDS},
    {.title = "W", .name = "write_s_per_token", .kind = TABLE_SECONDS},
    {.title = "T", .name = "compute_s_per_token", .kind = TABLE_SECONDS},
    {.title = "e", .name = "e", .kind = TABLE_REAL, .digits = 2},
    {.title = "alpha*", .name = "alpha_star", .kind = TABLE_REAL, .digits = 3},
    {.title = "at alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 3},
    {.title = "TTFT", .name = "model_pipelined_s", .kind = TABLE_SECONDS},
    {.title = "recompute", .name = "recompute_s", .kind = TABLE_SECONDS},
    {.title = "pays from", .name = "break_even_tokens", .unit = "tokens", .kind = TABLE_REAL},
};

struct table *storage_targets_table(const struct storage_lab *lab,
                                    const struct lab_compute *compute, double alpha) {
  struct table *table = TABLE_OF(target_columns);
  for (int i = 0; i < lab->n_targets; i++) {
    struct lab_summary summary = lab_summarise(lab, compute, i, alpha);
    const struct target *target = &lab->targets[i].members[0].target;
    char best[160], drive[160];
    storage_name_setting(summary.read, best, sizeof best);
    table_row(table);
    table_text(table, lab->targets[i].name);
    int more = lab->targets[i].n_members - 1;
    int used =
        snprintf(drive, sizeof drive, "%s", target->model[0] ? target->model : target->drive);
    if (more > 0 && used > 0) snprintf(drive + used, sizeof drive - (size_t)used, " +%d", more);
    table_text(table, drive);
    table_text(table, target->filesystem);
    table_text(table, best);
    const double values[] = {summary.read_s_per_token,    summary.write_s_per_token,
                             summary.compute_s_per_token, summary.e,
                             summary.alpha_star,          summary.alpha,
                             summary.ttft_pipelined_s,    summary.recompute_s,
                             summary.break_even_tokens};
    table_reals(table, 9, values);
  }
  return table;
}

/* ---- warnings ---- */

static void warn_target(const struct lab_target *target, const char *engine,
                        struct warnings *warnings) {
  char asked[UNITS_TEXT_BYTES], got[UNITS_TEXT_BYTES];
  for (int i = 0; i < target->n_members; i++)
    target_warn(&target->members[i].target, engine, warnings);
  units_format_bytes(asked, (double)target->asked_bytes);
  units_format_bytes(got, (double)target->working_set_bytes);
  if (target->working_set_bytes + LAB_BLOCK_BYTES * LAB_MEMBERS_MAX < target->asked_bytes)
    warnings_add(warnings, WARNING_WORKING_SET_REDUCED, "%s: %s of %s", target->name, got, asked);
  if (target->working_set_bytes < CACHE_BYTES_MIN)
    warnings_add(warnings, WARNING_WORKING_SET_SMALL, "%s: %s", target->name, got);
  for (int i = 0; i < target->n_members; i++) {
    if (!target->members[i].data && !target->members[i].crcs)
      warnings_add(warnings, WARNING_NOT_VERIFIED, "%s", target->members[i].path);
  }
}

static void warn_row(const struct storage_lab *lab, const struct lab_row *row,
                     struct warnings *warnings) {
  char direction[64];
  name_direction(&row->setting, direction, sizeof direction);
  if (row->refused[0])
    warnings_add(warnings, WARNING_ROW_REFUSED, "%s, %s, %s: %.100s",
                 lab->targets[row->target].name, row->setting.engine, direction, row->refused);
  if (row->emulated) warnings_add(warnings, WARNING_EMULATED_DRIVE, "%s", row->setting.engine);
  if (row->cold_known && row->cold.verdict == COLD_NOT_PROVEN)
    warnings_add(warnings, WARNING_COLD_NOT_PROVEN, "%s: %s", lab->targets[row->target].name,
                 row->cold.text);
  double moved = (double)row->geometry.slot_bytes / (double)row->setting.payload_bytes;
  if (row->setting.rw != LAB_WRITE && moved > AMPLIFIED && !row->refused[0])
    warnings_add(warnings, WARNING_AMPLIFIED, "%s, %.0f tokens: %.2f times",
                 lab_layout_name(row->setting.layout), row->setting.page_tokens, moved);
  int outliers = stats_outliers(row->setting.rw == LAB_WRITE ? &row->write_bytes_per_s
                                                             : &row->read_bytes_per_s);
  if (outliers > 0)
    warnings_add(warnings, WARNING_OUTLIERS, "%s %s: %d", lab->targets[row->target].name, direction,
                 outliers);
}

static void warn_fio(const struct storage_lab *lab, struct warnings *warnings) {
  double time_s = storage_lab_time_s(lab->config.options);
  long long huge_pages = 0;
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    struct lab_fio fio;
    if (row->fio_ratio.n > 0 &&
        lab_fio_command(&fio, &lab->targets[row->target], row, time_s, true) && fio.small_pages &&
        fio.huge_pages > huge_pages)
      huge_pages = fio.huge_pages;
  }
  if (huge_pages) warnings_add(warnings, WARNING_FIO_SMALL_PAGES, "%lld needed", huge_pages);
}

void storage_warn(const struct storage_lab *lab, const struct lab_compute *compute,
                  struct warnings *warnings) {
  if (compute->known && compute->played_back)
    warnings_add(warnings, WARNING_PLAYED_BACK, "%s", lab->config.options->compute);
  for (int i = 0; i < lab->n_targets; i++) {
    const char *engine = "";
    for (int k = 0; k < lab->n_rows; k++) {
      const struct lab_row *row = &lab->rows[k];
      if (row->target == i && strstr(row->obtained, "not registered") &&
          !strstr(row->setting.engine, "nofixed"))
        engine = row->obtained;
    }
    warn_target(&lab->targets[i], engine, warnings);
  }
  for (int i = 0; i < lab->n_rows; i++) warn_row(lab, &lab->rows[i], warnings);
  warn_fio(lab, warnings);
}

void storage_print_fio(const struct storage_lab *lab, FILE *stream) {
  double time_s = storage_lab_time_s(lab->config.options);
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    struct lab_fio fio;
    char line[FIO_TEXT_BYTES];
    if (!lab_fio_command(&fio, &lab->targets[row->target], row, time_s, false)) continue;
    fprintf(stream, "%s\n", lab_fio_line(&fio, line, sizeof line));
  }
}

/* ---- what stays ---- */

/* True where an earlier target was told to keep the same file. */
static bool is_told(const struct storage_lab *lab, int target, int index) {
  const char *path = lab->targets[target].members[index].data_path;
  for (int i = 0; i <= target; i++) {
    for (int k = 0; k < (i < target ? lab->targets[i].n_members : index); k++) {
      if (strcmp(lab->targets[i].members[k].data_path, path) == 0) return true;
    }
  }
  return false;
}

static void tell_member(const struct lab_member *member, bool with_data, FILE *stream) {
  char text[UNITS_TEXT_BYTES];
  double file_bytes = member->data ? (double)kv_file_bytes(kv_file_identity(member->data)) : 0;
  if (with_data)
    fprintf(stream, "refill: %s stay for later runs; free them by: rm %s\n",
            units_format_bytes(text, file_bytes), member->data_path);
  for (int i = 0; i < member->n_pages; i++) {
    const struct page_files *set = &member->pages[i].data;
    fprintf(stream, "refill: %s stay for later runs; free them by: rm -r %s\n",
            units_format_bytes(text, (double)set->n_pages * (double)set->page_bytes), set->path);
  }
}

void storage_tell_kept(const struct storage_lab *lab, FILE *stream) {
  for (int i = 0; i < lab->n_targets; i++) {
    for (int k = 0; k < lab->targets[i].n_members; k++) {
      const struct lab_member *member = &lab->targets[i].members[k];
      if (member->kind == LAB_DIRECTORY) tell_member(member, !is_told(lab, i, k), stream);
    }
  }
}
