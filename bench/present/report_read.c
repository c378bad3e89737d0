/*
 * What a report shows: results and traces read, checked, and made small enough for a page.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/present/build.h"
#include "bench/present/report_page.h"
#include "bench/present/result.h"

#define TRACE_BYTES_MAX (64 << 20)
#define TRACE_SPANS_MAX 4000 /* 800 layers of five stages */

/* ---- traces ---------------------------------------------------------------------------- */

/* The file as a trace, NULL where it is none (or not JSON: result_read() says what is wrong). */
static json_t *load_trace(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > TRACE_BYTES_MAX)
    return NULL;
  json_t *json = json_load_file(path, 0, NULL);
  if (json && json_is_array(json_object_get(json, "traceEvents"))) return json;
  json_decref(json);
  return NULL;
}

/* A complete event as ["read", "layer 3", start_us, duration_us]; NULL for what is no such event.
 */
static json_t *span_of(const json_t *event) {
  const char *phase = json_string_value(json_object_get(event, "ph"));
  json_t *stage = json_object_get(event, "cat"), *name = json_object_get(event, "name");
  json_t *start = json_object_get(event, "ts"), *duration = json_object_get(event, "dur");
  if (!phase || strcmp(phase, "X") != 0 || !json_is_string(stage) || !json_is_string(name) ||
      !json_is_number(start) || !json_is_number(duration))
    return NULL;
  return json_pack("[O, O, O, O]", stage, name, start, duration);
}

/* {"title", "spans", "left_out"}: of a trace only what is drawn. */
static json_t *shrink_trace(const json_t *trace) {
  json_t *spans = json_array(), *title = NULL;
  json_int_t left_out = 0;
  size_t i;
  json_t *event;
  json_array_foreach(json_object_get(trace, "traceEvents"), i, event) {
    const char *name = json_string_value(json_object_get(event, "name"));
    if (name && strcmp(name, "process_name") == 0)
      title = json_object_get(json_object_get(event, "args"), "name");
    json_t *span = span_of(event);
    if (!span) continue;
    if (json_array_size(spans) < TRACE_SPANS_MAX) {
      json_array_append_new(spans, span);
    } else {
      json_decref(span);
      left_out++;
    }
  }
  return json_pack("{s:O?, s:o, s:I}", "title", title, "spans", spans, "left_out", left_out);
}

/* ---- files ------------------------------------------------------------------------------ */

static int add_file(json_t *results, const char *path, struct error *error) {
  json_t *trace = load_trace(path);
  if (trace) {
    size_t n = json_array_size(results);
    json_t *shrunk = shrink_trace(trace);
    json_decref(trace);
    if (n > 0) return json_object_set_new(json_array_get(results, n - 1), "trace", shrunk);
    json_decref(shrunk);
    return error_set(error, -EINVAL, "%s: a trace, and no result before it; name its result first",
                     path);
  }
  json_t *result = result_read(path, error);
  if (!result) return -EINVAL;
  const char *slash = strrchr(path, '/');
  json_t *file = json_string(slash ? slash + 1 : path);
  if (!file) file = json_string("(its name is not UTF-8)");
  json_t *entry = json_pack("{s:o, s:o, s:n}", "file", file, "result", result, "trace");
  return json_array_append_new(results, entry);
}

json_t *report_read(const char *const *paths, int n_paths, struct error *error) {
  json_t *results = json_array();
  for (int i = 0; i < n_paths; i++) {
    if (add_file(results, paths[i], error) == 0) continue;
    json_decref(results);
    if (error && error->message[0] == '\0') error_set(error, -ENOMEM, "%s: no memory", paths[i]);
    return NULL;
  }
  return json_pack("{s:s, s:b, s:o}", "version", build_version(), "samples_left_out", 0, "results",
                   results);
}

int report_count(const json_t *report, int *n_traces) {
  json_t *results = json_object_get(report, "results"), *entry;
  size_t i;
  *n_traces = 0;
  json_array_foreach(results, i, entry) {
    if (json_is_object(json_object_get(entry, "trace"))) (*n_traces)++;
  }
  return (int)json_array_size(results);
}

/* ---- size -------------------------------------------------------------------------------- */

static void drop_samples(json_t *json) {
  json_t *value;
  size_t i;
  const char *key;
  if (json_is_object(json)) {
    json_object_del(json, "samples");
    json_object_del(json, "fio_command");
    json_object_foreach(json, key, value) drop_samples(value);
  }
  json_array_foreach(json, i, value) drop_samples(value);
}

void report_drop_samples(json_t *report) {
  drop_samples(json_object_get(report, "results"));
  json_object_set_new(report, "samples_left_out", json_true());
}
