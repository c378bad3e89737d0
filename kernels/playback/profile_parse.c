/*
 * From text to a profile: the top level. Nothing of a file is used before it
 * was checked; the first thing that is wrong is named and ends it.
 */
#include "kernels/playback/profile_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_element(const struct parse *parse, const json_t *object, const char *field,
                         enum element *element) {
  const json_t *json = json_object_get(object, field);
  const char *text = json_is_string(json) ? json_string_value(json) : "";
  for (int i = ELEMENT_BF16; i <= ELEMENT_FP8_E4M3; i++) {
    if (strcmp(text, element_name((enum element)i)) != 0) continue;
    *element = (enum element)i;
    return 0;
  }
  return parse_refuse(parse, field, json, "it is bf16 or fp8");
}

static int parse_peaks(const struct parse *outer, const json_t *json, struct profile_peaks *peaks) {
  static const char *const keys[] = {"from", "flops_per_s", "hbm_bytes_per_s"};
  struct parse parse = {outer->file, "peaks.", outer->error};
  if (!json_is_object(json)) return parse_refuse(outer, "peaks", json, "it is an object");
  int code = parse_only_keys(&parse, json, keys, sizeof keys / sizeof keys[0]);
  if (code == 0) code = parse_origin(&parse, json, &peaks->origin);
  if (code == 0) code = parse_real(&parse, json, "flops_per_s", 0.0, 1e20, &peaks->flops_per_s);
  if (code != 0) return code;
  return parse_real(&parse, json, "hbm_bytes_per_s", 0.0, 1e16, &peaks->hbm_bytes_per_s);
}

static int parse_part(const struct parse *outer, const json_t *root, const char *field,
                      bool two_axes, struct profile_grid *grid) {
  char part[32];
  snprintf(part, sizeof part, "%s.", field);
  struct parse parse = {outer->file, part, outer->error};
  const json_t *json = json_object_get(root, field);
  if (!json_is_object(json)) return parse_refuse(outer, field, json, "it is an object");
  return parse_grid(&parse, json, two_axes, grid);
}

static int parse_texts(const struct parse *parse, const json_t *root, struct profile *profile) {
  const json_t *schema = json_object_get(root, "schema");
  if (!json_is_string(schema) || strcmp(json_string_value(schema), PROFILE_SCHEMA) != 0) {
    return parse_refuse(parse, "schema", schema, "this program reads \"" PROFILE_SCHEMA "\"");
  }
  static const char *const keys[] = {"schema", "about",       "source",  "device",
                                     "shape",  "element",     "layer_s", "kv_element",
                                     "head_s", "embedding_s", "peaks"};
  int code = parse_only_keys(parse, root, keys, sizeof keys / sizeof keys[0]);
  if (code == 0) code = parse_text(parse, root, "about", profile->about, sizeof profile->about, 1);
  if (code == 0) {
    code = parse_text(parse, root, "source", profile->source, sizeof profile->source, 1);
  }
  if (code != 0) return code;
  return parse_text(parse, root, "device", profile->device, sizeof profile->device, 1);
}

static int parse_root(const struct parse *parse, const json_t *root, struct profile *profile) {
  if (!json_is_object(root)) {
    return error_set(parse->error, -EINVAL, "%s: not a JSON object, so not a playback profile",
                     parse->file);
  }
  int code = parse_texts(parse, root, profile);
  if (code == 0) code = parse_shape(parse, json_object_get(root, "shape"), &profile->shape);
  if (code == 0) code = parse_element(parse, root, "element", &profile->element);
  if (code == 0) code = parse_element(parse, root, "kv_element", &profile->kv_element);
  if (code == 0) code = parse_part(parse, root, "layer_s", true, &profile->layer_s);
  if (code == 0) code = parse_part(parse, root, "embedding_s", false, &profile->embedding_s);
  if (code == 0) code = parse_part(parse, root, "head_s", false, &profile->head_s);
  if (code != 0) return code;
  return parse_peaks(parse, json_object_get(root, "peaks"), &profile->peaks);
}

int profile_parse(struct profile **profile, const char *name, const char *text, size_t text_bytes,
                  struct error *error) {
  *profile = NULL;
  json_error_t where;
  json_t *root = json_loadb(text, text_bytes, JSON_REJECT_DUPLICATES, &where);
  if (root == NULL) {
    return error_set(error, -EINVAL, "%s: line %d, column %d: %s; it is no whole JSON file", name,
                     where.line, where.column, where.text);
  }
  struct profile *parsed = calloc(1, sizeof *parsed);
  struct parse parse = {name, "", error};
  int code = parsed == NULL ? error_set(error, -ENOMEM, "%s: no memory", name)
                            : parse_root(&parse, root, parsed);
  json_decref(root);
  if (code != 0) {
    profile_free(parsed);
    return code;
  }
  snprintf(parsed->name, sizeof parsed->name, "%s", name);
  *profile = parsed;
  return 0;
}

static void free_grid(struct profile_grid *grid) {
  free((void *)grid->n_new);
  free((void *)grid->n_past);
  free((void *)grid->seconds);
}

void profile_free(struct profile *profile) {
  if (profile == NULL) return;
  free_grid(&profile->layer_s);
  free_grid(&profile->embedding_s);
  free_grid(&profile->head_s);
  free(profile);
}
