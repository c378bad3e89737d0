/*
 * The attention kernels against the reference: lengths around the tile, queries fewer than keys,
 * head counts from 8/1 to 64/8, in all schedules and both modes of cp.async.
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/element.h"
#include "kernels/reference/reference.h"
#include "tests/vgpu/rig.h"

/* Weights are rounded to bf16 before they multiply V, |V| < 1: 2^-9 on average of V, and the
 * output's own rounding 2^-9; ex2.approx is far below. */
#define TOLERANCE 0.005F

struct lengths {
  int queries, keys, q_heads, kv_heads;
};

static void check(struct rig *rig, struct lengths l, int head_dim) {
  const size_t d = (size_t)head_dim, padding = 16; /* q rows are parts of wider ones */
  const size_t q_stride = (size_t)l.q_heads * d + padding;
  const size_t n_q = (size_t)l.queries * q_stride,
               n_out = (size_t)l.queries * (size_t)l.q_heads * d;
  const size_t n_kv = (size_t)l.keys * (size_t)l.kv_heads * d;
  uint16_t *bits = malloc((n_q + n_kv) * sizeof *bits);
  float *q_wide = malloc(n_q * sizeof(float)), *q = malloc(n_out * sizeof(float));
  float *k = malloc(n_kv * sizeof(float)), *v = malloc(n_kv * sizeof(float));
  float *wanted = malloc(n_out * sizeof(float));
  rig_random_bf16(rig, n_q, 2.0F, bits, q_wide);
  uint64_t q_at = rig_put(rig, bits, (n_q - padding) * 2);
  rig_random_bf16(rig, n_kv, 2.0F, bits, k);
  uint64_t k_at = rig_put(rig, bits, n_kv * 2);
  rig_random_bf16(rig, n_kv, 1.0F, bits, v);
  uint64_t v_at = rig_put(rig, bits, n_kv * 2);
  for (size_t row = 0; row < (size_t)l.queries; row++)
    for (size_t i = 0; i < (size_t)l.q_heads * d; i++)
      q[row * (size_t)l.q_heads * d + i] = q_wide[row * q_stride + i];
  reference_attention(l.queries, l.keys - l.queries, l.q_heads, l.kv_heads, head_dim, q, k, v,
                      wanted);
  uint64_t out_at = rig_room(rig, n_out * 2);
  struct kernel_attention arguments = {.q = q_at,
                                       .k = k_at,
                                       .v = v_at,
                                       .out = out_at,
                                       .n_queries = l.queries,
                                       .n_keys = l.keys,
                                       .q_stride = (int64_t)q_stride,
                                       .q_heads = l.q_heads,
                                       .kv_heads = l.kv_heads,
                                       .scale_log2 = 1.44269504F / sqrtf((float)head_dim)};
  rig_run(rig, head_dim == 64 ? "refill_attention_64" : "refill_attention_128",
          (l.queries + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES, l.q_heads, &arguments);
  cr_assert(rig_written(rig, out_at, n_out * 2), "the output has holes");
  const uint16_t *got = rig_data(rig, out_at);
  for (size_t i = 0; i < n_out; i++)
    rig_close_to("out", i, bf16_to_float(got[i]), wanted[i], TOLERANCE, 0.0F);
  free(bits);
  free(q_wide);
  free(q);
  free(k);
  free(v);
  free(wanted);
}

static void check_all(int head_dim, const struct lengths *lengths, size_t n, const char *form) {
  struct rig rig;
  rig_open(&rig, "attention", form);
  for (int mode = 0; mode < RIG_MODES; mode++) {
    rig_mode(&rig, mode);
    for (size_t i = 0; i < n; i++) check(&rig, lengths[i], head_dim);
  }
  rig_close(&rig);
}

Test(attention, head_dim_64) {
  enum { Q = ATTENTION_QUERIES, K = ATTENTION_KEYS(64) };
  static const struct lengths lengths[] = {
      {1, 1, 2, 1},           {1, K + 1, 2, 2},        {K - 1, K - 1, 2, 1}, {K, K, 1, 1},
      {17, 2 * K + 22, 2, 1}, {3, 3 * K + 8, 8, 1},    {Q - 1, Q - 1, 1, 1}, {Q, Q, 1, 1},
      {Q + 1, Q + 1, 1, 1},   {Q / 2 + 6, Q + 1, 2, 2}};
  check_all(64, lengths, sizeof lengths / sizeof *lengths, "compute_90a");
}

Test(attention, head_dim_128) {
  enum { Q = ATTENTION_QUERIES, K = ATTENTION_KEYS(128) };
  static const struct lengths lengths[] = {
      {1, 1, 1, 1},         {1, 2 * K, 2, 1}, {2, 2 * K + 3, 64, 8},   {K - 1, K - 1, 1, 1},
      {K + 1, K + 1, 1, 1}, {Q, Q + 1, 1, 1}, {Q + 1, Q + K + 1, 1, 1}};
  check_all(128, lengths, sizeof lengths / sizeof *lengths, "compute_90a");
}

Test(attention, the_form_for_other_gpus) {
  static const struct lengths lengths[] = {{65, 130, 2, 1}};
  check_all(64, lengths, 1, "compute_80");
  check_all(128, lengths, 1, "compute_80");
}
