/*
 * The rows of two results: which belong together, and what changed in them.
 *
 * Rows match where all that tells them apart is equal. Two things bend: an alpha may be off by one
 * page, since it was rounded to pages (of either size) or chosen around a measured crossover; and
 * a setting that each result has a single value of, such as the engine, is what is being compared
 * and not what tells rows apart.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/compare_internal.h"

/* How a field tells rows apart. */
enum key_kind {
  KEY_EXACT,
  KEY_COMPARED, /* unless each result has one value of it */
  KEY_ALPHA,    /* within a page */
  KEY_TARGET    /* by its place in targets[] */
};

struct row_key {
  const char *field; /* what neither row has counts as equal */
  enum key_kind kind;
};

#define KEYS_MAX 12

static const struct {
  const char *array;
  struct row_key keys[KEYS_MAX];
} arrays[] = {
    {"points",
     {{"n_tokens", KEY_EXACT},
      {"policy", KEY_EXACT},
      {"alpha", KEY_ALPHA},
      {"streams", KEY_EXACT}}},
    {"compute", {{"n_new", KEY_EXACT}, {"n_past", KEY_EXACT}}},
    {"storage",
     {{"page_tokens", KEY_EXACT},
      {"queue_depth", KEY_EXACT},
      {"request_bytes", KEY_EXACT},
      {"layout", KEY_EXACT},
      {"rw", KEY_EXACT}}},
    {"rows",
     {{"rw", KEY_EXACT},
      {"page_bytes", KEY_EXACT},
      {"queue_depth", KEY_COMPARED},
      {"engine", KEY_COMPARED},
      {"layout", KEY_COMPARED},
      {"streams", KEY_COMPARED},
      {"stream_order", KEY_COMPARED},
      {"write_to", KEY_COMPARED},
      {"preallocated", KEY_COMPARED},
      {"sync_at", KEY_COMPARED},
      {"target", KEY_TARGET}}},
};

enum { N_ARRAYS = sizeof arrays / sizeof arrays[0] };

/* What slower: and faster: look at. */
static const char *const main_fields[] = {"first_token_s", "durable_s", "compute_s",
                                          "read_bytes_per_s", "write_bytes_per_s"};

/* Two arrays about to be matched. */
struct matching {
  int array;
  const struct compare_side *sides[2];
  const json_t *rows[2];
  bool compared[KEYS_MAX]; /* each result has one value of it, which is no key then */
  double page_tokens;      /* the larger of both results */
};

bool compare_has_rows(const json_t *result) {
  for (int i = 0; i < N_ARRAYS; i++)
    if (json_array_size(json_object_get(result, arrays[i].array)) > 0) return true;
  return false;
}

/* ---- which rows belong together ---------------------------------------------------------- */

static bool values_equal(const json_t *a, const json_t *b) {
  bool none[2] = {!a || json_is_null(a), !b || json_is_null(b)};
  if (none[0] || none[1]) return none[0] && none[1];
  if (json_is_number(a) && json_is_number(b))
    return fabs(json_number_value(a) - json_number_value(b)) < 1e-9;
  return json_equal(a, b);
}

/* A row's target by its place in targets[], -1 where it is not there. */
static int place_of(const json_t *result, const json_t *row) {
  const json_t *targets = json_object_get(result, "targets");
  for (size_t i = 0; i < json_array_size(targets); i++)
    if (json_equal(json_object_get(json_array_get(targets, i), "target"),
                   json_object_get(row, "target")))
      return (int)i;
  return -1;
}

/* Rows of other targets are none of this side's. */
static bool on_side(const struct compare_side *side, const json_t *row) {
  return side->target < 0 || place_of(side->result, row) == side->target;
}

/* Whether all rows that have the field at all (writes have some that reads lack) agree on it. */
static bool single_value(const json_t *rows, const char *field) {
  const json_t *first = NULL;
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *value = json_object_get(json_array_get(rows, i), field);
    if (!value || json_is_null(value)) continue;
    if (first && !values_equal(value, first)) return false;
    first = value;
  }
  return first != NULL;
}

/* Tokens between two alphas: n_past where both are known, since alpha is rounded in print. */
static double apart_tokens(const json_t *a, const json_t *b) {
  const json_t *left = json_object_get(a, "n_past"), *right = json_object_get(b, "n_past");
  if (json_is_number(left) && json_is_number(right))
    return fabs(json_number_value(left) - json_number_value(right));
  left = json_object_get(a, "alpha");
  right = json_object_get(b, "alpha");
  if (!json_is_number(left) || !json_is_number(right)) return left == right ? 0 : INFINITY;
  return fabs(json_number_value(left) - json_number_value(right)) *
         json_number_value(json_object_get(a, "n_tokens"));
}

/* How far apart two rows are, in tokens; infinite where they do not match. */
static double distance(const struct matching *matching, const json_t *a, const json_t *b) {
  const struct row_key *keys = arrays[matching->array].keys;
  double apart = 0;
  for (int i = 0; i < KEYS_MAX && keys[i].field; i++) {
    bool equal = true;
    if (matching->compared[i]) continue;
    if (keys[i].kind == KEY_ALPHA)
      apart = apart_tokens(a, b);
    else if (keys[i].kind == KEY_TARGET)
      equal = matching->sides[0]->target >= 0 ||
              place_of(matching->sides[0]->result, a) == place_of(matching->sides[1]->result, b);
    else
      equal = values_equal(json_object_get(a, keys[i].field), json_object_get(b, keys[i].field));
    if (!equal) return INFINITY;
  }
  return apart;
}

/* For each row of A its match in B or -1: equal ones first, so that none is taken by a neighbour.
 * `mate` has room for all rows of A, `taken` for those of B. */
static void find_mates(const struct matching *matching, int *mate, bool *taken) {
  size_t n_a = json_array_size(matching->rows[0]), n_b = json_array_size(matching->rows[1]);
  const double reaches[] = {1e-6, matching->page_tokens};
  for (size_t i = 0; i < n_a; i++) mate[i] = -1;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < n_a; i++) {
      const json_t *row = json_array_get(matching->rows[0], i);
      double nearest = INFINITY;
      int best = -1;
      if (mate[i] >= 0 || !on_side(matching->sides[0], row)) continue;
      for (size_t k = 0; k < n_b; k++) {
        const json_t *other = json_array_get(matching->rows[1], k);
        if (taken[k] || !on_side(matching->sides[1], other)) continue;
        double apart = distance(matching, row, other);
        if (!(apart <= reaches[pass]) || apart >= nearest) continue;
        nearest = apart;
        best = (int)k;
      }
      mate[i] = best;
      if (best >= 0) taken[best] = true;
    }
}

/* ---- names ---------------------------------------------------------------------------- */

static void add_word(char key[COMPARE_KEY_BYTES], const char *format, const char *field,
                     const char *value) {
  size_t used = strlen(key);
  snprintf(key + used, COMPARE_KEY_BYTES - used, format, used ? ", " : "", field, value);
}

/* "n_tokens 4096, policy overlap, alpha 0.5": `other`, where given, is the row it matched. */
static void name_row(const struct matching *matching, int side, const json_t *row,
                     const json_t *other, char key[COMPARE_KEY_BYTES]) {
  const struct row_key *keys = arrays[matching->array].keys;
  key[0] = '\0';
  for (int i = 0; i < KEYS_MAX && keys[i].field; i++) {
    const json_t *value = json_object_get(row, keys[i].field);
    char number[32];
    if (!value || json_is_null(value) || matching->compared[i]) continue;
    snprintf(number, sizeof number, keys[i].kind == KEY_ALPHA ? "%.4f" : "%.10g",
             json_number_value(value));
    if (keys[i].kind == KEY_TARGET)
      snprintf(number, sizeof number, "%d", place_of(matching->sides[side]->result, row));
    if (json_is_boolean(value))
      snprintf(number, sizeof number, "%s", json_is_true(value) ? "yes" : "no");
    bool words = json_is_string(value) && keys[i].kind != KEY_TARGET;
    add_word(key, "%s%s %s", keys[i].field, words ? json_string_value(value) : number);
    if (keys[i].kind != KEY_ALPHA || !other || !(apart_tokens(row, other) > 1e-6)) continue;
    snprintf(number, sizeof number, "%.4f",
             json_number_value(json_object_get(other, keys[i].field)));
    add_word(key, "%.0s (%s %s)", "B:", number);
  }
  for (char *at = key; *at; at++)
    if (iscntrl((unsigned char)*at)) *at = '?'; /* a file may hold anything */
}

static void leave_out(struct compare *compare, const struct matching *matching, int side,
                      const json_t *row) {
  char key[COMPARE_KEY_BYTES];
  name_row(matching, side, row, NULL, key);
  json_array_append_new(compare->left_out,
                        json_pack("{s:s, s:s, s:s}", "of", side ? "b" : "a", "array",
                                  arrays[matching->array].array, "key", key));
  *(side ? &compare->only_b : &compare->only_a) += 1;
}

/* ---- what changed ------------------------------------------------------------------------ */

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

bool compare_samples(const json_t *field, double factor, struct samples *samples) {
  const json_t *array = json_object_get(field, "samples");
  samples->n = 0;
  if (!json_is_array(array)) return false;
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_t *value = json_array_get(array, i);
    if (!json_is_number(value) || !isfinite(json_number_value(value))) continue;
    if (samples_add(samples, factor * json_number_value(value)) < 0) break;
  }
  return samples->n > 0;
}

struct compare_row *compare_new_row(struct compare *compare) {
  if (compare->n_rows == compare->rows_max) {
    int rows_max = compare->rows_max ? 2 * compare->rows_max : 64;
    struct compare_row *rows = realloc(compare->rows, (size_t)rows_max * sizeof *rows);
    if (!rows) return NULL;
    compare->rows = rows;
    compare->rows_max = rows_max;
  }
  return &compare->rows[compare->n_rows++];
}

/* A latency is one number over all passes: how much it moved, without a test. */
static int compare_latency(struct compare *compare, const char *array, const char *key,
                           const json_t *a, const json_t *b) {
  static const char *const quantiles[] = {"p50", "p99"};
  for (int i = 0; i < 2; i++) {
    const json_t *left = json_object_get(json_object_get(a, "page_latency_s"), quantiles[i]);
    const json_t *right = json_object_get(json_object_get(b, "page_latency_s"), quantiles[i]);
    double from = json_number_value(left), to = json_number_value(right);
    if (!(from > 0) || !(to > 0)) continue;
    struct compare_row *row = compare_new_row(compare);
    if (!row) return -ENOMEM;
    *row = (struct compare_row){.array = array, .sense = SENSE_LOWER};
    row->difference = (struct difference){
        .median_a = from, .median_b = to, .change = to / from - 1, .low = NAN, .high = NAN};
    snprintf(row->key, sizeof row->key, "%s", key);
    snprintf(row->field, sizeof row->field, "page_latency_%s_s", quantiles[i]);
  }
  return 0;
}

/* Every field that both rows have samples of. */
static int compare_pair(struct compare *compare, const struct matching *matching, const json_t *a,
                        const json_t *b) {
  char key[COMPARE_KEY_BYTES];
  struct samples left, right;
  const char *array = arrays[matching->array].array;
  name_row(matching, 0, a, b, key);
  for (void *at = json_object_iter((json_t *)a); at; at = json_object_iter_next((json_t *)a, at)) {
    const char *field = json_object_iter_key(at);
    if (compare->brief && !is_main(field)) continue;
    if (!compare_samples(json_object_iter_value(at), 1, &left) ||
        !compare_samples(json_object_get(b, field), 1, &right))
      continue;
    struct compare_row *row = compare_new_row(compare);
    if (!row) return -ENOMEM;
    *row = (struct compare_row){.array = array,
                                .sense = sense_of(field),
                                .main = is_main(field),
                                .tested = true,
                                .difference = difference_of(&left, &right, COMPARE_SEED)};
    memcpy(row->key, key, sizeof key);
    snprintf(row->field, sizeof row->field, "%s", field);
  }
  return compare->brief ? 0 : compare_latency(compare, array, key, a, b);
}

static int compare_matched(struct compare *compare, const struct matching *matching, int *mate,
                           bool *taken) {
  find_mates(matching, mate, taken);
  for (size_t i = 0; i < json_array_size(matching->rows[0]); i++) {
    const json_t *row = json_array_get(matching->rows[0], i);
    if (!on_side(matching->sides[0], row)) continue;
    if (mate[i] < 0) {
      leave_out(compare, matching, 0, row);
      continue;
    }
    compare->matched++;
    int code =
        compare_pair(compare, matching, row, json_array_get(matching->rows[1], (size_t)mate[i]));
    if (code < 0) return code;
  }
  for (size_t k = 0; k < json_array_size(matching->rows[1]); k++) {
    const json_t *row = json_array_get(matching->rows[1], k);
    if (!taken[k] && on_side(matching->sides[1], row)) leave_out(compare, matching, 1, row);
  }
  return 0;
}

int compare_all_rows(struct compare *compare, const struct compare_side *a,
                     const struct compare_side *b) {
  for (int i = 0; i < N_ARRAYS; i++) {
    struct matching matching = {.array = i, .sides = {a, b}};
    matching.rows[0] = json_object_get(a->result, arrays[i].array);
    matching.rows[1] = json_object_get(b->result, arrays[i].array);
    matching.page_tokens = fmax(json_number_value(compare_at(a->result, "rig.page_tokens")),
                                json_number_value(compare_at(b->result, "rig.page_tokens")));
    size_t n_a = json_array_size(matching.rows[0]), n_b = json_array_size(matching.rows[1]);
    if (n_a + n_b == 0) continue;
    for (int k = 0; k < KEYS_MAX && arrays[i].keys[k].field; k++)
      matching.compared[k] = arrays[i].keys[k].kind == KEY_COMPARED && n_a > 0 && n_b > 0 &&
                             single_value(matching.rows[0], arrays[i].keys[k].field) &&
                             single_value(matching.rows[1], arrays[i].keys[k].field);
    int *mate = malloc((n_a + 1) * sizeof *mate);
    bool *taken = calloc(n_b + 1, sizeof *taken);
    int code = mate && taken ? compare_matched(compare, &matching, mate, taken) : -ENOMEM;
    free(mate);
    free(taken);
    if (code < 0) return code;
  }
  return 0;
}
