/*
 * Finding and loading libraries. They are never unloaded: CUDA's keep threads
 * and exit handlers that run in them.
 */
#include "kernels/cuda/libraries.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int try_load(struct library *library, const char *path) {
  library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library->handle) return -ENOENT;
  snprintf(library->path, sizeof library->path, "%s", path);
  return 0;
}

/* Every file that the pattern names, until one loads. */
static int try_pattern(struct library *library, const char *directory, const char *file) {
  char pattern[PATH_MAX];
  int length = snprintf(pattern, sizeof pattern, "%s/%s", directory, file);
  if (length < 0 || (size_t)length >= sizeof pattern) return -ENOENT;
  glob_t found;
  int failed = -ENOENT;
  if (glob(pattern, 0, NULL, &found) != 0) return -ENOENT;
  for (size_t i = 0; i < found.gl_pathc && failed; i++)
    failed = try_load(library, found.gl_pathv[i]);
  globfree(&found);
  return failed;
}

/* A pattern below a directory that an environment variable names. */
static int try_variable(struct library *library, const char *variable, const char *below,
                        const char *file) {
  const char *value = getenv(variable);
  char directory[PATH_MAX];
  if (!value || !*value) return -ENOENT;
  int length = snprintf(directory, sizeof directory, "%s/%s", value, below);
  if (length < 0 || (size_t)length >= sizeof directory) return -ENOENT;
  return try_pattern(library, directory, file);
}

/* Of each directory in PATH: a python there may be that of an environment which no variable names.
 */
static int try_path(struct library *library, const char *below, const char *file) {
  const char *at = getenv("PATH");
  char directory[PATH_MAX];
  while (at && *at) {
    const int n = (int)strcspn(at, ":");
    const int length = snprintf(directory, sizeof directory, "%.*s/%s", n, at, below);
    if (n > 0 && length > 0 && (size_t)length < sizeof directory &&
        try_pattern(library, directory, file) == 0)
      return 0;
    at += n + (at[n] == ':');
  }
  return -ENOENT;
}

static int search(struct library *library, const char *file) {
  static const struct {
    const char *variable, *below; /* variable NULL: `below` is absolute; "PATH": of each of it */
  } places[] = {
      {"CUDA_HOME", "lib64"},
      {NULL, "/usr/local/cuda*/lib64"},
      {NULL, "/usr/local/cuda*/targets/*/lib"},
      {"VIRTUAL_ENV", "lib/python3*/site-packages/nvidia/*/lib"},
      {"CONDA_PREFIX", "lib"},
      {"CONDA_PREFIX", "lib/python3*/site-packages/nvidia/*/lib"},
      {"PATH", "../lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", ".local/lib/python3*/site-packages/nvidia/*/lib"},
      {NULL, "/usr/local/lib/python3*/*-packages/nvidia/*/lib"},
      {NULL, "/usr/lib/python3*/*-packages/nvidia/*/lib"},
      {"PWD", ".venv/lib/python3*/site-packages/nvidia/*/lib"},
      {"PWD", "*/lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", ".venv/lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", "*/lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", "*/.venv/lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", "*/envs/*/lib/python3*/site-packages/nvidia/*/lib"},
      {NULL, "/opt/*/lib/python3*/site-packages/nvidia/*/lib"},
      {NULL, "/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib"},
  };
  if (try_load(library, file) == 0) return 0;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    const char *variable = places[i].variable, *below = places[i].below;
    int failed = !variable                       ? try_pattern(library, below, file)
                 : strcmp(variable, "PATH") == 0 ? try_path(library, below, file)
                                                 : try_variable(library, variable, below, file);
    if (!failed) return 0;
  }
  return -ENOENT;
}

int library_open(struct library *library, const char *file, const char *directory,
                 struct error *error) {
  *library = (struct library){0};
  if (directory && *directory) {
    (void)dlerror(); /* of an earlier library */
    if (try_pattern(library, directory, file) == 0) return 0;
    const char *reason = dlerror();
    return error_set(error, -ENOTSUP, "no usable %s in %s (%s)", file, directory,
                     reason ? reason : "no such file");
  }
  if (search(library, file) == 0) return 0;
  return error_set(error, -ENOTSUP,
                   "%s was not found on the loader's path, in /usr/local/cuda*/lib64 or in "
                   "python's site-packages/nvidia: install it, or name its directory with "
                   "--cuda-libdir",
                   file);
}

void library_find(const struct library *library, struct library_symbol symbol) {
  void *found = dlsym(library->handle, symbol.name);
  memcpy(symbol.member, &found, sizeof found);
}

int library_resolve(const struct library *library, const struct library_symbol *symbols, size_t n,
                    struct error *error) {
  for (size_t i = 0; i < n; i++) {
    void *found = dlsym(library->handle, symbols[i].name);
    if (!found)
      return error_set(error, -ENOTSUP, "%s has no %s: it is of another version than its name says",
                       library->path, symbols[i].name);
    memcpy(symbols[i].member, &found, sizeof found);
  }
  return 0;
}
