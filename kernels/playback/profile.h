/*
 * A playback profile: how long one layer takes on some device, as data.
 *
 * A JSON file of schema "refill-profile/1", made from published figures
 * (scripts/make-profile.py) or measured here (`calibrate --profile FILE`):
 *
 *   schema       "refill-profile/1"
 *   about        what it is, in a sentence or two
 *   source       where the figures come from
 *   device       "NVIDIA H100 80GB HBM3 (SXM)"
 *   shape        every field of struct shape: the model that the times are of
 *   element      "bf16" or "fp8": weights and activations
 *   kv_element   likewise: KV
 *   layer_s      a part (below) over n_new and n_past: ONE layer
 *   embedding_s  a part over n_new, or of one number: before layer 0
 *   head_s       likewise: final norm, LM head and argmax of one last token
 *   peaks        {"from", "flops_per_s", "hbm_bytes_per_s"}; 0 where unknown
 *
 * A part is {"from": "measured" | "published" | "derived", "how": text
 * (optional), "seconds": number} or, with axes, {"from", "how", "n_new": [...],
 * "n_past": [...], "seconds": [[...], ...]}: one row of seconds for each n_new, one column for
 * each n_past. The two axes ascend strictly. A part over n_new alone has no n_past, and
 * "seconds" is a plain list.
 *
 * Files may come from anyone, so every value is checked before it is used; what is refused
 * is named with file, field and value.
 */
#ifndef REFILL_KERNELS_PLAYBACK_PROFILE_H
#define REFILL_KERNELS_PLAYBACK_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/element.h"
#include "model/shape.h"

#define PROFILE_SCHEMA "refill-profile/1"
#define PROFILE_TEXT_BYTES 1024
#define PROFILE_NAME_BYTES 128
#define PROFILE_AXIS_MAX 256                  /* points of one axis */
#define PROFILE_FILE_BYTES_MAX (4 << 20)      /* a larger file is refused unread */
#define PROFILE_TOKENS_MAX (INT64_C(1) << 40) /* largest value on an axis */
#define PROFILE_SECONDS_MAX 86400.0           /* largest time: a day */
#define PROFILE_SUFFIX ".json"

enum profile_origin { PROFILE_MEASURED, PROFILE_PUBLISHED, PROFILE_DERIVED };

/* Seconds over one or two axes. Arrays belong to the profile when it was
 * loaded, to the caller when it was put together for profile_write(). */
struct profile_grid {
  enum profile_origin origin;
  char how[PROFILE_TEXT_BYTES]; /* how they came about; "" where not said */
  int n_rows;                   /* points of n_new; 1 and n_new NULL: one number */
  int n_columns;                /* points of n_past; 1 and n_past NULL: no such axis */
  const int64_t *n_new;         /* (n_rows) ascending, >= 1 */
  const int64_t *n_past;        /* (n_columns) ascending, >= 0 */
  const double *seconds;        /* (n_rows, n_columns) */
};

struct profile_peaks {
  enum profile_origin origin;
  double flops_per_s;     /* in `element`; 0 unknown */
  double hbm_bytes_per_s; /* 0 unknown */
};

struct profile {
  char name[PROFILE_NAME_BYTES]; /* as it was asked for: a built-in's name or a path */
  char about[PROFILE_TEXT_BYTES];
  char source[PROFILE_TEXT_BYTES];
  char device[PROFILE_NAME_BYTES];
  bool any_shape; /* the built-in "zero": fits every shape and element */
  struct shape shape;
  enum element element;
  enum element kv_element;
  struct profile_grid layer_s;
  struct profile_grid embedding_s;
  struct profile_grid head_s;
  struct profile_peaks peaks;
};

/* "measured", "published", "derived". */
const char *profile_origin_name(enum profile_origin origin);

/* Loads a built-in profile by name, or a file by path (whatever contains a '/' or ends in
 * ".json"). Returns 0 and a profile to be freed; -ENOENT (message lists the built-in ones),
 * -EINVAL for a file that is not a profile (message names file, field and value), -EFBIG, or
 * what reading it gave. */
int profile_load(struct profile **profile, const char *name_or_path, struct error *error);

/* Frees what profile_load() or profile_parse() made. NULL is allowed. */
void profile_free(struct profile *profile);

/* Parses the text of a profile; `name` is for messages and profile->name. Same returns. */
int profile_parse(struct profile **profile, const char *name, const char *text, size_t text_bytes,
                  struct error *error);

/* Names of built-in profiles: the i-th, NULL past the last; for help texts and `doctor`. */
const char *profile_builtin_name(int index);

/* Writes a profile (any_shape false; name is not written) to `path`: first to a new file beside
 * it, synced, then renamed, so that `path` holds a whole profile or what it held before. Checks
 * the profile as loading would. Returns 0, -EINVAL with the field named, or what the system gave.
 */
int profile_write(const struct profile *profile, const char *path, struct error *error);

/* Seconds of one layer over n_new >= 1 new tokens after n_past >= 0 stored ones: linear between
 * grid points in n_new and in n_past (so bilinear), held at the first point below it, continued
 * through the last two points beyond them, never below 0. An axis of one point: constant. */
double profile_layer_s(const struct profile *profile, int64_t n_new, int64_t n_past);

/* The same for the embedding of n_new tokens, and for the head of one sequence. */
double profile_embedding_s(const struct profile *profile, int64_t n_new);
double profile_head_s(const struct profile *profile);

/* The interpolation itself. */
double profile_grid_s(const struct profile_grid *grid, int64_t n_new, int64_t n_past);

/* 0 when the profile's times are of this shape and these elements; else -EINVAL with the field
 * and both values named. The shape's name, a label, is not compared. */
int profile_match(const struct profile *profile, const struct shape *shape, enum element element,
                  enum element kv_element, struct error *error);

#endif
