/*
 * Causal grouped-query attention over KV where it landed, flash style.
 *
 * The work is cut into items: one KV head and a tile of up to ATTENTION_ROWS
 * query rows, a row being (token, query head of the group). An item walks over
 * the keys in blocks and keeps the running maximum and sum of each row's softmax
 * (Milakov and Gimelshein, 2018; Dao et al., 2022), so that scores never leave the caches.
 *
 * Everything is transposed, rows in the vector's lanes:
 *   S^T = K Q^T   (keys, rows)     softmax then runs down the keys, lane by lane
 *   O^T = V^T P^T (dims, rows)     and P^T comes out in the order the product needs.
 * ATTENTION_LANES rows (a "strip") are computed at once: two tiles of 16, the AMX width.
 *
 * A row's arithmetic depends only on its position and the chunk that it is computed with, not
 * on tiles, threads or where pages lie: blocks of keys start at multiples of ATTENTION_KEYS.
 */
#ifndef REFILL_KERNELS_CPU_ATTENTION_H
#define REFILL_KERNELS_CPU_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/cpu/isa.h"
#include "kernels/element.h"

#define ATTENTION_LANES 32 /* rows computed at once */
#define ATTENTION_KEYS 128 /* keys of one block: its scores (16 KiB) stay in the L1 cache */
#define ATTENTION_ROWS                                                                             \
  1024 /* rows of an item at most: packing a block is shared by these; their                       \
          sums (4 D bytes a row) stay in a 2 MiB L2 cache at D = 128 */

/* KV of one layer in pages: K rows, then V rows, of page_tokens tokens. */
struct attention_view {
  const char *pages;
  size_t page_stride_bytes;
  int64_t page_tokens;
  int64_t row_elements; /* kv_heads * head_dim */
};

struct attention_shape {
  int q_heads, kv_heads, head_dim;
};

/* Operands of a block in the order of the products; depth = head_dim padded to 32. All are
 * 64-byte aligned; padding is zero. "Pairs" interleaves two neighbours of the summed dimension. */
struct attention_kernels {
  const char *name;

  /* Readies the calling thread before its first product, and ends that. */
  void (*thread_begin)(void);
  void (*thread_end)(void);

  /* rows[i] -> out (depth / 2, lanes, 2), n <= lanes rows; missing ones are zero. */
  void (*pack_queries)(int n, int head_dim, const bf16 *const *rows, bf16 *out);
  /* 32 rows of K -> out (2, depth / 32, 16 keys, 32 dims); rows past n are zero. */
  void (*pack_keys)(int n, int head_dim, const bf16 *const *rows, bf16 *out);
  /* 32 rows of V -> out (depth / 16, ATTENTION_KEYS / 32, 16 dims, 32 keys), one of the second
   * dimension's; rows past n are zero. */
  void (*pack_values)(int n, int head_dim, const bf16 *const *rows, bf16 *out);
  /* scores (n_keys, lanes) = keys * queries; n_keys a multiple of 32. */
  void (*scores)(int n_keys, int depth, const bf16 *keys, const bf16 *queries, float *scores);
  /* Running softmax: key j counts for a lane where j < limits[lane]. Leaves weights
   * (n_keys / 2, lanes, 2) and rescales `largest`, `totals` and sums (depth, lanes). */
  void (*softmax)(int n_keys, int depth, float scale_log2, const int32_t *limits, float *scores,
                  bf16 *weights, float *largest, float *totals, float *sums);
  /* sums (depth, lanes) += values * weights over n_keys, a multiple of 32. */
  void (*values)(int n_keys, int depth, const bf16 *values, const bf16 *weights, float *sums);
  /* rows[i] = sums / totals as bf16, n <= lanes. */
  void (*unpack)(int n, int head_dim, const float *sums, const float *totals, bf16 *const *rows);
};

const struct attention_kernels *attention_kernels_for(enum isa isa);
extern const struct attention_kernels attention_plain, attention_avx2, attention_avx512,
    attention_amx;

struct attention {
  struct attention_shape shape;
  const struct attention_kernels *kernels;
  int threads;
  int rows;              /* rows of an item */
  struct memory scratch; /* one part a thread */
  size_t thread_bytes;
};

/* Readies attention of up to tokens_max tokens at once. Ends with attention_close(). */
int attention_open(struct attention *attention, struct attention_shape shape, int64_t tokens_max,
                   enum isa isa, int threads, const struct placement *placement,
                   struct error *error);
void attention_close(struct attention *attention);

/* Attention of n_tokens queries at positions first, first + 1, ..., whose own KV is in the view
 * already: query i sees keys [0, first + i]. */
void attention_run(const struct attention *attention, const struct attention_view *view,
                   int64_t first, int64_t n_tokens,
                   const bf16 *q,    /* (n_tokens, q_stride), q_heads * D used */
                   int64_t q_stride, /* elements */
                   bf16 *out);       /* (n_tokens, q_heads, D) */

#endif
