/*
 * What lanes, warps and blocks do together, against the definitions.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/vgpu/ptx/number.h"
#include "tests/vgpu/snippet.h"

static const char store_lane[] = "mov.u32 %r60, %tid.x; mul.wide.u32 %d7, %r60, 8;"
                                 "add.s64 %d7, %d7, %d9; cvt.u64.u32 %d6, %r3;"
                                 "st.global.u64 [%d7], %d6;";

static void run(struct snippet *snippet) {
  char code[4096];
  struct error error = {0};
  snprintf(code, sizeof code, "%s%s", snippet->code, store_lane);
  snippet->code = code;
  cr_assert_eq(snippet_run(snippet, &error), 0, "%s", error.message);
}

Test(warp, shuffles) {
  static const struct {
    const char *code;
    int from[4]; /* lanes 0, 1, 17, 31 get the value of these */
  } rows[] = {{"shfl.sync.bfly.b32 %r3, %r0, 1, 31, -1;", {1, 0, 16, 30}},
              {"shfl.sync.up.b32 %r3|%p1, %r0, 2, 0, -1;", {0, 1, 15, 29}},
              {"shfl.sync.down.b32 %r3, %r0, 2, 31, -1;", {2, 3, 19, 31}},
              {"shfl.sync.idx.b32 %r3, %r0, 5, 31, -1;", {5, 5, 5, 5}},
              /* segments of 16: mask 0x10 in bits 8-12, clamp 15 */
              {"shfl.sync.idx.b32 %r3, %r0, 5, 0x101f, -1;", {5, 5, 21, 21}},
              {"shfl.sync.down.b32 %r3, %r0, 3, 0x100f, -1;", {3, 4, 20, 31}}};
  static const int lanes[4] = {0, 1, 17, 31};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char code[256];
    snprintf(code, sizeof code, "mov.u32 %%r0, %%laneid; %s", rows[i].code);
    struct snippet snippet = {.code = code, .threads = 32};
    run(&snippet);
    for (int l = 0; l < 4; l++)
      cr_expect_eq(snippet.out[lanes[l]], (uint64_t)rows[i].from[l], "%s lane %d", rows[i].code,
                   lanes[l]);
  }
}

Test(warp, votes_and_reductions) {
  struct snippet snippet = {
      .threads = 32,
      .code = "mov.u32 %r0, %laneid; setp.gt.u32 %p1, %r0, 27;"
              "vote.sync.ballot.b32 %r1, %p1, -1; vote.sync.any.pred %p2, %p1, -1;"
              "vote.sync.all.pred %p3, %p1, -1; redux.sync.add.u32 %r2, %r0, -1;"
              "selp.u32 %r4, 1, 0, %p2; selp.u32 %r5, 2, 0, %p3; activemask.b32 %r6;"
              "add.s32 %r3, %r1, %r2; add.s32 %r3, %r3, %r4; add.s32 %r3, %r3, %r5;"
              "setp.ne.s32 %p4, %r6, -1; @%p4 mov.u32 %r3, 0;"};
  run(&snippet);
  cr_assert_eq(snippet.out[9], 0xf0000000U + 496 + 1);
}

/* Lanes go different ways, round a loop a different number of times, and meet again. */
Test(warp, divergence) {
  struct snippet snippet = {
      .threads = 32,
      .code = "mov.u32 %r0, %laneid; mov.u32 %r3, 0; setp.lt.u32 %p1, %r0, 16; @%p1 bra LOW;\n"
              "add.s32 %r3, %r3, 1000; bra MEET;\nLOW: add.s32 %r3, %r3, 2000;\n"
              "MEET: mov.u32 %r1, %r0;\nLOOP: setp.eq.s32 %p2, %r1, 0; @%p2 bra DONE;\n"
              "add.s32 %r3, %r3, 1; sub.s32 %r1, %r1, 1; bra LOOP;\n"
              "DONE: shfl.sync.idx.b32 %r2, %r3, 31, 31, -1; add.s32 %r3, %r3, %r2;\n"};
  run(&snippet);
  for (uint64_t lane = 0; lane < 32; lane++)
    cr_expect_eq(snippet.out[lane], (lane < 16 ? 2000 : 1000) + lane + 1031);
}

/* Sums over 4 warps by shared memory, in every order of the warps. */
Test(warp, barriers) {
  for (int schedule = 0; schedule < 3; schedule++) {
    struct snippet snippet = {
        .threads = 128,
        .options = {.schedule = (enum ptx_schedule)schedule, .seed = 3},
        .code = ".shared .align 4 .b8 part[512];\n"
                "mov.u32 %r0, %tid.x; shl.b32 %r1, %r0, 2; mov.u32 %r2, part;"
                "add.s32 %r4, %r1, %r2; st.shared.u32 [%r4], %r0; bar.sync 0;"
                "xor.b32 %r5, %r0, 96; shl.b32 %r5, %r5, 2; add.s32 %r5, %r5, %r2;"
                "ld.shared.u32 %r3, [%r5];"};
    run(&snippet);
    for (uint64_t i = 0; i < 128; i++) cr_expect_eq(snippet.out[i], i ^ 96);
  }
}

Test(warp, atomics_of_many_blocks) {
  static const uint64_t zero[2] = {0, 5};
  struct snippet snippet = {
      .threads = 64,
      .blocks = 20,
      .in = zero,
      .n_in = 2,
      .code = "atom.global.add.u32 %r1, [%d8], 1; red.global.max.u32 [%d8+8], %r1;"
              "bar.sync 0; ld.global.u32 %r3, [%d8];"};
  run(&snippet);
  uint64_t highest = 0;
  for (int i = 0; i < 64; i++)
    if (snippet.out[i] > highest) highest = snippet.out[i];
  cr_assert_eq(highest, 1280);
}

/* ---- matrices ---------------------------------------------------------------------------- */

static const char ldmatrix_code[] =
    ".shared .align 16 .b8 tile[512];\n"
    "mov.u32 %%r0, %%laneid; mov.u32 %%r1, tile; shl.b32 %%r2, %%r0, 4; add.s32 %%r4, %%r1, %%r2;"
    /* 8 numbers a lane: 8 lane .. 8 lane + 7 */
    "shl.b32 %%r5, %%r0, 3; add.s32 %%r6, %%r5, 1; shl.b32 %%r6, %%r6, 16; or.b32 %%r10, %%r5, "
    "%%r6;"
    "add.s32 %%r11, %%r10, 0x20002; add.s32 %%r12, %%r11, 0x20002; add.s32 %%r13, %%r12, 0x20002;"
    "st.shared.v4.u32 [%%r4], {%%r10, %%r11, %%r12, %%r13}; bar.warp.sync -1;"
    "ldmatrix.sync.aligned.m8n8.x4%s.shared.b16 {%%r20, %%r21, %%r22, %%r23}, [%%r4];"
    "mov.u32 %%r3, %%r%d;";

/* Row r of matrix m holds 64 m + 8 r + column. */
Test(warp, ldmatrix) {
  for (int trans = 0; trans < 2; trans++)
    for (int matrix = 0; matrix < 4; matrix++) {
      char code[2048];
      snprintf(code, sizeof code, ldmatrix_code, trans ? ".trans" : "", 20 + matrix);
      struct snippet snippet = {.code = code, .threads = 32};
      run(&snippet);
      for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4 * 2, base = 64 * (unsigned)matrix;
        unsigned first = base + (trans ? t * 8 + g : g * 8 + t);
        unsigned second = base + (trans ? (t + 1) * 8 + g : g * 8 + t + 1);
        cr_expect_eq(snippet.out[lane], first | second << 16, "matrix %d lane %u", matrix, lane);
      }
    }
}

/* A[i][k], B[k][j] are small whole numbers, so that sums are exact; fragments are filled and read
 * by the manual's formulas. */
static float a_at(int i, int k) {
  return (float)((i * 3 + k * 5) % 11 - 5);
}
static float b_at(int k, int j) {
  return (float)((k * 7 + j * 2) % 9 - 4);
}
static float c_at(int i, int j) {
  return (float)(i - 2 * j);
}

static uint32_t pair(float low, float high) {
  return bf16_of_float(low, false) | (uint32_t)bf16_of_float(high, false) << 16;
}

Test(warp, mma) {
  static const char code[] =
      "mov.u32 %%r0, %%laneid; mul.wide.u32 %%d0, %%r0, 40; add.s64 %%d0, %%d0, %%d8;"
      "ld.global.v2.u32 {%%r10, %%r11}, [%%d0]; ld.global.v2.u32 {%%r12, %%r13}, [%%d0+8];"
      "ld.global.v2.u32 {%%r14, %%r15}, [%%d0+16]; ld.global.v2.f32 {%%f0, %%f1}, [%%d0+24];"
      "ld.global.v2.f32 {%%f2, %%f3}, [%%d0+32];"
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%%f0, %%f1, %%f2, %%f3}, "
      "{%%r10, %%r11, %%r12, %%r13}, {%%r14, %%r15}, {%%f0, %%f1, %%f2, %%f3}; mov.b32 %%r3, "
      "%%f%d;";
  uint32_t in[32][10];
  for (int lane = 0; lane < 32; lane++) {
    int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; r++) {
      int row = r == 0 || r == 2 ? g : g + 8, column = t * 2 + (r < 2 ? 0 : 8);
      in[lane][r] = pair(a_at(row, column), a_at(row, column + 1));
      float c = c_at(r < 2 ? g : g + 8, t * 2 + (r & 1));
      memcpy(&in[lane][6 + r], &c, 4);
    }
    for (int r = 0; r < 2; r++)
      in[lane][4 + r] = pair(b_at(t * 2 + r * 8, g), b_at(t * 2 + r * 8 + 1, g));
  }
  for (int r = 0; r < 4; r++) {
    char text[2048];
    snprintf(text, sizeof text, code, r);
    struct snippet snippet = {
        .code = text, .threads = 32, .in = (void *)in, .n_in = sizeof in / sizeof(uint64_t)};
    run(&snippet);
    for (int lane = 0; lane < 32; lane++) {
      int i = lane / 4 + (r < 2 ? 0 : 8), j = lane % 4 * 2 + (r & 1);
      float wanted = c_at(i, j);
      for (int k = 0; k < 16; k++) wanted += a_at(i, k) * b_at(k, j);
      cr_expect_eq(float_of_bits((uint32_t)snippet.out[lane]), wanted, "d%d of lane %d", r, lane);
    }
  }
}
