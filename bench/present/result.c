/*
 * Results as JSON: see result.h.
 */
#include "bench/present/result.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bench/present/build.h"
#include "bench/present/publish.h"

#define RESULT_BYTES_MAX (INT64_C(1) << 30)
#define ACCEPTED "accepted: a result that refill wrote with -o"

/* 15 digits print every short decimal as it was typed. */
#define DUMP_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

json_t *result_time(void) {
  char text[32];
  time_t now = time(NULL);
  struct tm utc;
  if (!gmtime_r(&now, &utc) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    return json_null();
  return json_string(text);
}

static json_t *command_line(const struct options *options) {
  json_t *array = json_array();
  json_array_append_new(array, json_string("refill"));
  for (int i = 0; i < options->argc; i++)
    json_array_append_new(array, options_text_to_json(options->argv[i]));
  return array;
}

/* What changes how compute threads wait and how many there are. */
static json_t *environment(void) {
  static const char *const names[] = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"};
  json_t *object = json_object();
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    json_object_set_new(object, names[i], options_text_to_json(getenv(names[i])));
  return object;
}

json_t *result_new(const struct options *options, json_t *host) {
  json_t *result = json_object();
  json_object_set_new(result, "schema", json_string(RESULT_SCHEMA));
  json_object_set_new(result, "command", json_string(options->command));
  json_object_set_new(result, "refill", build_to_json());
  json_object_set_new(result, "started", result_time());
  json_object_set_new(result, "command_line", command_line(options));
  json_object_set_new(result, "environment", environment());
  json_object_set_new(result, "config", options_to_json(options));
  json_object_set_new(result, "host", host ? host : json_null());
  return result;
}

json_t *result_real(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *result_samples(const struct samples *samples) {
  json_t *array = json_array();
  for (int i = 0; i < samples->n; i++)
    json_array_append_new(array, result_real(samples->values[i]));
  return array;
}

json_t *result_interval(const struct samples *samples, struct interval interval) {
  return json_pack("{s:o, s:o, s:o, s:o}", "median", result_real(interval.median), "ci_low",
                   result_real(interval.ci_low), "ci_high", result_real(interval.ci_high),
                   "samples", result_samples(samples));
}

int result_print(const json_t *result, FILE *stream) {
  if (json_dumpf(result, stream, DUMP_FLAGS) != 0) return ferror(stream) ? -EIO : -ENOMEM;
  fputc('\n', stream);
  return ferror(stream) ? -EIO : 0;
}

int result_publish(const json_t *result, const char *path, struct error *error) {
  struct publish publish;
  int code = publish_begin(&publish, "-o", path, PUBLISH_RESULT, error);
  if (code < 0) return code;
  if (result_print(result, publish.stream) == -ENOMEM) {
    publish_cancel(&publish);
    return error_set(error, -ENOMEM, "-o %s: no memory to write the result", path);
  }
  return publish_commit(&publish, error); /* tells of a failed write by its errno */
}

static int check_schema(const json_t *json, const char *path, struct error *error) {
  const char *schema = json_string_value(json_object_get(json, "schema"));
  if (!schema || strncmp(schema, "refill/", 7) != 0)
    return error_set(error, -EINVAL,
                     "%s: not a result of refill (no \"schema\": \"%s\"); " ACCEPTED, path,
                     RESULT_SCHEMA);
  if (strcmp(schema, RESULT_SCHEMA) != 0)
    return error_set(error, -EINVAL,
                     "%s: schema %s, this program reads %s; use the refill that wrote it", path,
                     schema, RESULT_SCHEMA);
  if (!json_is_string(json_object_get(json, "command")))
    return error_set(error, -EINVAL, "%s: a result without its \"command\"", path);
  return 0;
}

/* The file's JSON; NULL with what it is instead. */
static json_t *load(const char *path, struct error *error) {
  struct stat status;
  bool there = stat(path, &status) == 0;
  bool sane = there && S_ISREG(status.st_mode) && status.st_size <= RESULT_BYTES_MAX;
  FILE *stream = sane ? fopen(path, "re") : NULL; /* a pipe could be waited for without end */
  if (!there || (sane && !stream)) {
    error_set(error, -errno, "%s: %s; " ACCEPTED, path, strerror(errno));
    return NULL;
  }
  if (!sane) {
    error_set(error, -EINVAL, "%s: %s; " ACCEPTED, path,
              S_ISDIR(status.st_mode) ? "a directory" : "not a result's file");
    return NULL;
  }
  json_error_t wrong;
  json_t *json = json_loadf(stream, JSON_REJECT_DUPLICATES, &wrong);
  fclose(stream);
  if (!json)
    error_set(error, -EINVAL, "%s: line %d: not JSON: %s; " ACCEPTED, path, wrong.line, wrong.text);
  return json;
}

json_t *result_read(const char *path, struct error *error) {
  json_t *json = load(path, error);
  if (!json || check_schema(json, path, error) == 0) return json;
  json_decref(json);
  return NULL;
}
