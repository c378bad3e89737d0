/*
 * The table of engines, and opening one by the text given to --engine. A new
 * engine is one file (copy engine_skeleton.c) and one line here.
 */
#include "io/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/engine_support.h"

static const struct io_engine_ops *const ENGINES[] = {
    &io_engine_uring, &io_engine_pread, &io_engine_null, &io_engine_mmap, &io_engine_cufile,
};

#define N_ENGINES ((int)(sizeof ENGINES / sizeof ENGINES[0]))

const struct io_engine_ops *io_engine_at(int index) {
  return index >= 0 && index < N_ENGINES ? ENGINES[index] : NULL;
}

/* The engine whose name is the first `length` characters of `name`. */
static const struct io_engine_ops *find(const char *name, size_t length) {
  for (int i = 0; i < N_ENGINES; i++) {
    if (strlen(ENGINES[i]->name) == length && strncmp(ENGINES[i]->name, name, length) == 0)
      return ENGINES[i];
  }
  return NULL;
}

const struct io_engine_ops *io_engine_find(const char *name) {
  assert(name != NULL);
  return find(name, strlen(name));
}

enum io_buffer_kind io_engine_moves(const char *name_and_options) {
  const struct io_engine_ops *ops = find(name_and_options, strcspn(name_and_options, ":"));
  return ops != NULL ? ops->moves : IO_BUFFER_HOST;
}

/* -EINVAL, with the names there are. */
static int refuse_name(const char *name, struct error *error) {
  char names[128] = "";
  size_t used = 0;
  for (int i = 0; i < N_ENGINES && used < sizeof names; i++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                             ENGINES[i]->name);
  return error_set(error, -EINVAL, "no storage engine is called '%s': there are %s", name, names);
}

int io_engine_open(struct io_engine **engine, const char *name_and_options,
                   const struct io_engine_config *config, struct error *error) {
  assert(engine != NULL && name_and_options != NULL && config != NULL);
  *engine = NULL;
  const char *colon = strchr(name_and_options, ':');
  size_t length = colon ? (size_t)(colon - name_and_options) : strlen(name_and_options);
  const struct io_engine_ops *ops = find(name_and_options, length);
  if (ops == NULL) return refuse_name(name_and_options, error);
  int code = engine_check_config(config, error);
  if (code < 0) return code;
  struct io_engine_config with_options = *config;
  with_options.options = colon ? colon + 1 : NULL;
  return ops->open(engine, &with_options, error);
}
