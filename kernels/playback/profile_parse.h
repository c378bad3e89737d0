/*
 * The pieces that profile_parse() is made of: JSON values of a profile, each
 * checked as it is read. Every function returns 0 or -EINVAL with "FILE: FIELD
 * is VALUE; what is accepted" in the error.
 */
#ifndef REFILL_KERNELS_PLAYBACK_PROFILE_PARSE_H
#define REFILL_KERNELS_PLAYBACK_PROFILE_PARSE_H

#include <jansson.h>

#include "kernels/playback/profile.h"

/* Where in which file we are: for messages. */
struct parse {
  const char *file;
  const char *part; /* "" or the enclosing object with its dot: "shape." */
  struct error *error;
};

/* The whole-number fields of a shape, once, for parsing, writing and matching. */
struct profile_shape_field {
  const char *name;
  size_t offset; /* of an int in struct shape */
};
enum { PROFILE_SHAPE_FIELDS = 7 };
extern const struct profile_shape_field profile_shape_fields[PROFILE_SHAPE_FIELDS];

/* The i-th of them. */
int profile_shape_value(const struct shape *shape, int i);

/* Refuses `value` at part + field, saying what is accepted; value NULL: it is missing. */
int parse_refuse(const struct parse *parse, const char *field, const json_t *value,
                 const char *accepted);

/* Refuses the first key of `object` that is not among the `n` allowed ones. */
int parse_only_keys(const struct parse *parse, const json_t *object, const char *const *allowed,
                    int n);

/* A text of at least `minimum` characters that fits text[room]. */
int parse_text(const struct parse *parse, const json_t *object, const char *field, char *text,
               size_t room, size_t minimum);

/* A finite number in [low, high] (an integer will do), by its field or as such. */
int parse_real(const struct parse *parse, const json_t *object, const char *field, double low,
               double high, double *value);
int parse_real_value(const struct parse *parse, const char *field, const json_t *json, double low,
                     double high, double *value);

/* "measured", "published" or "derived". */
int parse_origin(const struct parse *parse, const json_t *object, enum profile_origin *origin);

/* The axis `field` of a part: an array of 1..PROFILE_AXIS_MAX integers in [low,
 * PROFILE_TOKENS_MAX], ascending strictly. The array is the caller's to free, also on error. */
int parse_axis(const struct parse *parse, const json_t *object, const char *field, int64_t low,
               const int64_t **axis, int *n_points);

/* A whole part: layer_s needs both axes, the others need none. What the grid points to
 * is profile_free()'s to free, also on error. */
int parse_grid(const struct parse *parse, const json_t *part, bool two_axes,
               struct profile_grid *grid);

/* The object "shape", every field required, checked by shape_problem(). */
int parse_shape(const struct parse *parse, const json_t *json, struct shape *shape);

#endif
