/*
 * Runs a fuzz target over files without a fuzzer: replay_NAME FILE...
 *
 * `make test` does this with the checked-in corpus, on every compiler and under
 * every sanitizer. Each file is tried whole, cut at each length, and with bytes
 * changed, in a fixed order, so that a failure comes again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

#define INPUT_BYTES_MAX ((size_t)1 << 16)
#define CHANGES 500 /* changed copies tried of each file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* An exact allocation, so that a read past the end is seen by the sanitizers. */
static void try(const uint8_t *data, size_t bytes) {
  uint8_t *copy = malloc(bytes ? bytes : 1);
  if (!copy) abort();
  memcpy(copy, data, bytes);
  LLVMFuzzerTestOneInput(copy, bytes);
  free(copy);
}

static void try_changed(const uint8_t *data, size_t bytes) {
  uint8_t changed[INPUT_BYTES_MAX];
  for (uint64_t i = 0; bytes > 0 && i < CHANGES; i++) {
    memcpy(changed, data, bytes);
    uint64_t n_changes = 1 + prng_below(1, i, 3);
    for (uint64_t k = 0; k < n_changes; k++) {
      uint64_t draw = i * 4 + k;
      changed[prng_below(2, draw, bytes)] = (uint8_t)prng_bits(3, draw);
    }
    try(changed, bytes);
  }
}

static int replay(const char *path) {
  static const size_t CUTS_MAX = 4096; /* long files are cut at their first and last lengths */
  uint8_t data[INPUT_BYTES_MAX];
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return 1;
  }
  size_t bytes = fread(data, 1, sizeof(data), file);
  fclose(file);
  try(data, bytes);
  for (size_t cut = 0; cut < bytes && cut < CUTS_MAX; cut++) {
    try(data, cut);
    try(data, bytes - 1 - cut);
  }
  try_changed(data, bytes);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 2;
  }
  for (int i = 1; i < argc; i++) {
    if (replay(argv[i]) != 0) return 1;
  }
  printf("%d inputs replayed\n", argc - 1);
  return 0;
}
