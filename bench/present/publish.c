/*
 * Publishing files whole: see publish.h. The temporary file has a name of our own rather than the
 * target's plus a suffix, since that could exceed what a directory takes.
 */
#include "bench/present/publish.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIDDEN_TRIES 100
#define OURS_BYTES_MAX (INT64_C(1) << 30) /* a larger file is none of ours */

static const char *const kind_names[] = {
    [PUBLISH_RESULT] = "a result of refill", [PUBLISH_PROFILE] = "a profile of refill",
    [PUBLISH_TRACE] = "a trace of refill",   [PUBLISH_JSONL] = "lines of refill's results",
    [PUBLISH_CSV] = "a table of refill",     [PUBLISH_REPORT] = "a report of refill",
};

/* Length of the directory's part of a path, its slash included; 0: the working directory. */
static int directory_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (int)(slash - path) + 1 : 0;
}

static const char *advice(int code) {
  switch (code) {
  case ENOENT:
    return "its directory does not exist; create it with mkdir -p";
  case ENOTDIR:
    return "a part of the path is not a directory";
  case EACCES:
  case EPERM:
    return "no permission to write in its directory";
  case EROFS:
    return "its filesystem is read-only";
  case ENOSPC:
  case EDQUOT:
    return "no space left; free some, or give a place elsewhere";
  case ENAMETOOLONG:
    return "the name is too long";
  case EISDIR:
    return "a directory; give a file's name in it";
  default:
    return strerror(code);
  }
}

/* ---- what may be replaced ------------------------------------------------------- */

static bool has_schema(const char *path, const char *prefix) {
  json_t *json = json_load_file(path, 0, NULL);
  const char *schema = json_string_value(json_object_get(json, "schema"));
  bool ours = schema && strncmp(schema, prefix, strlen(prefix)) == 0;
  json_decref(json);
  return ours;
}

/* The first bytes of a file as text. */
static bool read_head(const char *path, char *head, size_t n) {
  FILE *stream = fopen(path, "re");
  if (!stream) return false;
  size_t length = fread(head, 1, n - 1, stream);
  head[length] = '\0';
  fclose(stream);
  return true;
}

static bool is_trace(const char *path) {
  char head[sizeof PUBLISH_TRACE_HEAD];
  return read_head(path, head, sizeof head) && strcmp(head, PUBLISH_TRACE_HEAD) == 0;
}

static bool is_report(const char *path) {
  char head[sizeof PUBLISH_REPORT_HEAD];
  return read_head(path, head, sizeof head) && strcmp(head, PUBLISH_REPORT_HEAD) == 0;
}

static bool is_jsonl(const char *path) {
  char head[sizeof PUBLISH_JSONL_HEAD];
  return read_head(path, head, sizeof head) && strcmp(head, PUBLISH_JSONL_HEAD) == 0;
}

/* A first line of field names, which no text or program has by chance. */
static bool is_csv(const char *path) {
  char head[4096];
  if (!read_head(path, head, sizeof head)) return false;
  size_t n = strspn(head, "abcdefghijklmnopqrstuvwxyz0123456789_,");
  return n > 0 && memchr(head, '_', n) && head[n] == '\r' && head[n + 1] == '\n';
}

static bool is_ours(const char *path, enum publish_kind kind) {
  switch (kind) {
  case PUBLISH_RESULT:
    return has_schema(path, "refill/");
  case PUBLISH_PROFILE:
    return has_schema(path, "refill-profile/");
  case PUBLISH_TRACE:
    return is_trace(path);
  case PUBLISH_JSONL:
    return is_jsonl(path);
  case PUBLISH_CSV:
    return is_csv(path);
  case PUBLISH_REPORT:
    return is_report(path);
  }
  return false;
}

/* Whatever stands at the path may go: nothing, an empty file, or one of ours. */
static int check_existing(const char *option, const char *path, enum publish_kind kind,
                          struct error *error) {
  struct stat status;
  if (stat(path, &status) != 0) {
    if (errno == ENOENT) return 0; /* nothing there; the directory is looked at next */
    return error_set(error, -errno, "%s %s: %s", option, path, advice(errno));
  }
  if (S_ISDIR(status.st_mode))
    return error_set(error, -EISDIR, "%s %s: a directory; give a file's name in it", option, path);
  if (!S_ISREG(status.st_mode))
    return error_set(error, -EEXIST,
                     "%s %s: not a regular file; give a file's name (--json prints the result)",
                     option, path);
  if (access(path, R_OK | W_OK) != 0)
    return error_set(error, -errno, "%s %s: exists and is protected (%s); give another name",
                     option, path, strerror(errno));
  if (status.st_size == 0) return 0;
  if (status.st_size <= OURS_BYTES_MAX && is_ours(path, kind)) return 0;
  return error_set(error, -EEXIST,
                   "%s %s: exists and is not %s, so it is not replaced; give another name or "
                   "remove it",
                   option, path, kind_names[kind]);
}

/* ---- the temporary file ------------------------------------------------------------ */

/* Creates a file of a name not taken beside `path`; its descriptor or a negative errno. */
static int create_hidden(const char *path, char hidden[PATH_MAX]) {
  for (int i = 0; i < HIDDEN_TRIES; i++) {
    int length = snprintf(hidden, PATH_MAX, "%.*s.refill-%ld-%d", directory_length(path), path,
                          (long)getpid(), i);
    if (length >= PATH_MAX) return -ENAMETOOLONG;
    int fd = open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return fd;
    if (errno != EEXIST) return -errno;
  }
  return -EEXIST;
}

/* The name itself must be one that the filesystem takes. */
static int check_name(const char *path) {
  const char *name = path + directory_length(path);
  if (strlen(path) >= PATH_MAX || strlen(name) > NAME_MAX) return -ENAMETOOLONG;
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return -EISDIR;
  return 0;
}

int publish_check(const char *option, const char *path, enum publish_kind kind,
                  struct error *error) {
  struct publish publish;
  int code = publish_begin(&publish, option, path, kind, error);
  publish_cancel(&publish);
  return code;
}

int publish_begin(struct publish *publish, const char *option, const char *path,
                  enum publish_kind kind, struct error *error) {
  *publish = (struct publish){.stream = NULL};
  int code = check_name(path);
  if (code == 0) code = check_existing(option, path, kind, error);
  int fd = code == 0 ? create_hidden(path, publish->hidden) : code;
  if (fd < 0) {
    publish->hidden[0] = '\0';
    return error_set(error, fd, "%s %s: %s", option, path, advice(-fd));
  }
  /* A link is followed, so that what it points to is replaced and not the link. */
  if (!realpath(path, publish->path)) snprintf(publish->path, PATH_MAX, "%s", path);
  publish->stream = fdopen(fd, "w");
  if (publish->stream) return 0;
  close(fd);
  publish_cancel(publish);
  return error_set(error, -ENOMEM, "%s %s: no memory to write it", option, path);
}

/* The rename itself must reach the drive. Filesystems that cannot sync a directory say EINVAL. */
static int sync_directory(const char *path) {
  char directory[PATH_MAX];
  int length = directory_length(path);
  snprintf(directory, sizeof directory, "%.*s", length ? length : 1, length ? path : ".");
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int code = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
  close(fd);
  return code;
}

static int flush_and_close(struct publish *publish) {
  FILE *stream = publish->stream;
  publish->stream = NULL;
  errno = 0;
  int code = ferror(stream) ? -EIO : 0;
  if (fflush(stream) != 0) code = errno ? -errno : -EIO;
  if (code == 0 && fsync(fileno(stream)) != 0) code = -errno;
  if (fclose(stream) != 0 && code == 0) code = errno ? -errno : -EIO;
  return code;
}

int publish_commit(struct publish *publish, struct error *error) {
  assert(publish->stream);
  int code = flush_and_close(publish);
  if (code == 0 && rename(publish->hidden, publish->path) != 0) code = -errno;
  if (code < 0) {
    publish_cancel(publish);
    return error_set(error, code, "%s cannot be written: %s", publish->path, advice(-code));
  }
  publish->hidden[0] = '\0';
  code = sync_directory(publish->path);
  if (code < 0)
    error_set(error, code, "%s is written, its directory is not synced: %s", publish->path,
              strerror(-code));
  return code;
}

void publish_cancel(struct publish *publish) {
  if (publish->stream) fclose(publish->stream);
  publish->stream = NULL;
  if (publish->hidden[0]) unlink(publish->hidden);
  publish->hidden[0] = '\0';
}
