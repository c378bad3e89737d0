/*
 * Opening KV files with every check that they can be put to without reading
 * their pages, and the accessors. A page's own CRC is checked by who reads it.
 */
#include "io/kv_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "io/direct.h"
#include "io/kv_internal.h"

/* ---- helpers ---------------------------------------------------------------------------- */

struct kv_file *kv_file_allocate(void) {
  struct kv_file *file = calloc(1, sizeof *file);
  if (file != NULL) file->fd = file->directory_fd = -1;
  return file;
}

int kv_file_allocate_head(struct kv_file *file, struct error *error) {
  size_t bytes = file->header.geometry.data_offset_bytes;
  file->head = aligned_alloc(KV_DATA_ALIGNMENT, bytes);
  if (file->head == NULL)
    return error_set(error, -ENOMEM, "no memory for a KV file's table of %zu bytes", bytes);
  memset(file->head, 0, bytes);
  return 0;
}

int kv_read_all(int fd, void *buffer, size_t bytes, uint64_t offset_bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pread(fd, (char *)buffer + done, bytes - done, (off_t)(offset_bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -ENODATA;
    done += (size_t)n;
  }
  return 0;
}

int kv_write_all(int fd, const void *buffer, size_t bytes, uint64_t offset_bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pwrite(fd, (const char *)buffer + done, bytes - done, (off_t)(offset_bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -EIO;
    done += (size_t)n;
  }
  return 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int open_for_reading(struct kv_file *file, struct error *error) {
  file->is_direct = true;
  file->fd = open(file->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (file->fd < 0 && errno == EINVAL) {
    file->is_direct = false;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
  }
  if (file->fd < 0) return error_set(error, -errno, "KV file %s: %s", file->path, strerror(errno));
  /* Held while open. Filesystems without locks do without: no reader removes anything. */
  if (flock(file->fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
    return error_set(error, -EBUSY, "KV file %s is locked by another process", file->path);
  size_t alignment = direct_alignment_of_fd(file->fd);
  file->alignment = alignment > KV_HEADER_BYTES ? alignment : KV_HEADER_BYTES;
  return 0;
}

static int read_header(struct kv_file *file, struct error *error) {
  void *block = aligned_alloc(KV_DATA_ALIGNMENT, KV_DATA_ALIGNMENT);
  if (block == NULL) return error_set(error, -ENOMEM, "no memory for a KV file's header");
  /* Every whole file has this much before its first page. */
  int code = kv_read_all(file->fd, block, KV_DATA_ALIGNMENT, 0);
  if (code == -ENODATA || code == -EINVAL)
    code = error_set(error, -EBADMSG, "KV file %s is cut off in its header", file->path);
  else if (code < 0)
    error_set(error, code, "reading KV file %s: %s", file->path, strerror(-code));
  else {
    code = kv_header_parse(&file->header, block, KV_HEADER_BYTES, error);
    if (code < 0) error_prefix(error, "%s", file->path);
  }
  free(block);
  return code;
}

static int check_size(const struct kv_file *file, struct error *error) {
  struct stat status;
  if (fstat(file->fd, &status) < 0)
    return error_set(error, -errno, "KV file %s: %s", file->path, strerror(errno));
  if ((uint64_t)status.st_size == file->header.geometry.file_bytes) return 0;
  return error_set(error, -EBADMSG, "KV file %s has %lld bytes, its header says %llu", file->path,
                   (long long)status.st_size, (unsigned long long)file->header.geometry.file_bytes);
}

static int read_table(struct kv_file *file, struct error *error) {
  const struct kv_geometry *geometry = &file->header.geometry;
  int code = kv_file_allocate_head(file, error);
  if (code < 0) return code;
  code = kv_read_all(file->fd, file->head, geometry->data_offset_bytes, 0);
  if (code < 0)
    return error_set(error, code, "reading KV file %s's table: %s", file->path, strerror(-code));
  uint32_t crc = crc32c(0, file->head + KV_HEADER_BYTES, geometry->table_bytes);
  if (crc == file->header.table_crc) return 0;
  return error_set(error, -EBADMSG,
                   "KV file %s's table is damaged: its CRC32C is %08x, the header says %08x",
                   file->path, crc, file->header.table_crc);
}

/* Pages that do not lie on the blocks of this filesystem can only be read through the page cache.
 */
static int leave_direct_if_unaligned(struct kv_file *file, struct error *error) {
  if (!file->is_direct || file->header.identity.page_stride_bytes % file->alignment == 0) return 0;
  int flags = fcntl(file->fd, F_GETFL);
  if (flags < 0 || fcntl(file->fd, F_SETFL, flags & ~O_DIRECT) < 0)
    return error_set(error, -errno, "KV file %s: leaving O_DIRECT: %s", file->path,
                     strerror(errno));
  file->is_direct = false;
  return 0;
}

static int open_whole(struct kv_file **opened, const char *path, const struct kv_identity *wanted,
                      struct error *error) {
  *opened = NULL;
  struct kv_file *file = kv_file_allocate();
  if (file == NULL) return error_set(error, -ENOMEM, "no memory for a KV file");
  int length = snprintf(file->path, sizeof file->path, "%s", path);
  int code = 0;
  if (length < 0 || (size_t)length >= sizeof file->path)
    code = error_set(error, -ENAMETOOLONG, "KV file %.100s...: its path is too long", path);
  if (code == 0) code = open_for_reading(file, error);
  if (code == 0) code = read_header(file, error);
  if (code == 0 && wanted != NULL) {
    code = kv_identity_compare(&file->header.identity, wanted, error);
    if (code < 0) error_prefix(error, "%s", file->path);
  }
  if (code == 0) code = check_size(file, error);
  if (code == 0) code = read_table(file, error);
  if (code == 0) code = leave_direct_if_unaligned(file, error);
  if (code < 0) {
    kv_file_close(file);
    return code;
  }
  file->is_published = true;
  *opened = file;
  return 0;
}

int kv_file_open(struct kv_file **file, const char *directory, const struct kv_identity *identity,
                 struct error *error) {
  assert(file != NULL && directory != NULL && identity != NULL);
  char name[KV_NAME_BYTES], path[PATH_MAX];
  kv_file_name(identity, name);
  int length = snprintf(path, sizeof path, "%s/%s", directory, name);
  if (length < 0 || (size_t)length >= sizeof path) {
    *file = NULL;
    return error_set(error, -ENAMETOOLONG, "directory %.100s...: its name is too long", directory);
  }
  return open_whole(file, path, identity, error);
}

int kv_file_open_path(struct kv_file **file, const char *path, struct error *error) {
  assert(file != NULL && path != NULL);
  return open_whole(file, path, NULL, error);
}

void kv_file_close(struct kv_file *file) {
  if (file == NULL) return;
  if (file->partial_name[0] != '\0' && file->fd >= 0)
    kv_partial_remove(file->directory_fd, file->partial_name, file->fd);
  if (file->fd >= 0) close(file->fd);
  if (file->directory_fd >= 0) close(file->directory_fd);
  free(file->head);
  free(file->crc_set);
  free(file);
}

/* ---- accessors -------------------------------------------------------------------------- */

const struct kv_identity *kv_file_identity(const struct kv_file *file) {
  return &file->header.identity;
}

const char *kv_file_path(const struct kv_file *file) {
  return file->path;
}

const char *kv_file_title(const struct kv_file *file) {
  return file->path[0] != '\0' ? file->path : file->title;
}

int kv_file_fd(const struct kv_file *file) {
  return file->fd;
}

bool kv_file_is_direct(const struct kv_file *file) {
  return file->is_direct;
}

size_t kv_file_alignment(const struct kv_file *file) {
  return file->alignment;
}

int64_t kv_file_pages_per_layer(const struct kv_file *file) {
  return file->header.geometry.pages_per_layer;
}

/* A page's number over all layers. */
static uint64_t page_number(const struct kv_file *file, int layer, int64_t page) {
  assert(layer >= 0 && layer < file->header.identity.layers);
  assert(page >= 0 && page < file->header.geometry.pages_per_layer);
  return (uint64_t)layer * (uint64_t)file->header.geometry.pages_per_layer + (uint64_t)page;
}

uint64_t kv_file_page_offset(const struct kv_file *file, int layer, int64_t page) {
  return file->header.geometry.data_offset_bytes +
         page_number(file, layer, page) * file->header.identity.page_stride_bytes;
}

uint32_t kv_file_crc_start(const struct kv_file *file, int layer, int64_t page) {
  return kv_page_crc_start(file->header.file_id, layer, page, file->header.identity.seed);
}

/* Where a page's CRC lies in the head. */
static uint8_t *table_entry(const struct kv_file *file, int layer, int64_t page) {
  return file->head + KV_HEADER_BYTES + page_number(file, layer, page) * sizeof(uint32_t);
}

uint32_t kv_file_crc(const struct kv_file *file, int layer, int64_t page) {
  uint32_t crc;
  memcpy(&crc, table_entry(file, layer, page), sizeof crc);
  return crc;
}

void kv_file_set_crc(struct kv_file *file, int layer, int64_t page, uint32_t crc) {
  assert(file->crc_set != NULL && !file->is_published);
  memcpy(table_entry(file, layer, page), &crc, sizeof crc);
  file->crc_set[page_number(file, layer, page)] = 1;
}
