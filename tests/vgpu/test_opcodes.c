/*
 * Instructions against results worked out by hand from the PTX manual.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/vgpu/snippet.h"

/* a, b, c are in %d0..2, %r0..2 (and %f0..2), %h0..2; the result comes from %d3, %r3, %f3, %h3 or
 * %p3, as `result` says: d, w, f, h, p. */
struct row {
  const char *code;
  char result;
  uint64_t a, b, c, wanted;
};

static const char load[] =
    "ld.global.u64 %d0, [%d8]; ld.global.u64 %d1, [%d8+8]; ld.global.u64 %d2, [%d8+16];\n"
    "cvt.u32.u64 %r0, %d0; cvt.u32.u64 %r1, %d1; cvt.u32.u64 %r2, %d2;\n"
    "mov.b32 %f0, %r0; mov.b32 %f1, %r1; mov.b32 %f2, %r2;\n"
    "cvt.u16.u64 %h0, %d0; cvt.u16.u64 %h1, %d1; cvt.u16.u64 %h2, %d2;\n";

static const char *store(char result) {
  switch (result) {
  case 'd':
    return "st.global.u64 [%d9], %d3;";
  case 'w':
    return "cvt.u64.u32 %d3, %r3; st.global.u64 [%d9], %d3;";
  case 'f':
    return "mov.b32 %r3, %f3; cvt.u64.u32 %d3, %r3; st.global.u64 [%d9], %d3;";
  case 'h':
    return "cvt.u64.u16 %d3, %h3; st.global.u64 [%d9], %d3;";
  default:
    return "selp.u64 %d3, 1, 0, %p3; st.global.u64 [%d9], %d3;";
  }
}

static void check(const struct row *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char code[2048];
    snprintf(code, sizeof code, "%s%s\n%s", load, rows[i].code, store(rows[i].result));
    const uint64_t in[3] = {rows[i].a, rows[i].b, rows[i].c};
    struct snippet snippet = {.code = code, .in = in, .n_in = 3};
    struct error error = {0};
    cr_assert_eq(snippet_run(&snippet, &error), 0, "%s: %s", rows[i].code, error.message);
    cr_expect_eq(snippet.out[0], rows[i].wanted, "%s: 0x%" PRIx64 ", not 0x%" PRIx64, rows[i].code,
                 snippet.out[0], rows[i].wanted);
  }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

#define MINUS(n) ((uint32_t) - (n))
#define MINUS64(n) ((uint64_t) - (n))

Test(opcodes, integers) {
  static const struct row rows[] = {
      {"add.s32 %r3, %r0, %r1;", 'w', 0xffffffff, 2, 0, 1},
      {"add.s64 %d3, %d0, %d1;", 'd', 0xffffffff, 2, 0, 0x100000001},
      {"add.s16 %h3, %h0, %h1;", 'h', 0xffff, 2, 0, 1},
      {"sub.s32 %r3, %r0, %r1;", 'w', 1, 2, 0, 0xffffffff},
      {"mul.lo.s32 %r3, %r0, %r1;", 'w', MINUS(3), 5, 0, MINUS(15)},
      {"mul.hi.u32 %r3, %r0, %r1;", 'w', 0x80000000, 6, 0, 3},
      {"mul.hi.s32 %r3, %r0, %r1;", 'w', MINUS(1), 1, 0, 0xffffffff},
      {"mul.hi.u64 %d3, %d0, %d1;", 'd', UINT64_C(1) << 63, 6, 0, 3},
      {"mul.wide.s32 %d3, %r0, %r1;", 'd', MINUS(2), 3, 0, MINUS64(6)},
      {"mul.wide.u32 %d3, %r0, %r1;", 'd', 0xfffffffe, 3, 0, 0x2fffffffa},
      {"mul.wide.s16 %r3, %h0, %h1;", 'w', 0xfffe, 3, 0, MINUS(6)},
      {"mad.lo.s32 %r3, %r0, %r1, %r2;", 'w', 7, 6, MINUS(2), 40},
      {"mad.lo.s64 %d3, %d0, %d1, %d2;", 'd', UINT64_C(1) << 33, 4, 5, (UINT64_C(1) << 35) + 5},
      {"mad.wide.u32 %d3, %r0, %r1, %d2;", 'd', 0xffffffff, 2, 2, 0x200000000},
      {"div.s32 %r3, %r0, %r1;", 'w', MINUS(7), 2, 0, MINUS(3)},
      {"div.u32 %r3, %r0, %r1;", 'w', MINUS(7), 2, 0, 0x7ffffffc},
      {"rem.s32 %r3, %r0, %r1;", 'w', MINUS(7), 2, 0, MINUS(1)},
      {"rem.u64 %d3, %d0, %d1;", 'd', 1000000000007, 10, 0, 7},
      {"div.s32 %r3, %r0, %r1;", 'w', 0x80000000, MINUS(1), 0, 0x80000000},
      {"min.s32 %r3, %r0, %r1;", 'w', MINUS(1), 1, 0, MINUS(1)},
      {"min.u32 %r3, %r0, %r1;", 'w', MINUS(1), 1, 0, 1},
      {"max.s64 %d3, %d0, %d1;", 'd', MINUS64(1), 1, 0, 1},
      {"neg.s32 %r3, %r0;", 'w', 5, 0, 0, MINUS(5)},
      {"abs.s32 %r3, %r0;", 'w', MINUS(5), 0, 0, 5},
      {"dp4a.u32.u32 %r3, %r0, %r1, %r2;", 'w', 0x01020304, 0x01010101, 10, 20},
  };
  CHECK(rows);
}

Test(opcodes, bits) {
  static const struct row rows[] = {
      {"and.b32 %r3, %r0, %r1;", 'w', 0xff00ff, 0xf0f0f0, 0, 0xf000f0},
      {"or.b64 %d3, %d0, %d1;", 'd', 1, UINT64_C(1) << 63, 0, (UINT64_C(1) << 63) | 1},
      {"xor.b16 %h3, %h0, %h1;", 'h', 0xffff, 0x0ff0, 0, 0xf00f},
      {"not.b32 %r3, %r0;", 'w', 0xf, 0, 0, 0xfffffff0},
      {"shl.b32 %r3, %r0, %r1;", 'w', 1, 31, 0, 0x80000000},
      {"shl.b32 %r3, %r0, %r1;", 'w', 1, 32, 0, 0}, /* clamped, not wrapped */
      {"shr.u32 %r3, %r0, %r1;", 'w', 0x80000000, 31, 0, 1},
      {"shr.s32 %r3, %r0, %r1;", 'w', 0x80000000, 40, 0, 0xffffffff},
      {"shr.s64 %d3, %d0, %r1;", 'd', MINUS64(8), 1, 0, MINUS64(4)},
      {"popc.b32 %r3, %r0;", 'w', 0xf0f, 0, 0, 8},
      {"popc.b64 %r3, %d0;", 'w', UINT64_MAX, 0, 0, 64},
      {"clz.b32 %r3, %r0;", 'w', 1, 0, 0, 31},
      {"clz.b32 %r3, %r0;", 'w', 0, 0, 0, 32},
      {"brev.b32 %r3, %r0;", 'w', 1, 0, 0, 0x80000000},
      {"bfind.u32 %r3, %r0;", 'w', 0x100, 0, 0, 8},
      {"bfind.u32 %r3, %r0;", 'w', 0, 0, 0, 0xffffffff},
      {"bfind.shiftamt.u32 %r3, %r0;", 'w', 0x100, 0, 0, 23},
      {"bfe.u32 %r3, %r0, 4, 8;", 'w', 0x12345, 0, 0, 0x34},
      {"bfe.s32 %r3, %r0, 4, 4;", 'w', 0x80, 0, 0, 0xfffffff8},
      {"bfe.s32 %r3, %r0, 28, 8;", 'w', 0xf0000000, 0, 0, 0xffffffff},
      {"bfe.u32 %r3, %r0, 4, 0;", 'w', 0xff, 0, 0, 0},
      {"bfi.b32 %r3, %r0, %r1, 8, 4;", 'w', 0xa, 0xffffffff, 0, 0xfffffaff},
      {"bfi.b64 %d3, %d0, %d1, 60, 8;", 'd', 5, 0, 0, UINT64_C(5) << 60},
      {"prmt.b32 %r3, %r0, %r1, 0x7610;", 'w', 0x33221100, 0x77665544, 0, 0x77661100},
      {"prmt.b32 %r3, %r0, %r1, 0x80f3;", 'w', 0x33221180, 0x77665544, 0, 0xff800033},
      {"shf.l.wrap.b32 %r3, %r0, %r1, 8;", 'w', 0xaabbccdd, 0x11223344, 0, 0x223344aa},
      {"shf.r.wrap.b32 %r3, %r0, %r1, 8;", 'w', 0xaabbccdd, 0x11223344, 0, 0x44aabbcc},
      {"shf.r.wrap.b32 %r3, %r0, %r1, 40;", 'w', 0xaabbccdd, 0x11223344, 0, 0x44aabbcc},
      {"shf.r.clamp.b32 %r3, %r0, %r1, 40;", 'w', 0xaabbccdd, 0x11223344, 0, 0x11223344},
      {"lop3.b32 %r3, %r0, %r1, %r2, 0x96;", 'w', 0xff00, 0xf0f0, 0xcccc, 0xc33c}, /* xor */
      {"lop3.b32 %r3, %r0, %r1, %r2, 0xca;", 'w', 0xff00, 0x1234, 0xabcd, 0x12cd}, /* select */
      {"mov.b32 %r3, {%h0, %h1};", 'w', 0x1111, 0x2222, 0, 0x22221111},
      {"mov.b64 {%r4, %r3}, %d0;", 'w', 0x1111111122222222, 0, 0, 0x11111111},
      {"mov.b64 %d3, {%r0, %r1};", 'd', 1, 2, 0, 0x200000001},
  };
  CHECK(rows);
}

/* Floats as bits: 1.0 3f800000, 1.5 3fc00000, 2.0 40000000, 3.0 40400000, 0.5 3f000000. */
Test(opcodes, floats) {
  static const struct row rows[] = {
      {"add.f32 %f3, %f0, %f1;", 'f', 0x3f800000, 0x40000000, 0, 0x40400000},
      {"sub.f32 %f3, %f0, %f1;", 'f', 0x3f800000, 0x40000000, 0, 0xbf800000},
      {"mul.f32 %f3, %f0, %f1;", 'f', 0x3fc00000, 0x40000000, 0, 0x40400000},
      /* (1 + 2^-12)^2 - 1: fused keeps 2^-24, apart it is lost */
      {"fma.rn.f32 %f3, %f0, %f0, %f1;", 'f', 0x3f800800, 0xbf800000, 0, 0x3a000400},
      {"mul.f32 %f4, %f0, %f0; add.f32 %f3, %f4, %f1;", 'f', 0x3f800800, 0xbf800000, 0, 0x3a000000},
      {"div.rn.f32 %f3, %f0, %f1;", 'f', 0x40400000, 0x40000000, 0, 0x3fc00000},
      {"max.f32 %f3, %f0, %f1;", 'f', 0x7fc00000, 0x40000000, 0, 0x40000000}, /* not the NaN */
      {"min.f32 %f3, %f0, %f1;", 'f', 0xbf800000, 0x40000000, 0, 0xbf800000},
      {"neg.f32 %f3, %f0;", 'f', 0, 0, 0, 0x80000000},
      {"abs.f32 %f3, %f0;", 'f', 0xbf800000, 0, 0, 0x3f800000},
      {"ex2.approx.ftz.f32 %f3, %f0;", 'f', 0x40400000, 0, 0, 0x41000000},
      {"ex2.approx.ftz.f32 %f3, %f0;", 'f', 0xff800000, 0, 0, 0},
      {"lg2.approx.f32 %f3, %f0;", 'f', 0x41000000, 0, 0, 0x40400000},
      {"rcp.approx.ftz.f32 %f3, %f0;", 'f', 0x40000000, 0, 0, 0x3f000000},
      {"rsqrt.approx.f32 %f3, %f0;", 'f', 0x40800000, 0, 0, 0x3f000000},
      {"sqrt.rn.f32 %f3, %f0;", 'f', 0x40800000, 0, 0, 0x40000000},
      {"sin.approx.f32 %f3, %f0;", 'f', 0, 0, 0, 0},
      {"cos.approx.f32 %f3, %f0;", 'f', 0, 0, 0, 0x3f800000},
      {"add.f32 %f3, %f0, %f1;", 'f', 1, 1, 0, 2},     /* subnormal */
      {"add.ftz.f32 %f3, %f0, %f1;", 'f', 1, 1, 0, 0}, /* flushed */
      {"fma.rn.bf16x2 %r3, %r0, %r1, %r2;", 'w', 0x40003f80, 0x40003f80, 0x3f803f80, 0x40a04000},
      {"mul.bf16x2 %r3, %r0, %r1;", 'w', 0x40003fc0, 0x40004000, 0, 0x40804040},
  };
  CHECK(rows);
}

Test(opcodes, comparisons) {
  static const struct row rows[] = {
      {"setp.lt.s32 %p3, %r0, %r1;", 'p', MINUS(1), 1, 0, 1},
      {"setp.lt.u32 %p3, %r0, %r1;", 'p', MINUS(1), 1, 0, 0},
      {"setp.ge.s64 %p3, %d0, %d1;", 'p', 5, 5, 0, 1},
      {"setp.eq.s16 %p3, %h0, %h1;", 'p', 0x10001, 1, 0, 1},
      {"setp.hs.u32 %p3, %r0, %r1;", 'p', MINUS(1), 1, 0, 1},
      {"setp.eq.f32 %p3, %f0, %f1;", 'p', 0x80000000, 0, 0, 1}, /* -0 == 0 */
      {"setp.neu.f32 %p3, %f0, %f0;", 'p', 0x7fc00000, 0, 0, 1},
      {"setp.ne.f32 %p3, %f0, %f0;", 'p', 0x7fc00000, 0, 0, 0},
      {"setp.ltu.f32 %p3, %f0, %f1;", 'p', 0x7fc00000, 0, 0, 1},
      {"setp.gt.f32 %p3, %f0, %f1;", 'p', 0x40000000, 0x3f800000, 0, 1},
      {"setp.eq.s32 %p1, 0, 0; setp.lt.and.s32 %p3, %r0, %r1, !%p1;", 'p', 1, 2, 0, 0},
      {"setp.eq.s32 %p1, 0, 0; setp.gt.or.s32 %p3|%p2, %r0, %r1, %p1;", 'p', 1, 2, 0, 1},
      {"setp.lt.s32 %p1, 1, 2; not.pred %p3, %p1;", 'p', 0, 0, 0, 0},
      {"setp.lt.s32 %p1, 1, 2; setp.lt.s32 %p2, 2, 1; xor.pred %p3, %p1, %p2;", 'p', 0, 0, 0, 1},
      {"setp.lt.s32 %p1, %r0, %r1; selp.b32 %r3, 7, 8, %p1;", 'w', 1, 2, 0, 7},
      {"mov.u32 %r3, 4; setp.lt.s32 %p1, %r0, %r1; @!%p1 mov.u32 %r3, 5;", 'w', 2, 1, 0, 5},
  };
  CHECK(rows);
}

Test(opcodes, conversions) {
  static const struct row rows[] = {
      {"cvt.s64.s32 %d3, %r0;", 'd', MINUS(1), 0, 0, UINT64_MAX},
      {"cvt.u64.u32 %d3, %r0;", 'd', MINUS(1), 0, 0, 0xffffffff},
      {"cvt.s32.s8 %r3, %r0;", 'w', 0x180, 0, 0, 0xffffff80},
      {"cvt.u32.u16 %r3, %h0;", 'w', 0x12345, 0, 0, 0x2345},
      {"cvt.rn.f32.s32 %f3, %r0;", 'f', MINUS(2), 0, 0, 0xc0000000},
      {"cvt.rn.f32.u32 %f3, %r0;", 'f', 0xffffffff, 0, 0, 0x4f800000},
      {"cvt.rn.f32.s16 %f3, %h0;", 'f', 0x8000, 0, 0, 0xc7000000},
      {"cvt.rzi.s32.f32 %r3, %f0;", 'w', 0xbfc00000, 0, 0, MINUS(1)},
      {"cvt.rni.s32.f32 %r3, %f0;", 'w', 0x40200000, 0, 0, 2}, /* 2.5 to even */
      {"cvt.rzi.u32.f32 %r3, %f0;", 'w', 0xbf800000, 0, 0, 0}, /* clamped */
      {"cvt.rzi.s32.f32 %r3, %f0;", 'w', 0x7f800000, 0, 0, 0x7fffffff},
      {"cvt.rmi.f32.f32 %f3, %f0;", 'f', 0xbfc00000, 0, 0, 0xc0000000},
      {"cvt.rn.bf16.f32 %h3, %f0;", 'h', 0x3f808000, 0, 0, 0x3f80}, /* tie to even */
      {"cvt.rn.bf16.f32 %h3, %f0;", 'h', 0x3f818000, 0, 0, 0x3f82},
      {"cvt.rn.bf16x2.f32 %r3, %f0, %f1;", 'w', 0x3f800000, 0x40000000, 0, 0x3f804000},
      {"cvt.f32.bf16 %f3, %h0;", 'f', 0xc000, 0, 0, 0xc0000000},
      {"cvt.rn.f16.f32 %h3, %f0;", 'h', 0x3fc00000, 0, 0, 0x3e00},
      {"cvt.f32.f16 %f3, %h0;", 'f', 1, 0, 0, 0x33800000}, /* 2^-24 */
      /* 448 = 0 1111 110; 1.0 = 0 0111 000; 1.0625 is a tie to 1.0; 500 saturates */
      {"cvt.rn.satfinite.e4m3x2.f32 %h3, %f0, %f1;", 'h', 0x43e00000, 0x3f800000, 0, 0x7e38},
      {"cvt.rn.satfinite.e4m3x2.f32 %h3, %f0, %f1;", 'h', 0xc3fa0000, 0x3f880000, 0, 0xfe38},
      {"cvt.rn.satfinite.e4m3x2.f32 %h3, %f0, %f1;", 'h', 0x7fc00000, 0x3b000000, 0, 0x7f01},
      {"cvt.rn.f16x2.e4m3x2 %r3, %h0;", 'w', 0x387e, 0, 0, 0x3c005f00},
      {"cvt.rn.f16x2.e4m3x2 %r3, %h0;", 'w', 0x0180, 0, 0, 0x18008000},
      {"cvt.f64.f32 %g0, %f0; cvt.rn.f32.f64 %f3, %g0;", 'f', 0x3fc00000, 0, 0, 0x3fc00000},
  };
  CHECK(rows);
}

Test(opcodes, what_is_unknown_is_an_error) {
  static const char *const codes[] = {
      "frobnicate.b32 %r3, %r0;",
      "add.s32.fast %r3, %r0, %r0;",
      "ld.global.v3.u32 %r3, [%d8];",
      "add.s32 %r3, %d0, %r0;",
      "add.s32 %r3, %r0;",
      "mov.u32 %r99, 1;",
      "bra nowhere;",
      "cvt.f32.s32 %f3, %r0;",
      "shl.b32 %r3, %r0, %d0;",
      "cp.async.cg.shared.global [%r0], [%d8], 8;",
      "ld.global.L3::hint.u32 %r3, [%d8];",
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    struct snippet snippet = {.code = codes[i]};
    struct error error = {0};
    cr_expect_lt(snippet_run(&snippet, &error), 0, "%s is taken", codes[i]);
    char line[32];
    snprintf(line, sizeof line, "PTX line %d", SNIPPET_FIRST_LINE);
    cr_expect(strstr(error.message, line), "%s: %s", codes[i], error.message);
  }
}
