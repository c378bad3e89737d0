/*
 * The KV file: stored KV pages of one prompt prefix, layer-major.
 *
 *   header   one block: magic, version, identity, geometry, and its own CRC32C
 *   table    one CRC32C per page, over (file id, layer, page, seed) and the
 *            payload, so that a page in the wrong place is as wrong as a damaged one;
 *            the table's own CRC is in the header
 *   pages    layer 0's pages, then layer 1's, ..., each page_stride_bytes long, payload
 *            first, zero bytes to the stride; data_offset_bytes and stride are aligned
 *
 * A file is made unnamed (O_TMPFILE) and linked when whole and synced, so that
 * a killed run leaves nothing; where a filesystem lacks that, under a
 * ".partial" name held by a lock, and only a partial file whose lock is free is
 * cleaned up. Readers hold a shared lock. All data goes through O_DIRECT where
 * the filesystem has it.
 */
#ifndef REFILL_IO_KV_FILE_H
#define REFILL_IO_KV_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define KV_FILE_TEXT_BYTES 64

/* What makes KV the right KV. Every field is compared when a file is opened; the first that
 * differs is named. Fixed-size and plain, written as it stands (little endian). */
struct kv_identity {
  char model[KV_FILE_TEXT_BYTES];   /* shape's name */
  char content[KV_FILE_TEXT_BYTES]; /* who made the values: "cpu oneDNN ...", "synthetic" */
  int32_t layers;                   /* layers in the file */
  int32_t hidden, q_heads, kv_heads, head_dim, ffn, vocabulary; /* the shape */
  int32_t element, kv_element; /* enum element of weights and of KV, as numbers */
  int32_t layout;              /* 0: layer-major */
  float k_scale, v_scale;      /* dequantisation scales; 1 for bf16 */
  int64_t n_tokens;            /* tokens stored */
  int64_t page_tokens;
  uint64_t page_payload_bytes;
  uint64_t page_stride_bytes;
  uint64_t seed;        /* of the weights */
  uint64_t prefix_hash; /* kv_prefix_hash() of the tokens */
};

struct kv_file; /* opaque: an open KV file */

/* A hash of a token prefix: equal prefixes, equal hashes. */
uint64_t kv_prefix_hash(const int32_t *tokens, int64_t n_tokens);

/* The name that a file of this identity has: "refill-<model>-<16 hex digits>.kv". `name` holds
 * KV_FILE_TEXT_BYTES * 2. */
void kv_file_name(const struct kv_identity *identity, char *name);

/* Bytes on disk of a file of this identity, header and table included. */
uint64_t kv_file_bytes(const struct kv_identity *identity);

/* Makes an unnamed file in `directory`, preallocated and opened for O_DIRECT where possible. The
 * caller writes pages through kv_file_fd() at kv_file_page_offset(), sets every CRC, then
 * publishes, or closes: then nothing remains. Returns 0, -ENOSPC with the bytes missing (checked
 * before any is allocated), -EACCES/-EROFS/-ENOTDIR..., each with the directory named. */
int kv_file_create(struct kv_file **file, const char *directory, const struct kv_identity *identity,
                   struct error *error);

/* Writes table and header, syncs, and gives the file its name in the directory. -EEXIST where
 * another run was first: use that one. The file stays open as if kv_file_open() had opened it. */
int kv_file_publish(struct kv_file *file, struct error *error);

/* Opens directory/kv_file_name(identity), checks magic, version, header CRC, size, table CRC and
 * every field of `identity`, takes a shared lock. -ENOENT: none there. -ESTALE: it differs (message
 * names field, found and wanted). -EBADMSG: damaged (message says where). */
int kv_file_open(struct kv_file **file, const char *directory, const struct kv_identity *identity,
                 struct error *error);

/* Opens a KV file by its path, whatever its identity, with the same checks of wholeness. */
int kv_file_open_path(struct kv_file **file, const char *path, struct error *error);

/* Closes; an unpublished file vanishes. NULL is allowed. */
void kv_file_close(struct kv_file *file);

const struct kv_identity *kv_file_identity(const struct kv_file *file);
const char *kv_file_path(const struct kv_file *file); /* "" while unpublished */

/* What a message calls it: its path, or "the new KV's file in DIRECTORY". */
const char *kv_file_title(const struct kv_file *file);

int kv_file_fd(const struct kv_file *file);         /* the file's; never close it */
bool kv_file_is_direct(const struct kv_file *file); /* O_DIRECT is on */
size_t
kv_file_alignment(const struct kv_file *file); /* what offsets, sizes and memory need, bytes */
int64_t kv_file_pages_per_layer(const struct kv_file *file);

/* Where a page's bytes begin in the file. */
uint64_t kv_file_page_offset(const struct kv_file *file, int layer, int64_t page);

/* The CRC of (file id, layer, page, seed): continue it over the payload to get the page's CRC. */
uint32_t kv_file_crc_start(const struct kv_file *file, int layer, int64_t page);

/* The table. Setting is for files being made. */
uint32_t kv_file_crc(const struct kv_file *file, int layer, int64_t page);
void kv_file_set_crc(struct kv_file *file, int layer, int64_t page, uint32_t crc);

/* Alignment in bytes that O_DIRECT needs for files in `directory` (STATX_DIOALIGN where the kernel
 * has it, else the device's logical block size, at least 512; 4096 where nothing is known): what a
 * page's stride is to be rounded up to. Always a power of two, and at least 4096 is returned, since
 * memory pages and most drives' physical blocks are. */
size_t kv_file_directory_alignment(const char *directory);

/* Removes "*.partial" KV files in `directory` whose lock is free (left by killed runs where
 * O_TMPFILE is missing); never anything without this program's magic. Returns how many, or a
 * negative errno. */
int kv_file_sweep_partial(const char *directory, struct error *error);

#endif
