/*
 * Where a filesystem has no unnamed files: a file in the making has a name
 * that ends in ".partial", our magic as its first bytes (but no valid header),
 * and an exclusive lock that ends with its process. A partial file whose lock
 * is free was left by a killed run.
 *
 * Two races are closed here. A sweep may find a file between its creation and
 * its lock: the creator, once it has the lock, looks whether the name still
 * leads to its file, and begins again if not. A name may lead to another file
 * by the time it is removed: the sweep compares the two while it holds the lock.
 */
#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/kv_internal.h"

#define CREATE_ATTEMPTS 100
#define HEX_DIGITS 16
#define ALIGNMENT 4096

/* "<name>.<16 hex digits>.partial" */
static void make_name(const struct kv_identity *identity, char *name) {
  char final_name[KV_NAME_BYTES];
  uint64_t random = 0;
  kv_file_name(identity, final_name);
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (uint64_t)getpid();
  snprintf(name, KV_PARTIAL_NAME_BYTES, "%s.%016llx%s", final_name, (unsigned long long)random,
           KV_PARTIAL_SUFFIX);
}

/* True where `text` begins with 16 lower-case hex digits. */
static bool begins_with_hash(const char *text) {
  for (int i = 0; i < HEX_DIGITS; i++) {
    if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f')) return false;
  }
  return true;
}

bool kv_partial_name_is_ours(const char *name) {
  /* refill-<model>-<16 hex>.kv.<16 hex>.partial: the tail has a fixed length */
  const size_t tail = 1 + HEX_DIGITS + 4 + HEX_DIGITS + strlen(KV_PARTIAL_SUFFIX);
  const size_t head = strlen("refill-");
  size_t length = strlen(name);
  if (length < head + tail || strncmp(name, "refill-", head) != 0) return false;
  const char *at = name + length - tail;
  return at[0] == '-' && begins_with_hash(at + 1) && strncmp(at + 1 + HEX_DIGITS, ".kv.", 4) == 0 &&
         begins_with_hash(at + 1 + HEX_DIGITS + 4) &&
         strcmp(at + 1 + HEX_DIGITS + 4 + HEX_DIGITS, KV_PARTIAL_SUFFIX) == 0;
}

/* True when `name` leads to the very file that fd has open. */
static bool name_leads_to(int directory_fd, const char *name, int fd) {
  struct stat by_name, by_fd;
  return fstatat(directory_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(fd, &by_fd) == 0 && by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

void kv_partial_remove(int directory_fd, const char *name, int fd) {
  if (name_leads_to(directory_fd, name, fd)) unlinkat(directory_fd, name, 0);
}

/* The first block with our magic and no more: told as ours, but never opened as whole. */
static int write_magic(int fd) {
  void *block = aligned_alloc(ALIGNMENT, KV_HEADER_BYTES);
  if (block == NULL) return -ENOMEM;
  memset(block, 0, KV_HEADER_BYTES);
  memcpy(block, KV_HEADER_MAGIC, KV_HEADER_MAGIC_BYTES);
  int code = kv_write_all(fd, block, KV_HEADER_BYTES, 0);
  free(block);
  return code;
}

int kv_partial_create(int directory_fd, const struct kv_identity *identity, int flags, char *name) {
  for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
    make_name(identity, name);
    int fd = openat(directory_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | flags, 0644);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) {
      int refused = -errno;
      /* A filesystem without O_DIRECT says so after it has made the file. */
      if (refused == -EINVAL) unlinkat(directory_fd, name, 0);
      return refused;
    }
    int code = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (code == 0 && name_leads_to(directory_fd, name, fd))
      code = write_magic(fd);
    else if (code == 0 || code == -EWOULDBLOCK)
      code = -EAGAIN; /* a sweep was faster */
    if (code == 0) return fd;
    if (code != -EAGAIN) kv_partial_remove(directory_fd, name, fd);
    close(fd);
    if (code != -EAGAIN) return code;
  }
  return -EAGAIN;
}

/* ---- sweeping --------------------------------------------------------------------------- */

/* True for a partial file of this program: our magic, or nothing yet under a name of ours. */
static bool is_ours(const char *name, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) return false;
  if (status.st_size == 0) return kv_partial_name_is_ours(name);
  char magic[KV_HEADER_MAGIC_BYTES];
  return kv_read_all(fd, magic, sizeof magic, 0) == 0 &&
         memcmp(magic, KV_HEADER_MAGIC, sizeof magic) == 0;
}

/* Removes one partial file if it is ours and nobody holds it: 1, 0 or a negative errno. */
static int sweep_one(int directory_fd, const char *name) {
  int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return 0; /* not ours to read, or gone */
  int removed = 0;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_ours(name, fd) &&
      name_leads_to(directory_fd, name, fd)) {
    removed = unlinkat(directory_fd, name, 0) == 0 ? 1 : errno == ENOENT ? 0 : -errno;
  }
  close(fd);
  return removed;
}

static bool ends_with_partial(const char *name) {
  size_t length = strlen(name), suffix = strlen(KV_PARTIAL_SUFFIX);
  return length > suffix && strcmp(name + length - suffix, KV_PARTIAL_SUFFIX) == 0;
}

int kv_file_sweep_partial(const char *directory, struct error *error) {
  assert(directory != NULL);
  DIR *stream = opendir(directory);
  if (stream == NULL)
    return error_set(error, -errno, "directory %s: %s", directory, strerror(errno));
  int n_removed = 0, code = 0;
  for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
    if (!ends_with_partial(entry->d_name)) continue;
    int removed = sweep_one(dirfd(stream), entry->d_name);
    if (removed > 0) n_removed++;
    if (removed < 0 && code == 0)
      code = error_set(error, removed, "removing %s/%s, left by a killed run: %s", directory,
                       entry->d_name, strerror(-removed));
  }
  closedir(stream);
  return code < 0 ? code : n_removed;
}
