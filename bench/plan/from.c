/*
 * Measured T, R, W as inputs of the models.
 */
#include "bench/plan/from.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/capacity.h"

#define LAYERS_MAX 4096
#define TOKENS_MAX 1e9
#define PARAMS_MAX 1e15
#define FIT_POINTS_MIN 4 /* as many as compute has coefficients */
#define FIT_SIZES_MIN 3
#define FIT_RMS_MAX 0.25 /* a worse fit predicts nothing */

/* ---- reading fields ----------------------------------------------------------------- */

/* A number, NaN where there is none. */
static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static double part(const json_t *object, const char *key, const char *which) {
  return number(json_object_get(object, key), which);
}

static const char *text(const json_t *object, const char *key) {
  const char *value = json_string_value(json_object_get(object, key));
  return value ? value : "";
}

/* A text of the file, fit for a terminal: what controls one is shown as '?'. */
static void take_text(char *field, size_t n, const json_t *object, const char *key) {
  snprintf(field, n, "%s", text(object, key));
  for (char *at = field; *at; at++)
    if (iscntrl((unsigned char)*at)) *at = '?';
}

/* A whole number from 1 to `max`, or 0. */
static double count_of(const json_t *object, const char *key, double max) {
  double value = number(object, key);
  return value >= 1 && value <= max ? floor(value) : 0;
}

static int missing(const char *what, struct error *error) {
  return error_set(error, -EINVAL,
                   "%s: missing or not a positive number; accepted: a whole result of sweep or "
                   "calibrate",
                   what);
}

/* Ends of an interval over its median: by what share a measured value may be off. */
struct spread {
  double low, high;
};

static struct spread spread_of(const json_t *object, const char *key) {
  double median = part(object, key, "median");
  struct spread spread = {part(object, key, "ci_low") / median,
                          part(object, key, "ci_high") / median};
  if (!(spread.low > 0) || !isfinite(spread.low) || spread.low > 1) spread.low = 1;
  if (!(spread.high >= 1) || !isfinite(spread.high)) spread.high = 1;
  return spread;
}

/* ---- the model ---------------------------------------------------------------------- */

void plan_take_shape(struct plan_inputs *inputs, const struct shape *shape, double weight_bytes,
                     double kv_bytes) {
  inputs->cost.params = shape_params(shape);
  inputs->cost.weights_bytes = inputs->cost.params * weight_bytes;
  inputs->cost.kv_bytes_per_token = shape_kv_bytes_per_token(shape, kv_bytes);
  inputs->attention_flops_per_pair = shape_attention_flops_per_pair(shape);
}

static double element_bytes(const json_t *rig, const char *key) {
  double bytes = capacity_dtype_bytes(strncmp(text(rig, key), "fp8", 3) == 0 ? "fp8" : "bf16");
  return bytes;
}

/* A preset's shape by its name; another model's KV from its pages, and what the result tells of its
 * parameters: results of before that field keep the default's. */
static int take_model(struct plan_inputs *inputs, struct plan_source *source, const json_t *rig,
                      struct error *error) {
  take_text(source->model, sizeof source->model, rig, "model");
  source->layers_run = (int)count_of(rig, "layers_run", LAYERS_MAX);
  source->layers_model = (int)count_of(rig, "layers_model", LAYERS_MAX);
  if (source->layers_run < 1 || source->layers_model < source->layers_run)
    return missing("rig.layers_run", error);
  const struct shape *shape = shape_preset(source->model);
  if (shape) {
    plan_take_shape(inputs, shape, element_bytes(rig, "dtype"), element_bytes(rig, "kv_dtype"));
    return 0;
  }
  double kv_bytes = number(rig, "page_payload_bytes") / number(rig, "page_tokens") *
                    source->layers_model;
  if (!(kv_bytes > 0) || !isfinite(kv_bytes)) return missing("rig.page_payload_bytes", error);
  inputs->cost.kv_bytes_per_token = kv_bytes;
  double params = number(rig, "params"), pair = number(rig, "attention_flops_per_pair");
  if (params >= 1 && params <= PARAMS_MAX) {
    inputs->cost.params = params;
    inputs->cost.weights_bytes = params * element_bytes(rig, "dtype");
  }
  if (pair > 0 && pair <= PARAMS_MAX) inputs->attention_flops_per_pair = pair;
  return 0;
}

/* ---- fits ------------------------------------------------------------------------------ */

/* The points of a sweep, or the compute grid of a calibration. */
static void fit_compute(struct plan_fit *fit, const json_t *points, const char *key,
                        double layers) {
  size_t n = json_array_size(points);
  struct fit_compute_sample *samples = n && n <= FIT_SAMPLES_MAX ? calloc(n, sizeof *samples)
                                                                 : NULL;
  if (!samples) return;
  int kept = 0;
  for (size_t i = 0; i < n; i++) {
    const json_t *point = json_array_get(points, i);
    struct fit_compute_sample sample = {.n_new = number(point, "n_new"),
                                        .n_past = number(point, "n_past"),
                                        .time_s = part(point, key, "median") * layers};
    if (sample.n_new >= 1 && sample.n_past >= 0 && sample.time_s > 0) samples[kept++] = sample;
  }
  fit->compute_samples = kept;
  fit->compute_known =
      kept >= FIT_POINTS_MIN &&
      fit_compute_samples(samples, kept, &fit->compute, NULL, &fit->compute_quality) &&
      fit->compute_quality.rms < FIT_RMS_MAX;
  free(samples);
}

static bool seen(const struct fit_line_sample *samples, int n, double x) {
  for (int i = 0; i < n; i++) {
    if (samples[i].x == x) return true;
  }
  return false;
}

/* A line over bytes: where its samples are, and where it goes. */
struct fitted_line {
  const char *time_key, *tokens_key;
  struct fit_line *line;
  struct fit_quality *quality;
  int *samples;
  bool *known;
};

static void fit_transfer(const struct fitted_line *fitted, const json_t *points, double kv_bytes,
                         double layers) {
  size_t n = json_array_size(points);
  struct fit_line_sample *samples = n && n <= FIT_SAMPLES_MAX ? calloc(n, sizeof *samples) : NULL;
  if (!samples) return;
  int kept = 0;
  int sizes = 0;
  for (size_t i = 0; i < n; i++) {
    const json_t *point = json_array_get(points, i);
    double time_s = part(point, fitted->time_key, "median") * layers;
    double bytes = number(point, fitted->tokens_key) * kv_bytes;
    if (!(bytes > 0) || !(time_s > 0)) continue;
    sizes += !seen(samples, kept, bytes);
    samples[kept++] = (struct fit_line_sample){bytes, time_s};
  }
  *fitted->samples = kept;
  *fitted->known = sizes >= FIT_SIZES_MIN &&
                   fit_line_samples(samples, kept, fitted->line, NULL, fitted->quality) &&
                   fitted->quality->rms < FIT_RMS_MAX;
  free(samples);
}

/* ---- which numbers ----------------------------------------------------------------------- */

/* The summary of the length nearest to n_tokens; the longest where that is 0. */
static const json_t *nearest_summary(const json_t *result, double n_tokens) {
  const json_t *summary = json_object_get(result, "summary");
  if (!json_is_array(summary)) return summary;
  const json_t *best = NULL;
  for (size_t i = 0; i < json_array_size(summary); i++) {
    const json_t *candidate = json_array_get(summary, i);
    double n = number(candidate, "n_tokens");
    bool better = !best ||
                  (n_tokens > 0 ? fabs(n - n_tokens) < fabs(number(best, "n_tokens") - n_tokens)
                                : n > number(best, "n_tokens"));
    if (better) best = candidate;
  }
  return best;
}

/* The sweep's point of this length, policy and (where not NaN) alpha. */
static const json_t *find_point(const json_t *result, const char *policy, double n, double alpha) {
  const json_t *points = json_object_get(result, "points");
  for (size_t i = 0; i < json_array_size(points); i++) {
    const json_t *point = json_array_get(points, i);
    if (strcmp(text(point, "policy"), policy) != 0 || number(point, "n_tokens") != n) continue;
    if (!isnan(alpha) && number(point, "alpha") != alpha) continue;
    return point;
  }
  return NULL;
}

struct spreads {
  struct spread compute, read, write;
};

static struct spreads sweep_spreads(const json_t *result, const json_t *summary) {
  double n = number(summary, "n_tokens");
  const json_t *alone = find_point(result, "recompute", n, NAN);
  const json_t *best = find_point(result, "overlap", n, number(summary, "best_alpha"));
  bool copied = part(best, "h2d_alone_s", "median") > part(best, "read_alone_s", "median");
  return (struct spreads){spread_of(alone, "compute_alone_s"),
                          spread_of(best, copied ? "h2d_alone_s" : "read_alone_s"),
                          spread_of(best, "write_alone_s")};
}

/* Of a rate the high end is the low end of the time. */
static struct spread inverse(struct spread rate) {
  return (struct spread){1 / rate.high, 1 / rate.low};
}

static struct spreads calibrate_spreads(const json_t *result, const json_t *summary) {
  struct spreads spreads = {{1, 1}, {1, 1}, {1, 1}};
  const json_t *rows = json_object_get(result, "storage");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    if (number(row, "storage_read_s_per_token") != number(summary, "storage_read_s_per_token"))
      continue;
    spreads.read = inverse(spread_of(row, "read_bytes_per_s"));
    spreads.write = inverse(spread_of(row, "write_bytes_per_s"));
  }
  const json_t *points = json_object_get(result, "compute");
  for (size_t i = 0; i < json_array_size(points); i++) {
    const json_t *point = json_array_get(points, i);
    if (number(point, "n_past") == 0 && number(point, "n_new") <= number(summary, "n_tokens"))
      spreads.compute = spread_of(point, "compute_s");
  }
  return spreads;
}

static void take_fits(struct plan_inputs *inputs, const json_t *result, const json_t *summary,
                      bool sweep, double layers) {
  struct plan_fit *fit = &inputs->fit;
  double kv_bytes = inputs->cost.kv_bytes_per_token;
  fit->n_tokens = number(summary, "n_tokens");
  if (sweep) {
    const json_t *points = json_object_get(result, "points");
    fit_compute(fit, points, "compute_alone_s", layers);
    fit_transfer(&(struct fitted_line){"read_alone_s", "n_past", &fit->read, &fit->read_quality,
                                       &fit->read_samples, &fit->read_known},
                 points, kv_bytes, layers);
    fit_transfer(&(struct fitted_line){"write_alone_s", "n_new", &fit->write, &fit->write_quality,
                                       &fit->write_samples, &fit->write_known},
                 points, kv_bytes, layers);
    /* R and W of the summary are those of its best alpha. */
    fit->read_bytes = number(summary, "best_alpha") * fit->n_tokens * kv_bytes;
    fit->write_bytes = (1 - number(summary, "best_alpha")) * fit->n_tokens * kv_bytes;
    fit->read_known = fit->read_known && fit->read_bytes > 0;
    fit->write_known = fit->write_known && fit->write_bytes > 0;
  } else {
    fit_compute(fit, json_object_get(result, "compute"), "compute_s", layers);
  }
}

static void take_requests(struct plan_requests *requests, const json_t *point, double layers) {
  const json_t *samples = json_object_get(json_object_get(point, "first_token_s"), "samples");
  requests->n = 0;
  for (size_t i = 0; i < json_array_size(samples) && requests->n < PLAN_REQUESTS_MAX; i++) {
    double ttft_s = json_number_value(json_array_get(samples, i));
    if (ttft_s > 0) requests->ttft_s[requests->n++] = ttft_s * layers;
  }
}

/* R and W may be unknown (an emulated drive): then they follow from bandwidths. */
static double time_of(const json_t *summary, const char *key, double layers) {
  double value = number(summary, key) * layers;
  return value > 0 ? value : NAN;
}

int plan_take_result(struct plan_inputs *inputs, struct plan_uncertainty *u,
                     struct plan_source *source, const json_t *result, double n_tokens,
                     struct error *error) {
  *source = (struct plan_source){.layers_run = 1};
  take_text(source->command, sizeof source->command, result, "command");
  bool sweep = strcmp(source->command, "sweep") == 0;
  if (!sweep && strcmp(source->command, "calibrate") != 0)
    return error_set(error, -EINVAL,
                     "a result of %s, which holds no T and R; accepted: of sweep or calibrate",
                     source->command);
  const json_t *rig = json_object_get(result, "rig");
  const json_t *device = json_object_get(rig, "device");
  take_text(source->device, sizeof source->device, device, "name");
  source->played_back = json_is_true(json_object_get(device, "played_back"));
  source->emulated = json_is_true(json_object_get(json_object_get(rig, "reader"), "emulated"));
  int code = take_model(inputs, source, rig, error);
  if (code < 0) return code;

  const json_t *summary = nearest_summary(result, n_tokens);
  double layers = (double)source->layers_model / source->layers_run;
  inputs->compute_s_per_token = time_of(summary, "compute_s_per_token", layers);
  inputs->read_s_per_token = time_of(summary, "read_s_per_token", layers);
  inputs->write_s_per_token = time_of(summary, "write_s_per_token", layers);
  if (isnan(inputs->compute_s_per_token)) return missing("summary.compute_s_per_token", error);
  if (count_of(summary, "n_tokens", TOKENS_MAX) == 0) return missing("summary.n_tokens", error);
  inputs->cost.context_tokens = n_tokens > 0 ? n_tokens : number(summary, "n_tokens");
  take_fits(inputs, result, summary, sweep, layers);
  if (sweep)
    take_requests(
        &inputs->requests,
        find_point(result, "overlap", number(summary, "n_tokens"), number(summary, "best_alpha")),
        layers);
  struct spreads s = sweep ? sweep_spreads(result, summary) : calibrate_spreads(result, summary);
  *u = (struct plan_uncertainty){
      inputs->compute_s_per_token * s.compute.low, inputs->compute_s_per_token * s.compute.high,
      inputs->read_s_per_token * s.read.low,       inputs->read_s_per_token * s.read.high,
      inputs->write_s_per_token * s.write.low,     inputs->write_s_per_token * s.write.high};
  return 0;
}
