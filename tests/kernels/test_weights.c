/*
 * The synthetic weights are what weights.h says: recomputed here from the
 * formula, element by element, since every other device must come to the same.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/prng.h"
#include "kernels/weights.h"

static const struct shape shape = {.name = "small",
                                   .layers = 8,
                                   .hidden = 64,
                                   .q_heads = 4,
                                   .kv_heads = 2,
                                   .head_dim = 16,
                                   .ffn = 96,
                                   .vocabulary = 101,
                                   .rope_theta = 10000.0,
                                   .norm_eps = 1e-5};

Test(weights, elements_follow_the_formula) {
  const struct weight_stream w = weight_stream(&shape, 42, 3, WEIGHT_DOWN);
  bf16 values[50];
  weights_fill(&w, 8, 50, values);
  const double scale = sqrt(3.0) / sqrt(96.0 * 2 * 8);
  for (uint64_t i = 0; i < 50; i++) {
    const uint64_t bits = prng_bits(prng_stream(42, 16 * 3 + WEIGHT_DOWN), (8 + i) / 4);
    const float u = (float)(int16_t)(bits >> (16 * ((8 + i) % 4)) & 0xffff) / 32768.0F;
    cr_expect_eq(values[i], bf16_from_float((float)scale * u), "element %d", (int)i);
  }
}

Test(weights, pieces_make_the_same_tensor) {
  const struct weight_stream w = weight_stream(&shape, 1, 0, WEIGHT_QKV);
  bf16 whole[103], pieces[103];
  weights_fill(&w, 0, 103, whole);
  for (int64_t at = 0; at < 103; at += 20)
    weights_fill(&w, at, at + 20 < 103 ? 20 : 103 - at, pieces + at);
  cr_expect_arr_eq(whole, pieces, sizeof whole);
}

Test(weights, sizes_are_those_of_the_shape) {
  const struct {
    enum weight_tensor tensor;
    int64_t rows, columns;
  } want[] = {{WEIGHT_QKV, 128, 64},      {WEIGHT_OUT, 64, 64},     {WEIGHT_GATE_UP, 192, 64},
              {WEIGHT_DOWN, 64, 96},      {WEIGHT_NORM_FFN, 1, 64}, {WEIGHT_EMBEDDING, 101, 64},
              {WEIGHT_NORM_FINAL, 1, 64}, {WEIGHT_HEAD, 101, 64}};
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    const struct weight_stream w = weight_stream(&shape, 0, 0, want[i].tensor);
    cr_expect_eq(w.rows, want[i].rows, "tensor %d", want[i].tensor);
    cr_expect_eq(w.columns, want[i].columns, "tensor %d", want[i].tensor);
  }
}

Test(weights, have_their_standard_deviation) {
  enum { N = 40000 };
  bf16 *values = malloc(N * sizeof *values);
  cr_assert_not_null(values);
  const struct weight_stream w = weight_stream(&shape, 5, 1, WEIGHT_GATE_UP);
  weights_fill(&w, 0, N, values);
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < N; i++) {
    sum += (double)bf16_to_float(values[i]);
    squares += (double)bf16_to_float(values[i]) * (double)bf16_to_float(values[i]);
  }
  free(values);
  cr_expect_float_eq(sum / N, 0.0, 0.003);
  cr_expect_float_eq(sqrt(squares / N), 1.0 / 8.0, 0.002);
}

Test(weights, norms_are_near_one_and_tied_heads_are_the_embedding) {
  bf16 norm[64];
  const struct weight_stream w = weight_stream(&shape, 5, 1, WEIGHT_NORM_ATTENTION);
  weights_fill(&w, 0, 64, norm);
  for (int i = 0; i < 64; i++) cr_expect_float_eq((double)bf16_to_float(norm[i]), 1.0, 0.11);
  struct shape tied = shape;
  cr_expect_neq(weight_stream(&tied, 5, 0, WEIGHT_HEAD).stream,
                weight_stream(&tied, 5, 0, WEIGHT_EMBEDDING).stream);
  tied.tied = true;
  cr_expect_eq(weight_stream(&tied, 5, 0, WEIGHT_HEAD).stream,
               weight_stream(&tied, 5, 0, WEIGHT_EMBEDDING).stream);
}
