/* base/crc32c.c: published check values, and the instruction against the table. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/prng.h"

#define ROOM_BYTES ((size_t)1 << 17)

static unsigned char *random_bytes(void) {
  unsigned char *data = malloc(ROOM_BYTES);
  cr_assert_not_null(data);
  prng_fill(data, ROOM_BYTES, 42, 0);
  return data;
}

/* RFC 3720, B.4. */
Test(crc32c, published_values) {
  unsigned char data[32];
  cr_expect_eq(crc32c(0, "123456789", 9), 0xe3069283);
  cr_expect_eq(crc32c_portable(0, "123456789", 9), 0xe3069283);
  memset(data, 0, sizeof(data));
  cr_expect_eq(crc32c(0, data, sizeof(data)), 0x8a9136aa);
  memset(data, 0xff, sizeof(data));
  cr_expect_eq(crc32c(0, data, sizeof(data)), 0x62a8ab43);
  for (unsigned i = 0; i < sizeof(data); i++) data[i] = (unsigned char)i;
  cr_expect_eq(crc32c(0, data, sizeof(data)), 0x46dd794e);
  for (unsigned i = 0; i < sizeof(data); i++) data[i] = (unsigned char)(31 - i);
  cr_expect_eq(crc32c(0, data, sizeof(data)), 0x113fdb5c);
}

Test(crc32c, nothing_changes_nothing) {
  cr_expect_eq(crc32c(0, NULL, 0), 0);
  cr_expect_eq(crc32c(0x12345678, "", 0), 0x12345678);
  cr_expect_eq(crc32c_portable(0x12345678, NULL, 0), 0x12345678);
}

Test(crc32c, all_short_lengths_match_the_table) {
  unsigned char *data = random_bytes();
  for (size_t bytes = 0; bytes <= 4096; bytes++) {
    size_t offset = bytes % 9;
    uint32_t start = (uint32_t)bytes * 0x9e3779b9U;
    cr_assert_eq(crc32c(start, data + offset, bytes), crc32c_portable(start, data + offset, bytes),
                 "%zu bytes", bytes);
  }
  free(data);
}

Test(crc32c, all_offsets_and_long_blocks_match_the_table) {
  unsigned char *data = random_bytes();
  static const size_t SIZES[] = {383,  384,   385,   6143,  6144,  6145,
                                 6528, 12288, 12671, 65536, 131000};
  for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
    for (size_t offset = 0; offset < 17; offset++) {
      cr_assert_eq(crc32c(0, data + offset, SIZES[i]), crc32c_portable(0, data + offset, SIZES[i]),
                   "%zu bytes at %zu", SIZES[i], offset);
    }
  }
  free(data);
}

Test(crc32c, pieces_continue) {
  unsigned char *data = random_bytes();
  size_t bytes = 50000;
  uint32_t whole = crc32c(0, data, bytes);
  for (size_t cut = 0; cut <= bytes; cut += 997) {
    cr_assert_eq(crc32c(crc32c(0, data, cut), data + cut, bytes - cut), whole, "cut at %zu", cut);
  }
  free(data);
}

Test(crc32c, every_flipped_bit_shows) {
  unsigned char *data = random_bytes();
  size_t bytes = 8192;
  uint32_t good = crc32c(0, data, bytes);
  for (size_t bit = 0; bit < bytes * 8; bit += 61) {
    data[bit / 8] ^= (unsigned char)(1U << (bit % 8));
    cr_assert_neq(crc32c(0, data, bytes), good, "bit %zu", bit);
    data[bit / 8] ^= (unsigned char)(1U << (bit % 8));
  }
  free(data);
}

/* The reason for three streams: several times the table, on any machine. */
Test(crc32c, the_instruction_is_much_faster) {
  if (strcmp(crc32c_name(), "sse4.2") != 0) cr_skip_test("this CPU has no SSE4.2");
#ifndef __OPTIMIZE__
  cr_skip_test("built without optimisation");
#endif
  unsigned char *data = random_bytes();
  double fast_s = 1.0;
  double table_s = 1.0;
  volatile uint32_t sink = 0;
  for (int i = 0; i < 20; i++) {
    double start_s = clock_now_s();
    sink = crc32c(sink, data, ROOM_BYTES);
    double middle_s = clock_now_s();
    sink = crc32c_portable(sink, data, ROOM_BYTES);
    double end_s = clock_now_s();
    if (middle_s - start_s < fast_s) fast_s = middle_s - start_s;
    if (end_s - middle_s < table_s) table_s = end_s - middle_s;
  }
  free(data);
  cr_log_info("crc32c %.1f GB/s, table %.2f GB/s", (double)ROOM_BYTES / fast_s / 1e9,
              (double)ROOM_BYTES / table_s / 1e9);
  cr_assert(table_s > 5.0 * fast_s, "%g s and %g s", fast_s, table_s);
}
