/*
 * From text to field: one scanner per kind, all refusing in the same words, so that every error
 * reads "--window 0: too small; accepted: a count from 1 to 1,024".
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "bench/options_table.h"

#define ITEM_BYTES 64

char *options_label(const struct options_entry *entry, char text[OPTIONS_LABEL_BYTES]) {
  if (entry->letter)
    snprintf(text, OPTIONS_LABEL_BYTES, "-%c/--%s", entry->letter, entry->name);
  else
    snprintf(text, OPTIONS_LABEL_BYTES, "--%s", entry->name);
  return text;
}

char *options_shown(const char *value, char text[OPTIONS_SHOWN_BYTES]) {
  size_t n = 0;
  for (; value[n] && n < OPTIONS_SHOWN_BYTES - 4; n++) {
    unsigned char c = (unsigned char)value[n];
    text[n] = iscntrl(c) ? '?' : (char)c;
  }
  snprintf(text + n, OPTIONS_SHOWN_BYTES - n, "%s", value[n] ? "..." : "");
  return text;
}

static int refuse(const struct options_entry *entry, int command, const char *value,
                  const char *why, struct error *error) {
  char label[OPTIONS_LABEL_BYTES], shown[OPTIONS_SHOWN_BYTES], accepts[OPTIONS_ACCEPTS_BYTES];
  return error_set(error, -EINVAL, "%s %s: %s; accepted: %s", options_label(entry, label),
                   value[0] ? options_shown(value, shown) : "''", why,
                   options_accepts(entry, command, accepts));
}

/* ---- one value ---------------------------------------------------------------- */

/* What is wrong with a text that no scanner took. */
static const char *malformed(const char *text, int code, const char *otherwise) {
  if (text[0] == '\0') return "nothing given";
  if (text[0] == '-') return "negative";
  if (code == -ERANGE) return "too large";
  return otherwise;
}

/* NULL where the value lies in the entry's range; 0 always does where it has a meaning. */
static const char *outside(const struct options_entry *entry, double value) {
  if (value == 0.0 && entry->zero) return NULL;
  if (value < entry->min) return "too small";
  if (value > entry->max) return "too large";
  if (entry->kind == OPTIONS_REAL_LIST && value >= entry->max) return "too large";
  return NULL;
}

static const char *scan_count(const struct options_entry *entry, const char *text, int64_t *count) {
  uint64_t value = 0;
  int code = units_scan_count(text, &value);
  if (code < 0) return malformed(text, code, "not a whole number");
  const char *problem = outside(entry, (double)value);
  if (!problem) *count = (int64_t)value;
  return problem;
}

static const char *scan_real(const struct options_entry *entry, const char *text, double *real) {
  double value = 0;
  int code = units_scan_real(text, &value);
  if (code < 0) return malformed(text, code, "not a number");
  const char *problem = outside(entry, value);
  if (!problem) *real = value;
  return problem;
}

static const char *scan_bytes(const struct options_entry *entry, const char *text,
                              uint64_t *bytes) {
  uint64_t value = 0;
  int code = units_scan_bytes(text, &value);
  if (code < 0) return malformed(text, code, "not a size");
  const char *problem = outside(entry, (double)value);
  if (problem) return problem;
  if (entry->multiple && value % entry->multiple != 0) return "not a multiple";
  *bytes = value;
  return NULL;
}

/* Plain, or with the suffixes of counts: "70G" parameters. */
static const char *scan_number(const struct options_entry *entry, const char *text, double *real) {
  uint64_t whole = 0;
  if (units_scan_count(text, &whole) < 0) return scan_real(entry, text, real);
  const char *problem = outside(entry, (double)whole);
  if (!problem) *real = (double)whole;
  return problem;
}

static const char *scan_rate(const struct options_entry *entry, const char *text, double *rate) {
  double value = 0;
  int code = units_scan_rate(text, &value);
  if (code < 0) {
    double bare;
    bool unit_missing = units_scan_real(text, &bare) == 0;
    return malformed(text, code, unit_missing ? "a unit is missing" : "not a rate");
  }
  const char *problem = outside(entry, value);
  if (!problem) *rate = value;
  return problem;
}

static const char *scan_seconds(const struct options_entry *entry, const char *text,
                                double *seconds) {
  double value = 0;
  int code = units_scan_seconds(text, &value);
  if (code < 0) {
    double bare;
    bool unit_missing = units_scan_real(text, &bare) == 0;
    return malformed(text, code, unit_missing ? "a unit is missing" : "not a time");
  }
  const char *problem = outside(entry, value);
  if (!problem) *seconds = value;
  return problem;
}

/* Index of `text` among names, or -1. */
static int index_of(const char *const *names, const char *text) {
  for (int i = 0; names[i]; i++) {
    if (strcmp(names[i], text) == 0) return i;
  }
  return -1;
}

/* ---- lists -------------------------------------------------------------------- */

/* Copies the item at *at into item[] and moves *at past its comma, to NULL after the last. */
static const char *next_item(const char **at, char item[ITEM_BYTES]) {
  const char *comma = strchr(*at, ',');
  size_t length = comma ? (size_t)(comma - *at) : strlen(*at);
  const char *start = *at;
  *at = comma ? comma + 1 : NULL;
  if (length == 0) return "an empty place in the list";
  if (length >= ITEM_BYTES) return "too long";
  memcpy(item, start, length);
  item[length] = '\0';
  return NULL;
}

static const char *scan_counts(const struct options_entry *entry, const char *text, bool single,
                               struct options_counts *list) {
  *list = (struct options_counts){0};
  for (const char *at = text; at;) {
    char item[ITEM_BYTES];
    if (list->n == OPTIONS_LIST_MAX) return "more than 32 values";
    if (single && list->n == 1) return "more than one value";
    const char *problem = next_item(&at, item);
    if (!problem) problem = scan_count(entry, item, &list->values[list->n]);
    if (problem) return problem;
    for (int i = 0; i < list->n; i++) {
      if (list->values[i] == list->values[list->n]) return "a value twice";
    }
    list->n++;
  }
  return NULL;
}

static const char *scan_sizes(const struct options_entry *entry, const char *text,
                              struct options_counts *list) {
  *list = (struct options_counts){0};
  for (const char *at = text; at;) {
    char item[ITEM_BYTES];
    uint64_t bytes = 0;
    if (list->n == OPTIONS_LIST_MAX) return "more than 32 values";
    const char *problem = next_item(&at, item);
    if (!problem) problem = scan_bytes(entry, item, &bytes);
    if (!problem && bytes == 0) problem = "too small";
    if (problem) return problem;
    for (int i = 0; i < list->n; i++) {
      if (list->values[i] == (int64_t)bytes) return "a value twice";
    }
    list->values[list->n++] = (int64_t)bytes;
  }
  return NULL;
}

static const char *scan_choices(const struct options_entry *entry, const char *text,
                                uint32_t *choices) {
  *choices = 0;
  for (const char *at = text; at;) {
    char item[ITEM_BYTES];
    const char *problem = next_item(&at, item);
    if (problem) return problem;
    int choice = index_of(entry->accepted, item);
    if (choice < 0) return "unknown";
    if (*choices & (1U << choice)) return "a value twice";
    *choices |= 1U << choice;
  }
  return NULL;
}

static const char *scan_reals(const struct options_entry *entry, const char *text,
                              struct options_reals *list) {
  *list = (struct options_reals){0};
  for (const char *at = text; at;) {
    char item[ITEM_BYTES];
    if (list->n == OPTIONS_LIST_MAX) return "more than 32 values";
    const char *problem = next_item(&at, item);
    if (!problem) problem = scan_real(entry, item, &list->values[list->n]);
    if (problem) return problem;
    for (int i = 0; i < list->n; i++) {
      if (list->values[i] == list->values[list->n]) return "a value twice";
    }
    list->n++;
  }
  return NULL;
}

static const char *scan_policies(const struct options_entry *entry, const char *text,
                                 bool policies[3]) {
  memset(policies, 0, 3 * sizeof policies[0]);
  for (const char *at = text; at;) {
    char item[ITEM_BYTES];
    const char *problem = next_item(&at, item);
    if (problem) return problem;
    int policy = index_of(entry->accepted, item);
    if (policy < 0) return "not a policy";
    if (policies[policy]) return "a value twice";
    policies[policy] = true;
  }
  return NULL;
}

/* A stripe set is kept as one text; its members are only looked at for form. */
static const char *scan_target(const char *text, struct options *options) {
  if (options->n_targets == OPTIONS_TARGETS_MAX) return "more than 16 targets";
  for (int i = 0; i < options->n_targets; i++) {
    if (strcmp(options->targets[i], text) == 0) return "given twice";
  }
  size_t length = strlen(text);
  if (text[0] == ',' || text[length - 1] == ',' || strstr(text, ",,"))
    return "an empty place in the list";
  options->targets[options->n_targets++] = text;
  return NULL;
}

/* ---- texts -------------------------------------------------------------------- */

static const char *problem_of_text(const struct options_entry *entry, const char *text) {
  int64_t node;
  switch (entry->kind) {
  case OPTIONS_CHOICE:
    return index_of(entry->accepted, text) < 0 ? "unknown" : NULL;
  case OPTIONS_DEVICE:
    return options_problem_device(text);
  case OPTIONS_ENGINE:
    return options_problem_engine(text);
  case OPTIONS_MODEL:
    return options_problem_model(text);
  case OPTIONS_SECTIONS:
  case OPTIONS_RULES:
    return options_problem_plan(entry->kind, text);
  case OPTIONS_BIND:
    if (strcmp(text, "auto") == 0 || strcmp(text, "none") == 0) return NULL;
    return scan_count(entry, text, &node);
  default: /* OPTIONS_FILE: any text is a path */
    return NULL;
  }
}

static const char *scan_text(const struct options_entry *entry, const char *text,
                             const char **field) {
  const char *problem = problem_of_text(entry, text);
  if (!problem) *field = text;
  return problem;
}

static const char *scan_texts(const struct options_entry *entry, const char *text,
                              struct options_texts *list) {
  if (list->n == OPTIONS_LIST_MAX) return "more than 32 of them";
  const char *problem = NULL; /* any text is a path */
  if (entry->kind != OPTIONS_PATHS) problem = options_problem_plan(entry->kind, text);
  if (!problem) list->values[list->n++] = text;
  return problem;
}

static const char *scan_switch(const char *text, bool *on) {
  *on = strcmp(text, "on") == 0;
  return *on || strcmp(text, "off") == 0 ? NULL : "neither on nor off";
}

static const char *scan(const struct options_entry *entry, int command, const char *value,
                        struct options *options) {
  bool single = command >= 0 && (entry->single & (1U << command));
  void *field = (char *)options + entry->offset;
  switch (entry->kind) {
  case OPTIONS_COUNT:
  case OPTIONS_SEED: /* its range fits both types, which share their bits */
    return scan_count(entry, value, field);
  case OPTIONS_COUNT_LIST:
    return scan_counts(entry, value, single, field);
  case OPTIONS_REAL_LIST:
    return scan_reals(entry, value, field);
  case OPTIONS_BYTES_LIST:
    return scan_sizes(entry, value, field);
  case OPTIONS_CHOICES:
    return scan_choices(entry, value, field);
  case OPTIONS_REAL:
    return scan_number(entry, value, field);
  case OPTIONS_RATE:
    return scan_rate(entry, value, field);
  case OPTIONS_SETTINGS:
  case OPTIONS_RANGES:
  case OPTIONS_PATHS:
    return scan_texts(entry, value, field);
  case OPTIONS_BYTES:
    return scan_bytes(entry, value, field);
  case OPTIONS_SECONDS:
    return scan_seconds(entry, value, field);
  case OPTIONS_TARGETS:
    return scan_target(value, options);
  case OPTIONS_POLICIES:
    return scan_policies(entry, value, field);
  case OPTIONS_SWITCH:
    return scan_switch(value, field);
  case OPTIONS_FLAG:
    *(bool *)field = true;
    return NULL;
  default:
    return scan_text(entry, value, field);
  }
}

int options_scan(const struct options_entry *entry, const char *value, struct options *options,
                 struct error *error) {
  int command = options->command ? options_command_find(options->command) : -1;
  const char *problem = "nothing given";
  if (value[0] || entry->kind == OPTIONS_FLAG) problem = scan(entry, command, value, options);
  return problem ? refuse(entry, command, value, problem, error) : 0;
}
