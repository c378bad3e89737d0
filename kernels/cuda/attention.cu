/*
 * Causal grouped-query attention in the flash style (Dao et al., 2022): scores
 * stay in registers, softmax runs along with the keys. Any n_queries <= n_keys;
 * bottom-right causal; head_dim 64 or 128. The fallback of cuDNN, and what it is checked against.
 *
 * A block takes ATTENTION_QUERIES query rows of one head; each of its four warps 32 of them, as two
 * tiles of 16, and all of the keys. K and V come in tiles of ATTENTION_KEYS by cp.async, the next
 * while this one is used. Rows of a tile lie at 2 D bytes with their 16-byte columns XORed by the
 * row's number modulo 8, so that the eight rows of an ldmatrix fall on different banks.
 *
 *   S = Q K^T   A: Q (16 x 16 of ldmatrix), B: K as stored (keys x dims is B's column major)
 *   O += P V    A: P, whose accumulator layout is A's; B: V through ldmatrix.trans
 *
 * Why 32 rows a warp: each fragment of K and V that is read from shared memory then serves two
 * products. For 32 keys and D 128 a warp reads 8 KiB each of K, V and Q (which has no room in
 * registers) and does 0.52 MFLOP. Four warps: 96 KiB at 128 bytes a clock are 768 clocks; the
 * products take 790 at what mma.sync reaches on an H100 (about 62% of 4270 FLOP a clock and SM);
 * 4096 powers of two take 256 on other units. With 16 rows a warp shared memory alone would allow
 * 474 TFLOPS at most; 64 keys a step would spill at D 128.
 *
 * Counted from the sm_90a code (D 128, one step of 32 keys, a warp): 128 HMMA, 48 LDSM, 36 MUFU,
 * 128 FMUL (sums brought to a new maximum), 40 FMNMX, 40 FFMA, 28 FADD, 16 F2FP, 8 SHFL, 2 BAR;
 * some 730 instructions off the diagonal, where FSEL and ISETP of the mask are jumped over; and 180
 * more of the copies' loop, which runs 8 times. So a step takes 910 issue slots of a scheduler,
 * which is more than the 790 clocks of products and the 768 of shared memory, and is the bound:
 * 2.1 MFLOP in 910 clocks, 2300 FLOP a clock and SM, 520 TFLOPS at 1.7 GHz. For 330 TFLOPS a
 * scheduler's two warps (two blocks an SM) may take 2850 clocks for a step each, three times their
 * slots: room for what products, softmax and barriers wait for each other. At n 8192 masked keys
 * cost 2% more, and 4096 blocks over 264 places leave a tail under 2%. Expect 330 to 450. D 64 and
 * 64 keys: 128 HMMA and as many slots, the same bound.
 */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/numbers.cuh"

#define WARP_ROWS 32
#define TILES 2 /* of 16 rows a warp */

/* Address of a 16-byte column of a tile's row. */
template <int head_dim> DEVICE uint32_t tile_at(uint32_t tile, int row, int column) {
  return tile + (uint32_t)(row * head_dim * 2 + ((column ^ (row & 7)) << 4));
}

/* Starts the copy of `height` rows from row `first` on; rows from `n_rows` on become zero. */
template <int head_dim, int height>
DEVICE void load_tile(uint32_t tile, const char *rows, int64_t stride_bytes, int64_t first,
                      int64_t n_rows) {
  constexpr int columns = head_dim / KERNEL_VECTOR;
#pragma unroll 1 /* addresses of more rows at once would not fit the registers */
  for (int i = threadIdx.x; i < height * columns; i += ATTENTION_THREADS) {
    const int row = i / columns, column = i % columns;
    const bool exists = first + row < n_rows;
    const char *from = rows + (exists ? first + row : 0) * stride_bytes + column * 16;
    copy_async(tile_at<head_dim>(tile, row, column), from, exists ? 16 : 0);
  }
}

/* What a warp keeps of one tile of 16 rows: sums of O, and the softmax of rows lane / 4 and
 * lane / 4 + 8. */
template <int head_dim> struct rows {
  float out[head_dim / 8][4];
  float largest[2], total[2];
};

template <int keys> using scores_tile = float[keys / 8][4];

template <int head_dim, int n_keys>
DEVICE void scores_of(uint32_t queries, uint32_t keys, scores_tile<n_keys> (&s)[TILES]) {
  const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * WARP_ROWS;
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
    for (int j = 0; j < n_keys / 8; j++) {
      s[tile][j][0] = s[tile][j][1] = s[tile][j][2] = s[tile][j][3] = 0.0f;
    }
  }
#pragma unroll
  for (int i = 0; i < head_dim / 16; i++) {
    uint32_t a[TILES][4];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
      const int row = first + tile * 16 + (lane & 15);
      load_matrices(a[tile], tile_at<head_dim>(queries, row, i * 2 + (lane >> 4)));
    }
#pragma unroll
    for (int j = 0; j < n_keys / 16; j++) {
      uint32_t b[4];
      const int row = j * 16 + (lane & 7) + ((lane >> 4) << 3);
      load_matrices(b, tile_at<head_dim>(keys, row, i * 2 + ((lane >> 3) & 1)));
#pragma unroll
      for (int tile = 0; tile < TILES; tile++) {
        multiply_add(s[tile][2 * j], a[tile], b[0], b[1]);
        multiply_add(s[tile][2 * j + 1], a[tile], b[2], b[3]);
      }
    }
  }
}

/* Takes out keys past each row's last: `limit` is that of row lane / 4, counted from the tile. */
template <int n_keys> DEVICE void mask(scores_tile<n_keys> &s, int limit) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < n_keys / 8; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int key = j * 8 + (lane & 3) * 2 + (e & 1);
      if (key > limit + (e >> 1) * 8) s[j][e] = -INFINITY;
    }
  }
}

/* Scores become weights; earlier sums are brought to the new maximum. */
template <int head_dim, int n_keys>
DEVICE void softmax(rows<head_dim> &r, scores_tile<n_keys> &s, float scale_log2) {
#pragma unroll
  for (int x = 0; x < 2; x++) {
    float largest = r.largest[x];
#pragma unroll
    for (int j = 0; j < n_keys / 8; j++) {
      largest = fmaxf(largest, fmaxf(s[j][2 * x], s[j][2 * x + 1]));
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shift = largest == -INFINITY ? 0.0f : largest * scale_log2;
    const float rescale = power_of_two(r.largest[x] * scale_log2 - shift);
    float total = r.total[x] * rescale;
#pragma unroll
    for (int j = 0; j < n_keys / 8; j++) {
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

template <int head_dim, int n_keys>
DEVICE void add_values(rows<head_dim> (&r)[TILES], uint32_t values,
                       const scores_tile<n_keys> (&s)[TILES]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < n_keys / 16; j++) {
    uint32_t a[TILES][4];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
      for (int part = 0; part < 4; part++) {
        const float *pair = &s[tile][2 * j + part / 2][part % 2 * 2];
        a[tile][part] = pack_bf16(pair[0], pair[1]);
      }
    }
#pragma unroll
    for (int i = 0; i < head_dim / 16; i++) {
      uint32_t b[4];
      const int row = j * 16 + (lane & 15);
      load_matrices_transposed(b, tile_at<head_dim>(values, row, i * 2 + (lane >> 4)));
#pragma unroll
      for (int tile = 0; tile < TILES; tile++) {
        multiply_add(r[tile].out[2 * i], a[tile], b[0], b[1]);
        multiply_add(r[tile].out[2 * i + 1], a[tile], b[2], b[3]);
      }
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

template <int head_dim> DEVICE void clear(rows<head_dim> (&r)[TILES]) {
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
    for (int i = 0; i < head_dim / 8; i++) {
      r[tile].out[i][0] = r[tile].out[i][1] = r[tile].out[i][2] = r[tile].out[i][3] = 0.0f;
    }
    r[tile].largest[0] = r[tile].largest[1] = -INFINITY;
    r[tile].total[0] = r[tile].total[1] = 0.0f;
  }
}

template <int head_dim> DEVICE void attention(const kernel_attention &a) {
  extern __shared__ __align__(128) char tiles[];
  constexpr int n_keys = ATTENTION_KEYS(head_dim);
  constexpr uint32_t tile_bytes = n_keys * head_dim * 2;
  const int lane = threadIdx.x % 32;
  /* The last tiles see the most keys: they start first, so that no long one is left at the end. */
  const int64_t first = (int64_t)(gridDim.x - 1 - blockIdx.x) * ATTENTION_QUERIES;
  const int64_t warp_first = first + threadIdx.x / 32 * WARP_ROWS;
  const int64_t past = a.n_keys - a.n_queries;
  const int64_t kv_head = (int64_t)blockIdx.y / (a.q_heads / a.kv_heads);
  const int64_t kv_stride = (int64_t)a.kv_heads * head_dim * 2;
  const char *q = static_cast<const char *>(a.q) + (int64_t)blockIdx.y * head_dim * 2;
  const char *k = static_cast<const char *>(a.k) + kv_head * head_dim * 2;
  const char *v = static_cast<const char *>(a.v) + kv_head * head_dim * 2;
  const uint32_t queries = shared_address(tiles);
  const uint32_t kv_tiles = queries + ATTENTION_QUERIES * head_dim * 2;

  load_tile<head_dim, ATTENTION_QUERIES>(queries, q, a.q_stride * 2, first, a.n_queries);
  load_tile<head_dim, n_keys>(kv_tiles, k, kv_stride, 0, a.n_keys);
  load_tile<head_dim, n_keys>(kv_tiles + tile_bytes, v, kv_stride, 0, a.n_keys);
  copy_commit();

  rows<head_dim> r[TILES];
  clear(r);
  const int64_t seen = min(first + ATTENTION_QUERIES + past, a.n_keys); /* by the last row */
  const int steps = (int)((seen + n_keys - 1) / n_keys);
  for (int step = 0; step < steps; step++) {
    const uint32_t keys = kv_tiles + (uint32_t)(step & 1) * 2 * tile_bytes;
    const int64_t end = (int64_t)(step + 1) * n_keys;
    if (step + 1 < steps) {
      const uint32_t next = kv_tiles + (uint32_t)((step + 1) & 1) * 2 * tile_bytes;
      load_tile<head_dim, n_keys>(next, k, kv_stride, end, a.n_keys);
      load_tile<head_dim, n_keys>(next + tile_bytes, v, kv_stride, end, a.n_keys);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    scores_tile<n_keys> s[TILES];
    scores_of<head_dim, n_keys>(queries, keys, s);
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
      const int64_t row = warp_first + tile * 16 + past; /* last key that the tile's row 0 sees */
      if (end > row + 1) mask<n_keys>(s[tile], (int)(row + lane / 4 + n_keys - end));
      softmax<head_dim, n_keys>(r[tile], s[tile], a.scale_log2);
    }
    add_values<head_dim, n_keys>(r, keys + tile_bytes, s);
    __syncthreads();
  }
#pragma unroll
  for (int tile = 0; tile < TILES; tile++) {
    store_rows<head_dim>(a, r[tile], warp_first + tile * 16 + lane / 4);
  }
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    refill_attention_64(const __grid_constant__ kernel_attention a) {
  attention<64>(a);
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    refill_attention_128(const __grid_constant__ kernel_attention a) {
  attention<128>(a);
}
