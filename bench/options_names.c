/*
 * Values that name something of another part: devices, engines, models. What there is comes from
 * those parts' own tables, so that a new device needs no line here; only what may follow
 * a name's colon is known here, since only the command line has colons.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bench/options_table.h"
#include "io/engine.h"
#include "kernels/device.h"
#include "model/shape.h"

/* What may follow a name; a name that is not here takes nothing. */
static const struct {
  const char *name;
  const char *argument; /* as the help shows it */
  bool required;
} arguments[] = {
    {"playback", ":PROFILE", true},
    {"cuda", "[:N]", false},
    {"null", "[:read=RATE,write=RATE]", false},
    {"uring", "[:nofixed,sqpoll,iopoll,buffered]", false},
};

enum { N_ARGUMENTS = sizeof arguments / sizeof arguments[0] };

static const char *argument_of(const char *name) {
  for (int i = 0; i < N_ARGUMENTS; i++) {
    if (strcmp(arguments[i].name, name) == 0) return arguments[i].argument;
  }
  return "";
}

/* Appends `item` and its argument to a list "a, b, c". */
static void append(char *text, size_t n, const char *item, const char *argument) {
  size_t used = strlen(text);
  snprintf(text + used, n - used, "%s%s%s", used ? ", " : "", item, argument);
}

char *options_list_devices(char *text, size_t n) {
  snprintf(text, n, "auto");
  const struct device_ops *ops;
  for (int i = 0; (ops = device_at(i)); i++) append(text, n, ops->name, argument_of(ops->name));
  return text;
}

char *options_list_engines(char *text, size_t n) {
  text[0] = '\0';
  const struct io_engine_ops *ops;
  for (int i = 0; (ops = io_engine_at(i)); i++) append(text, n, ops->name, argument_of(ops->name));
  return text;
}

char *options_list_models(char *text, size_t n) {
  text[0] = '\0';
  const char *name;
  for (int i = 0; (name = shape_preset_name(i)); i++) append(text, n, name, "");
  return text;
}

/* Takes NAME off NAME[:ARGUMENT] into name[n]; what is wrong with the colon's part, or NULL. */
static const char *split(const char *value, char *name, size_t n) {
  const char *colon = strchr(value, ':');
  size_t length = colon ? (size_t)(colon - value) : strlen(value);
  snprintf(name, n, "%.*s", (int)(length < n ? length : n - 1), value);
  for (int i = 0; i < N_ARGUMENTS; i++) {
    if (strcmp(arguments[i].name, name) != 0) continue;
    if (!colon) return arguments[i].required ? "needs more after its name" : NULL;
    return colon[1] == '\0' ? "has nothing after its ':'" : NULL;
  }
  return colon ? "takes nothing after its name" : NULL;
}

const char *options_problem_device(const char *value) {
  char name[64];
  const char *problem = split(value, name, sizeof name);
  if (strcmp(name, "auto") != 0 && !device_find(name)) return "no such device";
  return problem;
}

/* The null engine is opened and closed to have its options read: pure memory. */
static const char *problem_of_null(const char *value) {
  struct io_engine *engine = NULL;
  struct io_engine_config config = {.queue_depth = 1};
  if (io_engine_open(&engine, value, &config, NULL) < 0) return "its options are not rates";
  engine->ops->close(engine);
  return NULL;
}

/* True where an engine's name begins at `text` and ends there as names do. */
static bool names_engine(const char *text) {
  char name[64];
  size_t length = strcspn(text, ":,");
  if (length >= sizeof name) return false;
  memcpy(name, text, length);
  name[length] = '\0';
  return io_engine_find(name) != NULL;
}

bool options_engine_item(const char *list, int i, char *item, size_t item_bytes) {
  for (const char *at = list; *at; i--) {
    const char *end = at;
    do {
      end += strcspn(end, ",");
    } while (*end && !names_engine(end + 1) && *++end);
    if (i == 0) return snprintf(item, item_bytes, "%.*s", (int)(end - at), at) < (int)item_bytes;
    at = *end ? end + 1 : end;
  }
  return false;
}

static const char *problem_of_engine(const char *value) {
  char name[64];
  const char *problem = split(value, name, sizeof name);
  if (!io_engine_find(name)) return "no such engine";
  if (problem) return problem;
  return strcmp(name, "null") == 0 ? problem_of_null(value) : NULL;
}

const char *options_problem_engine(const char *value) {
  char item[128];
  const char *problem = "no such engine";
  for (int i = 0; options_engine_item(value, i, item, sizeof item); i++) {
    problem = problem_of_engine(item);
    if (problem) break;
  }
  return problem;
}

/* A word without a dot or a slash can only be a preset, so that a typing error is not looked for
 * as a file. */
const char *options_problem_model(const char *value) {
  if (shape_preset(value)) return NULL;
  if (strchr(value, '/')) return NULL;
  size_t length = strlen(value);
  if (length > 5 && strcmp(value + length - 5, ".json") == 0) return NULL;
  return "no such model";
}
