/*
 * Causal grouped-query attention in the flash style (Dao et al., 2022): scores
 * stay in registers, softmax runs along with the keys. Any n_queries <= n_keys;
 * bottom-right causal; head_dim 64 or 128. The fallback of cuDNN, and what it is checked against.
 *
 * A block takes ATTENTION_QUERIES query rows of one head; each of its four warps 16 of them and all
 * of the keys. K and V come in tiles of ATTENTION_KEYS by cp.async, the next while this one is
 * used. Rows of a tile lie at 2 D bytes with their 16-byte columns XORed by the row's number modulo
 * 8, so that the eight rows of an ldmatrix fall on different banks.
 *
 *   S = Q K^T   A: Q (16 x 16 of ldmatrix), B: K as stored (keys x dims is B's column major)
 *   O += P V    A: P, whose accumulator layout is A's; B: V through ldmatrix.trans
 *
 * On an H100: a warp reads 32 KiB of shared memory for 64 keys x D 128 and does 524 k FLOPs with
 * them; four times that at 128 bytes a clock is 1024 clocks for 2.1 MFLOP: at most 2048 FLOP a
 * clock and SM, 474 TFLOPS at 1.755 GHz, before softmax. Expect 250 to 300 at n 8192.
 */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/numbers.cuh"

#define WARP_ROWS 16

/* Address of a 16-byte column of a tile's row. */
template <int head_dim> DEVICE uint32_t tile_at(uint32_t tile, int row, int column) {
  return tile + (uint32_t)(row * head_dim * 2 + ((column ^ (row & 7)) << 4));
}

/* Starts the copy of 64 rows from row `first` on; rows from `n_rows` on become zero. */
template <int head_dim>
DEVICE void load_tile(uint32_t tile, const char *rows, int64_t stride_bytes, int64_t first,
                      int64_t n_rows) {
  constexpr int columns = head_dim / KERNEL_VECTOR;
  static_assert(ATTENTION_QUERIES == ATTENTION_KEYS, "one tile height");
  for (int i = threadIdx.x; i < ATTENTION_KEYS * columns; i += ATTENTION_THREADS) {
    const int row = i / columns, column = i % columns;
    const bool exists = first + row < n_rows;
    const char *from = rows + (exists ? first + row : 0) * stride_bytes + column * 16;
    copy_async(tile_at<head_dim>(tile, row, column), from, exists ? 16 : 0);
  }
}

/* What a warp keeps: its rows of Q, sums of O, and the softmax of rows lane / 4 and lane / 4 + 8.
 */
template <int head_dim> struct rows {
  uint32_t q[head_dim / 16][4];
  float out[head_dim / 8][4];
  float largest[2], total[2];
};

template <int head_dim>
DEVICE void scores_of(const rows<head_dim> &r, uint32_t keys, float (&s)[ATTENTION_KEYS / 8][4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < ATTENTION_KEYS / 8; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
#pragma unroll
  for (int i = 0; i < head_dim / 16; i++) {
#pragma unroll
    for (int j = 0; j < ATTENTION_KEYS / 16; j++) {
      uint32_t b[4];
      const int row = j * 16 + (lane & 7) + ((lane >> 4) << 3);
      load_matrices(b, tile_at<head_dim>(keys, row, i * 2 + ((lane >> 3) & 1)));
      multiply_add(s[2 * j], r.q[i], b[0], b[1]);
      multiply_add(s[2 * j + 1], r.q[i], b[2], b[3]);
    }
  }
}

/* Takes out keys past each row's last: `limit` is that of row lane / 4, counted from the tile. */
DEVICE void mask(float (&s)[ATTENTION_KEYS / 8][4], int limit) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < ATTENTION_KEYS / 8; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int key = j * 8 + (lane & 3) * 2 + (e & 1);
      if (key > limit + (e >> 1) * 8) s[j][e] = -INFINITY;
    }
  }
}

/* Scores become weights; earlier sums are brought to the new maximum. */
template <int head_dim>
DEVICE void softmax(rows<head_dim> &r, float (&s)[ATTENTION_KEYS / 8][4], float scale_log2) {
#pragma unroll
  for (int x = 0; x < 2; x++) {
    float largest = r.largest[x];
#pragma unroll
    for (int j = 0; j < ATTENTION_KEYS / 8; j++) {
      largest = fmaxf(largest, fmaxf(s[j][2 * x], s[j][2 * x + 1]));
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shift = largest == -INFINITY ? 0.0f : largest * scale_log2;
    const float rescale = power_of_two(r.largest[x] * scale_log2 - shift);
    float total = r.total[x] * rescale;
#pragma unroll
    for (int j = 0; j < ATTENTION_KEYS / 8; j++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        s[j][2 * x + e] = power_of_two(s[j][2 * x + e] * scale_log2 - shift);
        total += s[j][2 * x + e];
      }
    }
    r.largest[x] = largest;
    r.total[x] = total;
#pragma unroll
    for (int i = 0; i < head_dim / 8; i++) {
      r.out[i][2 * x] *= rescale;
      r.out[i][2 * x + 1] *= rescale;
    }
  }
}

template <int head_dim>
DEVICE void add_values(rows<head_dim> &r, uint32_t values,
                       const float (&s)[ATTENTION_KEYS / 8][4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < ATTENTION_KEYS / 16; j++) {
    const uint32_t a[4] = {pack_bf16(s[2 * j][0], s[2 * j][1]), pack_bf16(s[2 * j][2], s[2 * j][3]),
                           pack_bf16(s[2 * j + 1][0], s[2 * j + 1][1]),
                           pack_bf16(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
    for (int i = 0; i < head_dim / 16; i++) {
      uint32_t b[4];
      const int row = j * 16 + (lane & 15);
      load_matrices_transposed(b, tile_at<head_dim>(values, row, i * 2 + (lane >> 4)));
      multiply_add(r.out[2 * i], a, b[0], b[1]);
      multiply_add(r.out[2 * i + 1], a, b[2], b[3]);
    }
  }
}

template <int head_dim>
DEVICE void store_rows(const kernel_attention &a, rows<head_dim> &r, int64_t first_row) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int x = 0; x < 2; x++) {
    float total = r.total[x];
    total += __shfl_xor_sync(0xffffffffu, total, 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    const float inverse = 1.0f / total; /* every row sees at least its own key */
    const int64_t row = first_row + x * 8;
    if (row >= a.n_queries) continue;
    char *out = static_cast<char *>(a.out) +
                ((row * a.q_heads + (int64_t)blockIdx.y) * head_dim + (lane & 3) * 2) * 2;
#pragma unroll
    for (int i = 0; i < head_dim / 8; i++) {
      *reinterpret_cast<uint32_t *>(out + i * 16) =
          pack_bf16(r.out[i][2 * x] * inverse, r.out[i][2 * x + 1] * inverse);
    }
  }
}

template <int head_dim> DEVICE void attention(const kernel_attention &a) {
  extern __shared__ __align__(128) char tiles[];
  constexpr uint32_t tile_bytes = ATTENTION_KEYS * head_dim * 2;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  /* The last tiles see the most keys: they start first, so that no long one is left at the end. */
  const int64_t first = (int64_t)(gridDim.x - 1 - blockIdx.x) * ATTENTION_QUERIES;
  const int64_t past = a.n_keys - a.n_queries;
  const int64_t kv_head = (int64_t)blockIdx.y / (a.q_heads / a.kv_heads);
  const int64_t kv_stride = (int64_t)a.kv_heads * head_dim * 2;
  const char *q = static_cast<const char *>(a.q) + (int64_t)blockIdx.y * head_dim * 2;
  const char *k = static_cast<const char *>(a.k) + kv_head * head_dim * 2;
  const char *v = static_cast<const char *>(a.v) + kv_head * head_dim * 2;
  const uint32_t q_tile = shared_address(tiles), kv_tiles = q_tile + tile_bytes;

  load_tile<head_dim>(q_tile, q, a.q_stride * 2, first, a.n_queries);
  copy_commit();
  load_tile<head_dim>(kv_tiles, k, kv_stride, 0, a.n_keys);
  load_tile<head_dim>(kv_tiles + tile_bytes, v, kv_stride, 0, a.n_keys);
  copy_commit();
  copy_wait<1>();
  __syncthreads();

  rows<head_dim> r;
#pragma unroll
  for (int i = 0; i < head_dim / 16; i++) {
    load_matrices(r.q[i],
                  tile_at<head_dim>(q_tile, warp * WARP_ROWS + (lane & 15), i * 2 + (lane >> 4)));
  }
#pragma unroll
  for (int i = 0; i < head_dim / 8; i++) r.out[i][0] = r.out[i][1] = r.out[i][2] = r.out[i][3] = 0;
  r.largest[0] = r.largest[1] = -INFINITY;
  r.total[0] = r.total[1] = 0.0f;

  const int64_t row = first + warp * WARP_ROWS + lane / 4;
  const int64_t seen = min(first + ATTENTION_QUERIES + past, a.n_keys); /* by the last row */
  const int64_t steps = (seen + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
  for (int64_t step = 0; step < steps; step++) {
    const uint32_t keys = kv_tiles + (uint32_t)(step & 1) * 2 * tile_bytes;
    const uint32_t values = keys + tile_bytes;
    if (step + 1 < steps) {
      const uint32_t next = kv_tiles + (uint32_t)((step + 1) & 1) * 2 * tile_bytes;
      load_tile<head_dim>(next, k, kv_stride, (step + 1) * ATTENTION_KEYS, a.n_keys);
      load_tile<head_dim>(next + tile_bytes, v, kv_stride, (step + 1) * ATTENTION_KEYS, a.n_keys);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    float s[ATTENTION_KEYS / 8][4];
    scores_of<head_dim>(r, keys, s);
    const int64_t end = (step + 1) * ATTENTION_KEYS;
    if (end > first + warp * WARP_ROWS + past + 1)
      mask(s, (int)(row + past - step * ATTENTION_KEYS));
    softmax<head_dim>(r, s, a.scale_log2);
    add_values<head_dim>(r, values, s);
    __syncthreads();
  }
  store_rows<head_dim>(a, r, row);
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    refill_attention_64(const __grid_constant__ kernel_attention a) {
  attention<64>(a);
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    refill_attention_128(const __grid_constant__ kernel_attention a) {
  attention<128>(a);
}
