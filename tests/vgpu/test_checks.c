/*
 * What the interpreter must notice: each bad program is reported with its reason and its line, each
 * good twin is not.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/vgpu/snippet.h"

#define TILE ".shared .align 16 .b8 tile[1024];\nmov.u32 %r0, %tid.x; mov.u32 %r1, tile;"
#define OWN "shl.b32 %r2, %r0, 2; add.s32 %r2, %r2, %r1;"
#define OTHER "xor.b32 %r4, %r0, 32; shl.b32 %r4, %r4, 2; add.s32 %r4, %r4, %r1;"
#define COPY                                                                                       \
  "shl.b32 %r5, %r0, 4; add.s32 %r5, %r5, %r1; mul.wide.u32 %d0, %r0, 16;"                         \
  "add.s64 %d0, %d0, %d8; cp.async.cg.shared.global [%r5], [%d0], 16;"

struct bad {
  const char *code;
  unsigned threads;
  const char *reason; /* NULL: it is right */
};

/* "PTX line 15: ": the code's last line, which is where each row goes wrong. */
static const char *last_line(const char *code) {
  static char text[32];
  int line = SNIPPET_FIRST_LINE;
  for (; *code; code++) line += *code == '\n';
  snprintf(text, sizeof text, "PTX line %d: ", line);
  return text;
}

static void check(const struct bad *rows, size_t n, bool lazy) {
  static const uint64_t in[128] = {1};
  for (size_t i = 0; i < n; i++)
    for (int schedule = 0; schedule < 3; schedule++) {
      struct snippet snippet = {.code = rows[i].code,
                                .threads = rows[i].threads,
                                .in = in,
                                .n_in = 128,
                                .options = {.schedule = (enum ptx_schedule)schedule,
                                            .lazy_copies = lazy,
                                            .seed = 5,
                                            .steps_max = 10000}};
      struct error error = {0};
      int code = snippet_run(&snippet, &error);
      if (!rows[i].reason)
        cr_expect_eq(code, 0, "%s: %s", rows[i].code, error.message);
      else
        cr_expect(code < 0 && strstr(error.message, rows[i].reason) &&
                      strstr(error.message, last_line(rows[i].code)),
                  "%s, schedule %d: %s", rows[i].code, schedule,
                  code < 0 ? error.message : "not noticed");
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows), false)

Test(checks, addresses) {
  static const struct bad rows[] = {
      {"ld.global.u64 %d0, [%d8+1016];", 1, NULL},
      {"ld.global.u64 %d0, [%d8+2048];", 1, "out of bounds or freed"},
      {"ld.global.u64 %d0, [%d8+-8];", 1, "out of bounds"},
      {"st.global.u32 [%d9+2048], %r0;", 1, "global write of 4 bytes out of bounds"},
      {"ld.global.u64 %d0, [%d8+4];", 1, "misaligned global"},
      {"ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%d8+8];", 1, "misaligned global"},
      {"ld.global.u64 %d0, [%d9];", 1, "nobody wrote"},
      {TILE "ld.shared.u32 %r3, [tile+1024];", 1, "out of bounds"},
      {TILE "st.shared.u32 [tile+2], %r0;", 1, "misaligned shared"},
      {TILE "ld.shared.u32 %r3, [tile];", 1, "shared memory that nobody wrote"},
      {TILE "st.shared.u32 [tile], %r0; ld.shared.u32 %r3, [tile];", 1, NULL},
      {".local .align 8 .b8 l[16];\nst.local.u32 [l+12], %r0; ld.local.u32 %r3, [l+12];", 1, NULL},
      {".local .align 8 .b8 l[16];\nst.local.u32 [l+16], %r0;", 1, "local address"},
      {".local .align 8 .b8 l[16];\nld.local.u32 %r3, [l+8];", 1, "local memory that nobody wrote"},
      {"ld.param.u64 %d0, [k_out];", 1, NULL},
      {"ld.param.u64 %d0, [k_out+8];", 1, "parameter out of bounds"},
      /* The generic address of shared memory where its own address is wanted. */
      {TILE "cvta.shared.u64 %d0, %d8; cvt.u32.u64 %r2, %d8; st.shared.u32 [%r2], %r0;", 1,
       "shared"},
  };
  CHECK(rows);
}

Test(checks, order_between_warps) {
  static const struct bad rows[] = {
      {TILE OWN OTHER "st.shared.u32 [%r2], %r0; bar.sync 0; ld.shared.u32 %r3, [%r4];", 64, NULL},
      {TILE OWN OTHER "st.shared.u32 [%r2], %r0; bar.sync 0; ld.shared.u32 %r3, [%r4];"
                      "bar.sync 0; st.shared.u32 [%r2], %r3;",
       64, NULL},
      {TILE OWN OTHER "st.shared.u32 [%r2], %r0; bar.sync 0; ld.shared.u32 %r3, [%r4];"
                      "st.shared.u32 [%r2], %r3;",
       64, "shared memory race"},
      {TILE "st.shared.u32 [tile], %r0; bar.sync 0; st.shared.u32 [tile], %r0;", 64, "race"},
      /* Neighbouring bytes of one word are two warps' own. */
      {TILE "shr.u32 %r2, %r0, 5; add.s32 %r2, %r2, %r1; st.shared.u8 [%r2], %r0;", 64, NULL},
      /* Named barriers order those who take part. */
      {TILE OWN OTHER "st.shared.u32 [%r2], %r0; bar.sync 1, 64; ld.shared.u32 %r3, [%r4];", 64,
       NULL},
  };
  CHECK(rows);
}

Test(checks, together) {
  static const struct bad rows[] = {
      {"mov.u32 %r0, %laneid; setp.lt.u32 %p1, %r0, 7; @%p1 bar.sync 0;", 32, "divergent warp"},
      {"mov.u32 %r0, %tid.x; setp.lt.u32 %p1, %r0, 32; @%p1 bar.sync 0;", 64, "not reached"},
      {"mov.u32 %r0, %laneid; setp.lt.u32 %p1, %r0, 7;"
       "@%p1 shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;",
       32, "take part"},
      {"mov.u32 %r0, %laneid; setp.lt.u32 %p1, %r0, 8;"
       "@%p1 shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xff;",
       32, NULL},
      {"mov.u32 %r0, %laneid; setp.lt.u32 %p1, %r0, 8;"
       "@%p1 shfl.sync.bfly.b32 %r1, %r0, 8, 31, 0xff;",
       32, "does not take part"},
      {"LOOP: bra LOOP;", 32, "endless"},
      {"trap;", 32, "trap"},
      {"bar.sync 17;", 32, "does not exist"},
  };
  CHECK(rows);
}

Test(checks, asynchronous_copies) {
  static const struct bad rows[] = {
      {TILE COPY "cp.async.commit_group; cp.async.wait_group 0; ld.shared.u32 %r3, [%r5];", 32,
       NULL},
      {TILE COPY "cp.async.wait_all; bar.sync 0; xor.b32 %r4, %r5, 512; ld.shared.u32 %r3, [%r4];",
       64, NULL},
      {TILE COPY "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r3, [%r5];", 32,
       "under way"},
      {TILE COPY "ld.shared.u32 %r3, [%r5];", 32, "under way"},
      {TILE COPY "cp.async.wait_group 0; ld.shared.u32 %r3, [%r5];", 32, "under way"},
      {TILE COPY "cp.async.wait_all; xor.b32 %r4, %r5, 512; ld.shared.u32 %r3, [%r4];", 64, ""},
      {TILE "cp.async.cg.shared.global [tile], [%d8+8], 16;", 1, "misaligned cp.async source"},
      {TILE "cp.async.cg.shared.global [tile+8], [%d8], 16;", 1, "misaligned shared"},
      {TILE "mov.u32 %r2, 0; cp.async.cg.shared.global [tile], [%d8+4096], 16, %r2;"
            "cp.async.wait_all; ld.shared.u32 %r3, [tile];",
       1, NULL},
  };
  CHECK(rows);
  check(rows, sizeof rows / sizeof *rows, true);
}

/* ---- what is left open runs both ways ---------------------------------------------------- */

/* Which of four warps, and of four blocks, comes first is a schedule's choice: were all of them the
 * same, what passes under three would have been tried under one. */
Test(checks, schedules_differ) {
  static const uint64_t zero[1] = {0};
  uint64_t first[2][3];
  for (int blocks = 0; blocks < 2; blocks++)
    for (int schedule = 0; schedule < 3; schedule++) {
      struct snippet snippet = {
          .code = blocks ? "atom.global.add.u32 %r1, [%d8], 1; mov.u32 %r2, %ctaid.x;"
                           "mul.wide.u32 %d0, %r1, 8; add.s64 %d0, %d0, %d9; cvt.u64.u32 %d1, %r2;"
                           "st.global.u64 [%d0], %d1;"
                         : "mov.u32 %r0, %laneid; setp.ne.u32 %p1, %r0, 0; @%p1 bra END;\n"
                           "atom.global.add.u32 %r1, [%d8], 1; mov.u32 %r2, %warpid;"
                           "mul.wide.u32 %d0, %r1, 8; add.s64 %d0, %d0, %d9; cvt.u64.u32 %d1, %r2;"
                           "st.global.u64 [%d0], %d1;\nEND: mov.u32 %r3, 0;",
          .threads = blocks ? 1 : 256,
          .blocks = blocks ? 8 : 1,
          .in = zero,
          .n_in = 1,
          .options = {.schedule = (enum ptx_schedule)schedule, .seed = 2, .threads = 1}};
      struct error error = {0};
      cr_assert_eq(snippet_run(&snippet, &error), 0, "%s", error.message);
      first[blocks][schedule] = snippet.out[0] << 8 | snippet.out[1];
    }
  for (int blocks = 0; blocks < 2; blocks++) {
    cr_expect_eq(first[blocks][PTX_IN_ORDER], 0x0001);
    cr_expect_eq(first[blocks][PTX_REVERSE], 0x0706);
    cr_expect_neq(first[blocks][PTX_RANDOM], 0x0001);
    cr_expect_neq(first[blocks][PTX_RANDOM], 0x0706);
  }
}

/* The source changes between the copy's issue and its wait: what arrives is the old value where the
 * copy is made at once, the new one where it is made when it is waited for. */
Test(checks, copies_at_both_extremes) {
  static const uint64_t in[2] = {5, 6};
  for (int lazy = 0; lazy < 2; lazy++) {
    struct snippet snippet = {.code = TILE
                              "cp.async.cg.shared.global [tile], [%d8], 16; cp.async.commit_group;"
                              "mov.u64 %d0, 9; st.global.u64 [%d8], %d0; cp.async.wait_group 0;"
                              "ld.shared.u64 %d1, [tile]; st.global.u64 [%d9], %d1;",
                              .threads = 1,
                              .in = in,
                              .n_in = 2,
                              .options = {.lazy_copies = lazy}};
    struct error error = {0};
    cr_assert_eq(snippet_run(&snippet, &error), 0, "%s", error.message);
    cr_expect_eq(snippet.out[0], lazy ? 9 : 5);
  }
}
