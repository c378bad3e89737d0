/*
 * The effective configuration as JSON: what a reader needs to repeat a run, and what `compare`
 * holds beside that of another. Keys are the fields' names, with their units.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/options_table.h"

json_t *options_text_to_json(const char *text) {
  if (!text || text[0] == '\0') return json_null();
  json_t *json = json_string(text);
  if (json) return json;
  /* Not UTF-8 (a path may be anything): what is not ASCII is shown as '?'. */
  char *shown = strdup(text);
  for (char *at = shown; at && *at; at++) *at = (*at & 0x80) ? '?' : *at;
  json = json_string(shown); /* NULL for want of memory, as everywhere */
  free(shown);
  return json;
}

static json_t *counts_to_json(const struct options_counts *list) {
  json_t *array = json_array();
  for (int i = 0; i < list->n; i++) json_array_append_new(array, json_integer(list->values[i]));
  return array;
}

static json_t *reals_to_json(const struct options_reals *list) {
  json_t *array = json_array();
  for (int i = 0; i < list->n; i++) json_array_append_new(array, json_real(list->values[i]));
  return array;
}

static json_t *texts_to_json(const struct options_texts *list) {
  json_t *array = json_array();
  for (int i = 0; i < list->n; i++)
    json_array_append_new(array, options_text_to_json(list->values[i]));
  return array;
}

static json_t *targets_to_json(const struct options *options) {
  json_t *array = json_array();
  for (int i = 0; i < options->n_targets; i++)
    json_array_append_new(array, options_text_to_json(options->targets[i]));
  return array;
}

static json_t *choices_to_json(const struct options_entry *entry, uint32_t choices) {
  json_t *array = json_array();
  for (int i = 0; entry->accepted[i]; i++) {
    if (choices & (1U << i)) json_array_append_new(array, json_string(entry->accepted[i]));
  }
  return array;
}

static json_t *policies_to_json(const struct options_entry *entry, const bool policies[3]) {
  json_t *array = json_array();
  for (int i = 0; entry->accepted[i]; i++) {
    if (policies[i]) json_array_append_new(array, json_string(entry->accepted[i]));
  }
  return array;
}

static json_t *value_to_json(const struct options_entry *entry, const struct options *options) {
  const void *field = (const char *)options + entry->offset;
  switch (entry->kind) {
  case OPTIONS_COUNT:
    return json_integer(*(const int64_t *)field);
  case OPTIONS_SEED:
  case OPTIONS_BYTES:
    return json_integer((json_int_t) * (const uint64_t *)field);
  case OPTIONS_SECONDS:
  case OPTIONS_REAL:
  case OPTIONS_RATE:
    return json_real(*(const double *)field);
  case OPTIONS_COUNT_LIST:
  case OPTIONS_BYTES_LIST:
    return counts_to_json(field);
  case OPTIONS_REAL_LIST:
    return reals_to_json(field);
  case OPTIONS_TARGETS:
    return targets_to_json(options);
  case OPTIONS_SETTINGS:
  case OPTIONS_RANGES:
  case OPTIONS_PATHS:
    return texts_to_json(field);
  case OPTIONS_CHOICES:
    return choices_to_json(entry, *(const uint32_t *)field);
  case OPTIONS_POLICIES:
    return policies_to_json(entry, field);
  case OPTIONS_FLAG:
  case OPTIONS_SWITCH:
    return json_boolean(*(const bool *)field);
  default:
    return options_text_to_json(*(const char *const *)field);
  }
}

json_t *options_to_json(const struct options *options) {
  int command = options_command_find(options->command);
  json_t *config = json_object();
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (!entry->key || !(entry->commands & (1U << command))) continue;
    json_object_set_new(config, entry->key, value_to_json(entry, options));
  }
  return config;
}
