/*
 * Attention's two products on AMX tiles: 16 x 32 by 32 x 16 bf16 into 16 x 16 floats.
 *
 * Both are the same step: two row tiles (keys, or dims of V^T) times two tiles
 * of lanes into four sums, so that each loaded tile is used twice. Row tiles
 * are packed 1 KiB each; lane tiles are columns of (pairs, 32 lanes, 2).
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/attention_avx512.h"

#define TARGET __attribute__((target(ISA_TARGET_AMX)))

enum {
  LANES = ATTENTION_LANES,
  KEYS = ATTENTION_KEYS,
  TILE = 16 * 32,        /* bf16 elements of a packed tile */
  TILE_ROW_BYTES = 64,   /* of a packed tile */
  LANES_ROW_BYTES = 128, /* of 32 lanes: pairs of bf16, or floats */
};

/* Operand of LDTILECFG: eight tiles of 16 rows of 64 bytes. */
struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "LDTILECFG reads 64 bytes");

static const struct tile_config config = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

TARGET static void thread_begin(void) {
  _tile_loadconfig(&config);
}

TARGET static void thread_end(void) {
  _tile_release();
}

/* Tiles: 0..3 sums (row tile, lane tile) = 00 01 10 11; 4, 5 row tiles; 6, 7 lane tiles. */
TARGET static inline __attribute__((always_inline)) void
multiply(int n, const bf16 *rows0, const bf16 *rows1, const bf16 *lanes) {
  for (int i = 0; i < n; i++) {
    _tile_loadd(4, rows0 + i * TILE, TILE_ROW_BYTES);
    _tile_loadd(6, lanes + i * 2 * TILE, LANES_ROW_BYTES);
    _tile_loadd(7, lanes + i * 2 * TILE + 32, LANES_ROW_BYTES);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, rows1 + i * TILE, TILE_ROW_BYTES);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

TARGET static inline __attribute__((always_inline)) void store_sums(float *out) {
  _tile_stored(0, out, LANES_ROW_BYTES);
  _tile_stored(1, out + 16, LANES_ROW_BYTES);
  _tile_stored(2, out + 16 * LANES, LANES_ROW_BYTES);
  _tile_stored(3, out + 16 * LANES + 16, LANES_ROW_BYTES);
}

TARGET static void scores_amx(int n_keys, int depth, const bf16 *keys, const bf16 *queries,
                              float *scores) {
  for (int key = 0; key < n_keys; key += 32) {
    const bf16 *rows = keys + key * depth;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    multiply(depth / 32, rows, rows + 16 * depth, queries);
    store_sums(scores + key * LANES);
  }
}

TARGET static void values_amx(int n_keys, int depth, const bf16 *values, const bf16 *weights,
                              float *sums) {
  for (int dim = 0; dim < depth; dim += 32) {
    float *at = sums + dim * LANES;
    const bf16 *rows = values + dim * KEYS;
    _tile_loadd(0, at, LANES_ROW_BYTES);
    _tile_loadd(1, at + 16, LANES_ROW_BYTES);
    _tile_loadd(2, at + 16 * LANES, LANES_ROW_BYTES);
    _tile_loadd(3, at + 16 * LANES + 16, LANES_ROW_BYTES);
    multiply(n_keys / 32, rows, rows + 16 * KEYS, weights);
    store_sums(at);
  }
}

const struct attention_kernels attention_amx = {
    .name = "AMX tiles, bf16 KV, float sums",
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .pack_queries = attention_avx512_pack_queries,
    .pack_keys = attention_avx512_pack_keys,
    .pack_values = attention_avx512_pack_values,
    .scores = scores_amx,
    .softmax = attention_avx512_softmax,
    .values = values_amx,
    .unpack = attention_avx512_unpack,
};
