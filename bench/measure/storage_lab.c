/*
 * Rounds over the rows: see storage_lab.h. What is planned is in lab_rows.c.
 */
#include "bench/measure/storage_lab.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure/lab_fio.h"
#include "bench/measure/lab_pages.h"
#include "bench/measure/lab_rows.h"
#include "bench/measure/lab_whole.h"
#include "bench/measure/sweep_plan.h"

#define PASS_S 1.0
#define WARM_UP_S 0.25 /* of reading, before a row's first pass */
#define ROUNDS_DEFAULT 5
#define ROUNDS_FIO 15         /* pairs, since drives are bimodal from second to second */
#define FIO_START_S 0.6       /* until it reads, and after that */
#define WRITE_BYTES_PER_S 1e9 /* guessed, of a file that is written over before the first round */

int storage_lab_rounds(const struct options *options) {
  if (options->repeat) return (int)options->repeat;
  return options->check_with_fio ? ROUNDS_FIO : ROUNDS_DEFAULT;
}

double storage_lab_time_s(const struct options *options) {
  return options->time_s > 0 ? options->time_s : PASS_S;
}

/* ---- one row, once ---- */

static void cold_begin_all(struct lab_bench *bench, struct cold_probe *probes) {
  for (int i = 0; i < bench->n_lanes; i++)
    cold_begin(&probes[i], &bench->lanes[i].member->target, bench->lanes[i].member->fd);
}

/* The least proven of the members is the row's; once not proven, it stays so. */
static void cold_end_all(struct lab_bench *bench, const struct cold_probe *probes,
                         struct lab_row *row) {
  for (int i = 0; i < bench->n_lanes; i++) {
    struct cold_result cold;
    uint64_t bytes = lab_bench_drive_bytes(bench, i);
    if (bench->lanes[i].pages)
      lab_pages_cold_end(bench->lanes[i].pages, &probes[i], bytes, &cold);
    else
      cold_end(&probes[i], bytes, &cold);
    if (!row->cold_known || cold.verdict == COLD_NOT_PROVEN) row->cold = cold;
    row->cold_known = true;
  }
}

/* Every how many-th stream of a pass is a sample, so that there is room for all rounds. */
static int stream_step(const struct storage_lab *lab, const struct lab_row *row) {
  int all = row->setting.streams * storage_lab_rounds(lab->config.options);
  return all > 0 ? (all + STATS_SAMPLES_MAX - 1) / STATS_SAMPLES_MAX : 1;
}

static void note(const struct storage_lab *lab, struct lab_row *row,
                 const struct lab_pass_result *pass) {
  bool reads = row->setting.rw != LAB_WRITE;
  bool writes = row->setting.rw != LAB_READ;
  if (reads) samples_add(&row->read_bytes_per_s, (double)pass->useful_read_bytes / pass->seconds);
  if (writes) {
    double share = (double)row->setting.payload_bytes / (double)row->geometry.write_bytes *
                   (row->setting.layout == LAB_TOKEN_MAJOR ? row->setting.layers : 1);
    samples_add(&row->write_bytes_per_s, (double)pass->write_bytes * share / pass->seconds);
  }
  double gb = (double)(pass->read_bytes + pass->write_bytes) / 1e9;
  samples_add(&row->cpu_s_per_gb, pass->cpu_s / gb);
  samples_add(&row->check_s_per_gb, pass->check_s / gb);
  row->timed_bytes += pass->read_bytes + pass->write_bytes;
  row->timed_checked_bytes += (uint64_t)pass->checked_blocks * LAB_BLOCK_BYTES;
  double request_bytes = (double)row->setting.payload_bytes *
                         (double)(row->setting.pages_per_layer * row->setting.layers);
  int step = stream_step(lab, row);
  for (int i = lab->rounds % step; i < pass->n_streams; i += step)
    samples_add(&row->stream_bytes_per_s, request_bytes / pass->stream_s[i]);
  latency_merge(&row->read_latency, &pass->read_latency);
  latency_merge(&row->write_latency, &pass->write_latency);
}

void lab_row_note_checks(struct lab_row *row, const struct lab_pass_result *pass) {
  const struct lab_wrong *wrong = &pass->wrong;
  row->checked_blocks += pass->checked_blocks;
  row->wrong_blocks += pass->wrong_blocks;
  row->short_count += pass->short_count;
  row->retry_count += pass->retry_count;
  row->spare_cpus = pass->spare_cpus;
  if (!wrong->path[0] || row->wrong_at[0]) return;
  snprintf(row->wrong_at, sizeof row->wrong_at, "byte %llu of %s (page %llu)",
           (unsigned long long)wrong->offset_bytes, wrong->path, (unsigned long long)wrong->page);
}

/* Makes ready what a row writes to; `all`: files that were written before, too. */
static int prepare_outputs(struct storage_lab *lab, const struct lab_row *row, bool all,
                           struct error *error) {
  struct lab_target *target = &lab->targets[row->target];
  int failed = 0;
  if (row->setting.rw == LAB_READ || !(row->setting.fresh || all)) return 0;
  for (int i = 0; i < target->n_members && !failed; i++)
    failed = lab_prepare(&target->members[i], &row->setting, &row->geometry, error);
  return failed;
}

/* What rows through the page cache left there. */
static void drop_caches(const struct lab_bench *bench) {
  for (int i = 0; i < bench->n_lanes; i++) {
    lab_member_drop_cache(bench->lanes[i].member);
    if (bench->lanes[i].pages && strstr(bench->setting.engine, "buffered"))
      page_files_drop_cache(&bench->lanes[i].pages->data);
  }
}

/* The timed pass; what it wrote is read back after it. */
static int pass_timed(struct storage_lab *lab, struct lab_row *row, double time_s,
                      struct error *error) {
  struct lab_bench *bench = &lab->bench;
  struct cold_probe probes[LAB_MEMBERS_MAX];
  drop_caches(bench);
  int failed = prepare_outputs(lab, row, false, error);
  if (failed) return failed;
  cold_begin_all(bench, probes);
  bool all = strcmp(lab->config.options->check_bytes, "all") == 0;
  failed = lab_bench_pass(bench, time_s, all ? LAB_CHECK_ALL : LAB_CHECK_IDLE, row->spare_cpus,
                          &lab->pass, error);
  if (failed) return failed;
  if (row->setting.rw != LAB_WRITE && !row->emulated) cold_end_all(bench, probes, row);
  failed = lab_bench_read_back(bench, &lab->pass, error);
  lab_row_note_checks(row, &lab->pass);
  note(lab, row, &lab->pass);
  return failed;
}

/* Reading once more without checks; `counts`: as a sample of what that makes faster. */
static int pass_unchecked(struct storage_lab *lab, struct lab_row *row, double time_s, bool counts,
                          struct error *error) {
  drop_caches(&lab->bench);
  int failed = lab_bench_pass(&lab->bench, time_s, LAB_CHECK_LAST, NAN, &lab->beside, error);
  if (failed) return failed;
  lab_row_note_checks(row, &lab->beside);
  if (counts)
    samples_add(&row->unchecked_bytes_per_s,
                (double)lab->beside.useful_read_bytes / lab->beside.seconds);
  return 0;
}

/* fio beside a pass: before or after it in turn, so that a drift favours neither (A B B A). */
static int run_fio(struct storage_lab *lab, struct lab_row *row, double time_s,
                   struct lab_fio_rate *rate, struct error *error) {
  struct lab_fio fio;
  if (!lab_fio_command(&fio, &lab->targets[row->target], row, time_s, true)) return 0;
  int failed = prepare_outputs(lab, row, true, error);
  if (failed) return failed;
  return lab_fio_run(&fio, rate, error);
}

static void note_fio(struct lab_row *row, const struct lab_pass_result *pass,
                     const struct lab_fio_rate *rate) {
  if (!(rate->bytes_per_s > 0)) return;
  double bytes = (double)(pass->read_bytes + pass->write_bytes);
  samples_add(&row->fio_bytes_per_s, rate->bytes_per_s);
  samples_add(&row->fio_ratio, bytes / pass->seconds / rate->bytes_per_s);
  samples_add(&row->fio_cpu_ratio, pass->cpu_s / (bytes / 1e9) / rate->cpu_s_per_gb);
}

/* A row's first round: drive and memory get going, and what processors are idle is seen. */
static int warm_up(struct storage_lab *lab, struct lab_row *row, double time_s,
                   struct error *error) {
  row->spare_cpus = NAN;
  if (row->setting.rw != LAB_READ || row->setting.streams > 0) return 0;
  return pass_unchecked(lab, row, fmin(time_s, WARM_UP_S), false, error);
}

/* One round: the timed pass, beside it an unchecked one of reads, and fio next to the one that
 * does what fio does; the other way round every second time, so that a drift favours none
 * (A B B A). */
static int measure(struct storage_lab *lab, struct lab_row *row, struct error *error) {
  const struct options *options = lab->config.options;
  double time_s = storage_lab_time_s(options);
  struct lab_fio_rate rate = {0};
  bool reads = row->setting.rw == LAB_READ;
  bool back = lab->rounds % 2 == 1;
  int failed = row->cpu_s_per_gb.n == 0 ? warm_up(lab, row, time_s, error) : 0;
  if (!failed && back && options->check_with_fio) failed = run_fio(lab, row, time_s, &rate, error);
  if (!failed && back && reads) failed = pass_unchecked(lab, row, time_s, true, error);
  if (!failed) failed = pass_timed(lab, row, time_s, error);
  if (!failed && !back && reads) failed = pass_unchecked(lab, row, time_s, true, error);
  if (!failed && !back && options->check_with_fio) failed = run_fio(lab, row, time_s, &rate, error);
  if (!failed) note_fio(row, reads ? &lab->beside : &lab->pass, &rate);
  return failed;
}

/* What an engine or target cannot do is the row's answer, not the run's end. */
static bool is_refusal(int code) {
  return code == -ENOTSUP || code == -EINVAL || code == -ENOMEM || code == -EOPNOTSUPP ||
         code == -ENOSPC || code == -EDQUOT;
}

static int measure_row(struct storage_lab *lab, struct lab_row *row, struct error *error) {
  struct error reason = {0};
  if (row->refused[0]) return 0;
  int failed = lab_bench_open(&lab->bench, &lab->targets[row->target], &row->setting, &reason);
  if (failed && is_refusal(failed)) {
    snprintf(row->refused, sizeof row->refused, "%.*s", (int)sizeof row->refused - 1,
             reason.message);
    return 0;
  }
  if (failed) return error_set(error, failed, "%s", reason.message);
  snprintf(row->obtained, sizeof row->obtained, "%s", lab->bench.lanes[0].engine->info.description);
  row->emulated = lab->bench.lanes[0].engine->info.emulated;
  failed = measure(lab, row, error);
  if (!failed) drop_caches(&lab->bench); /* other rows' files are these */
  lab_bench_close(&lab->bench);
  for (int i = 0; i < lab->targets[row->target].n_members; i++)
    lab_pages_release(&lab->targets[row->target].members[i], row->geometry.unit_bytes);
  return failed;
}

/* ---- rounds ---- */

double storage_lab_row_s(const struct storage_lab *lab, const struct lab_row *row) {
  const struct options *options = lab->config.options;
  if (row->refused[0]) return 0;
  double time_s = storage_lab_time_s(options);
  bool fio = options->check_with_fio && row->setting.rw != LAB_MIXED;
  /* Reads: with checks and without. Writes: they are read back. */
  return 2 * time_s + (fio ? time_s + FIO_START_S : 0);
}

/* Before the first round each target's reused file is written over once. */
static double prepare_s(const struct storage_lab *lab, int target) {
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    if (row->target == target && row->setting.rw != LAB_READ && !row->setting.fresh &&
        !row->refused[0])
      return (double)lab->targets[target].working_set_bytes / WRITE_BYTES_PER_S;
  }
  return 0;
}

double storage_lab_expected_s(const struct storage_lab *lab, int rounds) {
  double round_s = 0, once_s = 0;
  for (int i = 0; i < lab->n_rows; i++) {
    round_s += storage_lab_row_s(lab, &lab->rows[i]);
    once_s += lab->rows[i].refused[0] ? 0 : WARM_UP_S;
  }
  for (int i = 0; i < lab->n_targets; i++) once_s += prepare_s(lab, i);
  double all_s = once_s + round_s * rounds + fmin(lab_whole_s(lab), round_s * rounds);
  double budget_s = lab->config.options->budget_s;
  return budget_s > 0 ? fmin(all_s, fmax(budget_s, once_s + round_s)) : all_s;
}

int storage_lab_round(struct storage_lab *lab, int (*interrupted)(void),
                      void (*before)(void *context, const struct lab_row *row), void *context,
                      struct error *error) {
  int order[LAB_ROWS_MAX];
  sweep_shuffle(order, lab->n_rows, lab->config.options->seed, lab->rounds);
  for (int i = 0; i < lab->n_rows; i++) {
    struct lab_row *row = &lab->rows[order[i]];
    if (interrupted()) return -EINTR;
    before(context, row);
    int failed = measure_row(lab, row, error);
    if (failed) return failed;
  }
  lab->rounds++;
  return 0;
}

/* ---- units ---- */

double lab_row_checked_share(const struct lab_row *row) {
  return fmin(1, (double)row->timed_checked_bytes / (double)row->timed_bytes);
}

double lab_row_s_per_token(const struct lab_row *row, double bytes_per_s) {
  double bytes_per_token = (double)row->setting.payload_bytes * row->setting.layers /
                           row->setting.page_tokens;
  return bytes_per_token / bytes_per_s;
}

double lab_row_layer_s(const struct lab_row *row, double bytes_per_s, double n_tokens) {
  return lab_row_s_per_token(row, bytes_per_s) * n_tokens / row->setting.layers;
}

const char *lab_rw_name(enum lab_rw rw) {
  static const char *const names[] = {"read", "write", "mixed"};
  return names[rw];
}

const char *lab_layout_name(enum lab_layout layout) {
  static const char *const names[] = {"layer-major", "token-major", "file-per-page"};
  return names[layout];
}

const char *lab_sync_name(enum lab_sync sync) {
  static const char *const names[] = {"never", "end", "layer"};
  return names[sync];
}
