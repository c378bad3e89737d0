/*
 * Any bytes as a KV file's header: parsed or refused, never believed where they
 * contradict themselves. Bytes from the fuzzer hardly ever carry a right CRC,
 * so each input is tried once as it is and once signed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "io/kv_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every accepted header must keep, or its reader would go astray. */
static void check(const struct kv_header *header) {
  const struct kv_geometry *g = &header->geometry;
  const struct kv_identity *identity = &header->identity;
  uint64_t data_bytes = 0;
  if (g->n_pages < 1 || g->pages_per_layer < 1 ||
      g->n_pages != g->pages_per_layer * identity->layers ||
      g->table_bytes + KV_HEADER_BYTES > g->data_offset_bytes ||
      __builtin_mul_overflow((uint64_t)g->n_pages, identity->page_stride_bytes, &data_bytes) ||
      g->file_bytes != g->data_offset_bytes + data_bytes || g->file_bytes > INT64_MAX ||
      identity->page_payload_bytes > identity->page_stride_bytes)
    abort();
  uint8_t again[KV_HEADER_BYTES];
  struct kv_header parsed;
  kv_header_format(header, again);
  if (kv_header_parse(&parsed, again, sizeof again, NULL) != 0 ||
      memcmp(&parsed, header, sizeof parsed) != 0)
    abort();
  char name[KV_NAME_BYTES];
  kv_file_name(identity, name);
  if (strchr(name, '/') != NULL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct kv_header header;
  struct error error = {0};
  if (kv_header_parse(&header, data, size, &error) == 0) check(&header);
  uint8_t block[KV_HEADER_BYTES] = {0};
  memcpy(block, data, size < sizeof block ? size : sizeof block);
  memcpy(block, KV_HEADER_MAGIC, KV_HEADER_MAGIC_BYTES);
  uint32_t crc = crc32c(0, block, sizeof block - sizeof crc);
  memcpy(block + sizeof block - sizeof crc, &crc, sizeof crc);
  if (kv_header_parse(&header, block, sizeof block, NULL) == 0) check(&header);
  return 0;
}
