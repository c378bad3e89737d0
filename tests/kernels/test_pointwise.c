/*
 * Token-wise operations of every instruction level against the reference,
 * over widths around the vector sizes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cpu/pointwise.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/tolerance.h"

enum { TOKENS = 3, WIDTH_MAX = 1024 };

static const int64_t widths[] = {2, 14, 15, 16, 17, 31, 32, 33, 80, 255, 1024};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

static void name_case(char name[64], const char *what, enum isa isa, int64_t width) {
  (void)snprintf(name, 64, "%s, %s, width %lld", what, isa_name(isa), (long long)width);
}

Test(pointwise, norm_matches_the_reference) {
  static bf16 x[TOKENS * WIDTH_MAX], out[TOKENS * WIDTH_MAX], w[WIDTH_MAX];
  static float plain[TOKENS * WIDTH_MAX], want[TOKENS * WIDTH_MAX], weight[WIDTH_MAX];
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    for (int i = 0; i < WIDTHS; i++) {
      const int64_t d = widths[i];
      char name[64];
      name_case(name, "norm", isa, d);
      tolerance_fill(TOKENS * d, 1, x, plain);
      tolerance_fill(d, 2, w, weight);
      reference_rmsnorm(TOKENS, d, 1e-5, plain, weight, want);
      pointwise_norm(pointwise_for(isa), TOKENS, d, 1e-5F, x, weight, out);
      cr_expect_eq(tolerance_count_wrong(name, TOKENS * d, out, want, TOLERANCE_OPERATION), 0);
    }
  }
}

Test(pointwise, swiglu_matches_the_reference) {
  static bf16 x[TOKENS * 2 * WIDTH_MAX], out[TOKENS * WIDTH_MAX];
  static float plain[TOKENS * 2 * WIDTH_MAX], want[TOKENS * WIDTH_MAX];
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    for (int i = 0; i < WIDTHS; i++) {
      const int64_t ffn = widths[i], n = TOKENS * 2 * ffn;
      char name[64];
      name_case(name, "swiglu", isa, ffn);
      tolerance_fill(n, 3, x, plain);
      for (int64_t j = 0; j < n; j++) { /* gates from -120 to 120: both flat ends of silu */
        x[j] = bf16_from_float(plain[j] * 120.0F);
        plain[j] = bf16_to_float(x[j]);
      }
      reference_swiglu(TOKENS, ffn, plain, want);
      pointwise_swiglu(pointwise_for(isa), TOKENS, ffn, x, out);
      cr_expect_eq(tolerance_count_wrong(name, TOKENS * ffn, out, want, TOLERANCE_OPERATION), 0);
    }
  }
}

static void expect_rope(enum isa isa, int64_t position, int head_dim) {
  enum { POSITIONS = 40 };
  static float cosines[POSITIONS * 64], sines[POSITIONS * 64];
  const int64_t half = head_dim / 2;
  bf16 x[128];
  float want[128];
  char name[64];
  name_case(name, "rope", isa, head_dim);
  tolerance_fill(head_dim, 4, x, want);
  reference_rope(1, 1, head_dim, head_dim, 500000.0, position, want);
  pointwise_rope_tables(POSITIONS, half, 500000.0, cosines, sines);
  pointwise_for(isa)->rope(half, cosines + position * half, sines + position * half, x, x);
  cr_expect_eq(tolerance_count_wrong(name, head_dim, x, want, TOLERANCE_OPERATION), 0);
}

Test(pointwise, rope_matches_the_reference_in_place) {
  static const int dims[] = {2, 34, 64, 80, 128};
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++)
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++)
      for (int64_t position = 0; position < 40; position += 13) expect_rope(isa, position, dims[i]);
}

Test(pointwise, embed_looks_rows_up) {
  const bf16 table[] = {1, 2, 3, 4, 5, 6};
  const int32_t tokens[] = {2, 0, 2};
  const bf16 want[] = {5, 6, 1, 2, 5, 6};
  bf16 out[6];
  pointwise_embed(3, 2, tokens, table, out);
  cr_expect_arr_eq(out, want, sizeof want);
}

Test(pointwise, argmax_takes_the_lowest_of_equal_rows) {
  enum { ROWS = 301, D = 40 };
  static bf16 table[ROWS * D];
  float x[D];
  for (int j = 0; j < D; j++) x[j] = (float)(j + 1);
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    for (int64_t i = 0; i < (int64_t)ROWS * D; i++) table[i] = bf16_from_float(0.25F);
    cr_expect_eq(pointwise_argmax_rows(pointwise_for(isa), ROWS, D, x, table), 0);
    table[250 * D + 3] = table[99 * D + 3] = table[200 * D + 3] = bf16_from_float(0.5F);
    cr_expect_eq(pointwise_argmax_rows(pointwise_for(isa), ROWS, D, x, table), 99);
  }
}
