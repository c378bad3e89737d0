/*
 * Filling memory with a stream of base/prng.h. The counter is carried along
 * by additions, so an element costs two multiplications, which the core
 * overlaps between elements.
 */
#include "base/prng.h"

#include <endian.h>
#include <string.h>

void prng_fill(void *data, size_t bytes, uint64_t seed, uint64_t first_index) {
  unsigned char *out = data;
  size_t n_whole = bytes / sizeof(uint64_t);
  for (size_t i = 0; i < n_whole; i++) {
    uint64_t bits = htole64(prng_bits(seed, first_index + i));
    memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
  }
  size_t done_bytes = n_whole * sizeof(uint64_t);
  if (done_bytes < bytes) {
    uint64_t bits = htole64(prng_bits(seed, first_index + n_whole));
    memcpy(out + done_bytes, &bits, bytes - done_bytes);
  }
}
