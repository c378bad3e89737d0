/*
 * The shape within a profile: what the times are of, and whether that is what runs.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/playback/profile_parse.h"

const struct profile_shape_field profile_shape_fields[PROFILE_SHAPE_FIELDS] = {
    {"layers", offsetof(struct shape, layers)},
    {"hidden", offsetof(struct shape, hidden)},
    {"q_heads", offsetof(struct shape, q_heads)},
    {"kv_heads", offsetof(struct shape, kv_heads)},
    {"head_dim", offsetof(struct shape, head_dim)},
    {"ffn", offsetof(struct shape, ffn)},
    {"vocabulary", offsetof(struct shape, vocabulary)},
};

int profile_shape_value(const struct shape *shape, int i) {
  int value;
  memcpy(&value, (const char *)shape + profile_shape_fields[i].offset, sizeof value);
  return value;
}

static int parse_shape_numbers(const struct parse *parse, const json_t *json, struct shape *shape) {
  for (int i = 0; i < PROFILE_SHAPE_FIELDS; i++) {
    const char *name = profile_shape_fields[i].name;
    const json_t *field = json_object_get(json, name);
    json_int_t number = json_integer_value(field); /* 0 for what is no integer */
    if (number < 1 || number > INT_MAX) {
      return parse_refuse(parse, name, field, "it is a whole number from 1 to 2147483647");
    }
    int value = (int)number;
    memcpy((char *)shape + profile_shape_fields[i].offset, &value, sizeof value);
  }
  int code = parse_real(parse, json, "rope_theta", 1.0, 1e12, &shape->rope_theta);
  return code != 0 ? code : parse_real(parse, json, "norm_eps", 0.0, 1.0, &shape->norm_eps);
}

int parse_shape(const struct parse *outer, const json_t *json, struct shape *shape) {
  static const char *const keys[] = {"name",     "layers",     "hidden",    "q_heads",
                                     "kv_heads", "tied",       "head_dim",  "ffn",
                                     "norm_eps", "vocabulary", "rope_theta"};
  struct parse parse = {outer->file, "shape.", outer->error};
  if (!json_is_object(json)) return parse_refuse(outer, "shape", json, "it is an object");
  int code = parse_only_keys(&parse, json, keys, sizeof keys / sizeof keys[0]);
  if (code == 0) code = parse_text(&parse, json, "name", shape->name, sizeof shape->name, 1);
  if (code == 0) code = parse_shape_numbers(&parse, json, shape);
  if (code != 0) return code;
  const json_t *tied = json_object_get(json, "tied");
  if (!json_is_boolean(tied)) return parse_refuse(&parse, "tied", tied, "it is true or false");
  shape->tied = json_is_true(tied);
  const char *problem = shape_problem(shape);
  if (problem == NULL) return 0;
  return error_set(parse.error, -EINVAL, "%s: shape is not usable: %s", parse.file, problem);
}

/* Equal but for the rounding of a decimal text. */
static bool same_real(double a, double b) {
  return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static int match_element(const struct profile *profile, const char *what, const char *option,
                         enum element has, enum element wants, struct error *error) {
  if (has == wants) return 0;
  return error_set(error, -EINVAL,
                   "playback profile %s was made with %s %s, this run has %s; give %s %s or "
                   "another profile",
                   profile->name, what, element_name(has), element_name(wants), option,
                   element_name(has));
}

int profile_match(const struct profile *profile, const struct shape *shape, enum element element,
                  enum element kv_element, struct error *error) {
  if (profile->any_shape) return 0;
  const char *hint = "give the --model that it was made with, or another profile";
  for (int i = 0; i < PROFILE_SHAPE_FIELDS; i++) {
    int has = profile_shape_value(&profile->shape, i), wants = profile_shape_value(shape, i);
    if (has == wants) continue;
    return error_set(error, -EINVAL, "playback profile %s (%s) has %s %d, the model %s has %d; %s",
                     profile->name, profile->shape.name, profile_shape_fields[i].name, has,
                     shape->name, wants, hint);
  }
  const struct {
    const char *name;
    double has, wants;
  } reals[] = {
      {"tied", profile->shape.tied, shape->tied},
      {"rope_theta", profile->shape.rope_theta, shape->rope_theta},
      {"norm_eps", profile->shape.norm_eps, shape->norm_eps},
  };
  for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
    if (same_real(reals[i].has, reals[i].wants)) continue;
    return error_set(error, -EINVAL, "playback profile %s (%s) has %s %g, the model %s has %g; %s",
                     profile->name, profile->shape.name, reals[i].name, reals[i].has, shape->name,
                     reals[i].wants, hint);
  }
  int code = match_element(profile, "element", "--dtype", profile->element, element, error);
  if (code != 0) return code;
  return match_element(profile, "kv_element", "--kv-dtype", profile->kv_element, kv_element, error);
}
