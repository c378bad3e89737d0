/*
 * What the kernels between GEMMs and attention should take of a layer on an H100, from their bytes
 * and the published rates of everything else.
 */
#include <criterion/criterion.h>

#include "kernels/cuda/chunk.h"

#define ROWS 8192
/* H100 SXM: HBM by the datasheet, of which such kernels reach 85%; GEMMs (m 8192 and about) and
 * causal attention over 8k as aiconfigurator h100_sxm has them. */
#define MEMORY_BYTES_PER_S (0.85 * 3.35e12)
#define GEMM_BF16_FLOPS_PER_S 746e12
#define GEMM_FP8_FLOPS_PER_S 1378e12
#define ATTENTION_FLOPS_PER_S 599e12

/* The share of a layer of Llama-3-70B that is neither GEMM nor attention. */
static double elementwise_share(enum element element) {
  const struct device_config config = {.shape = *shape_preset("llama-3-70b"), .element = element};
  const struct shape *s = &config.shape;
  const double gemm_flops_per_s = element == ELEMENT_FP8_E4M3 ? GEMM_FP8_FLOPS_PER_S
                                                              : GEMM_BF16_FLOPS_PER_S;
  const double gemms_s = ROWS * shape_linear_flops_per_token(s) / s->layers / gemm_flops_per_s;
  const double attention_s = shape_attention_flops(s, 0, ROWS) / s->layers / ATTENTION_FLOPS_PER_S;
  double bytes = 0;
  for (int step = 0; step < CHUNK_STEPS; step++)
    bytes += chunk_step_bytes(&config, (enum chunk_step)step, ROWS);
  const double elementwise_s = bytes / MEMORY_BYTES_PER_S;
  return elementwise_s / (gemms_s + attention_s + elementwise_s);
}

Test(cuda_chunk_bytes, elementwise_kernels_are_a_small_share_of_a_layer) {
  cr_expect_leq(elementwise_share(ELEMENT_BF16), 0.07);
  cr_expect_leq(elementwise_share(ELEMENT_FP8_E4M3), 0.10);
}

/* What chunk.c's table says. */
Test(cuda_chunk_bytes, the_shares_are_those_that_are_predicted) {
  cr_expect_float_eq(elementwise_share(ELEMENT_BF16), 0.037, 0.0005, "%.4f",
                     elementwise_share(ELEMENT_BF16));
  cr_expect_float_eq(elementwise_share(ELEMENT_FP8_E4M3), 0.058, 0.0005, "%.4f",
                     elementwise_share(ELEMENT_FP8_E4M3));
}

/* Worked out by hand for a row of hidden 8192, 64/8 heads of 128, FFN 28672. */
Test(cuda_chunk_bytes, each_element_is_read_once_and_written_once) {
  const struct device_config config = {.shape = *shape_preset("llama-3-70b")};
  cr_expect_eq(chunk_step_bytes(&config, CHUNK_NORM_FFN, 1), 2 * 8192 + 2 * 8192);
  cr_expect_eq(chunk_step_bytes(&config, CHUNK_SWIGLU, 1), 2 * 2 * 28672 + 2 * 28672);
  cr_expect_eq(chunk_step_bytes(&config, CHUNK_ROPE, 1),
               2 * 2 * 8192 + 2 * (2 * 1024 + 2 * 1024) + 2 * 64 * 4);
  cr_expect_eq(chunk_step_bytes(&config, CHUNK_QUANTISE, 1), 0);
  cr_expect_eq(chunk_step_bytes(&config, CHUNK_DOWN, 1), 0);
}
