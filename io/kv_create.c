/*
 * Making a KV file: unnamed until it is whole and synced, so that whatever
 * kills the run in between leaves nothing behind. Space is checked, then
 * preallocated in one go: pages are then written in any order without
 * fragments, and without running out half way.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/units.h"
#include "io/direct.h"
#include "io/kv_internal.h"

/* ---- space ------------------------------------------------------------------------------ */

/* Refuses a file that cannot fit, before any of it is allocated. The limit on file sizes is checked
 * too, since going over it raises a signal that ends the process. */
static int check_space(int directory_fd, const char *directory, uint64_t needed_bytes,
                       struct error *error) {
  char needed[UNITS_TEXT_BYTES], there[UNITS_TEXT_BYTES];
  units_format_bytes(needed, (double)needed_bytes);
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < needed_bytes)
    return error_set(error, -EFBIG,
                     "a KV file of %s is over the limit on file sizes, %s: raise ulimit -f or use "
                     "fewer tokens",
                     needed, units_format_bytes(there, (double)limit.rlim_cur));
  struct statvfs status;
  if (fstatvfs(directory_fd, &status) < 0) return 0; /* then allocation will tell */
  uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
  if (free_bytes >= needed_bytes) return 0;
  return error_set(error, -ENOSPC,
                   "a KV file needs %s (%llu bytes) in %s, where %s (%llu bytes) are free: free "
                   "some, use fewer tokens or another target",
                   needed, (unsigned long long)needed_bytes, directory,
                   units_format_bytes(there, (double)free_bytes), (unsigned long long)free_bytes);
}

/* Gives the file its size and, where the filesystem can, its blocks. */
static int preallocate(int fd, uint64_t bytes) {
  int code;
  do {
    code = fallocate(fd, 0, 0, (off_t)bytes) < 0 ? -errno : 0;
  } while (code == -EINTR);
  if (code == -EOPNOTSUPP || code == -ENOSYS) code = ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
  return code;
}

/* ---- creating --------------------------------------------------------------------------- */

/* True for what open() says of O_TMPFILE where a filesystem or an old kernel lacks it. */
static bool means_no_tmpfile(int code) {
  return code == -EOPNOTSUPP || code == -EISDIR || code == -ENOSYS || code == -ENOENT;
}

/* Opens the file without a name, or under a partial one; direct or not: fd or a negative errno. A
 * filesystem says EINVAL where it lacks O_DIRECT. */
static int open_new(struct kv_file *file, const struct kv_identity *identity, int flags) {
  int fd = openat(file->directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0644);
  if (fd >= 0) return fd;
  int code = -errno;
  if (!means_no_tmpfile(code)) return code;
  return kv_partial_create(file->directory_fd, identity, flags, file->partial_name);
}

static int open_directory(struct kv_file *file, const char *directory, struct error *error) {
  if (strlen(directory) + KV_PARTIAL_NAME_BYTES >= sizeof file->directory)
    return error_set(error, -ENAMETOOLONG, "directory %s: its name is too long", directory);
  snprintf(file->directory, sizeof file->directory, "%s", directory);
  snprintf(file->title, sizeof file->title, "the new KV's file in %s", directory);
  file->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file->directory_fd < 0)
    return error_set(error, -errno, "directory %s: %s", directory, strerror(errno));
  return 0;
}

static int open_file(struct kv_file *file, const struct kv_identity *identity,
                     struct error *error) {
  file->is_direct = true;
  file->fd = open_new(file, identity, O_DIRECT);
  if (file->fd == -EINVAL) {
    file->is_direct = false;
    file->fd = open_new(file, identity, 0);
  }
  if (file->fd < 0) {
    int code = file->fd;
    file->fd = -1;
    return error_set(error, code, "making a KV file in directory %s: %s", file->directory,
                     strerror(-code));
  }
  size_t alignment = direct_alignment_of_fd(file->fd);
  file->alignment = alignment > KV_HEADER_BYTES ? alignment : KV_HEADER_BYTES;
  if (file->is_direct && identity->page_stride_bytes % file->alignment != 0)
    return error_set(error, -EINVAL,
                     "KV file: page_stride_bytes is %llu, direct I/O in %s needs multiples of %zu",
                     (unsigned long long)identity->page_stride_bytes, file->directory,
                     file->alignment);
  /* The name that it will get is held shared by readers; nobody else can see the file yet. */
  if (file->partial_name[0] == '\0') flock(file->fd, LOCK_SH | LOCK_NB);
  return 0;
}

static int fill_in(struct kv_file *file, struct error *error) {
  if (getrandom(&file->header.file_id, sizeof file->header.file_id, 0) !=
      (ssize_t)sizeof file->header.file_id)
    return error_set(error, -EIO, "no random number for a KV file's id");
  int code = kv_file_allocate_head(file, error);
  if (code < 0) return code;
  file->crc_set = calloc((size_t)file->header.geometry.n_pages, 1);
  if (file->crc_set == NULL)
    return error_set(error, -ENOMEM, "no memory for %lld pages' CRCs",
                     (long long)file->header.geometry.n_pages);
  code = preallocate(file->fd, file->header.geometry.file_bytes);
  if (code == 0) return 0;
  char bytes[UNITS_TEXT_BYTES];
  return error_set(error, code, "allocating %s for a KV file in directory %s: %s%s",
                   units_format_bytes(bytes, (double)file->header.geometry.file_bytes),
                   file->directory, strerror(-code),
                   code == -ENOSPC || code == -EDQUOT ? " (use fewer tokens)" : "");
}

int kv_file_create(struct kv_file **created, const char *directory,
                   const struct kv_identity *identity, struct error *error) {
  assert(created != NULL && directory != NULL && identity != NULL);
  *created = NULL;
  struct kv_geometry geometry;
  int code = kv_geometry_of(&geometry, identity, error);
  if (code < 0) return code;
  struct kv_file *file = kv_file_allocate();
  if (file == NULL) return error_set(error, -ENOMEM, "no memory for a KV file");
  kv_identity_normalise(&file->header.identity, identity);
  file->header.geometry = geometry;
  code = open_directory(file, directory, error);
  if (code == 0) code = check_space(file->directory_fd, directory, geometry.file_bytes, error);
  if (code == 0) code = open_file(file, identity, error);
  if (code == 0) code = fill_in(file, error);
  if (code < 0) {
    kv_file_close(file);
    return code;
  }
  *created = file;
  return 0;
}

/* ---- publishing ------------------------------------------------------------------------- */

/* Every page must have been given its CRC: one forgotten would be found only when read. */
static int check_table(const struct kv_file *file, struct error *error) {
  const struct kv_geometry *geometry = &file->header.geometry;
  for (int64_t page = 0; page < geometry->n_pages; page++) {
    if (file->crc_set[page]) continue;
    return error_set(error, -EINVAL, "KV file: layer %lld, page %lld was given no CRC",
                     (long long)(page / geometry->pages_per_layer),
                     (long long)(page % geometry->pages_per_layer));
  }
  return 0;
}

static int write_head(struct kv_file *file, struct error *error) {
  const struct kv_geometry *geometry = &file->header.geometry;
  file->header.table_crc = crc32c(0, file->head + KV_HEADER_BYTES, geometry->table_bytes);
  kv_header_format(&file->header, file->head);
  int code = kv_write_all(file->fd, file->head, geometry->data_offset_bytes, 0);
  if (code < 0)
    return error_set(error, code, "writing header and table of a KV file in %s: %s",
                     file->directory, strerror(-code));
  if (fsync(file->fd) < 0)
    return error_set(error, -errno, "syncing a KV file in %s: %s", file->directory,
                     strerror(errno));
  return 0;
}

/* Links the file to its name; never replaces another. 0 or a negative errno. */
static int link_to_name(struct kv_file *file, const char *name) {
  if (file->partial_name[0] != '\0') {
    flock(file->fd, LOCK_SH | LOCK_NB); /* from maker's to reader's */
    return linkat(file->directory_fd, file->partial_name, file->directory_fd, name, 0) < 0 ? -errno
                                                                                           : 0;
  }
  char descriptor[64];
  snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", file->fd);
  if (linkat(AT_FDCWD, descriptor, file->directory_fd, name, AT_SYMLINK_FOLLOW) == 0) return 0;
  if (errno != ENOENT) return -errno;
  /* No /proc here: the same without it, for those with CAP_DAC_READ_SEARCH. */
  return linkat(file->fd, "", file->directory_fd, name, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* A name is durable once its directory is; some network and FUSE filesystems have no such call. */
static int sync_directory(struct kv_file *file, struct error *error) {
  if (fsync(file->directory_fd) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
    return 0;
  return error_set(error, -errno, "syncing directory %s: %s", file->directory, strerror(errno));
}

int kv_file_publish(struct kv_file *file, struct error *error) {
  assert(file != NULL && !file->is_published && file->crc_set != NULL);
  int code = check_table(file, error);
  if (code == 0) code = write_head(file, error);
  if (code < 0) return code;
  char name[KV_NAME_BYTES];
  kv_file_name(&file->header.identity, name);
  code = link_to_name(file, name);
  if (code == -EEXIST)
    return error_set(error, code, "%s/%s was made by another run meanwhile: use that one",
                     file->directory, name);
  if (code < 0)
    return error_set(error, code, "naming a KV file %s/%s: %s", file->directory, name,
                     strerror(-code));
  if (file->partial_name[0] != '\0')
    kv_partial_remove(file->directory_fd, file->partial_name, file->fd);
  file->partial_name[0] = '\0';
  file->is_published = true;
  size_t used = (size_t)snprintf(file->path, sizeof file->path, "%s/", file->directory);
  snprintf(file->path + used, sizeof file->path - used, "%s", name);
  return sync_directory(file, error);
}
