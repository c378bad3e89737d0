/*
 * The kernels that move memory, against the reference or against the definition of what they do:
 * odd widths and counts, all schedules, both targets (FP8 is converted by instructions on one and
 * by arithmetic on the other).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "kernels/element.h"
#include "kernels/reference/reference.h"
#include "kernels/weights.h"
#include "tests/vgpu/ptx/number.h"
#include "tests/vgpu/rig.h"

#define BF16_RELATIVE 0.0042F /* one rounding to 8 bits, and the float arithmetic before it */
#define TINY 1e-6F

static const char *const forms[] = {"compute_90a", "compute_80"};

typedef void check_fn(struct rig *rig);

static void all_ways(const char *module, check_fn *check) {
  for (size_t form = 0; form < 2; form++) {
    struct rig rig;
    rig_open(&rig, module, forms[form]);
    for (int mode = 0; mode < RIG_MODES; mode += 2) {
      rig_mode(&rig, mode);
      check(&rig);
    }
    rig_close(&rig);
  }
}

/* A code's neighbours differ by an eighth at most; rounding may fall either way at a tie. */
static void close_to_fp8(const char *what, size_t i, uint8_t got, float wanted) {
  rig_close_to(what, i, float_of_e4m3(got), float_of_e4m3(e4m3_of_float(wanted)), 0.002F, 0.13F);
}

/* ---- norm -------------------------------------------------------------------------------- */

static void check_norm(struct rig *rig) {
  static const size_t widths[] = {16, 248, 2064};
  for (size_t w = 0; w < 3; w++) {
    const size_t d = widths[w], n = 3;
    uint16_t *bits = malloc(n * d * 2);
    float *x = malloc(n * d * 4), *weight = malloc(d * 4), *wanted = malloc(n * d * 4);
    rig_random_bf16(rig, n * d, 3.0F, bits, x);
    uint64_t x_at = rig_put(rig, bits, n * d * 2);
    rig_random_bf16(rig, d, 1.0F, bits, weight);
    uint64_t weight_at = rig_put(rig, bits, d * 2);
    reference_rmsnorm((int64_t)n, (int64_t)d, 1e-5, x, weight, wanted);
    struct kernel_norm a = {.x = x_at, .weight = weight_at, .width = (int64_t)d, .eps = 1e-5F};
    a.out = rig_room(rig, n * d * 2);
    rig_run(rig, "refill_norm_bf16", (int64_t)n, 1, &a);
    const uint16_t *half = rig_data(rig, a.out);
    cr_assert(rig_written(rig, a.out, n * d * 2));
    a.out = rig_room(rig, n * d * 4);
    rig_run(rig, "refill_norm_float", (int64_t)n, 1, &a);
    const float *whole = rig_data(rig, a.out);
    cr_assert(rig_written(rig, a.out, n * d * 4));
    a.out = rig_room(rig, n * d);
    a.inverse_scale = 20.0F;
    rig_run(rig, "refill_norm_fp8", (int64_t)n, 1, &a);
    const uint8_t *code = rig_data(rig, a.out);
    cr_assert(rig_written(rig, a.out, n * d));
    for (size_t i = 0; i < n * d; i++) {
      rig_close_to("bf16", i, bf16_to_float(half[i]), wanted[i], TINY, BF16_RELATIVE);
      rig_close_to("float", i, whole[i], wanted[i], TINY, 1e-5F);
      close_to_fp8("fp8", i, code[i], wanted[i] * 20.0F);
    }
    free(bits);
    free(x);
    free(weight);
    free(wanted);
  }
}

Test(kernels, norm) {
  all_ways("norm", check_norm);
}

/* ---- rope -------------------------------------------------------------------------------- */

struct rope {
  struct kernel_rope arguments;
  size_t row, kv_row; /* elements */
  float *qkv;         /* wanted after turning */
};

enum { ROPE_TOKENS = 3, ROPE_PAD = 2, ROPE_FIRST = 5, ROPE_POSITIONS = 12 };

static struct rope make_rope(struct rig *rig, int q_heads, int kv_heads, int head_dim) {
  struct rope rope = {.row = (size_t)((q_heads + 2 * kv_heads) * head_dim),
                      .kv_row = (size_t)(kv_heads * head_dim)};
  size_t n = ROPE_TOKENS * rope.row, half = (size_t)head_dim / 2;
  uint16_t *bits = malloc(n * 2);
  float *cosines = malloc(ROPE_POSITIONS * half * 4), *sines = malloc(ROPE_POSITIONS * half * 4);
  rope.qkv = malloc(n * 4);
  rig_random_bf16(rig, n, 2.0F, bits, rope.qkv);
  for (size_t p = 0; p < ROPE_POSITIONS; p++)
    for (size_t j = 0; j < half; j++) {
      double angle = (double)p * pow(10000.0, -2.0 * (double)j / head_dim);
      cosines[p * half + j] = (float)cos(angle);
      sines[p * half + j] = (float)sin(angle);
    }
  reference_rope(ROPE_TOKENS, q_heads + kv_heads, head_dim, (int64_t)rope.row, 10000.0, ROPE_FIRST,
                 rope.qkv);
  rope.arguments = (struct kernel_rope){.qkv = rig_put(rig, bits, n * 2),
                                        .cosines = rig_put(rig, cosines, ROPE_POSITIONS * half * 4),
                                        .sines = rig_put(rig, sines, ROPE_POSITIONS * half * 4),
                                        .n_tokens = ROPE_TOKENS,
                                        .first = ROPE_FIRST,
                                        .q_heads = q_heads,
                                        .kv_heads = kv_heads,
                                        .head_dim = head_dim};
  free(bits);
  free(cosines);
  free(sines);
  return rope;
}

static void check_cache(struct rig *rig, const struct rope *rope, uint64_t at, size_t offset,
                        bool plain) {
  const uint16_t *cache = rig_data(rig, at);
  size_t kv = rope->kv_row;
  cr_assert(rig_written(rig, at + ROPE_FIRST * kv * 2, (ROPE_TOKENS + ROPE_PAD) * kv * 2));
  cr_assert(!rig_written(rig, at + (ROPE_FIRST - 1) * kv * 2, kv * 2), "a row before was written");
  cr_assert(!rig_written(rig, at + (ROPE_FIRST + ROPE_TOKENS + ROPE_PAD) * kv * 2, 1));
  for (size_t row = 0; row < ROPE_TOKENS + ROPE_PAD; row++)
    for (size_t i = 0; i < kv; i++) {
      float wanted = row < ROPE_TOKENS ? rope->qkv[row * rope->row + offset + i] : 0.0F;
      float got = bf16_to_float(cache[(ROPE_FIRST + row) * kv + i]);
      rig_close_to("cache", row * kv + i, got, wanted, plain ? 0.002F : 1e-5F,
                   plain ? 0.07F : BF16_RELATIVE);
    }
}

static void check_codes(struct rig *rig, const struct rope *rope, uint64_t codes, uint64_t plain) {
  const uint8_t *code = rig_data(rig, codes);
  const uint16_t *value = rig_data(rig, plain);
  for (size_t i = ROPE_FIRST * rope->kv_row; i < (ROPE_FIRST + ROPE_TOKENS) * rope->kv_row; i++)
    cr_assert_eq(float_of_e4m3(code[i]), bf16_to_float(value[i]), "code and value differ at %zu",
                 i);
}

static void check_rope(struct rig *rig) {
  static const int heads[][3] = {{4, 2, 64}, {8, 1, 128}, {64, 8, 128}, {3, 3, 64}};
  for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
    struct rope rope = make_rope(rig, heads[h][0], heads[h][1], heads[h][2]);
    size_t cache = ROPE_POSITIONS * rope.kv_row, q = rope.row - 2 * rope.kv_row;
    rope.arguments.k = rig_room(rig, cache * 2);
    rope.arguments.v = rig_room(rig, cache * 2);
    struct kernel_rope again = rope.arguments; /* the same input for the FP8 kernel */
    again.qkv = rig_put(rig, rig_data(rig, rope.arguments.qkv), ROPE_TOKENS * rope.row * 2);
    rig_run(rig, "refill_rope_bf16", ROPE_TOKENS + ROPE_PAD, 1, &rope.arguments);
    const uint16_t *turned = rig_data(rig, rope.arguments.qkv);
    for (size_t i = 0; i < ROPE_TOKENS * rope.row; i++)
      if (i % rope.row < q)
        rig_close_to("q", i, bf16_to_float(turned[i]), rope.qkv[i], 1e-5F, BF16_RELATIVE);
    check_cache(rig, &rope, rope.arguments.k, q, false);
    check_cache(rig, &rope, rope.arguments.v, q + rope.kv_row, false);
    again.k = rig_room(rig, cache);
    again.v = rig_room(rig, cache);
    again.k_plain = rig_room(rig, cache * 2);
    again.v_plain = rig_room(rig, cache * 2);
    rig_run(rig, "refill_rope_fp8", ROPE_TOKENS + ROPE_PAD, 1, &again);
    check_cache(rig, &rope, again.k_plain, q, true);
    check_cache(rig, &rope, again.v_plain, q + rope.kv_row, true);
    check_codes(rig, &rope, again.k, again.k_plain);
    check_codes(rig, &rope, again.v, again.v_plain);
    free(rope.qkv);
  }
}

Test(kernels, rope) {
  all_ways("rope", check_rope);
}

/* ---- swiglu ------------------------------------------------------------------------------ */

static void check_swiglu(struct rig *rig) {
  static const size_t widths[] = {16, 2056};
  for (size_t w = 0; w < 2; w++) {
    const size_t f = widths[w], n = 2;
    uint16_t *bits = malloc(n * 2 * f * 2);
    float *in = malloc(n * 2 * f * 4), *wanted = malloc(n * f * 4);
    rig_random_bf16(rig, n * 2 * f, 4.0F, bits, in);
    reference_swiglu((int64_t)n, (int64_t)f, in, wanted);
    struct kernel_swiglu a = {
        .gate_up = rig_put(rig, bits, n * 2 * f * 2), .ffn = (int64_t)f, .inverse_scale = 10.0F};
    a.out = rig_room(rig, n * f * 2);
    rig_run(rig, "refill_swiglu_bf16", (int64_t)n, 1, &a);
    const uint16_t *half = rig_data(rig, a.out);
    cr_assert(rig_written(rig, a.out, n * f * 2));
    a.out = rig_room(rig, n * f);
    rig_run(rig, "refill_swiglu_fp8", (int64_t)n, 1, &a);
    const uint8_t *code = rig_data(rig, a.out);
    cr_assert(rig_written(rig, a.out, n * f));
    for (size_t i = 0; i < n * f; i++) {
      rig_close_to("bf16", i, bf16_to_float(half[i]), wanted[i], TINY, BF16_RELATIVE);
      close_to_fp8("fp8", i, code[i], wanted[i] * 10.0F);
    }
    free(bits);
    free(in);
    free(wanted);
  }
}

Test(kernels, swiglu) {
  all_ways("swiglu", check_swiglu);
}

/* ---- conversion -------------------------------------------------------------------------- */

static void check_convert(struct rig *rig) {
  enum { COUNT = 4112, STRIDE = 4128, TENSORS = 2 };
  uint16_t *bits = malloc(TENSORS * STRIDE * 2);
  float *in = malloc(TENSORS * STRIDE * 4);
  rig_random_bf16(rig, TENSORS * STRIDE, 300.0F, bits, in);
  bits[3] = 0x7f80; /* infinity saturates */
  bits[4] = 0x3b80; /* the smallest subnormal's half, a tie to zero */
  in[3] = INFINITY;
  in[4] = bf16_to_float(bits[4]);
  struct kernel_convert a = {.in = rig_put(rig, bits, (STRIDE + COUNT) * 2),
                             .out = rig_room(rig, STRIDE + COUNT),
                             .count = COUNT,
                             .in_stride = STRIDE,
                             .out_stride = STRIDE,
                             .factor = 0.25F};
  int64_t blocks = (COUNT + KERNEL_THREADS * 16 - 1) / (KERNEL_THREADS * 16);
  rig_run(rig, "refill_quantise", blocks, TENSORS, &a);
  uint8_t *code = rig_data(rig, a.out);
  for (size_t i = 0; i < STRIDE + COUNT; i++)
    if (i < COUNT || i >= STRIDE)
      cr_assert_eq(code[i], e4m3_of_float(in[i] * 0.25F), "code %zu of %g", i, (double)in[i]);
  cr_assert(!rig_written(rig, a.out + COUNT, 1), "written past the end");
  for (size_t i = 0; i < COUNT; i++) code[i] = (uint8_t)i; /* every code */
  a.in = a.out;
  a.out = rig_room(rig, (STRIDE + COUNT) * 2);
  a.factor = 2.0F;
  rig_run(rig, "refill_dequantise", blocks, TENSORS, &a);
  const uint16_t *half = rig_data(rig, a.out);
  for (size_t i = 0; i < COUNT; i++) {
    float wanted = float_of_e4m3(code[i]) * 2.0F;
    if (!isnan(wanted)) cr_assert_eq(bf16_to_float(half[i]), wanted, "value of code %zu", i);
  }
  free(bits);
  free(in);
}

Test(kernels, convert) {
  all_ways("fp8", check_convert);
}

Test(kernels, not_a_number_stays_so_in_fp8) {
  struct rig rig;
  rig_open(&rig, "fp8", "compute_90a");
  uint8_t codes[16] = {0x7f, 0xff};
  struct kernel_convert a = {.in = rig_put(&rig, codes, sizeof codes),
                             .out = rig_room(&rig, 2 * sizeof codes),
                             .count = sizeof codes,
                             .factor = 1.0F};
  rig_run(&rig, "refill_dequantise", 1, 1, &a);
  const uint16_t *half = rig_data(&rig, a.out);
  bool kept = isnan(bf16_to_float(half[0])) && isnan(bf16_to_float(half[1]));
  rig_close(&rig);
  cr_assert(kept, "the code of not-a-number became a number");
}

/* ---- weights ----------------------------------------------------------------------------- */

/* The offset cancels the product of element 0, which is then zero only if the product was rounded
 * before it was added. */
static void check_weights(struct rig *rig) {
  enum { COUNT = 4104 };
  struct weight_stream stream = {
      .rows = 1, .columns = COUNT, .stream = 0x123456789abcdef0U, .scale = 0.637F};
  const float u = (float)(int16_t)(uint16_t)prng_bits(stream.stream, 0) / 32768.0F;
  const float product = stream.scale * u;
  cr_assert_neq((double)product, (double)stream.scale * (double)u, "the product must be inexact");
  stream.offset = -product;
  uint16_t *wanted = malloc(COUNT * 2);
  weights_fill(&stream, 0, COUNT, wanted);
  struct kernel_weights a = {.out = rig_room(rig, COUNT * 2),
                             .count = COUNT,
                             .stream = stream.stream,
                             .offset = stream.offset,
                             .scale = stream.scale,
                             .inverse_scale = 64.0F};
  int64_t blocks = (COUNT / KERNEL_VECTOR + KERNEL_THREADS - 1) / KERNEL_THREADS;
  rig_run(rig, "refill_weights_bf16", blocks, 1, &a);
  cr_assert_arr_eq(rig_data(rig, a.out), wanted, COUNT * 2);
  a.out = rig_room(rig, COUNT);
  rig_run(rig, "refill_weights_fp8", blocks, 1, &a);
  const uint8_t *code = rig_data(rig, a.out);
  for (size_t i = 0; i < COUNT; i++)
    cr_assert_eq(code[i], e4m3_of_float(bf16_to_float(wanted[i]) * 64.0F), "code %zu", i);
  free(wanted);
}

Test(kernels, weights) {
  all_ways("weights", check_weights);
}

/* ---- tokens ------------------------------------------------------------------------------ */

static void check_embed(struct rig *rig) {
  enum { VOCABULARY = 11, WIDTH = 2072 };
  static const int32_t tokens[] = {10, 0, 3};
  uint16_t *table = malloc(VOCABULARY * WIDTH * 2);
  rig_random_bf16(rig, VOCABULARY * WIDTH, 1.0F, table, NULL);
  struct kernel_embed a = {.tokens = rig_put(rig, tokens, sizeof tokens),
                           .table = rig_put(rig, table, VOCABULARY * WIDTH * 2),
                           .out = rig_room(rig, 3 * WIDTH * 2),
                           .width = WIDTH};
  rig_run(rig, "refill_embed", 3, 1, &a);
  for (size_t i = 0; i < 3; i++)
    cr_assert_arr_eq((uint16_t *)rig_data(rig, a.out) + i * WIDTH,
                     table + (size_t)tokens[i] * WIDTH, WIDTH * 2);
  free(table);
}

static void check_head(struct rig *rig) {
  enum { ROWS = 21, WIDTH = 264 };
  uint16_t *bits = malloc(ROWS * WIDTH * 2);
  float *table = malloc(ROWS * WIDTH * 4), hidden[WIDTH], wanted[ROWS];
  rig_random_bf16(rig, ROWS * WIDTH, 1.0F, bits, table);
  for (int i = 0; i < WIDTH; i++) hidden[i] = rig_random(rig, 1.0F);
  reference_linear(1, WIDTH, ROWS, 0, hidden, table, wanted);
  struct kernel_head a = {.hidden = rig_put(rig, hidden, sizeof hidden),
                          .table = rig_put(rig, bits, ROWS * WIDTH * 2),
                          .logits = rig_room(rig, ROWS * 4),
                          .width = WIDTH,
                          .rows = ROWS};
  rig_run(rig, "refill_head", (ROWS + KERNEL_HEAD_ROWS - 1) / KERNEL_HEAD_ROWS, 1, &a);
  const float *got = rig_data(rig, a.logits);
  for (size_t i = 0; i < ROWS; i++) rig_close_to("logit", i, got[i], wanted[i], 1e-4F, 1e-5F);
  free(bits);
  free(table);
}

/* The largest is in any warp, twice, and in the last odd element. */
static void check_argmax(struct rig *rig) {
  static const int32_t spots[][2] = {{0, 2000}, {31, 32}, {1023, 1024}, {2049, 2049}, {700, 1999}};
  for (size_t s = 0; s < sizeof spots / sizeof *spots; s++) {
    float logits[2050];
    for (int i = 0; i < 2050; i++) logits[i] = rig_random(rig, 1.0F) - 5.0F;
    logits[spots[s][0]] = logits[spots[s][1]] = -1.0F;
    struct kernel_argmax a = {
        .logits = rig_put(rig, logits, sizeof logits), .token = rig_room(rig, 4), .rows = 2050};
    rig_run(rig, "refill_argmax", 1, 1, &a);
    cr_assert_eq(*(int32_t *)rig_data(rig, a.token), spots[s][0]);
  }
}

static void check_tokens(struct rig *rig) {
  check_embed(rig);
  check_head(rig);
  check_argmax(rig);
}

Test(kernels, tokens) {
  all_ways("tokens", check_tokens);
}
