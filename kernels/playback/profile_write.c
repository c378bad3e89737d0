/*
 * A profile to a file: one line for each field and each row of seconds, so that two profiles can
 * be compared line by line. The text is parsed back before it is written: what this
 * program writes, it reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/playback/profile_parse.h"

enum { SECONDS_DIGITS = 9 };

static void put_text(FILE *out, const char *key, const char *text) {
  json_t *json = json_string(text); /* NULL where it is not UTF-8: parsing back then refuses it */
  char *quoted = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
  fprintf(out, "\"%s\": %s", key, quoted != NULL ? quoted : "null");
  free(quoted);
  json_decref(json);
}

/* What is not finite becomes null, which parsing back refuses by its field. */
static void put_real(FILE *out, double value) {
  if (isfinite(value)) {
    fprintf(out, "%.*g", SECONDS_DIGITS, value);
  } else {
    fprintf(out, "null");
  }
}

static void put_axis(FILE *out, const char *key, const int64_t *axis, int n) {
  fprintf(out, "  \"%s\": [", key);
  for (int i = 0; i < n; i++) fprintf(out, "%s%lld", i > 0 ? ", " : "", (long long)axis[i]);
  fprintf(out, "],\n");
}

static void put_row(FILE *out, const double *row, int n) {
  for (int i = 0; i < n; i++) {
    fprintf(out, "%s", i > 0 ? ", " : "[");
    put_real(out, row[i]);
  }
  fputc(']', out);
}

static void put_grid(FILE *out, const char *name, const struct profile_grid *grid) {
  fprintf(out, " \"%s\": {\n  \"from\": \"%s\",\n  ", name, profile_origin_name(grid->origin));
  put_text(out, "how", grid->how);
  fprintf(out, ",\n");
  if (grid->n_new != NULL) put_axis(out, "n_new", grid->n_new, grid->n_rows);
  if (grid->n_past != NULL) put_axis(out, "n_past", grid->n_past, grid->n_columns);
  fprintf(out, "  \"seconds\": ");
  if (grid->n_new == NULL) {
    put_real(out, grid->seconds[0]);
  } else if (grid->n_past == NULL) {
    put_row(out, grid->seconds, grid->n_rows);
  } else {
    for (int i = 0; i < grid->n_rows; i++) {
      fprintf(out, "%s\n   ", i > 0 ? "," : "[");
      put_row(out, grid->seconds + (size_t)i * (size_t)grid->n_columns, grid->n_columns);
    }
    fprintf(out, "\n  ]");
  }
  fprintf(out, "\n },\n");
}

static void put_shape(FILE *out, const struct shape *shape) {
  fprintf(out, " \"shape\": {\n  ");
  put_text(out, "name", shape->name);
  for (int i = 0; i < PROFILE_SHAPE_FIELDS; i++) {
    fprintf(out, ",\n  \"%s\": %d", profile_shape_fields[i].name, profile_shape_value(shape, i));
  }
  fprintf(out, ",\n  \"tied\": %s,\n  \"rope_theta\": ", shape->tied ? "true" : "false");
  put_real(out, shape->rope_theta);
  fprintf(out, ",\n  \"norm_eps\": ");
  put_real(out, shape->norm_eps);
  fprintf(out, "\n },\n");
}

static void put_profile(FILE *out, const struct profile *profile) {
  fprintf(out, "{\n \"schema\": \"" PROFILE_SCHEMA "\",\n ");
  put_text(out, "about", profile->about);
  fprintf(out, ",\n ");
  put_text(out, "source", profile->source);
  fprintf(out, ",\n ");
  put_text(out, "device", profile->device);
  fprintf(out, ",\n");
  put_shape(out, &profile->shape);
  fprintf(out, " \"element\": \"%s\",\n \"kv_element\": \"%s\",\n", element_name(profile->element),
          element_name(profile->kv_element));
  put_grid(out, "layer_s", &profile->layer_s);
  put_grid(out, "embedding_s", &profile->embedding_s);
  put_grid(out, "head_s", &profile->head_s);
  const struct profile_peaks *peaks = &profile->peaks;
  fprintf(out, " \"peaks\": {\n  \"from\": \"%s\",\n  \"flops_per_s\": ",
          profile_origin_name(peaks->origin));
  put_real(out, peaks->flops_per_s);
  fprintf(out, ",\n  \"hbm_bytes_per_s\": ");
  put_real(out, peaks->hbm_bytes_per_s);
  fprintf(out, "\n }\n}\n");
}

static bool has_size(const struct profile_grid *grid, bool two_axes) {
  bool rows = grid->n_new != NULL ? grid->n_rows >= 1 : grid->n_rows == 1;
  bool columns = grid->n_past != NULL ? grid->n_columns >= 1 : grid->n_columns == 1;
  bool axes = two_axes ? grid->n_new != NULL && grid->n_past != NULL : grid->n_past == NULL;
  return grid->seconds != NULL && rows && columns && axes;
}

/* The profile's text, checked; *text is the caller's to free. */
static int make_text(const struct profile *profile, const char *path, char **text,
                     size_t *text_bytes, struct error *error) {
  if (profile->any_shape || !has_size(&profile->layer_s, true) ||
      !has_size(&profile->embedding_s, false) || !has_size(&profile->head_s, false)) {
    return error_set(error, -EINVAL,
                     "%s: a profile needs a shape, layer_s over n_new and n_past, and embedding_s "
                     "and head_s over n_new or of one number",
                     path);
  }
  FILE *out = open_memstream(text, text_bytes);
  if (out == NULL) return error_set(error, -errno, "%s: no memory", path);
  put_profile(out, profile);
  if (fclose(out) != 0) return error_set(error, -ENOMEM, "%s: no memory", path);
  struct profile *again = NULL;
  int code = profile_parse(&again, path, *text, *text_bytes, error);
  profile_free(again);
  return code;
}

static int write_whole(int fd, const char *text, size_t text_bytes) {
  size_t done = 0;
  while (done < text_bytes) {
    ssize_t wrote = write(fd, text + done, text_bytes - done);
    if (wrote < 0 && errno != EINTR) return -errno;
    if (wrote > 0) done += (size_t)wrote;
  }
  return fsync(fd) == 0 ? 0 : -errno;
}

/* Writes the text to a new file beside `path` and renames it there. */
static int replace_file(const char *path, const char *text, size_t text_bytes,
                        struct error *error) {
  size_t room = strlen(path) + sizeof ".XXXXXX";
  char *temporary = malloc(room);
  if (temporary == NULL) return error_set(error, -ENOMEM, "%s: no memory", path);
  snprintf(temporary, room, "%s.XXXXXX", path);
  int code = 0;
  int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) {
    code = error_set(error, -errno, "%s: no file can be made beside it: %s", path, strerror(errno));
    goto out;
  }
  code = write_whole(fd, text, text_bytes);
  if (code == 0 && fchmod(fd, 0644) != 0) code = -errno; /* mkostemp leaves it to the owner alone */
  if (close(fd) != 0 && code == 0) code = -errno;
  if (code == 0 && rename(temporary, path) != 0) code = -errno;
  if (code != 0) {
    error_set(error, code, "%s: writing the profile: %s", path, strerror(-code));
    unlink(temporary);
  }
out:
  free(temporary);
  return code;
}

int profile_write(const struct profile *profile, const char *path, struct error *error) {
  char *text = NULL;
  size_t text_bytes = 0;
  int code = make_text(profile, path, &text, &text_bytes, error);
  if (code == 0) code = replace_file(path, text, text_bytes, error);
  free(text);
  return code;
}
