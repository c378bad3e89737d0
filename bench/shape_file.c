/*
 * --model: a preset's name, a shape in a JSON file, or what suits the device.
 *
 * A shape file has the fields of struct shape. They are read by the same code that reads the shape
 * in a playback profile, so that one may be cut out of the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/options_table.h"
#include "kernels/playback/profile.h"
#include "kernels/playback/profile_parse.h"

#define SHAPE_FILE_BYTES_MAX (1 << 20)
#define CPU_MODEL "mha-125m"

/* The profile's model where the device plays one back, else one that a CPU can run. */
static int shape_of_device(const char *device, struct shape *shape, struct error *error) {
  *shape = *shape_preset(CPU_MODEL);
  static const char playback[] = "playback:";
  if (strncmp(device, playback, strlen(playback)) != 0) return 0;
  struct profile *profile = NULL;
  int code = profile_load(&profile, device + strlen(playback), error);
  if (code < 0) {
    error_prefix(error, "--device %s", device);
    return code == -ENOENT ? -EINVAL : code; /* a name that is none */
  }
  if (!profile->any_shape) *shape = profile->shape;
  profile_free(profile);
  return 0;
}

/* Opens only regular files of sane size: a directory or a device would be read for ever. */
static int open_file(FILE **stream, const char *path, struct error *error) {
  struct stat status;
  if (stat(path, &status) != 0)
    return error_set(error, -EINVAL, "--model %s: %s; accepted: a preset's name or a JSON file",
                     path, strerror(errno));
  if (!S_ISREG(status.st_mode) || status.st_size > SHAPE_FILE_BYTES_MAX)
    return error_set(error, -EINVAL,
                     "--model %s: not a file of a shape; accepted: JSON, up to 1MiB", path);
  *stream = fopen(path, "re");
  if (!*stream)
    return error_set(error, -EINVAL, "--model %s: %s; accepted: a file that you may read", path,
                     strerror(errno));
  return 0;
}

static int shape_of_file(const char *path, struct shape *shape, struct error *error) {
  FILE *stream = NULL;
  int code = open_file(&stream, path, error);
  if (code < 0) return code;
  json_error_t wrong;
  json_t *json = json_loadf(stream, JSON_REJECT_DUPLICATES, &wrong);
  fclose(stream);
  if (!json)
    return error_set(error, -EINVAL, "--model %s: line %d: %s; accepted: a shape as JSON", path,
                     wrong.line, wrong.text);
  struct parse parse = {.file = path, .part = "", .error = error};
  code = parse_shape(&parse, json, shape);
  json_decref(json);
  if (code < 0) error_prefix(error, "--model");
  return code;
}

int options_shape(const struct options *options, struct shape *shape, struct error *error) {
  const struct shape *preset = shape_preset(options->model);
  int code = 0;
  if (preset)
    *shape = *preset;
  else if (options->model[0] == '\0')
    code = shape_of_device(options->device, shape, error);
  else
    code = shape_of_file(options->model, shape, error);
  if (code < 0) return code;
  if (options->layers > shape->layers)
    return error_set(error, -EINVAL, "--layers %" PRId64 ": %s has %d; accepted: up to that",
                     options->layers, shape->name, shape->layers);
  int64_t layers = options->layers > 0 ? options->layers : shape->layers;
  if (options->weight_sets > layers)
    return error_set(error, -EINVAL,
                     "--weight-sets %" PRId64 ": %s runs %" PRId64 " layers; accepted: up to that",
                     options->weight_sets, shape->name, layers);
  return 0;
}
