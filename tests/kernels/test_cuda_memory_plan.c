/* What the GPU's memory is spent on, and what is said when it is too little. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/memory_plan.h"

#define GIB ((size_t)1 << 30)

static struct device_config config_of(const char *preset, int64_t tokens) {
  return (struct device_config){
      .shape = *shape_preset(preset),
      .layers = shape_preset(preset)->layers,
      .tokens_max = tokens,
      .page_tokens = 16,
      .page_stride_bytes = 65536,
      .window = 2,
      .write_window = 2,
  };
}

static struct memory_plan plan_of(const struct device_config *config, size_t free_bytes) {
  struct memory_plan plan;
  struct error error = {0};
  cr_assert_eq(memory_plan(&plan, config, free_bytes, &error), 0, "%s", error.message);
  return plan;
}

Test(cuda_memory_plan, a_70b_runs_in_80_gb_with_128k_tokens) {
  const struct device_config config = config_of("llama-3-70b", 131072);
  const struct memory_plan plan = plan_of(&config, 78 * GIB);
  cr_expect_eq(plan.kv_slots, 80, "42.9 GB of KV fit beside one set");
  cr_expect_eq(2 * plan.kv_half_bytes, (size_t)131072 * 4096);
  cr_expect_gt(plan.weight_sets, 1);
  cr_expect_lt(plan.weight_sets, 80);
  cr_expect_leq(plan.total_bytes, 76 * GIB, "a reserve of 2 GiB stays");
  /* 856 M parameters a layer, two bytes each, and norms. */
  cr_expect_eq(plan.weights.bytes, (size_t)855638016 * 2 + 2 * 8192 * 2);
}

Test(cuda_memory_plan, a_small_model_holds_everything) {
  const struct device_config config = config_of("llama-3-8b", 8192);
  const struct memory_plan plan = plan_of(&config, 78 * GIB);
  cr_expect_eq(plan.kv_slots, 32);
  cr_expect_eq(plan.weight_sets, 32);
}

Test(cuda_memory_plan, kv_that_does_not_fit_shares_slots) {
  struct device_config config = config_of("llama-3-70b", 131072);
  const struct memory_plan plan = plan_of(&config, 40 * GIB);
  cr_expect_eq(plan.kv_slots, 4, "window + write_window");
  cr_expect_geq(plan.weight_sets, 1);
  config.layers = 3; /* fewer than the windows ask for */
  cr_expect_eq(plan_of(&config, 40 * GIB).kv_slots, 3);
}

Test(cuda_memory_plan, buffers_that_storage_reaches_are_on_the_gpu) {
  struct device_config config = config_of("llama-3-8b", 8192);
  const struct memory_plan plain = plan_of(&config, 78 * GIB);
  config.direct_buffers = true;
  const struct memory_plan direct = plan_of(&config, 78 * GIB);
  cr_expect_eq(plain.direct_bytes, 0);
  /* 512 pages of 64 KiB, two layers each way. */
  cr_expect_geq(direct.direct_bytes, (size_t)4 * 512 * 65536);
  cr_expect_leq(direct.direct_bytes, (size_t)4 * 512 * 65536 + 4 * 65536);
  cr_expect_eq(direct.total_bytes, plain.total_bytes + direct.direct_bytes);
}

Test(cuda_memory_plan, weight_sets_that_are_asked_for_are_given_or_refused) {
  struct device_config config = config_of("llama-3-70b", 8192);
  struct memory_plan plan;
  struct error error = {0};
  config.weight_sets = 3;
  cr_expect_eq(plan_of(&config, 78 * GIB).weight_sets, 3);
  config.weight_sets = 60;
  cr_assert_eq(memory_plan(&plan, &config, 78 * GIB, &error), -ENOMEM);
  cr_expect_not_null(strstr(error.message, "--weight-sets 60"), "%s", error.message);
}

Test(cuda_memory_plan, too_little_memory_says_what_fits) {
  struct device_config config = config_of("llama-3-70b", 131072);
  struct memory_plan plan;
  struct error error = {0};
  cr_assert_eq(memory_plan(&plan, &config, 12 * GIB, &error), -ENOMEM);
  long long fits = 0;
  const char *text = strstr(error.message, "up to ");
  cr_assert_not_null(text, "%s", error.message);
  cr_assert_eq(sscanf(text, "up to %lld tokens", &fits), 1);
  cr_assert_gt(fits, 0);
  config.tokens_max = fits; /* what the message promises must be true, and tight */
  cr_expect_eq(memory_plan(&plan, &config, 12 * GIB, NULL), 0);
  config.tokens_max = fits + 1;
  cr_expect_eq(memory_plan(&plan, &config, 12 * GIB, NULL), -ENOMEM);
}

Test(cuda_memory_plan, a_slice_too_small_for_the_model_says_so) {
  const struct device_config config = config_of("llama-3-70b", 1024);
  struct memory_plan plan;
  struct error error = {0};
  cr_assert_eq(memory_plan(&plan, &config, 5 * GIB, &error), -ENOMEM);
  cr_expect_not_null(strstr(error.message, "MIG"), "%s", error.message);
}

Test(cuda_memory_plan, shapes_that_the_kernels_cannot_take_are_refused) {
  struct device_config config = config_of("llama-3-8b", 1024);
  struct memory_plan plan;
  struct error error = {0};
  config.shape.head_dim = 96;
  cr_expect_eq(memory_plan(&plan, &config, 78 * GIB, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "head_dim"), "%s", error.message);
  config.shape.head_dim = 128;
  config.shape.ffn = 14330;
  cr_expect_eq(memory_plan(&plan, &config, 78 * GIB, NULL), -EINVAL);
}

Test(cuda_memory_plan, tensors_of_a_set_do_not_overlap_and_are_aligned) {
  struct device_config config = config_of("llama-3-8b", 1000);
  for (int fp8 = 0; fp8 < 2; fp8++) {
    config.element = fp8 ? ELEMENT_FP8_E4M3 : ELEMENT_BF16;
    const struct memory_plan plan = plan_of(&config, 78 * GIB);
    const struct memory_weights *w = &plan.weights;
    const size_t offsets[] = {w->qkv,      w->out,  w->gate_up, w->down, w->norm_attention,
                              w->norm_ffn, w->bytes};
    for (size_t i = 0; i < 7; i++) cr_expect_eq(offsets[i] % MEMORY_ALIGNMENT, 0);
    for (size_t i = 0; i < 6; i++) cr_expect_lt(offsets[i], offsets[i + 1]);
    cr_expect_eq(plan.rows, 1008, "rows for FP8's padding");
    cr_expect_eq(plan.chunk_tokens, 1008);
    cr_expect_eq(plan.positions, 1008);
  }
}

Test(cuda_memory_plan, fp8_kv_takes_half_the_cache_and_one_layer_in_bf16) {
  struct device_config config = config_of("llama-3-8b", 4096);
  const struct memory_plan plain = plan_of(&config, 78 * GIB);
  config.kv_element = ELEMENT_FP8_E4M3;
  const struct memory_plan small = plan_of(&config, 78 * GIB);
  cr_expect_eq(plain.kv_half_bytes, 2 * small.kv_half_bytes);
  cr_expect_eq(plain.plain_kv_bytes, 0);
  cr_expect_eq(small.plain_kv_bytes, 2 * plain.kv_half_bytes);
}
