/* Each rule of cuBLASLt that we check ourselves: kept, and broken alone. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernels/cuda/lt.h"
#include "kernels/cuda/lt_rules.h"

static struct lt_problem good(bool fp8) {
  struct lt_problem p = lt_problem_linear(48, 512, 256, fp8, true);
  p.a = 0x10000;
  p.b = 0x20000;
  p.c = p.d = 0x30000;
  p.workspace = 0x40000;
  p.workspace_bytes = 32 << 20;
  p.a_scale = 0x50000;
  p.b_scale = 0x50004;
  return p;
}

static void expect_rule(const struct lt_problem *problem, const char *word) {
  const char *rule = lt_rules(problem);
  cr_assert_not_null(rule, "nothing was said of: %s", word);
  cr_expect_not_null(strstr(rule, word), "%s does not say: %s", rule, word);
}

Test(cuda_lt_rules, good_problems_pass) {
  for (int fp8 = 0; fp8 < 2; fp8++) {
    struct lt_problem p = good(fp8);
    cr_expect_null(lt_rules(&p), "%s", lt_rules(&p));
  }
  struct lt_problem odd = lt_problem_linear(1, 3, 5, false, false);
  odd.a = odd.b = odd.d = 2;
  cr_expect_null(lt_rules(&odd), "bf16 takes any size");
}

Test(cuda_lt_rules, a_linear_layer_is_tn) {
  const struct lt_problem p = lt_problem_linear(7, 11, 13, false, false);
  cr_expect_eq(p.a_leading, 13, "W (n, k) row major is (k, n) column major");
  cr_expect_eq(p.b_leading, 13);
  cr_expect_eq(p.d_leading, 11);
}

Test(cuda_lt_rules, sizes_and_types) {
  struct lt_problem p = good(false);
  p.rows = 0;
  expect_rule(&p, "at least 1");
  p = good(false);
  p.input_type = LT_TYPE_FLOAT;
  expect_rule(&p, "inputs");
  p = good(false);
  p.output_type = LT_TYPE_E4M3;
  expect_rule(&p, "output must be bf16");
}

Test(cuda_lt_rules, leading_dimensions) {
  struct lt_problem p = good(false);
  p.a_leading--;
  expect_rule(&p, "A's leading");
  p = good(false);
  p.b_leading--;
  expect_rule(&p, "B's leading");
  p = good(false);
  p.d_leading--;
  expect_rule(&p, "D's leading");
}

Test(cuda_lt_rules, addresses) {
  struct lt_problem p = good(false);
  p.b = 0;
  expect_rule(&p, "no address");
  p = good(false);
  p.a |= 1;
  expect_rule(&p, "2 bytes");
  p = good(false);
  p.c += 256;
  expect_rule(&p, "output itself");
  p = good(false);
  p.workspace += 16;
  expect_rule(&p, "256 bytes");
}

Test(cuda_lt_rules, fp8_has_its_own) {
  struct lt_problem p = good(true);
  p.rows = 47;
  expect_rule(&p, "rows must be padded");
  p = good(true);
  p.k = p.a_leading = p.b_leading = 264;
  expect_rule(&p, "inner");
  p = good(true);
  p.n = p.d_leading = 520;
  expect_rule(&p, "output dimension");
  p = good(true);
  p.b_leading = 264;
  expect_rule(&p, "leading");
  p = good(true);
  p.b += 8;
  expect_rule(&p, "16 bytes");
  p = good(true);
  p.b_scale = 0;
  expect_rule(&p, "scale");
}

Test(cuda_lt_rules, alignment_is_that_of_the_address) {
  cr_expect_eq(lt_alignment(0x1000), 256);
  cr_expect_eq(lt_alignment(0x1080), 128);
  cr_expect_eq(lt_alignment(0x1002), 2);
  cr_expect_eq(lt_alignment(0x1001), 1);
}
