/*
 * Where a profile comes from: one of the program's own by name, or a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/playback/builtin.h"
#include "kernels/playback/profile.h"

const char *profile_builtin_name(int index) {
  struct builtin_profile builtin;
  return builtin_profile_at(index, &builtin) ? builtin.name : NULL;
}

/* A part that is one number, 0. */
static int zero_grid(struct profile_grid *grid) {
  grid->origin = PROFILE_DERIVED;
  grid->n_rows = 1;
  grid->n_columns = 1;
  grid->seconds = calloc(1, sizeof *grid->seconds);
  return grid->seconds != NULL ? 0 : -ENOMEM;
}

/* All times 0, any shape: what is left of a run is the harness's own time. */
static int make_zero(struct profile **profile, const char *name, struct error *error) {
  struct profile *zero = calloc(1, sizeof *zero);
  if (zero == NULL || zero_grid(&zero->layer_s) != 0 || zero_grid(&zero->embedding_s) != 0 ||
      zero_grid(&zero->head_s) != 0) {
    profile_free(zero);
    return error_set(error, -ENOMEM, "playback profile %s: no memory", name);
  }
  snprintf(zero->name, sizeof zero->name, "%s", name);
  snprintf(zero->about, sizeof zero->about, "All times are 0: measures the harness itself.");
  snprintf(zero->source, sizeof zero->source,
           "none: nothing is computed and nothing is waited for");
  snprintf(zero->device, sizeof zero->device, "an infinitely fast device");
  zero->any_shape = true;
  zero->peaks.origin = PROFILE_DERIVED;
  *profile = zero;
  return 0;
}

/* Reads a regular file of at most PROFILE_FILE_BYTES_MAX; *text is the caller's to free. */
static int read_text(const char *path, int fd, char **text, size_t *text_bytes,
                     struct error *error) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return error_set(error, -errno, "playback profile %s: fstat: %s", path, strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return error_set(error, -EINVAL, "playback profile %s is not a regular file", path);
  }
  if (status.st_size > PROFILE_FILE_BYTES_MAX) {
    return error_set(error, -EFBIG, "playback profile %s has %lld bytes; at most %d are read", path,
                     (long long)status.st_size, PROFILE_FILE_BYTES_MAX);
  }
  size_t room = (size_t)status.st_size;
  char *buffer = malloc(room + 1);
  if (buffer == NULL) return error_set(error, -ENOMEM, "playback profile %s: no memory", path);
  size_t have = 0;
  ssize_t got = 1;
  while (have < room && got > 0) {
    got = read(fd, buffer + have, room - have);
    if (got > 0) have += (size_t)got;
    if (got < 0 && errno == EINTR) got = 1;
  }
  if (got < 0) {
    int code = -errno;
    free(buffer);
    return error_set(error, code, "playback profile %s: read: %s", path, strerror(-code));
  }
  *text = buffer;
  *text_bytes = have;
  return 0;
}

static int load_file(struct profile **profile, const char *path, struct error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
  if (fd < 0) {
    int code = -errno;
    return error_set(error, code, "playback profile %s: %s", path, strerror(-code));
  }
  char *text = NULL;
  size_t text_bytes = 0;
  int code = read_text(path, fd, &text, &text_bytes, error);
  close(fd);
  if (code == 0) code = profile_parse(profile, path, text, text_bytes, error);
  free(text);
  return code;
}

static bool is_path(const char *text) {
  size_t bytes = strlen(text), suffix_bytes = strlen(PROFILE_SUFFIX);
  if (strchr(text, '/') != NULL) return true;
  return bytes > suffix_bytes && strcmp(text + bytes - suffix_bytes, PROFILE_SUFFIX) == 0;
}

int profile_load(struct profile **profile, const char *name_or_path, struct error *error) {
  *profile = NULL;
  if (is_path(name_or_path)) return load_file(profile, name_or_path, error);
  struct builtin_profile builtin;
  if (builtin_profile_find(name_or_path, &builtin)) {
    if (builtin.text == NULL) return make_zero(profile, builtin.name, error);
    return profile_parse(profile, builtin.name, builtin.text, builtin.text_bytes, error);
  }
  char names[256] = "";
  size_t used = 0;
  for (int i = 0; builtin_profile_at(i, &builtin) && used < sizeof names; i++) {
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                             builtin.name);
  }
  return error_set(error, -ENOENT,
                   "no playback profile \"%s\"; built in: %s; or give a file's path (with a '/' "
                   "or ending in " PROFILE_SUFFIX ")",
                   name_or_path, names);
}
