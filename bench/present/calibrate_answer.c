/*
 * What a calibration comes to: e, alpha*, break-even; and its times as a playback profile.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "bench/present/calibrate_report.h"
#include "bench/present/rig_report.h"
#include "kernels/playback/profile.h"
#include "model/ttft.h"

#define CROSSOVER_STEPS 64

/* Seconds a token takes over the link to the device, all layers that run; NaN where none does. */
static double link_s_per_token(const struct calibration *calibration, enum device_probe what) {
  const struct part *part = parts_find(&calibration->parts, what, 0, 0);
  const struct shape *shape = &calibration->shape;
  double bytes = shape_kv_bytes_per_token(shape, (double)element_bytes(calibration->kv_element)) *
                 calibration->layers / shape->layers;
  return part ? part->seconds / part->bytes * bytes : NAN;
}

/* Storage and link work at the same time: the slower one counts. */
static double reload_s(const struct calibration *calibration, const struct storage_row *row,
                       double tokens) {
  return fmax(storage_row_read_s(row, tokens),
              tokens * link_s_per_token(calibration, PROBE_H2D)); /* fmax passes NaN over */
}

/* The alpha at which reading as many tokens takes as long as computing the rest. */
static double crossover(const struct calibration *calibration, const struct storage_row *row) {
  double alpha[CROSSOVER_STEPS];
  double read_s[CROSSOVER_STEPS];
  double compute_s[CROSSOVER_STEPS];
  double tokens = (double)calibration->n_tokens;
  for (int i = 0; i < CROSSOVER_STEPS; i++) {
    alpha[i] = i == CROSSOVER_STEPS - 1 ? 1 - 1 / tokens : (double)i / CROSSOVER_STEPS;
    read_s[i] = reload_s(calibration, row, alpha[i] * tokens);
    compute_s[i] =
        compute_grid_s(&calibration->compute, (1 - alpha[i]) * tokens, alpha[i] * tokens);
  }
  return ttft_alpha_star_measured(alpha, read_s, compute_s, CROSSOVER_STEPS);
}

/* Shortest prefix of whole pages, one page of new tokens after it, from which on reload wins. */
static int64_t break_even(const struct calibration *calibration, const struct storage_row *row) {
  int64_t page = row->page_tokens;
  int64_t shortest = 0;
  /* Prompts end where the grid does: beyond it, T is not known. */
  for (int64_t past = (calibration->n_tokens / page - 1) * page; past >= page; past -= page) {
    double new_tokens = (double)page;
    double with_past_s = fmax(reload_s(calibration, row, (double)past),
                              compute_grid_s(&calibration->compute, new_tokens, (double)past));
    double recompute_s = compute_grid_s(&calibration->compute, (double)past + new_tokens, 0);
    if (with_past_s >= recompute_s) break;
    shortest = past;
  }
  return shortest;
}

struct calibration_summary calibration_summarise(const struct calibration *calibration) {
  struct calibration_summary summary = {.storage_read_s_per_token = NAN,
                                        .storage_write_s_per_token = NAN,
                                        .read_s_per_token = NAN,
                                        .write_s_per_token = NAN,
                                        .e = NAN,
                                        .alpha_star_constant = NAN,
                                        .alpha_star = NAN};
  double tokens = (double)calibration->n_tokens;
  summary.compute_s_per_token = compute_grid_s(&calibration->compute, tokens, 0) / tokens;
  summary.h2d_s_per_token = link_s_per_token(calibration, PROBE_H2D);
  summary.d2h_s_per_token = link_s_per_token(calibration, PROBE_D2H);
  const struct storage_row *best = storage_grid_best(&calibration->storage);
  summary.best = best;
  if (!best) return summary;
  summary.storage_read_s_per_token = stats_median(best->read_s.values, best->read_s.n) /
                                     (double)best->n_tokens;
  summary.storage_write_s_per_token = stats_median(best->write_s.values, best->write_s.n) /
                                      (double)best->n_tokens;
  summary.read_s_per_token = fmax(summary.storage_read_s_per_token, summary.h2d_s_per_token);
  summary.write_s_per_token = fmax(summary.storage_write_s_per_token, summary.d2h_s_per_token);
  summary.e = ttft_token_acceleration(summary.compute_s_per_token, summary.read_s_per_token);
  summary.alpha_star_constant = ttft_alpha_star(summary.e);
  summary.alpha_star = crossover(calibration, best);
  summary.break_even_tokens = break_even(calibration, best);
  return summary;
}

char *calibration_answer(const struct calibration *calibration,
                         char text[CALIBRATION_ANSWER_BYTES]) {
  struct calibration_summary summary = calibration_summarise(calibration);
  char tokens[UNITS_TEXT_BYTES];
  char compute[UNITS_TEXT_BYTES];
  char read[UNITS_TEXT_BYTES];
  char prefix[UNITS_TEXT_BYTES];
  units_format_count(tokens, (uint64_t)calibration->n_tokens);
  units_format_seconds(compute, summary.compute_s_per_token);
  if (!summary.best) {
    snprintf(text, CALIBRATION_ANSWER_BYTES,
             "At %s tokens T is %s a token; storage was not "
             "measured.",
             tokens, compute);
    return text;
  }
  units_format_seconds(read, summary.read_s_per_token);
  units_format_count(prefix, (uint64_t)summary.break_even_tokens);
  int used = snprintf(text, CALIBRATION_ANSWER_BYTES,
                      "At %s tokens T is %s a token and R %s: e = %.3g, so ", tokens, compute, read,
                      summary.e);
  if (used < 0 || used >= CALIBRATION_ANSWER_BYTES) return text;
  used += snprintf(text + used, (size_t)(CALIBRATION_ANSWER_BYTES - used),
                   summary.alpha_star < 1 ? "reading binds from alpha* = %.3g (%.3g if T were "
                                            "constant); "
                                          : "computing binds at every alpha (alpha* %.3g, %.3g if "
                                            "T were constant); ",
                   summary.alpha_star, summary.alpha_star_constant);
  if (used < 0 || used >= CALIBRATION_ANSWER_BYTES) return text;
  snprintf(text + used, (size_t)(CALIBRATION_ANSWER_BYTES - used),
           summary.break_even_tokens ? "reload should win from %s stored tokens up%s."
                                     : "reload should not win at any length up to %s%s.",
           summary.break_even_tokens ? prefix : tokens,
           calibration->device->played_back ? " (compute played back, not measured)" : "");
  return text;
}

static void warn_parts(const struct calibration *calibration, struct warnings *warnings) {
  const struct parts *parts = &calibration->parts;
  int held_down = 0;
  for (int i = 0; i < parts->n; i++) held_down += parts->all[i].held_down;
  if (held_down > 0)
    warnings_add(warnings, WARNING_HELD_DOWN, "%d of %d parts timed alone", held_down, parts->n);
  if (calibration->device->multiprocessors > 0 && !calibration->datasheet)
    warnings_add(warnings, WARNING_NO_DATASHEET, "%s, %d multiprocessors",
                 calibration->device->name, calibration->device->multiprocessors);
}

void calibration_warn(const struct calibration *calibration, struct warnings *warnings) {
  char reason[WARNINGS_DETAIL_BYTES];
  warn_parts(calibration, warnings);
  const struct compute_grid *compute = &calibration->compute;
  for (int i = 0; i < compute->n_new * compute->n_past; i++) {
    const struct grid_point *point = &compute->points[i];
    int outliers = stats_outliers(&point->compute_s);
    if (outliers > 0)
      warnings_add(warnings, WARNING_OUTLIERS, "n_new %lld, n_past %lld: %d of %d",
                   (long long)point->n_new, (long long)point->n_past, outliers, point->compute_s.n);
  }
  if (calibration->storage.target.path[0])
    target_warn(&calibration->storage.target, calibration->storage.engine, warnings);
  for (int i = 0; i < calibration->storage.n_rows; i++) {
    const struct storage_row *row = &calibration->storage.rows[i];
    if (row->cold_known && row->cold.verdict == COLD_NOT_PROVEN)
      warnings_add(warnings, WARNING_COLD_NOT_PROVEN, "%s",
                   cold_reason(row->cold.text, reason, sizeof reason));
  }
}

/* ---- the profile ---- */

/* Medians of one kind of sample over the grid's n_new axis, at n_past 0. */
static void column_of(const struct compute_grid *grid, size_t offset, double *seconds) {
  for (int i = 0; i < grid->n_new; i++) {
    const struct samples *samples =
        (const struct samples *)((const char *)compute_grid_at(grid, i, 0) + offset);
    seconds[i] = stats_median(samples->values, samples->n);
  }
}

int calibration_write_profile(const struct calibration *calibration, const char *path,
                              struct error *error) {
  const struct compute_grid *grid = &calibration->compute;
  double layer_s[GRID_NEW_MAX * GRID_PAST_MAX];
  double embedding_s[GRID_NEW_MAX];
  double head_s[GRID_NEW_MAX];
  int n = grid->n_new * grid->n_past;
  for (int i = 0; i < n; i++)
    layer_s[i] = stats_median(grid->points[i].layer_s.values, grid->points[i].layer_s.n);
  column_of(grid, offsetof(struct grid_point, embedding_s), embedding_s);
  column_of(grid, offsetof(struct grid_point, head_s), head_s);
  double head_median_s = stats_median(head_s, grid->n_new);
  struct profile *profile = calloc(1, sizeof *profile);
  if (!profile) return error_set(error, -ENOMEM, "no memory for a profile");
  snprintf(profile->about, sizeof profile->about,
           "Layer times of %s, measured by refill calibrate over %d rounds (medians).",
           calibration->shape.name, grid->rounds);
  snprintf(profile->source, sizeof profile->source, "refill calibrate --device %s",
           calibration->device_name);
  snprintf(profile->device, sizeof profile->device, "%.*s", PROFILE_NAME_BYTES - 1,
           calibration->device->description);
  profile->shape = calibration->shape;
  profile->element = calibration->element;
  profile->kv_element = calibration->kv_element;
  enum profile_origin origin = calibration->device->played_back ? PROFILE_DERIVED
                                                                : PROFILE_MEASURED;
  profile->layer_s = (struct profile_grid){.origin = origin,
                                           .n_rows = grid->n_new,
                                           .n_columns = grid->n_past,
                                           .n_new = grid->new_axis,
                                           .n_past = grid->past_axis,
                                           .seconds = layer_s};
  profile->embedding_s = (struct profile_grid){.origin = origin,
                                               .n_rows = grid->n_new,
                                               .n_columns = 1,
                                               .n_new = grid->new_axis,
                                               .seconds = embedding_s};
  profile->head_s = (struct profile_grid){
      .origin = origin, .n_rows = 1, .n_columns = 1, .seconds = &head_median_s};
  const struct part *copy = parts_find(&calibration->parts, PROBE_MEMORY_COPY, 0, 0);
  profile->peaks =
      (struct profile_peaks){.origin = origin,
                             .flops_per_s = calibration->parts.peak_flops_per_s,
                             .hbm_bytes_per_s = copy ? copy->bytes / copy->seconds : 0};
  int failed = profile_write(profile, path, error);
  free(profile);
  return failed;
}
