/*
 * What the parts of the KV file share: kv_file.c (opening, accessors),
 * kv_create.c (making and publishing), kv_partial.c (the fallback for
 * filesystems without unnamed files).
 */
#ifndef REFILL_IO_KV_INTERNAL_H
#define REFILL_IO_KV_INTERNAL_H

#include <limits.h>

#include "io/kv_header.h"

#define KV_PARTIAL_SUFFIX ".partial"
#define KV_PARTIAL_NAME_BYTES (KV_NAME_BYTES + 32)

struct kv_file {
  int fd;
  int directory_fd; /* while being made, to name it in; else -1 */
  bool is_direct;
  bool is_published;
  size_t alignment; /* of offsets, sizes and memory for fd */
  struct kv_header header;
  uint8_t *head;    /* header, table and padding: data_offset_bytes, aligned */
  uint8_t *crc_set; /* one per page, while being made: was its CRC given? */
  char path[PATH_MAX];
  char directory[PATH_MAX];
  char title[PATH_MAX + 32];                /* what messages call it while it has no path */
  char partial_name[KV_PARTIAL_NAME_BYTES]; /* "" for an unnamed file */
};

/* ---- kv_file.c -------------------------------------------------------------------------- */

/* A zeroed kv_file without descriptors; NULL for want of memory. */
struct kv_file *kv_file_allocate(void);

/* Allocates `head` for the header's geometry. -ENOMEM. */
int kv_file_allocate_head(struct kv_file *file, struct error *error);

/* pread/pwrite of all `bytes`; 0, -ENODATA where the file ends, or a negative errno. */
int kv_read_all(int fd, void *buffer, size_t bytes, uint64_t offset_bytes);
int kv_write_all(int fd, const void *buffer, size_t bytes, uint64_t offset_bytes);

/* ---- kv_partial.c ----------------------------------------------------------------------- */

/* Makes and locks a file with a ".partial" name in directory_fd, its magic written. `flags` are
 * added to open()'s. Returns the descriptor or a negative errno; `name` receives the name. */
int kv_partial_create(int directory_fd, const struct kv_identity *identity, int flags, char *name);

/* Removes a partial file of ours, when it still is the one that `fd` has open. */
void kv_partial_remove(int directory_fd, const char *name, int fd);

/* True for exactly the names that kv_partial_create() gives. */
bool kv_partial_name_is_ours(const char *name);

#endif
