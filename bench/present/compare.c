/*
 * Two results: may they be compared, and row by row, did they change?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/compare_internal.h"

/* ---- may they be compared? --------------------------------------------------------------- */

const json_t *compare_at(const json_t *json, const char *path) {
  char name[64];
  while (json && *path) {
    size_t n = strcspn(path, ".");
    snprintf(name, sizeof name, "%.*s", (int)n, path);
    json = json_object_get(json, name);
    path += n + (path[n] == '.');
  }
  return json;
}

/* A value as one word or list, for a sentence. */
static void shown(const json_t *value, char *text, size_t n) {
  char *dump = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6))
                     : NULL;
  snprintf(text, n, "%s", dump ? dump : "nothing");
  free(dump);
}

static int refuse_field(const struct compare *compare, const char *field, const json_t *a,
                        const json_t *b, struct error *error) {
  char left[64], right[64];
  shown(a, left, sizeof left);
  shown(b, right, sizeof right);
  return error_set(error, -EINVAL,
                   "%s and %s cannot be compared: %s is %s in one and %s in the other; accepted: "
                   "results of one command, model and configuration",
                   compare->a_path, compare->b_path, field, left, right);
}

static int check_identity(const struct compare *compare, const json_t *a, const json_t *b,
                          struct error *error) {
  static const char *const fields[] = {"command",         "rig.model",    "rig.layers_run",
                                       "rig.dtype",       "rig.kv_dtype", "rig.layers_model",
                                       "model",           "layers_run",   "layers_model",
                                       "config.kv_dtype", "config.store", "config.sync"};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    const json_t *left = compare_at(a, fields[i]);
    const json_t *right = compare_at(b, fields[i]);
    if (!left && !right) continue;
    if (!left || !right || !json_equal(left, right))
      return refuse_field(compare, fields[i], left, right, error);
  }
  return compare_has_rows(a) ? 0
                             : error_set(error, -EINVAL,
                                         "%s: a result of %s without rows of samples; accepted: "
                                         "results of sweep, calibrate or storage",
                                         compare->a_path, compare->command);
}

/* ---- what else differs
 * --------------------------------------------------------------------------- */

static void add_difference(struct compare *compare, const char *field, const json_t *a,
                           const json_t *b) {
  json_array_append_new(compare->differences, json_pack("{s:s, s:o, s:o}", "field", field, "a",
                                                        a ? json_deep_copy(a) : json_null(), "b",
                                                        b ? json_deep_copy(b) : json_null()));
}

static void find_differences(struct compare *compare, const json_t *a, const json_t *b) {
  static const char *const parts[] = {"config", "rig.device", "rig.target"};
  static const char *const single[] = {"refill.version",        "refill.flags", "rig.page_tokens",
                                       "host.cpu_model",        "host.kernel",  "host.governor",
                                       "rig.reader.description"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    const json_t *left = compare_at(a, parts[i]);
    const json_t *right = compare_at(b, parts[i]);
    for (void *at = json_object_iter((json_t *)left); at;
         at = json_object_iter_next((json_t *)left, at)) {
      const char *key = json_object_iter_key(at);
      if (strcmp(key, "free_bytes") == 0) continue;
      const json_t *other = json_object_get(right, key);
      char field[128];
      snprintf(field, sizeof field, "%s.%s", parts[i], key);
      if (!other || !json_equal(json_object_iter_value(at), (json_t *)other))
        add_difference(compare, field, json_object_iter_value(at), other);
    }
  }
  for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
    const json_t *left = compare_at(a, single[i]);
    const json_t *right = compare_at(b, single[i]);
    if (!left && !right) continue;
    if (!left || !right || !json_equal(left, right))
      add_difference(compare, single[i], left, right);
  }
}

static int compare_parts(struct compare *compare, const struct compare_side *a,
                         const struct compare_side *b, struct error *error) {
  int code = compare_all_rows(compare, a, b);
  if (code == 0 && compare->matched > 0) code = compare_rates(compare, a, b);
  if (code < 0) return error_set(error, code, "no memory to compare the results");
  if (compare->n_rows > 0) return 0;
  return error_set(
      error, -EINVAL,
      "%s and %s have no row in common: %d of one and %d of the other differ in %s; "
      "accepted: runs of one configuration, such as with the same %s",
      a->path, b->path, compare->only_a, compare->only_b,
      strcmp(compare->command, "storage") == 0 ? "target, direction, engine, page, depth or layout"
                                               : "n_tokens, policy, alpha, page or depth",
      strcmp(compare->command, "storage") == 0 ? "--engine, --rw, --page-tokens and --queue-depth"
                                               : "--tokens and --alpha");
}

int compare_sides(struct compare *compare, const struct compare_side *a,
                  const struct compare_side *b, struct error *error) {
  *compare = (struct compare){.a_path = a->path, .b_path = b->path, .brief = compare->brief};
  compare->command = json_string_value(json_object_get(a->result, "command"));
  if (!compare->command) compare->command = "?";
  int code = check_identity(compare, a->result, b->result, error);
  if (code < 0) return code;
  compare->differences = json_array();
  compare->left_out = json_array();
  find_differences(compare, a->result, b->result);
  return compare_parts(compare, a, b, error);
}

int compare_results(struct compare *compare, const json_t *a, const char *a_path, const json_t *b,
                    const char *b_path, struct error *error) {
  *compare = (struct compare){0};
  return compare_sides(compare, &(struct compare_side){a, a_path, COMPARE_TARGETS},
                       &(struct compare_side){b, b_path, COMPARE_TARGETS}, error);
}

void compare_free(struct compare *compare) {
  free(compare->rows);
  json_decref(compare->differences);
  json_decref(compare->left_out);
  *compare = (struct compare){0};
}
