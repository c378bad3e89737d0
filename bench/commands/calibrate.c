/*
 * `refill calibrate`: T over (n_new, n_past), R and W over page size and depth, and what follows.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/commands/table.h"
#include "bench/measure/compute_grid.h"
#include "bench/measure/parts.h"
#include "bench/measure/storage_grid.h"
#include "bench/measure/sweep_plan.h"
#include "bench/present/calibrate_report.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"

#define ROUNDS_DEFAULT 5
#define COMPUTE_SHARE 0.75 /* of --budget */
#define GRID_ORDER_MAX (GRID_NEW_MAX * GRID_PAST_MAX)

struct calibrating {
  struct options options; /* as given */
  struct rig rig;         /* computes; has no stored KV */
  struct group group;
  struct calibration calibration;
  struct warnings warnings;
  struct progress progress;
  double s_per_weight; /* of weight_of(); 0 until the first look has told */
  double started_s;    /* measuring */
};

static int open_rig(struct calibrating *all, struct error *error) {
  const struct options *options = &all->options;
  int64_t page_tokens = options->page_tokens.values[0];
  int64_t n_tokens = options->tokens.values[0];
  struct rig_config config = {.options = options,
                              .page_tokens = page_tokens,
                              .tokens_max = 2 * n_tokens,
                              .queue_depth = (int)options->queue_depth.values[0],
                              .io_bytes = options->io_bytes,
                              .compute_only = true};
  char device[64];
  int failed = rig_device_name(options, device, sizeof device, error);
  if (!failed) failed = rig_shape(options, device, &config.shape, error);
  /* Storage comes last: that it cannot be used is to be known before minutes of computing. */
  struct target target = {0};
  bool emulated = strncmp(options->engine, "null", 4) == 0;
  if (!failed && !emulated) failed = rig_look_at_target(options, &target, error);
  if (!failed) failed = rig_open(&all->rig, &config, error);
  if (!failed) failed = group_init(&all->group, &all->rig, error);
  if (failed) return failed;
  rig_tell_pinned(&all->rig);
  all->calibration.shape = all->rig.shape;
  all->calibration.layers = all->rig.layers;
  all->calibration.n_tokens = n_tokens;
  all->calibration.element = all->rig.element;
  all->calibration.kv_element = all->rig.kv_element;
  all->calibration.device = &all->rig.device->info;
  all->calibration.device_name = all->rig.device_name;
  all->calibration.datasheet =
      datasheet_find(all->rig.device->info.name, all->rig.device->info.multiprocessors);
  return compute_grid_init(&all->calibration.compute, n_tokens, page_tokens, error);
}

/* What a point is expected to take, in tokens: few tokens take as long as some dozens, since the
 * weights must be read. */
static double weight_of(const struct grid_point *point) {
  return (double)point->n_new + 32;
}

static double grid_weight(const struct compute_grid *grid) {
  double weight = 0;
  for (int i = 0; i < grid->n_new * grid->n_past; i++) weight += weight_of(&grid->points[i]);
  return weight;
}

/* All points once. The first time the pace is learned on the way. */
static int compute_round(struct calibrating *all, struct error *error) {
  struct compute_grid *grid = &all->calibration.compute;
  const double weight = grid_weight(grid), started_s = clock_now_s();
  const bool first = all->s_per_weight == 0;
  double done = 0;
  int order[GRID_ORDER_MAX];
  int n = grid->n_new * grid->n_past;
  sweep_shuffle(order, n, all->options.seed, grid->rounds);
  for (int i = 0; i < n; i++) {
    if (command_interrupted()) return -EINTR;
    struct grid_point *point = &grid->points[order[i]];
    progress_running(&all->progress, "compute %lld new after %lld", (long long)point->n_new,
                     (long long)point->n_past);
    int failed = compute_grid_measure(&all->group, point, error);
    if (failed) return failed;
    done += weight_of(point);
    progress_done(&all->progress, weight_of(point) * all->s_per_weight);
    if (first)
      progress_expect(&all->progress, (clock_now_s() - started_s) / done * (weight - done));
  }
  if (first) all->s_per_weight = (clock_now_s() - started_s) / weight;
  grid->rounds++;
  return 0;
}

/* Three quarters of --budget are for computing: whether they hold one more of such rounds. */
static bool has_time(const struct calibrating *all, double started_s, int rounds) {
  double elapsed_s = clock_now_s() - started_s;
  double budget_s = all->options.budget_s;
  return budget_s == 0 || elapsed_s + elapsed_s / rounds <= COMPUTE_SHARE * budget_s;
}

/* A first look, which warms up, then rounds until --repeat, or the default, or the time is over.
 * Where there is none for a round, the look is what there is. */
static int measure_compute(struct calibrating *all, struct error *error) {
  struct compute_grid *grid = &all->calibration.compute;
  const int rounds = all->options.repeat ? (int)all->options.repeat : ROUNDS_DEFAULT;
  const double started_s = clock_now_s();
  progress_begin(&all->progress, stderr, "a first look", 0);
  int failed = compute_round(all, error);
  progress_end(&all->progress);
  if (failed) return failed;
  if (!has_time(all, started_s, 1)) {
    warnings_add(&all->warnings, WARNING_NOT_WARM, "it took %.0f s", clock_now_s() - started_s);
    return 0;
  }
  compute_grid_forget(grid);
  progress_begin(&all->progress, stderr, "compute", all->s_per_weight * grid_weight(grid) * rounds);
  do failed = compute_round(all, error);
  while (!failed && grid->rounds < rounds && has_time(all, started_s, grid->rounds + 1));
  progress_end(&all->progress);
  return failed;
}

/* After the rounds: parts overwrite what the device's buffers hold. */
static int measure_parts(struct calibrating *all, struct error *error) {
  const struct compute_grid *grid = &all->calibration.compute;
  const struct parts_axes axes = {grid->new_axis, grid->past_axis, grid->n_new, grid->n_past};
  progress_begin(&all->progress, stderr, "parts alone", 0);
  int failed =
      parts_measure(&all->calibration.parts, all->rig.device, &axes, command_interrupted, error);
  progress_end(&all->progress);
  return failed;
}

/* Called while storage is read: what is left of the link then. */
static int measure_beside(void *context, struct error *error) {
  struct calibrating *all = context;
  return parts_measure_copies(&all->calibration.parts, all->rig.device, true, error);
}

/* When the next of `left` page sizes is to be done: each gets its share of what is left of
 * --budget.
 */
static double storage_deadline_s(const struct calibrating *all, int left) {
  if (all->options.budget_s == 0) return INFINITY;
  double now_s = clock_now_s();
  return now_s + (all->started_s + all->options.budget_s - now_s) / left;
}

static int measure_storage(struct calibrating *all, struct error *error) {
  const struct options *options = &all->options;
  if (all->rig.emulated) return 0;
  struct rig_config base = {.options = options,
                            .shape = all->rig.shape,
                            .tokens_max = options->tokens.values[0],
                            .announce = rig_announce,
                            .announce_context = &all->warnings};
  int repeats = options->repeat ? (int)options->repeat : ROUNDS_DEFAULT;
  int failed = 0;
  double started_s = clock_now_s();
  struct storage_beside beside = {.measure = measure_beside, .context = all};
  const int last = options->page_tokens.n - 1; /* the largest: what reads fastest, as a rule */
  progress_begin(&all->progress, stderr, "storage", 0);
  for (int i = 0; i < options->page_tokens.n && !failed; i++) {
    int64_t page_tokens = options->page_tokens.values[i];
    if (page_tokens > base.tokens_max) continue;
    progress_running(&all->progress, "pages of %lld tokens", (long long)page_tokens);
    failed = storage_grid_measure(&all->calibration.storage, &base, page_tokens, repeats,
                                  storage_deadline_s(all, options->page_tokens.n - i),
                                  i == last && all->rig.device->info.staged ? &beside : NULL,
                                  command_interrupted, error);
    double each_s = (clock_now_s() - started_s) / (i + 1); /* as long as those before it */
    progress_done(&all->progress, each_s);
    progress_expect(&all->progress, each_s * (options->page_tokens.n - i - 1));
  }
  progress_end(&all->progress);
  all->calibration.parts.read_bytes_per_s = beside.read_bytes_per_s;
  return failed;
}

static int64_t wrong_pages(const struct storage_grid *grid) {
  int64_t wrong = 0;
  for (int i = 0; i < grid->n_rows; i++) wrong += grid->rows[i].wrong_pages;
  return wrong;
}

static int report(struct calibrating *all, struct error *error) {
  const struct calibration *calibration = &all->calibration;
  for (int i = 0; i < calibration->parts.n; i++) /* it is busy while copies are timed */
    rig_see_link(&all->rig.condition, &calibration->parts.all[i].link);
  char answer[CALIBRATION_ANSWER_BYTES];
  json_t *result = result_new(&all->options, host_report(&all->warnings));
  json_object_set_new(result, "rig", rig_to_json(&all->rig));
  calibration_to_json(calibration, result);
  json_object_set_new(result, "answer", json_string(calibration_answer(calibration, answer)));
  calibration_warn(calibration, &all->warnings);
  rig_warn(&all->rig, &all->warnings);
  if (calibration->storage.target.path[0])
    target_warn_gpu(&calibration->storage.target, all->rig.gpu_node, &all->warnings);
  struct table *compute = calibration_compute_table(calibration);
  struct table *layers = calibration_layer_table(calibration);
  struct table *parts = calibration_parts_table(calibration);
  struct table *storage = calibration_storage_table(calibration);
  const struct table *tables[4] = {compute};
  int n = 1;
  if (table_rows(layers) > 0) tables[n++] = layers;
  if (table_rows(parts) > 0) tables[n++] = parts;
  if (table_rows(storage) > 0) tables[n++] = storage;
  int failed = leave(&all->options, result, tables, n, &all->warnings, error);
  if (!failed && !all->options.json) printf("\n%s\n", answer);
  table_free(compute);
  table_free(layers);
  table_free(parts);
  table_free(storage);
  json_decref(result);
  int64_t wrong = wrong_pages(&calibration->storage);
  if (!failed && wrong > 0)
    failed = error_set(error, -EBADMSG, "%lld pages came back wrong; see #wrong", (long long)wrong);
  return failed;
}

static int calibrate(struct calibrating *all, struct error *error) {
  int failed = open_rig(all, error);
  all->started_s = clock_now_s();
  if (!failed) failed = measure_compute(all, error);
  if (!failed) failed = measure_parts(all, error);
  if (!failed) failed = measure_storage(all, error);
  bool interrupted = failed == -EINTR && command_interrupted();
  if (interrupted && all->calibration.compute.rounds == 0)
    return error_set(error, -EINTR, "interrupted before the first round was complete");
  if (interrupted) {
    warnings_add(&all->warnings, WARNING_INTERRUPTED, "%d rounds", all->calibration.compute.rounds);
    failed = 0;
  }
  if (!failed && all->options.profile && !interrupted)
    failed = calibration_write_profile(&all->calibration, all->options.profile, error);
  if (!failed) failed = report(all, error);
  return interrupted && !failed ? -EINTR : failed;
}

static int calibrate_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct calibrating *all = calloc(1, sizeof *all);
  if (!all) return command_exit_code(error_set(error, -ENOMEM, "no memory to calibrate"));
  all->options = *options;
  int failed = calibrate(all, error);
  compute_grid_free(&all->calibration.compute);
  group_free(&all->group);
  rig_close(&all->rig);
  free(all);
  return command_exit_code(failed);
}

const struct command command_calibrate = {
    .name = "calibrate",
    .summary = "T over (n_new, n_past), R and W over page size and depth, e and alpha*",
    .examples =
        "  refill calibrate --target /mnt/nvme\n"
        "  refill calibrate --model llama-3-8b --layers 2 --tokens 2048\n"
        "  refill calibrate --page-tokens 16,64,256 --queue-depth 1,8,32,128\n"
        "  refill calibrate --profile this-box.json   # for --device playback:this-box.json",
    .run = calibrate_run,
};
