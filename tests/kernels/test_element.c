/*
 * E4M3 against its definition, code by code: values, ties, saturation.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/element.h"

/* From the format's definition (Micikevicius et al., 2022), not from bits of a float. */
static double worth(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double size = exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -size : size;
}

Test(element, every_code_has_its_value_and_back) {
  for (int code = 0; code < 256; code++) {
    const float value = e4m3_to_float((e4m3)code);
    if ((code & 0x7f) == 0x7f) {
      cr_expect(isnan(value), "code 0x%02x", (unsigned)code);
      continue;
    }
    cr_expect_eq((double)value, worth(code), "code 0x%02x", (unsigned)code);
    cr_expect_eq(e4m3_from_float(value), code, "code 0x%02x", (unsigned)code);
    cr_expect_eq(bf16_to_float(bf16_from_float(value)), value, "code 0x%02x", (unsigned)code);
  }
}

/* Between two codes the nearer one is taken, in the middle the even one. */
Test(element, rounds_to_the_nearest_code) {
  for (int code = 0; code < 0x7e; code++) {
    const float low = (float)worth(code), high = (float)worth(code + 1);
    const float middle = 0.5F * (low + high);
    const int even = code % 2 == 0 ? code : code + 1;
    cr_expect_eq(e4m3_from_float(middle), even, "middle after 0x%02x", (unsigned)code);
    cr_expect_eq(e4m3_from_float(nextafterf(middle, 0.0F)), code, "0x%02x", (unsigned)code);
    cr_expect_eq(e4m3_from_float(nextafterf(middle, 1e9F)), code + 1, "0x%02x", (unsigned)code);
    cr_expect_eq(e4m3_from_float(-middle), even | 0x80, "-middle of 0x%02x", (unsigned)code);
  }
}

Test(element, saturates_and_keeps_what_is_no_number) {
  cr_expect_eq(e4m3_from_float(448.0F), 0x7e);
  cr_expect_eq(e4m3_from_float(1e30F), 0x7e);
  cr_expect_eq(e4m3_from_float(-INFINITY), 0xfe);
  cr_expect_eq(e4m3_from_float(NAN) & 0x7f, 0x7f);
  cr_expect_eq(e4m3_from_float(-0.0F), 0x80);
  cr_expect_eq(e4m3_from_float(1e-30F), 0);
}
