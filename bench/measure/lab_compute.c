/*
 * Reading compute times. A calibration's points are put on a grid again; between them times are
 * interpolated as a profile's are.
 */
#include "bench/measure/lab_compute.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PLAYBACK "playback:"

/* Where `value` stands on an ascending axis, put in its place if it is new; -1: no room. */
static int place(int64_t *axis, int *n, int64_t value) {
  int at = 0;
  while (at < *n && axis[at] < value) at++;
  if (at < *n && axis[at] == value) return at;
  if (*n == LAB_AXIS_MAX) return -1;
  memmove(axis + at + 1, axis + at, (size_t)(*n - at) * sizeof *axis);
  axis[at] = value;
  (*n)++;
  return at;
}

static int64_t whole(const json_t *object, const char *key) {
  return (int64_t)json_integer_value(json_object_get(object, key));
}

static int take_axes(struct lab_compute *compute, const json_t *points, int *n_new, int *n_past) {
  size_t i;
  const json_t *point;
  json_array_foreach(points, i, point) {
    if (whole(point, "n_new") < 1 || whole(point, "n_past") < 0) return -EINVAL;
    if (place(compute->new_axis, n_new, whole(point, "n_new")) < 0) return -EINVAL;
    if (place(compute->past_axis, n_past, whole(point, "n_past")) < 0) return -EINVAL;
  }
  return *n_new > 0 ? 0 : -EINVAL;
}

static int take_points(struct lab_compute *compute, const json_t *points) {
  int n_new = 0;
  int n_past = 0;
  if (take_axes(compute, points, &n_new, &n_past)) return -EINVAL;
  for (int i = 0; i < n_new * n_past; i++) compute->seconds[i] = NAN;
  size_t i;
  const json_t *point;
  json_array_foreach(points, i, point) {
    int row = place(compute->new_axis, &n_new, whole(point, "n_new"));
    int column = place(compute->past_axis, &n_past, whole(point, "n_past"));
    const json_t *interval = json_object_get(point, "compute_s");
    compute->seconds[row * n_past + column] =
        json_number_value(json_object_get(interval, "median"));
  }
  for (int k = 0; k < n_new * n_past; k++) {
    if (!(compute->seconds[k] > 0)) return -EINVAL;
  }
  compute->grid = (struct profile_grid){.n_rows = n_new,
                                        .n_columns = n_past,
                                        .n_new = compute->new_axis,
                                        .n_past = compute->past_axis,
                                        .seconds = compute->seconds};
  return 0;
}

static int load_calibration(struct lab_compute *compute, const char *path, struct error *error) {
  json_error_t where;
  json_t *json = json_load_file(path, 0, &where);
  if (!json)
    return error_set(error, -EINVAL,
                     "--compute %s: %s; accepted: a result of refill calibrate, or "
                     "playback:PROFILE",
                     path, where.text);
  const json_t *rig = json_object_get(json, "rig");
  const char *model = json_string_value(json_object_get(rig, "model"));
  compute->layers = (int)whole(rig, "layers_run");
  const json_t *device = json_object_get(rig, "device");
  compute->played_back = json_is_true(json_object_get(device, "played_back"));
  if (model) snprintf(compute->model, sizeof compute->model, "%s", model);
  int code = take_points(compute, json_object_get(json, "compute"));
  json_decref(json);
  if (!model || compute->layers < 1 || code)
    return error_set(error, -EINVAL,
                     "--compute %s: no compute times over whole (n_new, n_past) in it; accepted: "
                     "a result of refill calibrate, or playback:PROFILE",
                     path);
  compute->known = true;
  return 0;
}

static int load_profile(struct lab_compute *compute, const char *name, struct error *error) {
  int failed = profile_load(&compute->profile, name, error);
  if (failed) return failed == -ENOENT ? -EINVAL : failed; /* a name that is none */
  if (compute->profile->any_shape)
    return error_set(error, -EINVAL, "--compute playback:%s: that profile has no times", name);
  compute->shape = compute->profile->shape;
  compute->layers = compute->shape.layers;
  snprintf(compute->model, sizeof compute->model, "%s", compute->shape.name);
  compute->played_back = true;
  compute->known = true;
  return 0;
}

int lab_compute_load(struct lab_compute *compute, const char *from, struct error *error) {
  memset(compute, 0, sizeof *compute);
  if (!from || !from[0]) return 0;
  if (strncmp(from, PLAYBACK, strlen(PLAYBACK)) == 0)
    return load_profile(compute, from + strlen(PLAYBACK), error);
  return load_calibration(compute, from, error);
}

void lab_compute_free(struct lab_compute *compute) {
  profile_free(compute->profile);
  compute->profile = NULL;
}

double lab_compute_s(const struct lab_compute *compute, double n_new, double n_past) {
  if (!compute->known) return NAN;
  int64_t tokens = n_new > 1 ? (int64_t)n_new : 1;
  int64_t past = n_past > 0 ? (int64_t)n_past : 0;
  if (!compute->profile) return profile_grid_s(&compute->grid, tokens, past);
  return compute->layers * profile_layer_s(compute->profile, tokens, past) +
         profile_embedding_s(compute->profile, tokens) + profile_head_s(compute->profile);
}
