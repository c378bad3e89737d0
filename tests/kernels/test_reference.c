/*
 * The oracle against cases that can be worked out by hand.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/reference/reference.h"

#define NEAR(a, b) cr_expect_float_eq((double)(a), (double)(b), 1e-6)

Test(reference, embedding_looks_rows_up) {
  const float table[] = {1, 2, 3, 4, 5, 6};
  const int32_t tokens[] = {2, 0};
  float out[4];
  reference_embedding(2, 2, tokens, table, out);
  NEAR(out[0], 5);
  NEAR(out[1], 6);
  NEAR(out[2], 1);
  NEAR(out[3], 2);
}

Test(reference, rmsnorm_divides_by_the_root_mean_square) {
  const float x[] = {3, 4, 0, 0}, weight[] = {1, 2, 1, 1};
  float out[4];
  reference_rmsnorm(1, 4, 0.0, x, weight, out); /* rms = sqrt(25 / 4) = 2.5 */
  NEAR(out[0], 1.2);
  NEAR(out[1], 3.2);
  NEAR(out[2], 0);
}

Test(reference, linear_multiplies_by_the_transpose_and_adds) {
  const float x[] = {1, 2}, w[] = {1, 10, 100, 1000, -1, 0};
  float y[3] = {1, 1, 1};
  reference_linear(1, 2, 3, 0, x, w, y);
  NEAR(y[0], 21);
  NEAR(y[1], 2100);
  NEAR(y[2], -1);
  reference_linear(1, 2, 3, 1, x, w, y);
  NEAR(y[0], 42);
}

Test(reference, rope_turns_pairs_half_a_head_apart) {
  const double theta = 100.0;
  float x[] = {1, 0, 0, 1, 1, 0, 0, 1}; /* two tokens, one head of 4 */
  reference_rope(2, 1, 4, 4, theta, 0, x);
  NEAR(x[0], 1); /* position 0 does not turn */
  NEAR(x[3], 1);
  /* position 1: (1, 0) at j = 0 by 1; (0, 1) at j = 1 by theta^(-1/2) = 0.1 */
  NEAR(x[4], cos(1.0));
  NEAR(x[6], sin(1.0));
  NEAR(x[5], -sin(0.1));
  NEAR(x[7], cos(0.1));
}

Test(reference, rope_makes_products_depend_on_distance_only) {
  float near_q[] = {0.3F, -0.7F, 0.2F, 0.9F}, near_k[] = {0.5F, 0.1F, -0.4F, 0.8F};
  float far_q[4], far_k[4];
  for (int i = 0; i < 4; i++) far_q[i] = near_q[i], far_k[i] = near_k[i];
  reference_rope(1, 1, 4, 4, 10000.0, 7, near_q);
  reference_rope(1, 1, 4, 4, 10000.0, 4, near_k);
  reference_rope(1, 1, 4, 4, 10000.0, 103, far_q);
  reference_rope(1, 1, 4, 4, 10000.0, 100, far_k);
  double near_dot = 0, far_dot = 0;
  for (int i = 0; i < 4; i++) near_dot += (double)near_q[i] * (double)near_k[i];
  for (int i = 0; i < 4; i++) far_dot += (double)far_q[i] * (double)far_k[i];
  NEAR(near_dot, far_dot);
}

Test(reference, attention_is_causal_and_shares_kv_heads) {
  /* Two query heads on one KV head of 2; one past token, two new. */
  const float k[] = {1, 0, 0, 1, 1, 1}, v[] = {1, 2, 3, 4, 5, 6};
  const float q[] = {0, 0, 1, 0, 0, 0, 1, 0};
  float out[8];
  reference_attention(2, 1, 2, 1, 2, q, k, v, out);
  NEAR(out[0], 2); /* equal scores over the two keys seen */
  NEAR(out[1], 3);
  const double e = exp(1.0 / sqrt(2.0)); /* head 1: scores 1/sqrt(2), 0 */
  NEAR(out[2], (e * 1 + 3) / (e + 1));
  NEAR(out[4], 3); /* token 1 sees all three */
  NEAR(out[6], (e * 1 + 3 + e * 5) / (2 * e + 1));
}

Test(reference, swiglu_gates) {
  const float gate_up[] = {0, 1, 5, 2};
  float out[2];
  reference_swiglu(1, 2, gate_up, out);
  NEAR(out[0], 0);
  NEAR(out[1], 2.0 / (1.0 + exp(-1.0)));
}

Test(reference, argmax_takes_the_first_of_equals) {
  const float logits[] = {-1, 3, 2, 3};
  cr_expect_eq(reference_argmax(4, logits), 1);
}
