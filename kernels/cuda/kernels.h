/*
 * Every kernel of the CUDA device: its name, module, argument struct, threads
 * of a block and dynamic shared memory. Host code, the kernels themselves, the gate on
 * registers and the tests all read this one table.
 *
 * A kernel is extern "C" and takes exactly one parameter, its struct, by value. Pointers are
 * addresses of device memory: typed in a kernel, 64-bit numbers on the host. All are aligned to 16
 * bytes and rows are whole multiples of 16 bytes, so that every access moves 16 bytes a lane; what
 * does not fit that (hidden not a multiple of 16 elements, say) is refused when the device opens.
 * The grid's long dimension is always x, the only one that may pass 65535.
 *
 * n_tokens rows; d hidden, F ffn, V vocabulary, Hq and Hkv heads, D head_dim.
 */
#ifndef REFILL_KERNELS_CUDA_KERNELS_H
#define REFILL_KERNELS_CUDA_KERNELS_H

#include <stdint.h>

#ifdef __CUDACC__
#define KERNEL_POINTER(type) type *
#else
#define KERNEL_POINTER(type) uint64_t
#endif

#define KERNEL_THREADS 256         /* of a block of every kernel that moves memory */
#define KERNEL_VECTOR 8            /* bf16 elements of one 16-byte access */
#define KERNEL_ARGMAX_THREADS 1024 /* one block looks through all logits */
#define KERNEL_CRC_THREADS 128     /* half of them on a page's K, half on its V */
#define KERNEL_HEAD_ROWS 8         /* logits of a block: one a warp */
#define ATTENTION_THREADS 128      /* four warps of 32 query rows */
#define ATTENTION_QUERIES 128      /* query rows of a block */

/* Keys of a step: what the registers hold beside 32 rows of output sums. */
#define ATTENTION_KEYS(head_dim) ((head_dim) == 64 ? 64 : 32)

/* Shared memory of attention: a tile of Q, two each of K and V. */
#define ATTENTION_SHARED_BYTES(head_dim)                                                           \
  ((ATTENTION_QUERIES + 4 * ATTENTION_KEYS(head_dim)) * (head_dim)*2)

/* X(kernel, module, argument struct, threads of a block, dynamic shared bytes)
 * `module` is the .cu file, and so the image, that it is in. */
#define KERNEL_TABLE(X)                                                                            \
  X(refill_weights_bf16, weights, kernel_weights, KERNEL_THREADS, 0)                               \
  X(refill_weights_fp8, weights, kernel_weights, KERNEL_THREADS, 0)                                \
  X(refill_embed, tokens, kernel_embed, KERNEL_THREADS, 0)                                         \
  X(refill_head, tokens, kernel_head, KERNEL_THREADS, 0)                                           \
  X(refill_argmax, tokens, kernel_argmax, KERNEL_ARGMAX_THREADS, 0)                                \
  X(refill_norm_bf16, norm, kernel_norm, KERNEL_THREADS, 0)                                        \
  X(refill_norm_fp8, norm, kernel_norm, KERNEL_THREADS, 0)                                         \
  X(refill_norm_float, norm, kernel_norm, KERNEL_THREADS, 0)                                       \
  X(refill_rope_bf16, rope, kernel_rope, KERNEL_THREADS, 0)                                        \
  X(refill_rope_fp8, rope, kernel_rope, KERNEL_THREADS, 0)                                         \
  X(refill_swiglu_bf16, swiglu, kernel_swiglu, KERNEL_THREADS, 0)                                  \
  X(refill_swiglu_fp8, swiglu, kernel_swiglu, KERNEL_THREADS, 0)                                   \
  X(refill_quantise, fp8, kernel_convert, KERNEL_THREADS, 0)                                       \
  X(refill_dequantise, fp8, kernel_convert, KERNEL_THREADS, 0)                                     \
  X(refill_page_crc, pages, kernel_page_crc, KERNEL_CRC_THREADS, 0)                                \
  X(refill_spoil, pages, kernel_spoil, KERNEL_THREADS, 0)                                          \
  X(refill_attention_64, attention, kernel_attention, ATTENTION_THREADS,                           \
    ATTENTION_SHARED_BYTES(64))                                                                    \
  X(refill_attention_128, attention, kernel_attention, ATTENTION_THREADS,                          \
    ATTENTION_SHARED_BYTES(128))

/* One module a line: its images are named after it. */
#define MODULE_TABLE(X)                                                                            \
  X(weights)                                                                                       \
  X(tokens)                                                                                        \
  X(norm)                                                                                          \
  X(rope)                                                                                          \
  X(swiglu)                                                                                        \
  X(fp8)                                                                                           \
  X(pages)                                                                                         \
  X(attention)

/* out[i] = offset + scale * u(i) (formula: kernels/weights.h), rounded to bf16, then for FP8
 * multiplied by inverse_scale. Grid x: blocks of KERNEL_THREADS * KERNEL_VECTOR elements. */
struct kernel_weights {
  KERNEL_POINTER(void) out; /* (count) bf16 or E4M3 */
  int64_t count;            /* a multiple of KERNEL_VECTOR */
  uint64_t stream;
  float offset, scale, inverse_scale;
  uint32_t unused; /* the struct's size is the same for every compiler: no padding */
};

/* out[i] = table[tokens[i]]. Grid x: tokens. */
struct kernel_embed {
  KERNEL_POINTER(const int32_t) tokens; /* (n_tokens) ids in [0, V) */
  KERNEL_POINTER(const void) table;     /* (V, d) bf16 */
  KERNEL_POINTER(void) out;             /* (n_tokens, d) bf16 */
  int64_t width;                        /* d */
};

/* logits = table hidden. Grid x: blocks of KERNEL_HEAD_ROWS rows. */
struct kernel_head {
  KERNEL_POINTER(const float) hidden; /* (d) */
  KERNEL_POINTER(const void) table;   /* (V, d) bf16 */
  KERNEL_POINTER(float) logits;       /* (V) */
  int64_t width, rows;                /* d, V */
};

/* Index of the largest logit, the lowest where several are equal. Grid: one block. */
struct kernel_argmax {
  KERNEL_POINTER(const float) logits; /* (V) */
  KERNEL_POINTER(int32_t) token;      /* (1) */
  int64_t rows;                       /* V */
};

/* out = x / sqrt(mean(x^2) + eps) * weight. Grid x: tokens. */
struct kernel_norm {
  KERNEL_POINTER(const void) x;      /* (n_tokens, d) bf16 */
  KERNEL_POINTER(const void) weight; /* (d) bf16 */
  KERNEL_POINTER(void) out;          /* (n_tokens, d) bf16, E4M3 or float */
  int64_t width;                     /* d */
  float eps;
  float inverse_scale; /* of an FP8 output: multiplied before rounding */
};

/* Turns Q and K by their position (half-split, as Hugging Face's Llama), Q in place, K and V to
 * their rows of the KV cache; pads the cache with zero rows. Grid x: n_tokens + pad rows. For an
 * FP8 cache K and V are rounded to E4M3, and what that is worth goes to k_plain and v_plain. */
struct kernel_rope {
  KERNEL_POINTER(void) qkv;            /* (n_tokens, (Hq + 2 Hkv) D) bf16 */
  KERNEL_POINTER(const float) cosines; /* (positions, D / 2) */
  KERNEL_POINTER(const float) sines;   /* (positions, D / 2) */
  KERNEL_POINTER(void) k;              /* (positions, Hkv, D) the layer's cache, bf16 or E4M3 */
  KERNEL_POINTER(void) v;              /* the same */
  KERNEL_POINTER(void) k_plain;        /* (positions, Hkv, D) bf16; unused for a bf16 cache */
  KERNEL_POINTER(void) v_plain;
  int64_t n_tokens;
  int64_t first; /* position of row 0 */
  int32_t q_heads, kv_heads, head_dim;
  uint32_t unused;
};

/* out = silu(gate) * up. Grid x: tokens. */
struct kernel_swiglu {
  KERNEL_POINTER(const void) gate_up; /* (n_tokens, 2, F) bf16 */
  KERNEL_POINTER(void) out;           /* (n_tokens, F) bf16 or E4M3 */
  int64_t ffn;                        /* F */
  float inverse_scale;                /* of an FP8 output */
  uint32_t unused;
};

/* bf16 to E4M3 (value * factor, saturating) or back (value * factor). Grid x: blocks of
 * KERNEL_THREADS * 16 elements; grid y: tensors that are `stride` elements apart in both. */
struct kernel_convert {
  KERNEL_POINTER(const void) in;
  KERNEL_POINTER(void) out;
  int64_t count; /* a multiple of 16 */
  int64_t in_stride, out_stride;
  float factor;
  uint32_t unused;
};

/* out[p] = remainder of page first_page + p's payload (K rows, then V rows) as a polynomial, with
 * no initial value and no final inversion; factors[t] = x^(8 * bytes after thread t's slice)
 * (crc_plan.h). Grid x: pages. */
struct kernel_page_crc {
  KERNEL_POINTER(const void) k; /* the layer's cache from position 0 on */
  KERNEL_POINTER(const void) v;
  KERNEL_POINTER(const uint32_t) factors; /* (KERNEL_CRC_THREADS) */
  KERNEL_POINTER(uint32_t) out;           /* (pages) */
  int64_t first_page;
  int64_t half_bytes;  /* of a page: all its K rows, or all its V rows; a multiple of 16 */
  int64_t slice_bytes; /* of a thread but the last ones of each half; a multiple of 16 */
};

/* Writes `pattern` twice over the first 16 bytes of every `step_bytes` of the first `bytes` of
 * each part. Grid x: blocks of KERNEL_THREADS spots; grid y: parts. */
struct kernel_spoil {
  KERNEL_POINTER(void) base;
  int64_t part_bytes; /* distance between parts; a multiple of 16 */
  int64_t bytes;      /* of a part to spoil */
  int64_t step_bytes; /* a multiple of 16 */
  uint64_t pattern;
};

/* Causal grouped-query attention, bottom-right aligned: query i sees keys [0, n_keys - n_queries +
 * i]. Grid x: tiles of ATTENTION_QUERIES queries; grid y: Hq. */
struct kernel_attention {
  KERNEL_POINTER(const void) q; /* (n_queries, q_stride) bf16, Hq * D used */
  KERNEL_POINTER(const void) k; /* (n_keys, Hkv, D) bf16 */
  KERNEL_POINTER(const void) v; /* (n_keys, Hkv, D) bf16 */
  KERNEL_POINTER(void) out;     /* (n_queries, Hq, D) bf16 */
  int64_t n_queries, n_keys;    /* 1 <= n_queries <= n_keys */
  int64_t q_stride;             /* elements */
  int32_t q_heads, kv_heads;
  float scale_log2; /* log2(e) / sqrt(D): softmax runs in powers of two */
  uint32_t unused;
};

#endif
