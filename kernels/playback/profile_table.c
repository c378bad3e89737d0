/*
 * A profile's parts: axes and the seconds over them. Sizes are bounded before
 * anything is allocated, and a table must have exactly the size of its axes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/playback/profile_parse.h"

enum { FIELD_BYTES = 48 };

int parse_axis(const struct parse *parse, const json_t *object, const char *field, int64_t low,
               const int64_t **axis, int *n_points) {
  const json_t *json = json_object_get(object, field);
  size_t n = json_array_size(json); /* 0 for what is no array */
  if (n < 1 || n > PROFILE_AXIS_MAX) {
    return parse_refuse(parse, field, json, "it is a list of 1 to 256 whole numbers");
  }
  int64_t *points = calloc(n, sizeof *points);
  if (points == NULL) return error_set(parse->error, -ENOMEM, "%s: no memory", parse->file);
  *axis = points;
  for (size_t i = 0; i < n; i++) {
    const json_t *point = json_array_get(json, i);
    char name[FIELD_BYTES], accepted[FIELD_BYTES * 2];
    snprintf(name, sizeof name, "%s[%zu]", field, i);
    int64_t least = i == 0 ? low : points[i - 1] + 1;
    snprintf(accepted, sizeof accepted, "it is a whole number from %lld to 2^40, ascending",
             (long long)least);
    if (!json_is_integer(point)) return parse_refuse(parse, name, point, accepted);
    points[i] = json_integer_value(point);
    if (points[i] < least || points[i] > PROFILE_TOKENS_MAX) {
      return parse_refuse(parse, name, point, accepted);
    }
  }
  *n_points = (int)n;
  return 0;
}

/* One list of `n` seconds into row[n]; `field` names the list. */
static int parse_row(const struct parse *parse, const char *field, const json_t *json, int n,
                     double *row) {
  char accepted[FIELD_BYTES * 2];
  snprintf(accepted, sizeof accepted, "it is a list of %d, as long as its axis", n);
  if (!json_is_array(json) || json_array_size(json) != (size_t)n) {
    return parse_refuse(parse, field, json, accepted);
  }
  for (int i = 0; i < n; i++) {
    char name[FIELD_BYTES];
    snprintf(name, sizeof name, "%s[%d]", field, i);
    int code = parse_real_value(parse, name, json_array_get(json, (size_t)i), 0.0,
                                PROFILE_SECONDS_MAX, &row[i]);
    if (code != 0) return code;
  }
  return 0;
}

/* A matrix, a row for each n_new. */
static int parse_matrix(const struct parse *parse, const json_t *json, int n_rows, int n_columns,
                        double *seconds) {
  char accepted[FIELD_BYTES * 2];
  snprintf(accepted, sizeof accepted, "it is a list of %d rows, one for each n_new", n_rows);
  if (!json_is_array(json) || json_array_size(json) != (size_t)n_rows) {
    return parse_refuse(parse, "seconds", json, accepted);
  }
  for (int i = 0; i < n_rows; i++) {
    char name[FIELD_BYTES / 2];
    snprintf(name, sizeof name, "seconds[%d]", i);
    int code = parse_row(parse, name, json_array_get(json, (size_t)i), n_columns,
                         seconds + (size_t)i * (size_t)n_columns);
    if (code != 0) return code;
  }
  return 0;
}

int parse_grid(const struct parse *parse, const json_t *part, bool two_axes,
               struct profile_grid *grid) {
  static const char *const keys[] = {"from", "how", "seconds", "n_new", "n_past"};
  bool over_n_new = two_axes || json_object_get(part, "n_new") != NULL;
  int code = parse_only_keys(parse, part, keys, two_axes ? 5 : 4);
  if (code == 0) code = parse_origin(parse, part, &grid->origin);
  if (code == 0 && json_object_get(part, "how") != NULL) {
    code = parse_text(parse, part, "how", grid->how, sizeof grid->how, 0);
  }
  grid->n_rows = 1;
  grid->n_columns = 1;
  if (code == 0 && over_n_new) {
    code = parse_axis(parse, part, "n_new", 1, &grid->n_new, &grid->n_rows);
  }
  if (code == 0 && two_axes) {
    code = parse_axis(parse, part, "n_past", 0, &grid->n_past, &grid->n_columns);
  }
  if (code != 0) return code;

  double *seconds = calloc((size_t)grid->n_rows * (size_t)grid->n_columns, sizeof *seconds);
  if (seconds == NULL) return error_set(parse->error, -ENOMEM, "%s: no memory", parse->file);
  grid->seconds = seconds;
  const json_t *json = json_object_get(part, "seconds");
  if (two_axes) return parse_matrix(parse, json, grid->n_rows, grid->n_columns, seconds);
  if (over_n_new) return parse_row(parse, "seconds", json, grid->n_rows, seconds);
  return parse_real_value(parse, "seconds", json, 0.0, PROFILE_SECONDS_MAX, seconds);
}
