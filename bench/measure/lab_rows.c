/*
 * Planning the rows, and opening the targets that they are of.
 */
#include "bench/measure/lab_rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/box/topology.h"
#include "bench/measure/lab_pages.h"
#include "bench/options_table.h"
#include "kernels/device.h"

#define BUFFERS_MAX ((uint64_t)8 << 30) /* of one row */

static bool has(uint32_t choices, int i) {
  return (choices >> i) & 1;
}

int lab_rows_outputs(const struct options *options) {
  if (!has(options->rw, LAB_WRITE) && !has(options->rw, LAB_MIXED)) return 0;
  return has(options->write_to, 0) + has(options->write_to, 1);
}

/* ---- one row ---- */

static void refuse(struct lab_row *row, const char *why) {
  snprintf(row->refused, sizeof row->refused, "%s", why);
}

/* Where pages cannot be files. */
static void judge_files(const struct lab_target *target, struct lab_row *row) {
  const struct lab_setting *setting = &row->setting;
  bool goes = strncmp(setting->engine, "uring", 5) == 0 || strcmp(setting->engine, "pread") == 0;
  for (int i = 0; i < target->n_members; i++) {
    if (target->members[i].kind != LAB_DIRECTORY)
      refuse(row, "file-per-page: files are made in a directory, not on a device or in a file");
  }
  if (!goes) refuse(row, "file-per-page: only uring and pread open, move and close files");
  if (setting->rw == LAB_WRITE && setting->sync != LAB_SYNC_NEVER)
    refuse(row, "file-per-page: there is no one file to sync");
}

/* What is known beforehand not to go. */
static void judge(struct storage_lab *lab, struct lab_row *row) {
  const struct lab_target *target = &lab->targets[row->target];
  const struct lab_setting *setting = &row->setting;
  struct error error = {0};
  if (lab_geometry_of(&row->geometry, target, setting, &error)) {
    snprintf(row->refused, sizeof row->refused, "%.250s", error.message);
    return;
  }
  if (lab_buffers_bytes(setting, &row->geometry) > BUFFERS_MAX)
    refuse(row, "buffers of queue depth x page size are over 8 GiB");
  if (setting->layout == LAB_FILE_PER_PAGE) judge_files(target, row);
  if (setting->rw != LAB_READ && !target->writable)
    refuse(row, "only read: a file, or a device not named in --destroy-data-on");
  if (setting->rw != LAB_READ && setting->fresh && target->members[0].kind == LAB_DEVICE)
    refuse(row, "a raw device has no fresh file");
  if (setting->rw == LAB_MIXED && !(setting->write_bytes_per_s > 0))
    refuse(row, "mixed needs the rate of a prefill: give --compute");
}

/* A page's payload, from its tokens or (by_bytes) from its size. */
static void set_page(const struct storage_lab *lab, struct lab_setting *setting, int64_t value,
                     bool by_bytes) {
  const struct storage_lab_config *config = &lab->config;
  double bytes_per_token = (double)device_page_payload_bytes(&config->shape, 1, config->kv_element);
  if (by_bytes) {
    setting->payload_bytes = (size_t)value;
    setting->page_tokens = (double)value / bytes_per_token;
  } else {
    setting->page_tokens = (double)value;
    setting->payload_bytes = device_page_payload_bytes(&config->shape, value, config->kv_element);
  }
  double alpha = config->options->alpha.n ? config->options->alpha.values[0] : 1;
  double tokens = alpha * (double)config->options->tokens.values[0];
  double pages = ceil(tokens / setting->page_tokens);
  setting->pages_per_layer = pages > 1 ? (int64_t)pages : 1;
}

static int add(struct storage_lab *lab, const struct lab_row *row, struct error *error) {
  if (lab->n_rows == LAB_ROWS_MAX)
    return error_set(error, -EINVAL,
                     "the lists make more than %d rows; accepted: shorter lists of --page-tokens, "
                     "--queue-depth, --engine, --layout, --rw",
                     LAB_ROWS_MAX);
  lab->rows[lab->n_rows] = *row;
  judge(lab, &lab->rows[lab->n_rows]);
  lab->n_rows++;
  return 0;
}

/* ---- the product ---- */

/* Writes to each kind of file, synced each way. */
static int add_writes(struct storage_lab *lab, struct lab_row *row, struct error *error) {
  const struct options *options = lab->config.options;
  int failed = 0;
  for (int to = 0; to < 2; to++) {
    for (int sync = 0; sync < 3 && !failed; sync++) {
      if (!has(options->write_to, to) || !has(options->sync_at, sync)) continue;
      row->setting.fresh = to == 1;
      row->setting.preallocate = options->preallocate && row->setting.layout != LAB_FILE_PER_PAGE;
      row->setting.sync = (enum lab_sync)sync;
      failed = add(lab, row, error);
    }
  }
  return failed;
}

static int add_directions(struct storage_lab *lab, struct lab_row *row, struct error *error) {
  const struct options *options = lab->config.options;
  int failed = 0;
  row->setting.streams = (int)options->streams;
  row->setting.fair = strcmp(options->stream_order, "fair") == 0;
  row->setting.rw = LAB_READ;
  if (has(options->rw, LAB_READ)) failed = add(lab, row, error);
  row->setting.rw = LAB_MIXED;
  row->setting.streams = 0;
  row->setting.fresh = !has(options->write_to, 0);
  row->setting.preallocate = row->setting.layout != LAB_FILE_PER_PAGE;
  row->setting.write_bytes_per_s = lab->config.write_bytes_per_s;
  if (!failed && has(options->rw, LAB_MIXED)) failed = add(lab, row, error);
  row->setting.rw = LAB_WRITE;
  if (!failed && has(options->rw, LAB_WRITE)) failed = add_writes(lab, row, error);
  return failed;
}

static int add_layouts(struct storage_lab *lab, const struct lab_row *base, struct error *error) {
  int failed = 0;
  for (int layout = 0; layout < LAB_LAYOUTS && !failed; layout++) {
    if (!has(lab->config.options->layouts, layout)) continue;
    struct lab_row row = *base;
    row.setting.layout = (enum lab_layout)layout;
    failed = add_directions(lab, &row, error);
  }
  return failed;
}

static int add_pages(struct storage_lab *lab, struct lab_row *row, struct error *error) {
  const struct options *options = lab->config.options;
  bool by_bytes = options->page_bytes.n > 0;
  const struct options_counts *pages = by_bytes ? &options->page_bytes : &options->page_tokens;
  int failed = 0;
  for (int i = 0; i < pages->n; i++) {
    for (int k = 0; k < options->queue_depth.n && !failed; k++) {
      set_page(lab, &row->setting, pages->values[i], by_bytes);
      row->setting.queue_depth = (int)options->queue_depth.values[k];
      failed = add_layouts(lab, row, error);
    }
  }
  return failed;
}

int lab_rows_plan(struct storage_lab *lab, struct error *error) {
  const struct options *options = lab->config.options;
  lab->rows = calloc(LAB_ROWS_MAX, sizeof *lab->rows);
  struct lab_row *row = calloc(1, sizeof *row);
  int failed = lab->rows && row ? 0 : error_set(error, -ENOMEM, "no memory for the lab's rows");
  for (int target = 0; target < lab->n_targets && !failed; target++) {
    *row = (struct lab_row){.target = target};
    row->setting = (struct lab_setting){
        .layers = lab->config.layers, .seed = options->seed, .io_timeout_s = options->io_timeout_s};
    for (int i = 0; !failed && options_engine_item(options->engine, i, row->setting.engine,
                                                   sizeof row->setting.engine);
         i++)
      failed = add_pages(lab, row, error);
  }
  free(row);
  return failed;
}

/* ---- opening ---- */

/* The sizes of pages that rows will want as files. */
static void list_page_sizes(const struct storage_lab *lab, struct lab_target_config *config) {
  const struct options *options = lab->config.options;
  if (!has(options->layouts, LAB_FILE_PER_PAGE)) return;
  bool by_bytes = options->page_bytes.n > 0;
  const struct options_counts *pages = by_bytes ? &options->page_bytes : &options->page_tokens;
  for (int i = 0; i < pages->n && i < LAB_PAGE_SIZES_MAX; i++) {
    struct lab_setting setting = {0};
    set_page(lab, &setting, pages->values[i], by_bytes);
    config->page_bytes[config->n_page_sizes++] =
        memory_round_up(setting.payload_bytes, LAB_BLOCK_BYTES);
  }
}

/* True where a target cannot take pages as files; else the drive failed. */
static bool has_no_room(int code) {
  return code == -ENOSPC || code == -EDQUOT || code == -EINVAL || code == -EEXIST ||
         code == -EBUSY || code == -EACCES || code == -EROFS || code == -EMFILE || code == -ENFILE;
}

/* Makes the files of rows whose pages are files; a row that cannot have them is refused. */
static int open_pages(struct storage_lab *lab, struct error *error) {
  struct lab_target_config config = {.announce = lab->config.announce,
                                     .context = lab->config.context};
  for (int i = 0; i < lab->n_rows; i++) {
    struct lab_row *row = &lab->rows[i];
    struct lab_target *target = &lab->targets[row->target];
    struct error reason = {0};
    int failed = 0;
    if (row->setting.layout != LAB_FILE_PER_PAGE || row->refused[0]) continue;
    for (int k = 0; k < target->n_members && !failed; k++)
      failed = lab_pages_open(&target->members[k], row->geometry.unit_bytes, row->geometry.n_units,
                              &config, &reason);
    if (failed && !has_no_room(failed)) return error_set(error, failed, "%s", reason.message);
    if (failed) snprintf(row->refused, sizeof row->refused, "%.250s", reason.message);
  }
  return 0;
}

static int open_target(struct storage_lab *lab, const char *name, struct error *error) {
  const struct options *options = lab->config.options;
  struct lab_target *target = &lab->targets[lab->n_targets];
  struct lab_target_config config = {.name = name,
                                     .working_set_bytes = options->working_set_bytes,
                                     .destroy = options->destroy.values,
                                     .n_destroy = options->destroy.n,
                                     .io_timeout_s = options->io_timeout_s,
                                     .n_outputs = lab_rows_outputs(options),
                                     .announce = lab->config.announce,
                                     .context = lab->config.context};
  list_page_sizes(lab, &config);
  int failed = lab_target_open(target, &config, error);
  if (failed) return failed;
  lab->n_targets++;
  for (int i = 0; i < target->n_members && !failed; i++)
    failed = topology_placement(options->bind, target->members[i].target.numa_node,
                                &target->members[i].placement, error);
  return failed;
}

/* Data of gigabytes is written to the first only when all of them can be used. */
static int look_at_targets(const struct options *options, struct error *error) {
  int failed = 0;
  for (int i = 0; i < options->n_targets && !failed; i++) {
    const struct lab_target_config config = {.name = options->targets[i],
                                             .destroy = options->destroy.values,
                                             .n_destroy = options->destroy.n,
                                             .io_timeout_s = options->io_timeout_s};
    failed = lab_target_look(&config, error);
  }
  return failed;
}

int storage_lab_open(struct storage_lab *lab, const struct storage_lab_config *config,
                     struct error *error) {
  const struct options *options = config->options;
  lab->config = *config;
  int n = options->n_targets ? options->n_targets : 1;
  lab->targets = calloc((size_t)n, sizeof *lab->targets);
  if (!lab->targets) return error_set(error, -ENOMEM, "no memory for %d targets", n);
  int failed = look_at_targets(options, error);
  for (int i = 0; i < n && !failed; i++)
    failed = open_target(lab, options->n_targets ? options->targets[i] : ".", error);
  if (!failed) failed = lab_rows_plan(lab, error);
  if (!failed) failed = open_pages(lab, error);
  if (failed) storage_lab_close(lab);
  return failed;
}

void storage_lab_close(struct storage_lab *lab) {
  lab_bench_close(&lab->bench);
  for (int i = 0; i < lab->n_targets; i++) lab_target_close(&lab->targets[i]);
  free(lab->targets);
  free(lab->rows);
  lab->targets = NULL;
  lab->rows = NULL;
  lab->n_targets = lab->n_rows = 0;
}
