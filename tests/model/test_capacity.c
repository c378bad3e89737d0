/*
 * KV capacity: vectors, the documents' worked numbers, and that a pool holds
 * what capacity_max_sequences() says and not one sequence more.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/capacity.h"
#include "vectors.h"

Test(capacity, matches_the_vectors) {
  json_t *section = vectors_section("capacity");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    double pool = capacity_pool_bytes(vectors_number(v, "hbm"), vectors_number(v, "weights"),
                                      vectors_number(v, "overhead"));
    double n = capacity_max_sequences(pool, vectors_number(v, "kv_bytes_per_token"),
                                      vectors_number(v, "context"));
    expect_near(n, vectors_number(v, "max_sequences"), 0, "N_seq_max");
  }
  json_decref(section);
}

Test(capacity, llama_3_8b_on_80_gb_as_the_document_rounds) {
  /* 128 KB = 128,000 bytes and 2K = 2,000 tokens give its 234, 58, 14 and 3. */
  double pool = capacity_pool_bytes(80e9, 16e9, 4e9);
  expect_near(pool, 60e9, 0, "KV pool");
  static const double context[] = {2000, 8000, 32000, 128000}, expected[] = {234, 58, 14, 3};
  for (int i = 0; i < 4; i++) {
    expect_near(capacity_max_sequences(pool, 128000, context[i]), expected[i], 0, "sequences");
    double fp8 = capacity_max_sequences(pool, 64000, context[i]);
    cr_expect(fp8 >= 2 * expected[i] && fp8 <= 2 * expected[i] + 1, "FP8 doubles: %g", fp8);
  }
}

Test(capacity, the_shape_gives_the_bytes) {
  const struct shape *shape = shape_preset("llama-3-8b");
  expect_near(shape_kv_bytes_per_token(shape, capacity_dtype_bytes("fp16")), 131072, 0, "128 KiB");
  expect_near(shape_kv_bytes_per_token(shape, capacity_dtype_bytes("fp8")), 65536, 0, "64 KiB");
  cr_expect_eq(capacity_dtype_bytes("bf16"), 2.0);
  cr_expect_eq(capacity_dtype_bytes("int8"), 1.0);
  cr_expect_eq(capacity_dtype_bytes("fp4"), 0.5);
  cr_expect_eq(capacity_dtype_bytes("int4"), 0.5);
  cr_expect_eq(capacity_dtype_bytes("bf17"), 0.0);
}

Test(capacity, a_70b_model_at_200k_needs_40_to_80_gb) {
  double kv = shape_kv_bytes_per_token(shape_preset("llama-3-70b"), 2);
  expect_near(capacity_kv_bytes(kv, 1, 200000), 65.536e9, 1e-12, "the essay's 40 to 80 GB");
  expect_near(capacity_kv_bytes(kv, 1, 128000), 41.94304e9, 1e-12, "the cost model's ~42 GB");
}

Test(capacity, fragmentation_takes_a_fifth_to_a_third) {
  cr_expect_eq(capacity_effective_bytes(60e9, 0), 60e9);
  expect_near(capacity_effective_bytes(60e9, CAPACITY_DEGRADATION_LOW), 48e9, 1e-12, "low");
  expect_near(capacity_effective_bytes(60e9, CAPACITY_DEGRADATION_HIGH), 39e9, 1e-12, "high");
}

Test(capacity, paging) {
  cr_expect_eq(capacity_paged_tokens(1, 16), 16.0);
  cr_expect_eq(capacity_paged_tokens(16, 16), 16.0);
  cr_expect_eq(capacity_paged_tokens(17, 16), 32.0);
  expect_near(capacity_paging_gain(4096, 1024, 16), 4, 1e-12, "the essay's upper end");
  expect_near(capacity_paging_gain(2048, 1024, 16), 2, 1e-12, "the essay's lower end");
  cr_expect_lt(capacity_paging_gain(2048, 1025, 16), 2.0);
}

Test(capacity, the_pool_holds_so_many_and_no_more) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    double pool = 1e9 + 1e12 * prng_unit(seed, 0);
    double kv = 1e4 + 1e6 * prng_unit(seed, 1), context = 1 + (double)prng_below(seed, 2, 200000);
    double n = capacity_max_sequences(pool, kv, context);
    cr_expect_leq(capacity_pressure(pool, kv, n, context), 1 + 1e-12);
    cr_expect_gt(capacity_pressure(pool, kv, n + 1, context), 1 - 1e-12);
    cr_expect_eq(capacity_overflow_bytes(pool, kv, n, context), 0.0);
    cr_expect_gt(capacity_overflow_bytes(pool, kv, n + 2, context), 0.0);
    /* Twice the context, half the sequences. */
    double half = capacity_max_sequences(pool, kv, 2 * context);
    cr_expect(half <= n / 2 && half >= floor(n / 2), "%g of %g", half, n);
    if (n < 1) continue;
    cr_expect_geq(capacity_max_context_tokens(pool, kv, n), context);
  }
}

Test(capacity, gpus) {
  /* 671 GB of FP8 weights: five H200 or nine H100, before any KV. */
  cr_expect_eq(capacity_min_gpus(141e9, 0, 671e9, 0), 5.0);
  cr_expect_eq(capacity_min_gpus(80e9, 0, 671e9, 0), 9.0);
  cr_expect_eq(capacity_min_gpus(80e9, 4e9, 140e9, 10e9), 2.0);
  cr_expect_eq(capacity_min_gpus(80e9, 4e9, 140e9, 20e9), 3.0);
  cr_expect_eq(capacity_min_gpus(80e9, 0, 1e9, 0), 1.0);
  cr_expect(isinf(capacity_min_gpus(80e9, 80e9, 1e9, 0)));
  cr_expect_eq(capacity_pool_bytes(80e9, 140e9, 4e9), 0.0);
}

Test(capacity, the_longest_context_by_hand) {
  cr_expect_eq(capacity_max_context_tokens(1000, 3, 4), 83.0);
  cr_expect_eq(capacity_overflow_bytes(100, 3, 4, 10), 20.0);
  expect_near(capacity_pressure(100, 3, 4, 10), 1.2, 1e-12, "pressure");
}
