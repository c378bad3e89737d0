/*
 * The plain values of a profile's JSON: texts, numbers, marks, allowed keys.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/playback/profile_parse.h"

enum { SHOWN_BYTES = 48 }; /* of a refused value, in a message */

int parse_refuse(const struct parse *parse, const char *field, const json_t *value,
                 const char *accepted) {
  if (value == NULL) {
    return error_set(parse->error, -EINVAL, "%s: %s%s is missing; %s", parse->file, parse->part,
                     field, accepted);
  }
  char shown[SHOWN_BYTES] = "";
  if (json_is_object(value) || json_is_array(value)) {
    snprintf(shown, sizeof shown, "%s of %zu", json_is_object(value) ? "an object" : "a list",
             json_is_object(value) ? json_object_size(value) : json_array_size(value));
  } else {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
    snprintf(shown, sizeof shown, "%s", text != NULL ? text : "unprintable");
    free(text);
  }
  return error_set(parse->error, -EINVAL, "%s: %s%s is %s; %s", parse->file, parse->part, field,
                   shown, accepted);
}

int parse_only_keys(const struct parse *parse, const json_t *object, const char *const *allowed,
                    int n) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    bool known = false;
    for (int i = 0; i < n; i++) known = known || strcmp(key, allowed[i]) == 0;
    if (known) continue;
    char shown[SHOWN_BYTES];
    snprintf(shown, sizeof shown, "%s", key);
    return parse_refuse(parse, shown, value, "no such field is known in " PROFILE_SCHEMA);
  }
  return 0;
}

int parse_text(const struct parse *parse, const json_t *object, const char *field, char *text,
               size_t room, size_t minimum) {
  const json_t *json = json_object_get(object, field);
  char accepted[SHOWN_BYTES * 2];
  snprintf(accepted, sizeof accepted, "it is a text of %zu to %zu bytes", minimum, room - 1);
  if (!json_is_string(json)) return parse_refuse(parse, field, json, accepted);
  size_t bytes = json_string_length(json);
  const char *value = json_string_value(json);
  if (bytes < minimum || bytes >= room) return parse_refuse(parse, field, json, accepted);
  for (size_t i = 0; i < bytes; i++) {
    if ((unsigned char)value[i] < ' ') { /* would forge lines in a table or a log */
      return parse_refuse(parse, field, json, "it is a text without control characters");
    }
  }
  memcpy(text, value, bytes + 1);
  return 0;
}

int parse_real_value(const struct parse *parse, const char *field, const json_t *json, double low,
                     double high, double *value) {
  double number = json_is_number(json) ? json_number_value(json) : NAN;
  if (!(number >= low && number <= high)) { /* NaN fails too */
    char accepted[SHOWN_BYTES * 2];
    snprintf(accepted, sizeof accepted, "it is a number from %g to %g", low, high);
    return parse_refuse(parse, field, json, accepted);
  }
  *value = number;
  return 0;
}

int parse_real(const struct parse *parse, const json_t *object, const char *field, double low,
               double high, double *value) {
  return parse_real_value(parse, field, json_object_get(object, field), low, high, value);
}

const char *profile_origin_name(enum profile_origin origin) {
  static const char *const names[] = {"measured", "published", "derived"};
  return names[origin];
}

int parse_origin(const struct parse *parse, const json_t *object, enum profile_origin *origin) {
  const json_t *json = json_object_get(object, "from");
  const char *text = json_is_string(json) ? json_string_value(json) : "";
  for (int i = PROFILE_MEASURED; i <= PROFILE_DERIVED; i++) {
    if (strcmp(text, profile_origin_name((enum profile_origin)i)) != 0) continue;
    *origin = (enum profile_origin)i;
    return 0;
  }
  return parse_refuse(parse, "from", json, "it is measured, published or derived");
}
