/*
 * The KV file's first block as bytes, and all that follows from an identity by
 * arithmetic alone. No file is touched here, so that every check can be tested
 * and fuzzed over plain bytes.
 *
 * On disk (little endian): struct kv_header_block, 4096 bytes, the last four of
 * which are the CRC32C of the rest. That place and the magic stay the same in
 * every version, so that a file of another version is told from a damaged one.
 */
#ifndef REFILL_IO_KV_HEADER_H
#define REFILL_IO_KV_HEADER_H

#include "io/kv_file.h"

#define KV_HEADER_BYTES 4096
#define KV_HEADER_MAGIC "REFILLKV"
#define KV_HEADER_MAGIC_BYTES 8
#define KV_HEADER_VERSION 1
#define KV_DATA_ALIGNMENT 65536 /* of the first page: at least any filesystem's block */
#define KV_NAME_BYTES (KV_FILE_TEXT_BYTES * 2)

/* Where everything lies in a file of an identity. */
struct kv_geometry {
  int64_t pages_per_layer;
  int64_t n_pages;            /* over all layers */
  uint64_t table_bytes;       /* n_pages CRCs, from KV_HEADER_BYTES on */
  uint64_t data_offset_bytes; /* first page */
  uint64_t file_bytes;
};

/* What a header says. */
struct kv_header {
  struct kv_identity identity;
  struct kv_geometry geometry; /* follows from identity; checked against the stored one */
  uint64_t file_id;            /* random, of this one file */
  uint32_t table_crc;          /* of the table's bytes */
};

/* -EINVAL where a field is out of bounds or the sizes overflow; the message names the field. */
int kv_geometry_of(struct kv_geometry *geometry, const struct kv_identity *identity,
                   struct error *error);

/* Writes the block, KV_HEADER_BYTES at `bytes`. */
void kv_header_format(const struct kv_header *header, void *bytes);

/* Reads and checks a block of n_bytes >= 0: -EBADMSG where it is short, has no magic, is damaged or
 * contradicts itself; -ESTALE for another version. *header is written on success only. A pure
 * function of the bytes. */
int kv_header_parse(struct kv_header *header, const void *bytes, size_t n_bytes,
                    struct error *error);

/* 0 where both are equal, else -ESTALE and a message with the first field that differs, what was
 * found and what was wanted. */
int kv_identity_compare(const struct kv_identity *found, const struct kv_identity *wanted,
                        struct error *error);

/* Copies an identity with the bytes behind its texts' ends cleared, so that equal ones are equal
 * bytes. */
void kv_identity_normalise(struct kv_identity *to, const struct kv_identity *from);

/* The CRC that a page's payload continues. */
uint32_t kv_page_crc_start(uint64_t file_id, int layer, int64_t page, uint64_t seed);

#endif
