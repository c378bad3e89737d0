/*
 * The kernels that move memory, each against the reference: odd widths, a page more than one.
 */
#include <math.h>
#include <string.h>

#include "base/crc32c.h"
#include "kernels/cuda/crc_plan.h"
#include "kernels/cuda/selftest_bed.h"
#include "kernels/reference/reference.h"
#include "kernels/weights.h"

#define BF16_RELATIVE 0.0042 /* one rounding to 8 bits, and the float arithmetic before it */
#define TINY 1e-6
#define FP8_SCALE 20.0F

static int64_t blocks(int64_t count, int64_t per_block) {
  return (count + per_block - 1) / per_block;
}

void selftest_weights(struct bed *bed) {
  enum { COUNT = 4104 };
  const struct weight_stream w = {
      .rows = 1, .columns = COUNT, .stream = 0x123456789abcdef0U, .offset = 1, .scale = 0.637F};
  bf16 wanted[COUNT], got[COUNT];
  float values[COUNT];
  weights_fill(&w, 0, COUNT, wanted);
  struct kernel_weights a = {.out = bed_room(bed, sizeof wanted),
                             .count = COUNT,
                             .stream = w.stream,
                             .offset = w.offset,
                             .scale = w.scale,
                             .inverse_scale = 64};
  const int64_t grid = blocks(COUNT, KERNEL_THREADS * KERNEL_VECTOR);
  bed_launch(bed, KERNEL_refill_weights_bf16, grid, 1, &a);
  bed_get(bed, got, a.out, sizeof got);
  bed_demand(bed, memcmp(got, wanted, sizeof got) == 0, "weights in bf16 are not the host's");
  for (int i = 0; i < COUNT; i++) values[i] = bf16_to_float(wanted[i]);
  a.out = bed_room(bed, COUNT);
  bed_launch(bed, KERNEL_refill_weights_fp8, grid, 1, &a);
  bed_check_fp8(bed, "weights in FP8", a.out, values, COUNT, 64);
}

/* ---- tokens ---- */

static void check_embed(struct bed *bed) {
  enum { ROWS = 11, WIDTH = 264, TOKENS = 3 };
  static const int32_t tokens[TOKENS] = {10, 0, 3};
  bf16 table[ROWS * WIDTH], got[TOKENS * WIDTH];
  bed_random(bed, ROWS * WIDTH, 1, table, NULL);
  struct kernel_embed a = {.tokens = bed_put(bed, tokens, sizeof tokens),
                           .table = bed_put(bed, table, sizeof table),
                           .out = bed_room(bed, sizeof got),
                           .width = WIDTH};
  bed_launch(bed, KERNEL_refill_embed, TOKENS, 1, &a);
  bed_get(bed, got, a.out, sizeof got);
  for (int i = 0; i < TOKENS; i++)
    bed_demand(bed, memcmp(got + i * WIDTH, table + tokens[i] * WIDTH, WIDTH * 2) == 0,
               "a row of the embedding is wrong");
}

void selftest_tokens(struct bed *bed) {
  enum { ROWS = 2050, WIDTH = 264 };
  float hidden[WIDTH], wanted[ROWS];
  bf16 bits[WIDTH], *table = bed_host(bed, ROWS * WIDTH * sizeof *table);
  float *values = bed_host(bed, ROWS * WIDTH * sizeof *values);
  int32_t token = -1;
  check_embed(bed);
  bed_random(bed, WIDTH, 1, bits, hidden);
  bed_random(bed, ROWS * WIDTH, 1, table, values);
  reference_linear(1, WIDTH, ROWS, 0, hidden, values, wanted);
  struct kernel_head a = {.hidden = bed_put(bed, hidden, sizeof hidden),
                          .table = bed_put(bed, table, ROWS * WIDTH * 2),
                          .logits = bed_room(bed, sizeof wanted),
                          .width = WIDTH,
                          .rows = ROWS};
  bed_launch(bed, KERNEL_refill_head, blocks(ROWS, KERNEL_HEAD_ROWS), 1, &a);
  bed_check_float(bed, "logits", a.logits, wanted, ROWS, 1e-4, 1e-5);
  wanted[700] = wanted[1999] = 1e6F; /* of two that are equal, the first */
  struct kernel_argmax m = {.logits = bed_put(bed, wanted, sizeof wanted),
                            .token = bed_room(bed, sizeof token),
                            .rows = ROWS};
  bed_launch(bed, KERNEL_refill_argmax, 1, 1, &m);
  bed_get(bed, &token, m.token, sizeof token);
  bed_near(bed, "argmax", 0, token, 700, 0, 0);
}

/* ---- norm, rope, swiglu ---- */

void selftest_norm(struct bed *bed) {
  enum { N = 3, WIDTH = 2064 };
  bf16 bits[N * WIDTH];
  float x[N * WIDTH], weight[WIDTH], wanted[N * WIDTH];
  bed_random(bed, N * WIDTH, 3, bits, x);
  struct kernel_norm a = {.x = bed_put(bed, bits, sizeof bits),
                          .width = WIDTH,
                          .eps = 1e-5F,
                          .inverse_scale = FP8_SCALE};
  bed_random(bed, WIDTH, 1, bits, weight);
  a.weight = bed_put(bed, bits, WIDTH * sizeof *bits);
  reference_rmsnorm(N, WIDTH, 1e-5, x, weight, wanted);
  a.out = bed_room(bed, N * WIDTH * 2);
  bed_launch(bed, KERNEL_refill_norm_bf16, N, 1, &a);
  bed_check_bf16(bed, "norm in bf16", a.out, wanted, N * WIDTH, TINY, BF16_RELATIVE);
  a.out = bed_room(bed, N * WIDTH * 4);
  bed_launch(bed, KERNEL_refill_norm_float, N, 1, &a);
  bed_check_float(bed, "norm in float", a.out, wanted, N * WIDTH, TINY, 2e-5);
  a.out = bed_room(bed, N * WIDTH);
  bed_launch(bed, KERNEL_refill_norm_fp8, N, 1, &a);
  bed_check_fp8(bed, "norm in FP8", a.out, wanted, N * WIDTH, FP8_SCALE);
}

enum { ROPE_Q = 4, ROPE_KV = 2, ROPE_DIM = 64, ROPE_N = 3, ROPE_PAD = 2, ROPE_FIRST = 5 };
enum { ROPE_ROW = (ROPE_Q + 2 * ROPE_KV) * ROPE_DIM, ROPE_KV_ROW = ROPE_KV * ROPE_DIM };
enum { ROPE_POSITIONS = ROPE_FIRST + ROPE_N + ROPE_PAD };

/* The rows of K or V that were written, the padding's zeros included. */
static void check_rows(struct bed *bed, const char *what, driver_pointer cache, const float *qkv,
                       size_t offset, double absolute, double relative) {
  float wanted[(ROPE_N + ROPE_PAD) * ROPE_KV_ROW] = {0};
  for (size_t row = 0; row < ROPE_N; row++)
    memcpy(wanted + row * ROPE_KV_ROW, qkv + row * ROPE_ROW + offset, ROPE_KV_ROW * sizeof(float));
  bed_check_bf16(bed, what, cache + ROPE_FIRST * ROPE_KV_ROW * 2, wanted,
                 (ROPE_N + ROPE_PAD) * ROPE_KV_ROW, absolute, relative);
}

static void angles(float *cosines, float *sines) {
  for (int p = 0; p < ROPE_POSITIONS; p++)
    for (int j = 0; j < ROPE_DIM / 2; j++) {
      const double angle = p * pow(10000.0, -2.0 * j / ROPE_DIM);
      cosines[p * (ROPE_DIM / 2) + j] = (float)cos(angle);
      sines[p * (ROPE_DIM / 2) + j] = (float)sin(angle);
    }
}

void selftest_rope(struct bed *bed) {
  bf16 bits[ROPE_N * ROPE_ROW], turned[ROPE_N * ROPE_ROW];
  float qkv[ROPE_N * ROPE_ROW];
  float cosines[ROPE_POSITIONS * ROPE_DIM / 2], sines[ROPE_POSITIONS * ROPE_DIM / 2];
  bed_random(bed, ROPE_N * ROPE_ROW, 2, bits, qkv);
  angles(cosines, sines);
  reference_rope(ROPE_N, ROPE_Q + ROPE_KV, ROPE_DIM, ROPE_ROW, 10000.0, ROPE_FIRST, qkv);
  const size_t cache_bytes = ROPE_POSITIONS * ROPE_KV_ROW * 2, q = ROPE_Q * ROPE_DIM;
  struct kernel_rope a = {.qkv = bed_put(bed, bits, sizeof bits),
                          .cosines = bed_put(bed, cosines, sizeof cosines),
                          .sines = bed_put(bed, sines, sizeof sines),
                          .k = bed_room(bed, cache_bytes),
                          .v = bed_room(bed, cache_bytes),
                          .n_tokens = ROPE_N,
                          .first = ROPE_FIRST,
                          .q_heads = ROPE_Q,
                          .kv_heads = ROPE_KV,
                          .head_dim = ROPE_DIM};
  bed_launch(bed, KERNEL_refill_rope_bf16, ROPE_N + ROPE_PAD, 1, &a);
  bed_get(bed, turned, a.qkv, sizeof turned);
  for (size_t i = 0; i < ROPE_N * ROPE_ROW; i++)
    if (i % ROPE_ROW < q)
      bed_near(bed, "Q", i, bf16_to_float(turned[i]), qkv[i], 1e-5, BF16_RELATIVE);
  check_rows(bed, "K", a.k, qkv, q, 1e-5, BF16_RELATIVE);
  check_rows(bed, "V", a.v, qkv, q + ROPE_KV_ROW, 1e-5, BF16_RELATIVE);
  a.qkv = bed_put(bed, bits, sizeof bits);
  a.k = bed_room(bed, cache_bytes / 2);
  a.v = bed_room(bed, cache_bytes / 2);
  a.k_plain = bed_room(bed, cache_bytes);
  a.v_plain = bed_room(bed, cache_bytes);
  bed_launch(bed, KERNEL_refill_rope_fp8, ROPE_N + ROPE_PAD, 1, &a);
  check_rows(bed, "K of an FP8 cache", a.k_plain, qkv, q, 0.002, 0.07);
  check_rows(bed, "V of an FP8 cache", a.v_plain, qkv, q + ROPE_KV_ROW, 0.002, 0.07);
}

void selftest_swiglu(struct bed *bed) {
  enum { N = 2, WIDTH = 2064 };
  bf16 bits[N * 2 * WIDTH];
  float in[N * 2 * WIDTH], wanted[N * WIDTH];
  bed_random(bed, N * 2 * WIDTH, 4, bits, in);
  reference_swiglu(N, WIDTH, in, wanted);
  struct kernel_swiglu a = {.gate_up = bed_put(bed, bits, sizeof bits),
                            .out = bed_room(bed, N * WIDTH * 2),
                            .ffn = WIDTH,
                            .inverse_scale = FP8_SCALE};
  bed_launch(bed, KERNEL_refill_swiglu_bf16, N, 1, &a);
  bed_check_bf16(bed, "SwiGLU in bf16", a.out, wanted, N * WIDTH, TINY, BF16_RELATIVE);
  a.out = bed_room(bed, N * WIDTH);
  bed_launch(bed, KERNEL_refill_swiglu_fp8, N, 1, &a);
  bed_check_fp8(bed, "SwiGLU in FP8", a.out, wanted, N * WIDTH, FP8_SCALE);
}

/* ---- conversion, pages ---- */

void selftest_convert(struct bed *bed) {
  enum { COUNT = 4112 };
  bf16 bits[COUNT];
  float values[COUNT];
  uint8_t codes[COUNT];
  bed_random(bed, COUNT, 300, bits, values);
  struct kernel_convert a = {.in = bed_put(bed, bits, sizeof bits),
                             .out = bed_room(bed, COUNT),
                             .count = COUNT,
                             .factor = 0.25F};
  const int64_t grid = blocks(COUNT, KERNEL_THREADS * 16);
  bed_launch(bed, KERNEL_refill_quantise, grid, 1, &a);
  bed_check_fp8(bed, "FP8 of bf16", a.out, values, COUNT, 0.25F);
  for (int i = 0; i < COUNT; i++) {
    codes[i] = (uint8_t)((i & 0x7f) == 0x7f ? 0 : i); /* every code that is a number */
    values[i] = 2 * bed_e4m3(codes[i]);
  }
  a.in = bed_put(bed, codes, sizeof codes);
  a.out = bed_room(bed, sizeof bits);
  a.factor = 2;
  bed_launch(bed, KERNEL_refill_dequantise, grid, 1, &a);
  bed_check_bf16(bed, "bf16 of FP8", a.out, values, COUNT, 0, 0);
}

static void check_crc(struct bed *bed) {
  enum { PAGES = 3, HALF = 4112, FIRST = 1 };
  uint8_t *k = bed_host(bed, PAGES * HALF), *v = bed_host(bed, PAGES * HALF);
  uint32_t got[PAGES - FIRST] = {0};
  for (size_t i = 0; i < PAGES * HALF; i++) {
    k[i] = (uint8_t)(i * 31 + i / 251);
    v[i] = (uint8_t)(i * 17 + i / 97);
  }
  struct crc_plan plan;
  crc_plan(&plan, HALF);
  struct kernel_page_crc a = {.k = bed_put(bed, k, PAGES * HALF),
                              .v = bed_put(bed, v, PAGES * HALF),
                              .factors = bed_put(bed, plan.factors, sizeof plan.factors),
                              .out = bed_room(bed, sizeof got),
                              .first_page = FIRST,
                              .half_bytes = plan.half_bytes,
                              .slice_bytes = plan.slice_bytes};
  bed_launch(bed, KERNEL_refill_page_crc, PAGES - FIRST, 1, &a);
  bed_get(bed, got, a.out, sizeof got);
  for (size_t page = FIRST; page < PAGES; page++) {
    const uint32_t wanted = crc32c(crc32c(0, k + page * HALF, HALF), v + page * HALF, HALF);
    bed_demand(bed, crc_continue(&plan, 0, got[page - FIRST]) == wanted, "a page's CRC is wrong");
  }
}

void selftest_pages(struct bed *bed) {
  enum { STEP = 512, BYTES = 40 * STEP, SPOTS = BYTES / STEP };
  static const uint64_t pattern = UINT64_C(0x3c003c003c003c00);
  uint64_t *got = bed_host(bed, BYTES);
  check_crc(bed);
  struct kernel_spoil a = {.base = bed_room(bed, BYTES),
                           .part_bytes = BYTES,
                           .bytes = BYTES,
                           .step_bytes = STEP,
                           .pattern = pattern};
  bed_launch(bed, KERNEL_refill_spoil, blocks(SPOTS, KERNEL_THREADS), 1, &a);
  bed_get(bed, got, a.base, BYTES);
  for (size_t i = 0; i < BYTES / sizeof *got; i++)
    bed_demand(bed, got[i] == (i % (STEP / 8) < 2 ? pattern : UINT64_MAX),
               "spoiling wrote in the wrong place");
}
