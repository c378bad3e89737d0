/*
 * Which GPU has which datasheet.
 */
#include <criterion/criterion.h>

#include "bench/measure/datasheet.h"

Test(datasheet, is_found_by_name_and_size) {
  const struct datasheet *h100 = datasheet_find("NVIDIA H100 80GB HBM3", 132);
  cr_assert_not_null(h100);
  cr_expect_eq(datasheet_flops_per_s(h100, ELEMENT_BF16), 989e12);
  cr_expect_eq(datasheet_flops_per_s(h100, ELEMENT_FP8_E4M3), 1979e12);
  cr_expect_eq(h100->memory_bytes_per_s, 3.35e12);
  const struct datasheet *a100 = datasheet_find("NVIDIA A100-SXM4-80GB", 108);
  cr_assert_not_null(a100);
  cr_expect_eq(datasheet_flops_per_s(a100, ELEMENT_FP8_E4M3), 0, "it has no FP8");
}

/* A slice, or a sibling with other limits, must not be held against the whole H100. */
Test(datasheet, is_not_another_ones) {
  cr_expect_null(datasheet_find("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 16));
  cr_expect_null(datasheet_find("NVIDIA H100 80GB HBM3", 60));
  cr_expect_null(datasheet_find("NVIDIA H100", 132));
  cr_expect_null(datasheet_find("", 0));
}

Test(datasheet, links_carry_their_bits_less_the_encoding) {
  cr_expect_float_eq(datasheet_link_bytes_per_s(32, 16), 63.015e9, 1e6, "generation 5, 16 lanes");
  cr_expect_float_eq(datasheet_link_bytes_per_s(16, 16), 31.508e9, 1e6);
  cr_expect_float_eq(datasheet_link_bytes_per_s(8, 4), 3.938e9, 1e6);
  cr_expect_float_eq(datasheet_link_bytes_per_s(2.5, 1), 0.25e9, 1);
  cr_expect_float_eq(datasheet_link_bytes_per_s(64, 16), 121.0e9, 1e6);
  cr_expect_eq(datasheet_link_bytes_per_s(0, 16), 0);
  cr_expect_eq(datasheet_link_bytes_per_s(32, 0), 0);
}
