/*
 * Rows of the storage grid, one rig a page size, one pipeline a row.
 */
#include "bench/measure/storage_grid.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure/layer_io.h"
#include "bench/measure/sweep_plan.h"

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

/* One pass of one leg; the time of its stage, all layers. */
static int pass_s(struct group *group, struct point *point, unsigned leg, double *seconds,
                  struct error *error) {
  int failed = group_leg(group, point, leg, error);
  if (failed) return failed;
  struct ttft_layer total = pipeline_wall(&group->run);
  *seconds = leg == LEG_READ ? total.read_s : total.write_s;
  return 0;
}

/* Reads and writes all tokens once, and one page a layer, through a pipeline of the row's own. */
static int measure_row(struct group *group, struct storage_row *row, struct error *error) {
  struct rig *rig = group->rig;
  struct pipeline *usual = rig->pipeline;
  rig->config.queue_depth = row->queue_depth;
  rig->config.io_bytes = row->merged ? rig->config.options->io_bytes : rig->page_stride_bytes;
  int failed = rig_open_pipeline(rig, rig->source, rig->sink, &rig->pipeline, error);
  struct point all = {.n_tokens = row->n_tokens + 1, .n_past = row->n_tokens, .n_new = 1};
  struct point fresh = {.n_tokens = row->n_tokens, .n_new = row->n_tokens};
  struct point page = {.n_tokens = rig->page_tokens + 1, .n_past = rig->page_tokens, .n_new = 1};
  double read_s = 0;
  double write_s = 0;
  double first_s = 0;
  if (!failed) failed = pass_s(group, &all, LEG_READ, &read_s, error);
  double cpu_s = group->run.cpu_s;
  if (!failed && rig->config.options->store)
    failed = pass_s(group, &fresh, LEG_WRITE, &write_s, error);
  if (!failed) failed = pass_s(group, &page, LEG_READ, &first_s, error);
  pipeline_close(rig->pipeline);
  rig->pipeline = usual;
  if (failed) return failed;
  samples_add(&row->read_s, read_s);
  if (write_s > 0) samples_add(&row->write_s, write_s);
  samples_add(&row->first_page_s, first_s);
  samples_add(&row->cpu_s, cpu_s);
  row->cpu_s_per_gb = median_of(&row->cpu_s) / ((double)row->bytes / 1e9);
  row->wrong_pages += all.wrong_pages + page.wrong_pages;
  if (all.cold_known && (!row->cold_known || all.cold.verdict == COLD_NOT_PROVEN))
    row->cold = all.cold;
  row->cold_known = row->cold_known || all.cold_known;
  return 0;
}

/* One pass that does not count: the new file's blocks are written for the first time, which costs
 * the filesystem more than any later write. Wrong pages count all the same. */
static int warm_up(struct group *group, struct storage_row *row, struct error *error) {
  struct storage_row discarded = *row;
  int failed = measure_row(group, &discarded, error);
  row->wrong_pages += discarded.wrong_pages;
  return failed;
}

static void add_rows(struct storage_grid *grid, const struct rig *rig) {
  const struct options *options = rig->config.options;
  int64_t n_tokens = rig->config.past_max;
  for (int i = 0; i < options->queue_depth.n; i++)
    for (int merged = 0; merged <= 1; merged++) {
      size_t merged_bytes = layer_io_piece_bytes(rig->page_stride_bytes, options->io_bytes, 4096);
      size_t layer_bytes = (size_t)(n_tokens / rig->page_tokens) * rig->page_stride_bytes;
      if (merged_bytes > layer_bytes) merged_bytes = layer_bytes; /* requests end with a layer */
      if (grid->n_rows == STORAGE_ROWS_MAX || (merged && merged_bytes <= rig->page_stride_bytes))
        continue;
      grid->rows[grid->n_rows++] = (struct storage_row){
          .page_tokens = rig->page_tokens,
          .request_bytes = merged ? merged_bytes : rig->page_stride_bytes,
          .queue_depth = (int)options->queue_depth.values[i],
          .merged = merged,
          .bytes = (uint64_t)(n_tokens / rig->page_tokens) * (uint64_t)rig->layers *
                   rig->page_stride_bytes,
          .n_tokens = n_tokens,
      };
    }
}

/* ---- something beside reads ---- */

struct reader {
  struct rig *rig;
  struct pipeline_run run;
  atomic_bool enough;
  double bytes, seconds;
  int failed;
  struct error error;
};

/* Whole passes of reads, until told; nothing is checked, which would leave gaps. */
static void *read_on(void *argument) {
  struct reader *reader = argument;
  struct rig *rig = reader->rig;
  const struct pipeline_request request = {
      .sequence = rig_sequence(rig, rig->config.past_max + 1, rig->config.past_max),
      .legs = LEG_READ,
  };
  const double start_s = clock_now_s();
  while (!reader->failed && !atomic_load(&reader->enough)) {
    reader->failed = pipeline_run(rig->pipeline, &request, &reader->run, &reader->error);
    reader->bytes += (double)reader->run.read_bytes;
    reader->seconds = clock_now_s() - start_s;
  }
  return NULL;
}

static int measure_beside(struct rig *rig, struct storage_beside *beside, struct error *error) {
  struct reader reader = {.rig = rig};
  pthread_t thread;
  if (pipeline_run_init(&reader.run, rig->layers))
    return error_set(error, -ENOMEM, "no memory to read beside copies");
  int failed = -pthread_create(&thread, NULL, read_on, &reader);
  if (failed) {
    pipeline_run_free(&reader.run);
    return error_set(error, failed, "starting a thread that reads: %s", strerror(-failed));
  }
  failed = beside->measure(beside->context, error);
  atomic_store(&reader.enough, true);
  (void)pthread_join(thread, NULL);
  pipeline_run_free(&reader.run);
  if (failed) return failed;
  if (reader.failed) return error_set(error, reader.failed, "%s", reader.error.message);
  beside->read_bytes_per_s = reader.bytes / reader.seconds;
  return 0;
}

/* Round after round over n rows from `first`: see storage_grid_measure(). */
static int measure_rounds(struct storage_grid *grid, struct group *group, int first, int repeats,
                          double deadline_s, int (*interrupted)(void), struct error *error) {
  int order[STORAGE_ROWS_MAX];
  int n = grid->n_rows - first;
  double round_s = 0;
  for (int round = 0; round < repeats; round++) {
    double start_s = clock_now_s();
    if (round > 0 && start_s + round_s > deadline_s) return 0;
    sweep_shuffle(order, n, group->rig->config.options->seed, round);
    for (int i = 0; i < n; i++) {
      int failed = interrupted() ? -EINTR
                                 : measure_row(group, &grid->rows[first + order[i]], error);
      if (failed) return failed;
    }
    round_s = clock_now_s() - start_s;
  }
  return 0;
}

int storage_grid_measure(struct storage_grid *grid, const struct rig_config *base,
                         int64_t page_tokens, int repeats, double deadline_s,
                         struct storage_beside *beside, int (*interrupted)(void),
                         struct error *error) {
  struct rig rig = {0};
  struct group group = {0};
  struct rig_config config = *base;
  config.device = "playback:zero";
  config.page_tokens = page_tokens;
  config.past_max = config.tokens_max / page_tokens * page_tokens;
  config.tokens_max = config.past_max + page_tokens;
  config.keep_source = false;
  config.queue_depth = (int)config.options->queue_depth.values[0];
  config.io_bytes = config.options->io_bytes;
  int first = grid->n_rows;
  int failed = rig_open(&rig, &config, error);
  if (!failed) failed = group_init(&group, &rig, error);
  if (!failed) {
    add_rows(grid, &rig);
    grid->target = rig.target;
    snprintf(grid->engine, sizeof grid->engine, "%s",
             pipeline_reader_info(rig.pipeline)->description);
  }
  if (!failed && grid->n_rows > first) failed = warm_up(&group, &grid->rows[first], error);
  if (!failed)
    failed = measure_rounds(grid, &group, first, repeats, deadline_s, interrupted, error);
  if (!failed && beside) failed = measure_beside(&rig, beside, error);
  group_free(&group);
  rig_close(&rig);
  return failed;
}

const struct storage_row *storage_grid_best(const struct storage_grid *grid) {
  const struct storage_row *best = NULL;
  double best_s = INFINITY;
  for (int i = 0; i < grid->n_rows; i++) {
    double s_per_token = median_of(&grid->rows[i].read_s) / (double)grid->rows[i].n_tokens;
    if (s_per_token < best_s) best = &grid->rows[i];
    best_s = fmin(best_s, s_per_token);
  }
  return best;
}

double storage_row_read_s(const struct storage_row *row, double n_past) {
  double page = (double)row->page_tokens;
  double tokens = (double)row->n_tokens;
  double first_s = median_of(&row->first_page_s);
  double all_s = median_of(&row->read_s);
  if (n_past <= 0) return 0;
  if (n_past <= page || tokens <= page) return first_s;
  return first_s + (all_s - first_s) * (n_past - page) / (tokens - page);
}
