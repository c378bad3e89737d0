/*
 * The header block: written and read as one plain struct, checked from the
 * outside in: length, magic, CRC, version, then each field's bounds, then that
 * the stored sizes are those that follow from the fields. A header with a right
 * CRC may still be hostile, so no size is multiplied without an overflow check.
 */
#include "io/kv_header.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"

#define LAYERS_MAX 65536
#define PAGES_MAX (INT64_C(1) << 32) /* a table of 16 GiB: beyond any prompt */
#define FILE_BYTES_MAX (UINT64_C(1) << 62)

struct kv_header_block {
  char magic[KV_HEADER_MAGIC_BYTES];
  uint32_t version;
  uint32_t header_bytes;
  uint64_t file_id;
  struct kv_identity identity;
  uint64_t table_bytes;
  uint64_t data_offset_bytes;
  uint64_t file_bytes;
  uint32_t table_crc;
  uint32_t zero;
  uint8_t reserved[KV_HEADER_BYTES - 24 - sizeof(struct kv_identity) - 24 - 8 - 4];
  uint32_t header_crc; /* of all before it */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "KV files are little endian, as we are");
_Static_assert(sizeof(struct kv_identity) == 224, "the identity is stored as it stands");
_Static_assert(sizeof(struct kv_header_block) == KV_HEADER_BYTES, "the header is one block");
_Static_assert(KV_DATA_ALIGNMENT % KV_HEADER_BYTES == 0, "the first page is aligned");

/* ---- geometry ----------------------------------------------------------------------------- */

static int refuse_field(const char *field, int64_t value, const char *accepted,
                        struct error *error) {
  return error_set(error, -EINVAL, "KV file: %s is %lld, accepted is %s", field, (long long)value,
                   accepted);
}

static int check_fields(const struct kv_identity *identity, struct error *error) {
  if (identity->layers < 1 || identity->layers > LAYERS_MAX)
    return refuse_field("layers", identity->layers, "1 to 65536", error);
  if (identity->layout != 0) return refuse_field("layout", identity->layout, "0", error);
  if (identity->n_tokens < 1)
    return refuse_field("n_tokens", identity->n_tokens, "1 or more", error);
  if (identity->page_tokens < 1)
    return refuse_field("page_tokens", identity->page_tokens, "1 or more", error);
  if (identity->page_payload_bytes < 1 || identity->page_payload_bytes > FILE_BYTES_MAX)
    return refuse_field("page_payload_bytes", (int64_t)identity->page_payload_bytes, "1 or more",
                        error);
  if (identity->page_stride_bytes < identity->page_payload_bytes ||
      identity->page_stride_bytes > FILE_BYTES_MAX)
    return refuse_field("page_stride_bytes", (int64_t)identity->page_stride_bytes,
                        "page_payload_bytes or more", error);
  return 0;
}

int kv_geometry_of(struct kv_geometry *geometry, const struct kv_identity *identity,
                   struct error *error) {
  assert(geometry != NULL && identity != NULL);
  int code = check_fields(identity, error);
  if (code < 0) return code;
  struct kv_geometry g;
  memset(&g, 0, sizeof g);
  g.pages_per_layer = (identity->n_tokens - 1) / identity->page_tokens + 1;
  uint64_t data_bytes = 0;
  if (__builtin_mul_overflow(g.pages_per_layer, (int64_t)identity->layers, &g.n_pages) ||
      g.n_pages > PAGES_MAX)
    return refuse_field("n_tokens", identity->n_tokens, "at most 2^32 pages in all", error);
  g.table_bytes = (uint64_t)g.n_pages * sizeof(uint32_t);
  g.data_offset_bytes = (KV_HEADER_BYTES + g.table_bytes + KV_DATA_ALIGNMENT - 1) &
                        ~(uint64_t)(KV_DATA_ALIGNMENT - 1);
  if (__builtin_mul_overflow((uint64_t)g.n_pages, identity->page_stride_bytes, &data_bytes) ||
      data_bytes > FILE_BYTES_MAX)
    return refuse_field("page_stride_bytes", (int64_t)identity->page_stride_bytes,
                        "at most 2^62 bytes in all", error);
  g.file_bytes = g.data_offset_bytes + data_bytes;
  *geometry = g;
  return 0;
}

/* ---- writing and reading ------------------------------------------------------------------ */

void kv_header_format(const struct kv_header *header, void *bytes) {
  struct kv_header_block block;
  memset(&block, 0, sizeof block);
  memcpy(block.magic, KV_HEADER_MAGIC, sizeof block.magic);
  block.version = KV_HEADER_VERSION;
  block.header_bytes = KV_HEADER_BYTES;
  block.file_id = header->file_id;
  kv_identity_normalise(&block.identity, &header->identity);
  block.table_bytes = header->geometry.table_bytes;
  block.data_offset_bytes = header->geometry.data_offset_bytes;
  block.file_bytes = header->geometry.file_bytes;
  block.table_crc = header->table_crc;
  block.header_crc = crc32c(0, &block, offsetof(struct kv_header_block, header_crc));
  memcpy(bytes, &block, sizeof block);
}

static int check_frame(const struct kv_header_block *block, struct error *error) {
  if (memcmp(block->magic, KV_HEADER_MAGIC, sizeof block->magic) != 0)
    return error_set(error, -EBADMSG, "no KV file of Refill: its first bytes are not '%s'",
                     KV_HEADER_MAGIC);
  uint32_t crc = crc32c(0, block, offsetof(struct kv_header_block, header_crc));
  if (crc != block->header_crc)
    return error_set(error, -EBADMSG, "KV file's header is damaged: CRC32C is %08x, stored is %08x",
                     crc, block->header_crc);
  if (block->version != KV_HEADER_VERSION)
    return error_set(error, -ESTALE, "KV file differs in version: found %u, wanted %d",
                     block->version, KV_HEADER_VERSION);
  return 0;
}

/* Texts must end, or printing and comparing them would not. */
static bool texts_end(const struct kv_identity *identity) {
  return memchr(identity->model, '\0', sizeof identity->model) != NULL &&
         memchr(identity->content, '\0', sizeof identity->content) != NULL;
}

int kv_header_parse(struct kv_header *header, const void *bytes, size_t n_bytes,
                    struct error *error) {
  assert(header != NULL && (bytes != NULL || n_bytes == 0));
  struct kv_header_block block;
  if (n_bytes < sizeof block)
    return error_set(error, -EBADMSG, "KV file is cut off: its header has %zu of %zu bytes",
                     n_bytes, sizeof block);
  memcpy(&block, bytes, sizeof block);
  int code = check_frame(&block, error);
  if (code < 0) return code;
  struct kv_header parsed;
  memset(&parsed, 0, sizeof parsed);
  if (!texts_end(&block.identity))
    return error_set(error, -EBADMSG, "KV file's header contradicts itself: a text has no end");
  kv_identity_normalise(&parsed.identity, &block.identity);
  if (kv_geometry_of(&parsed.geometry, &parsed.identity, error) < 0) {
    error_prefix(error, "KV file's header contradicts itself");
    if (error != NULL) error->code = -EBADMSG;
    return -EBADMSG;
  }
  if (block.header_bytes != KV_HEADER_BYTES || block.table_bytes != parsed.geometry.table_bytes ||
      block.data_offset_bytes != parsed.geometry.data_offset_bytes ||
      block.file_bytes != parsed.geometry.file_bytes)
    return error_set(
        error, -EBADMSG,
        "KV file's header contradicts itself: its sizes do not follow from its fields");
  parsed.file_id = block.file_id;
  parsed.table_crc = block.table_crc;
  *header = parsed;
  return 0;
}

uint32_t kv_page_crc_start(uint64_t file_id, int layer, int64_t page, uint64_t seed) {
  const uint64_t place[4] = {file_id, (uint64_t)layer, (uint64_t)page, seed};
  return crc32c(0, place, sizeof place);
}
