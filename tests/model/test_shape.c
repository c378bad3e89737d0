/*
 * Shapes: the presets against published counts, the formulas against vectors,
 * and what shape_problem() refuses.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "model/shape.h"
#include "vectors.h"

Test(shape, presets_match_the_vectors) {
  json_t *section = vectors_section("shapes");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    const struct shape *shape = vectors_preset(v, "name");
    expect_near(shape_params(shape), vectors_number(v, "params"), 0, shape->name);
    expect_near(shape_kv_bytes_per_token(shape, 2), vectors_number(v, "kv_bytes_per_token_bf16"), 0,
                "bf16 KV");
    expect_near(shape_kv_bytes_per_token(shape, 1), vectors_number(v, "kv_bytes_per_token_fp8"), 0,
                "fp8 KV");
    expect_near(shape_linear_flops_per_token(shape), vectors_number(v, "linear_flops_per_token"), 0,
                "linear FLOPs");
  }
  json_decref(section);
}

Test(shape, attention_matches_the_vectors) {
  json_t *section = vectors_section("attention");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    double flops = shape_attention_flops(vectors_preset(v, "shape"), vectors_number(v, "n_past"),
                                         vectors_number(v, "n_new"));
    expect_near(flops, vectors_number(v, "attention_flops"), 1e-15, "attention FLOPs");
  }
  json_decref(section);
}

Test(shape, every_preset_is_usable_and_found_by_its_name) {
  int n = 0;
  for (const char *name; (name = shape_preset_name(n)); n++) {
    const struct shape *shape = shape_preset(name);
    cr_assert(shape);
    cr_expect_str_eq(shape->name, name);
    cr_expect_null(shape_problem(shape), "%s: %s", name, shape_problem(shape));
  }
  cr_expect_eq(n, 6);
  cr_expect_null(shape_preset("llama-3"));
  cr_expect_null(shape_preset(NULL));
  cr_expect_null(shape_preset_name(-1));
}

Test(shape, the_small_preset_is_counted_by_hand) {
  const struct shape *shape = shape_preset("mha-125m");
  cr_assert(shape);
  /* 12 (4 * 768^2 + 3 * 768 * 3072 + 2 * 768) + 768 + 2 * 32000 * 768 */
  cr_expect_eq(shape_params(shape), 162417408.0);
  cr_expect_eq(shape_kv_bytes_per_token(shape, 2), 2.0 * 12 * 768 * 2);
}

Test(shape, attention_of_two_runs_is_that_of_one) {
  const struct shape *shape = shape_preset("llama-3-8b");
  double whole = shape_attention_flops(shape, 0, 5000);
  double parts = shape_attention_flops(shape, 0, 1234) + shape_attention_flops(shape, 1234, 3766);
  expect_near(parts, whole, 1e-15, "split prefill");
}

Test(shape, time_per_token_grows_with_context_and_falls_with_flops) {
  const struct shape *shape = shape_preset("llama-3-70b");
  double shallow_s = shape_compute_s_per_token(shape, 0, 1024, 8e14);
  double deep_s = shape_compute_s_per_token(shape, 100000, 1024, 8e14);
  cr_expect_gt(deep_s, shallow_s);
  expect_near(shape_compute_s_per_token(shape, 0, 1024, 4e14), 2 * shallow_s, 1e-15, "half FLOPS");
  double flops = shape_linear_flops_per_token(shape) * 1024 + shape_attention_flops(shape, 0, 1024);
  expect_near(shallow_s * 1024 * 8e14, flops, 1e-14, "FLOPs of the run");
}

static void expect_problem(struct shape shape, const char *field) {
  const char *problem = shape_problem(&shape);
  cr_expect(problem && strncmp(problem, field, strlen(field)) == 0, "%s: got %s", field,
            problem ? problem : "no problem");
}

/* A preset with one field changed. */
#define WITH(member, value)                                                                        \
  ({                                                                                               \
    struct shape changed = *shape_preset("llama-3-8b");                                            \
    changed.member = (value);                                                                      \
    changed;                                                                                       \
  })

Test(shape, what_is_wrong_is_named) {
  expect_problem(WITH(layers, 0), "layers");
  expect_problem(WITH(hidden, -1), "hidden");
  expect_problem(WITH(q_heads, 0), "q_heads");
  expect_problem(WITH(kv_heads, 0), "kv_heads");
  expect_problem(WITH(kv_heads, 5), "kv_heads");
  expect_problem(WITH(head_dim, 127), "head_dim");
  expect_problem(WITH(head_dim, 2048), "head_dim");
  expect_problem(WITH(ffn, 0), "ffn");
  expect_problem(WITH(vocabulary, 1 << 30), "vocabulary");
  expect_problem(WITH(rope_theta, 0.0), "rope_theta");
  expect_problem(WITH(rope_theta, (double)NAN), "rope_theta");
  expect_problem(WITH(norm_eps, (double)INFINITY), "norm_eps");
  struct shape unterminated = *shape_preset("llama-3-8b");
  memset(unterminated.name, 'x', sizeof unterminated.name);
  expect_problem(unterminated, "name");
  cr_expect_not_null(shape_problem(NULL));
}

Test(shape, the_smallest_and_the_largest_are_usable) {
  struct shape least = {"least", 1, 1, 1, 1, 2, 1, 1, false, 1.0, 1e-6};
  cr_expect_null(shape_problem(&least), "%s", shape_problem(&least));
  struct shape most = {"most", 4096, 1 << 22, 4096, 4096, 1024, 1 << 22, 1 << 22, true, 1e9, 1.0};
  cr_expect_null(shape_problem(&most), "%s", shape_problem(&most));
}
