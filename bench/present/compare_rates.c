/*
 * T, R and W of two results, from the samples that they were taken from: at each prompt length of a
 * sweep, of a calibration's summary, of each target of storage.
 *
 * As in model/: T = compute(N, 0) / N; R = the larger of storage read and copy to the GPU, a token;
 * W likewise. A rate's samples become times a token.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/present/compare_internal.h"

enum { RATES = 3 };
static const char *const rate_names[RATES] = {"compute_s_per_token", "read_s_per_token",
                                              "write_s_per_token"};

struct rates {
  struct samples of[RATES]; /* T, R, W; empty where not known */
};

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* ---- where samples are ------------------------------------------------------------------- */

/* The larger of two stages by its median, over so many tokens. */
static void take_stage(const json_t *point, const char *storage, const char *copy, double tokens,
                       struct samples *samples) {
  double from_storage = number(json_object_get(point, storage), "median");
  double copied = number(json_object_get(point, copy), "median");
  const json_t *field = json_object_get(point, copied > from_storage ? copy : storage);
  if (tokens > 0) compare_samples(field, 1 / tokens, samples);
}

static void sweep_rates(const json_t *result, const json_t *summary, struct rates *rates) {
  const json_t *points = json_object_get(result, "points");
  double n = number(summary, "n_tokens");
  for (size_t i = 0; i < json_array_size(points); i++) {
    const json_t *point = json_array_get(points, i);
    const char *policy = json_string_value(json_object_get(point, "policy"));
    if (!policy || number(point, "n_tokens") != n) continue;
    if (strcmp(policy, "recompute") == 0)
      compare_samples(json_object_get(point, "compute_alone_s"), 1 / n, &rates->of[0]);
    if (strcmp(policy, "overlap") != 0 || number(point, "alpha") != number(summary, "best_alpha"))
      continue;
    take_stage(point, "read_alone_s", "h2d_alone_s", number(point, "n_past"), &rates->of[1]);
    take_stage(point, "write_alone_s", "d2h_alone_s", number(point, "n_new"), &rates->of[2]);
  }
}

/* Bytes/s as seconds a token, which at the median rate takes `s_per_token`. */
static void take_rate(const json_t *field, double s_per_token, struct samples *samples) {
  double median = number(field, "median");
  if (!(s_per_token > 0) || !(median > 0) || !compare_samples(field, 1, samples)) return;
  for (int i = 0; i < samples->n; i++)
    samples->values[i] = s_per_token * median / samples->values[i];
}

static void calibrate_rates(const json_t *result, const json_t *summary, struct rates *rates) {
  const json_t *compute = json_object_get(result, "compute");
  const json_t *storage = json_object_get(result, "storage");
  double n = number(summary, "n_tokens");
  for (size_t i = 0; i < json_array_size(compute); i++) {
    const json_t *point = json_array_get(compute, i);
    if (number(point, "n_new") == n && number(point, "n_past") == 0)
      compare_samples(json_object_get(point, "compute_s"), 1 / n, &rates->of[0]);
  }
  for (size_t i = 0; i < json_array_size(storage); i++) {
    const json_t *row = json_array_get(storage, i);
    double read = number(row, "storage_read_s_per_token");
    if (read != number(summary, "storage_read_s_per_token")) continue;
    take_rate(json_object_get(row, "read_bytes_per_s"), read, &rates->of[1]);
    take_rate(json_object_get(row, "write_bytes_per_s"), number(row, "storage_write_s_per_token"),
              &rates->of[2]);
  }
}

/* rows[summary.KEY], NULL where that is no row. */
static const json_t *best_row(const json_t *result, const json_t *summary, const char *key) {
  const json_t *rows = json_object_get(result, "rows");
  double at = number(summary, key);
  return at >= 0 && at < (double)json_array_size(rows) ? json_array_get(rows, (size_t)at) : NULL;
}

static void target_rates(const json_t *result, const json_t *target, struct rates *rates) {
  const json_t *summary = json_array_get(json_object_get(target, "summary"), 0);
  take_rate(json_object_get(best_row(result, summary, "best_read_row"), "read_bytes_per_s"),
            number(summary, "read_s_per_token"), &rates->of[1]);
  take_rate(json_object_get(best_row(result, summary, "best_write_row"), "write_bytes_per_s"),
            number(summary, "write_s_per_token"), &rates->of[2]);
}

/* ---- side by side ------------------------------------------------------------------------- */

static int add_rates(struct compare *compare, const char *key, const struct rates *a,
                     const struct rates *b) {
  for (int i = 0; i < RATES; i++) {
    if (a->of[i].n == 0 || b->of[i].n == 0) continue;
    struct compare_row *row = compare_new_row(compare);
    if (!row) return -ENOMEM;
    *row = (struct compare_row){.array = "summary",
                                .sense = SENSE_LOWER,
                                .tested = true,
                                .difference = difference_of(&a->of[i], &b->of[i], COMPARE_SEED)};
    snprintf(row->key, sizeof row->key, "%s", key);
    snprintf(row->field, sizeof row->field, "%s", rate_names[i]);
  }
  return 0;
}

static int compare_lengths(struct compare *compare, const json_t *a, const json_t *b) {
  const json_t *left = json_object_get(a, "summary"), *right = json_object_get(b, "summary");
  for (size_t i = 0; i < json_array_size(left); i++)
    for (size_t k = 0; k < json_array_size(right); k++) {
      const json_t *mine = json_array_get(left, i), *other = json_array_get(right, k);
      char key[COMPARE_KEY_BYTES];
      if (number(mine, "n_tokens") != number(other, "n_tokens")) continue;
      struct rates rates[2] = {0};
      sweep_rates(a, mine, &rates[0]);
      sweep_rates(b, other, &rates[1]);
      snprintf(key, sizeof key, "n_tokens %.10g", number(mine, "n_tokens"));
      int code = add_rates(compare, key, &rates[0], &rates[1]);
      if (code < 0) return code;
    }
  return 0;
}

static int compare_targets(struct compare *compare, const struct compare_side *a,
                           const struct compare_side *b) {
  const json_t *left = json_object_get(a->result, "targets");
  const json_t *right = json_object_get(b->result, "targets");
  for (size_t i = 0; i < json_array_size(left); i++) {
    size_t k = b->target >= 0 ? (size_t)b->target : i;
    char key[COMPARE_KEY_BYTES];
    if ((a->target >= 0 && (size_t)a->target != i) || k >= json_array_size(right)) continue;
    struct rates rates[2] = {0};
    target_rates(a->result, json_array_get(left, i), &rates[0]);
    target_rates(b->result, json_array_get(right, k), &rates[1]);
    snprintf(key, sizeof key, "target %zu", i);
    int code = add_rates(compare, key, &rates[0], &rates[1]);
    if (code < 0) return code;
  }
  return 0;
}

int compare_rates(struct compare *compare, const struct compare_side *a,
                  const struct compare_side *b) {
  if (json_is_array(json_object_get(a->result, "targets"))) return compare_targets(compare, a, b);
  const json_t *left = json_object_get(a->result, "summary");
  const json_t *right = json_object_get(b->result, "summary");
  if (json_is_array(left)) return compare_lengths(compare, a->result, b->result);
  if (!left || number(left, "n_tokens") != number(right, "n_tokens")) return 0;
  struct rates rates[2] = {0};
  char key[COMPARE_KEY_BYTES];
  calibrate_rates(a->result, left, &rates[0]);
  calibrate_rates(b->result, right, &rates[1]);
  snprintf(key, sizeof key, "n_tokens %.10g", number(left, "n_tokens"));
  return add_rates(compare, key, &rates[0], &rates[1]);
}
