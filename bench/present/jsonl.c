/*
 * Results as JSON lines: see jsonl.h.
 */
#include "bench/present/jsonl.h"

#include <errno.h>
#include <string.h>

#include "bench/present/publish.h"

#define LINE_FLAGS (JSON_REAL_PRECISION(15))

/* The arrays of rows that results have. */
static const char *const row_arrays[] = {"points", "compute",     "parts", "storage",
                                         "checks", "turn_points", "vary",  "rows"};

/* A copy of what a path leads to, null where it leads nowhere. */
static json_t *copy_of(const json_t *value) {
  return value ? json_deep_copy(value) : json_null();
}

static json_t *common_of(const json_t *result) {
  const json_t *rig = json_object_get(result, "rig");
  const json_t *source = json_object_get(result, "source");
  const json_t *about = rig ? rig : source; /* a plan's is what it was made from */
  const json_t *device = json_object_get(about, "device");
  if (json_is_object(device)) device = json_object_get(device, "name");
  json_t *common = json_object();
  json_object_set_new(common, "schema", copy_of(json_object_get(result, "schema")));
  json_object_set_new(common, "command", copy_of(json_object_get(result, "command")));
  json_object_set_new(common, "started", copy_of(json_object_get(result, "started")));
  json_object_set_new(common, "refill",
                      copy_of(json_object_get(json_object_get(result, "refill"), "version")));
  json_object_set_new(common, "device", copy_of(device));
  json_object_set_new(common, "model", copy_of(json_object_get(about, "model")));
  json_object_set_new(common, "layers_run", copy_of(json_object_get(about, "layers_run")));
  json_object_set_new(common, "target",
                      copy_of(json_object_get(json_object_get(result, "config"), "targets")));
  return common;
}

/* One line; takes `line` over. */
static int print_line(json_t *line, FILE *stream) {
  int failed = json_dumpf(line, stream, LINE_FLAGS);
  json_decref(line);
  if (failed) return ferror(stream) ? -EIO : -ENOMEM;
  return fputc('\n', stream) == EOF ? -EIO : 0;
}

static json_t *line_of(json_t *common, const char *row) {
  json_t *line = json_copy(common);
  json_object_set_new(line, "row", json_string(row));
  return line;
}

/* The numbers at a result's top level (a plan's answers) as a line of their own. */
static int print_answers(json_t *result, json_t *common, FILE *stream) {
  json_t *line = line_of(common, "answers");
  const char *key;
  json_t *value;
  int n = 0;
  json_object_foreach(result, key, value) {
    if (!json_is_number(value)) continue;
    json_object_set(line, key, value);
    n++;
  }
  if (n > 1) {
    int code = print_line(line, stream);
    return code < 0 ? code : 1;
  }
  json_decref(line);
  return 0;
}

static int print_rows(const json_t *rows, const char *name, json_t *common, FILE *stream) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *line = line_of(common, name);
    json_object_update(line, json_array_get(rows, i));
    int code = print_line(line, stream);
    if (code < 0) return code;
  }
  return (int)json_array_size(rows);
}

int jsonl_print(json_t *result, FILE *stream) {
  json_t *common = common_of(result);
  int lines = 0;
  const char *command = json_string_value(json_object_get(result, "command"));
  int code = 0;
  if (command && strcmp(command, "plan") == 0) code = print_answers(result, common, stream);
  for (size_t i = 0; code >= 0 && i < sizeof row_arrays / sizeof row_arrays[0]; i++) {
    lines += code;
    code = print_rows(json_object_get(result, row_arrays[i]), row_arrays[i], common, stream);
  }
  json_decref(common);
  return code < 0 ? code : lines + code;
}

int jsonl_publish(json_t *result, const char *path, struct error *error) {
  struct publish publish;
  int code = publish_begin(&publish, "--jsonl", path, PUBLISH_JSONL, error);
  if (code < 0) return code;
  if (jsonl_print(result, publish.stream) == -ENOMEM) {
    publish_cancel(&publish);
    return error_set(error, -ENOMEM, "--jsonl %s: no memory to write it", path);
  }
  return publish_commit(&publish, error); /* tells of a failed write by its errno */
}
