/*
 * Two results: may they be compared, and row by row, did they change?
 */
#include "bench/present/compare.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOTSTRAP_SEED 1

/* The arrays of rows that hold samples, and what tells their rows apart. */
static const struct {
  const char *array;
  const char *keys[6]; /* fields; those that neither row has count as equal */
} arrays[] = {
    {"points", {"n_tokens", "policy", "alpha", "streams", NULL}},
    {"compute", {"n_new", "n_past", NULL}},
    {"storage", {"page_tokens", "queue_depth", "request_bytes", "layout", "rw", NULL}},
};

enum { N_ARRAYS = sizeof arrays / sizeof arrays[0] };

/* What slower: and faster: look at. */
static const char *const main_fields[] = {"first_token_s", "durable_s", "compute_s",
                                          "read_bytes_per_s", "write_bytes_per_s"};

/* ---- may they be compared? --------------------------------------------------------------- */

/* The value at "rig.model", NULL where there is none. */
static const json_t *at_path(const json_t *json, const char *path) {
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
  static const char *const fields[] = {"command",      "rig.model",    "rig.layers_run",
                                       "rig.dtype",    "rig.kv_dtype", "rig.layers_model",
                                       "config.store", "config.sync"};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    const json_t *left = at_path(a, fields[i]);
    const json_t *right = at_path(b, fields[i]);
    if (!left && !right) continue;
    if (!left || !right || !json_equal(left, right))
      return refuse_field(compare, fields[i], left, right, error);
  }
  for (int i = 0; i < N_ARRAYS; i++)
    if (json_array_size(json_object_get(a, arrays[i].array)) > 0) return 0;
  return error_set(error, -EINVAL,
                   "%s: a result of %s without rows of samples; accepted: results of sweep or "
                   "calibrate",
                   compare->a_path, compare->command);
}

/* ---- matching ------------------------------------------------------------------------------- */

static bool rows_match(const json_t *a, const json_t *b, const char *const *keys) {
  for (int i = 0; keys[i]; i++) {
    const json_t *left = json_object_get(a, keys[i]);
    const json_t *right = json_object_get(b, keys[i]);
    if (!left && !right) continue;
    if (!left || !right) return false;
    bool numbers = json_is_number(left) && json_is_number(right);
    if (numbers && fabs(json_number_value(left) - json_number_value(right)) < 1e-9) continue;
    if (!json_equal(left, right)) return false;
  }
  return true;
}

static const json_t *find_match(const json_t *rows, const json_t *row, const char *const *keys) {
  for (size_t i = 0; i < json_array_size(rows); i++)
    if (rows_match(json_array_get(rows, i), row, keys)) return json_array_get(rows, i);
  return NULL;
}

static void name_row(const json_t *row, const char *const *keys, char key[COMPARE_KEY_BYTES]) {
  key[0] = '\0';
  for (int i = 0; keys[i]; i++) {
    const json_t *value = json_object_get(row, keys[i]);
    if (!value) continue;
    size_t used = strlen(key);
    const char *comma = used ? ", " : "";
    if (json_is_string(value))
      snprintf(key + used, COMPARE_KEY_BYTES - used, "%s%s %s", comma, keys[i],
               json_string_value(value));
    else
      snprintf(key + used, COMPARE_KEY_BYTES - used, "%s%s %.6g", comma, keys[i],
               json_number_value(value));
  }
  for (char *at = key; *at; at++)
    if (iscntrl((unsigned char)*at)) *at = '?'; /* a file may hold anything */
}

/* ---- samples ----------------------------------------------------------------------------------
 */

/* Finite samples of {"samples": [...]}; false where the field holds none. */
static bool take_samples(const json_t *field, struct samples *samples) {
  const json_t *array = json_object_get(field, "samples");
  samples->n = 0;
  if (!json_is_array(array)) return false;
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_t *value = json_array_get(array, i);
    if (!json_is_number(value) || !isfinite(json_number_value(value))) continue;
    if (samples_add(samples, json_number_value(value)) < 0) break;
  }
  return samples->n > 0;
}

static bool ends_with(const char *text, const char *ending) {
  size_t n = strlen(text);
  size_t m = strlen(ending);
  return n >= m && strcmp(text + n - m, ending) == 0;
}

/* By the unit: a rate is better high, a time low; a model's prediction or an error is neither. */
static enum compare_sense sense_of(const char *field) {
  if (strncmp(field, "model_", 6) == 0) return SENSE_NEUTRAL;
  if (ends_with(field, "_per_s")) return SENSE_HIGHER;
  return ends_with(field, "_s") ? SENSE_LOWER : SENSE_NEUTRAL;
}

static bool is_main(const char *field) {
  for (size_t i = 0; i < sizeof main_fields / sizeof main_fields[0]; i++)
    if (strcmp(main_fields[i], field) == 0) return true;
  return false;
}

static struct compare_row *new_row(struct compare *compare) {
  if (compare->n_rows == compare->rows_max) {
    int rows_max = compare->rows_max ? 2 * compare->rows_max : 64;
    struct compare_row *rows = realloc(compare->rows, (size_t)rows_max * sizeof *rows);
    if (!rows) return NULL;
    compare->rows = rows;
    compare->rows_max = rows_max;
  }
  return &compare->rows[compare->n_rows++];
}

/* Every field that both rows have samples of. */
static int compare_rows(struct compare *compare, int array, const json_t *a, const json_t *b) {
  const char *field;
  const json_t *value;
  struct samples left, right;
  for (void *at = json_object_iter((json_t *)a); at; at = json_object_iter_next((json_t *)a, at)) {
    field = json_object_iter_key(at);
    value = json_object_iter_value(at);
    if (!take_samples(value, &left) || !take_samples(json_object_get(b, field), &right)) continue;
    struct compare_row *row = new_row(compare);
    if (!row) return -ENOMEM;
    *row = (struct compare_row){.array = arrays[array].array,
                                .sense = sense_of(field),
                                .main = is_main(field),
                                .difference = difference_of(&left, &right, BOOTSTRAP_SEED)};
    name_row(a, arrays[array].keys, row->key);
    snprintf(row->field, sizeof row->field, "%s", field);
  }
  return 0;
}

static int compare_arrays(struct compare *compare, const json_t *a, const json_t *b) {
  for (int i = 0; i < N_ARRAYS; i++) {
    const json_t *left = json_object_get(a, arrays[i].array);
    const json_t *right = json_object_get(b, arrays[i].array);
    int matched = 0;
    for (size_t k = 0; k < json_array_size(left); k++) {
      const json_t *row = json_array_get(left, k);
      const json_t *other = find_match(right, row, arrays[i].keys);
      if (!other) continue;
      matched++;
      int code = compare_rows(compare, i, row, other);
      if (code < 0) return code;
    }
    compare->matched += matched;
    compare->only_a += (int)json_array_size(left) - matched;
    compare->only_b += (int)json_array_size(right) - matched;
  }
  return 0;
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
    const json_t *left = at_path(a, parts[i]);
    const json_t *right = at_path(b, parts[i]);
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
    const json_t *left = at_path(a, single[i]);
    const json_t *right = at_path(b, single[i]);
    if (!left && !right) continue;
    if (!left || !right || !json_equal(left, right))
      add_difference(compare, single[i], left, right);
  }
}

int compare_results(struct compare *compare, const json_t *a, const char *a_path, const json_t *b,
                    const char *b_path, struct error *error) {
  *compare = (struct compare){.a_path = a_path, .b_path = b_path};
  compare->command = json_string_value(json_object_get(a, "command"));
  if (!compare->command) compare->command = "?";
  int code = check_identity(compare, a, b, error);
  if (code < 0) return code;
  compare->differences = json_array();
  find_differences(compare, a, b);
  code = compare_arrays(compare, a, b);
  if (code < 0) return error_set(error, code, "no memory to compare the results");
  if (compare->n_rows > 0) return 0;
  return error_set(error, -EINVAL,
                   "%s and %s have no row in common: %d of one and %d of the other differ in "
                   "n_tokens, policy, alpha, page or depth; accepted: runs of one configuration, "
                   "such as with the same --tokens and --alpha",
                   a_path, b_path, compare->only_a, compare->only_b);
}

void compare_free(struct compare *compare) {
  free(compare->rows);
  json_decref(compare->differences);
  *compare = (struct compare){0};
}
