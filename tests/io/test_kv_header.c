/* The KV file's header as bytes: no damage and no lie gets through. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "io/kv_header.h"
#include "tests/io/io_test.h"

/* Where fields lie in the block; the format is fixed. */
#define VERSION_AT 8
#define HEADER_BYTES_AT 12
#define IDENTITY_AT 24
#define SIZES_AT (IDENTITY_AT + (int)sizeof(struct kv_identity))
#define CRC_AT (KV_HEADER_BYTES - 4)

static void make_block(uint8_t *block) {
  struct kv_header header;
  memset(&header, 0, sizeof header);
  header.identity = io_test_identity();
  cr_assert_eq(kv_geometry_of(&header.geometry, &header.identity, NULL), 0);
  header.file_id = 0x1122334455667788;
  header.table_crc = 0xdeadbeef;
  kv_header_format(&header, block);
}

/* Makes the block's CRC right again, as an attacker or a writer with a bug would. */
static void sign(uint8_t *block) {
  uint32_t crc = crc32c(0, block, CRC_AT);
  memcpy(block + CRC_AT, &crc, sizeof crc);
}

Test(kv_header, round_trip) {
  uint8_t block[KV_HEADER_BYTES];
  struct kv_header header;
  struct kv_identity identity = io_test_identity();
  make_block(block);
  cr_assert_eq(kv_header_parse(&header, block, sizeof block, NULL), 0);
  cr_expect_eq(memcmp(&header.identity, &identity, sizeof identity), 0);
  cr_expect_eq(header.file_id, 0x1122334455667788);
  cr_expect_eq(header.table_crc, 0xdeadbeef);
  cr_expect_eq(header.geometry.pages_per_layer, 3);
  cr_expect_eq(header.geometry.n_pages, 9);
  cr_expect_eq(header.geometry.table_bytes, 36);
  cr_expect_eq(header.geometry.data_offset_bytes, 65536);
  cr_expect_eq(header.geometry.file_bytes, 65536 + 9 * 8192);
  cr_expect_eq(memcmp(block, "REFILLKV\1\0\0\0", 12), 0, "as documented, little endian");
}

Test(kv_header, each_flipped_bit_is_refused) {
  uint8_t block[KV_HEADER_BYTES];
  struct kv_header header;
  make_block(block);
  for (int bit = 0; bit < KV_HEADER_BYTES * 8; bit++) {
    block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    cr_assert_lt(kv_header_parse(&header, block, sizeof block, NULL), 0, "bit %d", bit);
    block[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  cr_expect_eq(kv_header_parse(&header, block, sizeof block, NULL), 0);
}

Test(kv_header, short_blocks_are_refused) {
  uint8_t block[KV_HEADER_BYTES];
  struct kv_header header;
  make_block(block);
  for (size_t n = 0; n < sizeof block; n += 97)
    cr_expect_eq(kv_header_parse(&header, block, n, NULL), -EBADMSG);
  cr_expect_eq(kv_header_parse(&header, NULL, 0, NULL), -EBADMSG);
}

Test(kv_header, another_version_is_told_from_damage) {
  uint8_t block[KV_HEADER_BYTES];
  struct kv_header header;
  struct error error = {0};
  make_block(block);
  block[VERSION_AT] = 2;
  sign(block);
  cr_expect_eq(kv_header_parse(&header, block, sizeof block, &error), -ESTALE);
  cr_expect_not_null(strstr(error.message, "version: found 2, wanted 1"));
}

/* Fields with a right CRC around them that contradict each other or overflow. */
Test(kv_header, lies_are_refused) {
  const struct {
    size_t at, bytes;
    uint64_t value;
    const char *said;
  } lies[] = {
      {IDENTITY_AT + offsetof(struct kv_identity, layers), 4, 0, "layers"},
      {IDENTITY_AT + offsetof(struct kv_identity, layers), 4, 0xffffffff, "layers"},
      {IDENTITY_AT + offsetof(struct kv_identity, layers), 4, 4, "sizes"},
      {IDENTITY_AT + offsetof(struct kv_identity, layout), 4, 1, "layout"},
      {IDENTITY_AT + offsetof(struct kv_identity, n_tokens), 8, 0, "n_tokens"},
      {IDENTITY_AT + offsetof(struct kv_identity, n_tokens), 8, INT64_MAX, "n_tokens"},
      {IDENTITY_AT + offsetof(struct kv_identity, n_tokens), 8, UINT64_MAX, "n_tokens"},
      {IDENTITY_AT + offsetof(struct kv_identity, n_tokens), 8, 13, "sizes"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_tokens), 8, 0, "page_tokens"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_payload_bytes), 8, 0, "page_payload"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_payload_bytes), 8, 8193, "page_stride"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_stride_bytes), 8, 5999, "page_stride"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_stride_bytes), 8, UINT64_MAX, "page_stride"},
      {IDENTITY_AT + offsetof(struct kv_identity, page_stride_bytes), 8, UINT64_C(1) << 61,
       "page_stride"},
      {HEADER_BYTES_AT, 4, 512, "sizes"},
      {(size_t)SIZES_AT, 8, 40, "sizes"},
      {(size_t)SIZES_AT + 8, 8, 4096, "sizes"},
      {(size_t)SIZES_AT + 16, 8, 65536, "sizes"},
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    uint8_t block[KV_HEADER_BYTES];
    struct kv_header header;
    struct error error = {0};
    make_block(block);
    memcpy(block + lies[i].at, &lies[i].value, lies[i].bytes);
    sign(block);
    cr_expect_eq(kv_header_parse(&header, block, sizeof block, &error), -EBADMSG, "lie %zu", i);
    cr_expect_eq(error.code, -EBADMSG);
    cr_expect_not_null(strstr(error.message, lies[i].said), "lie %zu: %s", i, error.message);
  }
}

Test(kv_header, texts_without_end_are_refused) {
  for (int field = 0; field < 2; field++) {
    uint8_t block[KV_HEADER_BYTES];
    struct kv_header header;
    make_block(block);
    memset(block + IDENTITY_AT + field * KV_FILE_TEXT_BYTES, 'x', KV_FILE_TEXT_BYTES);
    sign(block);
    cr_expect_eq(kv_header_parse(&header, block, sizeof block, NULL), -EBADMSG);
  }
}

Test(kv_header, last_page_may_be_partial) {
  struct kv_identity identity = io_test_identity();
  struct kv_geometry geometry;
  const int64_t tokens[] = {1, 4, 5, 8, 9}, pages[] = {1, 1, 2, 2, 3};
  for (int i = 0; i < 5; i++) {
    identity.n_tokens = tokens[i];
    cr_assert_eq(kv_geometry_of(&geometry, &identity, NULL), 0);
    cr_expect_eq(geometry.pages_per_layer, pages[i]);
  }
}

Test(kv_header, a_long_table_moves_the_data) {
  struct kv_identity identity = io_test_identity();
  struct kv_geometry geometry;
  identity.layers = 1;
  identity.page_tokens = 1;
  identity.n_tokens = (65536 - 4096) / 4;
  cr_assert_eq(kv_geometry_of(&geometry, &identity, NULL), 0);
  cr_expect_eq(geometry.data_offset_bytes, 65536);
  identity.n_tokens++;
  cr_assert_eq(kv_geometry_of(&geometry, &identity, NULL), 0);
  cr_expect_eq(geometry.data_offset_bytes, 131072);
}

Test(kv_header, a_page_belongs_where_it_is) {
  uint32_t here = kv_page_crc_start(1, 2, 3, 4);
  cr_expect_eq(here, kv_page_crc_start(1, 2, 3, 4));
  cr_expect_neq(here, kv_page_crc_start(9, 2, 3, 4), "another file");
  cr_expect_neq(here, kv_page_crc_start(1, 9, 3, 4), "another layer");
  cr_expect_neq(here, kv_page_crc_start(1, 2, 9, 4), "another page");
  cr_expect_neq(here, kv_page_crc_start(1, 2, 3, 9), "another seed");
  cr_expect_neq(kv_page_crc_start(1, 2, 3, 4), kv_page_crc_start(1, 3, 2, 4), "swapped");
}
