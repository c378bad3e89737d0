/* Profiles: what is read, what is refused and how it is named, and what lies between grid points.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/playback/profile.h"

/* A small whole profile; cases replace a piece of it. */
static const char good[] =
    "{\"schema\": \"refill-profile/1\", \"about\": \"a test\", \"source\": \"none\","
    " \"device\": \"a box\","
    " \"shape\": {\"name\": \"tiny\", \"layers\": 3, \"hidden\": 256, \"q_heads\": 8,"
    " \"kv_heads\": 2, \"head_dim\": 32, \"ffn\": 512, \"vocabulary\": 512, \"tied\": false,"
    " \"rope_theta\": 10000.0, \"norm_eps\": 1e-5},"
    " \"element\": \"bf16\", \"kv_element\": \"fp8\","
    " \"layer_s\": {\"from\": \"measured\", \"n_new\": [1, 11, 21], \"n_past\": [0, 100],"
    " \"seconds\": [[1.0, 2.0], [3.0, 6.0], [9.0, 7.5]]},"
    " \"embedding_s\": {\"from\": \"derived\", \"how\": \"a guess\", \"n_new\": [1, 3],"
    " \"seconds\": [0.5, 1.5]},"
    " \"head_s\": {\"from\": \"published\", \"seconds\": 0.25},"
    " \"peaks\": {\"from\": \"published\", \"flops_per_s\": 1e12, \"hbm_bytes_per_s\": 0}}";

static struct profile *parse_good(void) {
  struct profile *profile = NULL;
  struct error error = {0};
  cr_assert_eq(profile_parse(&profile, "good.json", good, strlen(good), &error), 0, "%s",
               error.message);
  return profile;
}

Test(playback_profile, holds_what_the_file_says) {
  struct profile *profile = parse_good();
  cr_expect_str_eq(profile->name, "good.json");
  cr_expect_str_eq(profile->device, "a box");
  cr_expect_not(profile->any_shape);
  cr_expect_eq(profile->shape.kv_heads, 2);
  cr_expect_eq(profile->shape.vocabulary, 512);
  cr_expect_eq(profile->element, ELEMENT_BF16);
  cr_expect_eq(profile->kv_element, ELEMENT_FP8_E4M3);
  cr_expect_eq(profile->layer_s.origin, PROFILE_MEASURED);
  cr_expect_eq(profile->embedding_s.origin, PROFILE_DERIVED);
  cr_expect_str_eq(profile->embedding_s.how, "a guess");
  cr_expect_eq(profile->head_s.origin, PROFILE_PUBLISHED);
  cr_expect_float_eq(profile->peaks.flops_per_s, 1e12, 1);
  profile_free(profile);
}

Test(playback_profile, is_bilinear_held_below_continued_beyond) {
  struct profile *profile = parse_good();
  const struct {
    int64_t n_new, n_past;
    double seconds;
  } cases[] = {
      {1, 0, 1.0},     {11, 100, 6.0},   {21, 0, 9.0},  /* grid points */
      {6, 0, 2.0},     {1, 50, 1.5},                    /* one axis between */
      {6, 50, 3.0},    {16, 25, 6.1875},                /* both: (3, 6, 9, 7.5) */
      {10, 0, 2.8},    {20, 0, 8.4},                    /* just below a point */
      {0, 0, 1.0},                                      /* below the first point: held */
      {31, 0, 15.0},   {1, 200, 3.0},    {41, 0, 21.0}, /* beyond: the last slope goes on */
      {31, 200, 3.0},                                   /* columns 15 at 0, 9 at 100: 15 - 6 * 2 */
      {31, 1000, 0.0},                                  /* would be negative */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double seconds = profile_layer_s(profile, cases[i].n_new, cases[i].n_past);
    cr_expect_float_eq(seconds, cases[i].seconds, 1e-12, "(%d, %d): %g, not %g",
                       (int)cases[i].n_new, (int)cases[i].n_past, seconds, cases[i].seconds);
  }
  cr_expect_float_eq(profile_embedding_s(profile, 2), 1.0, 1e-12);
  cr_expect_float_eq(profile_embedding_s(profile, 5), 2.5, 1e-12);
  cr_expect_float_eq(profile_head_s(profile), 0.25, 1e-12);
  profile_free(profile);
}

/* `good` with the first `from` replaced by `to`. */
static char *mutated(const char *from, const char *to) {
  const char *at = strstr(good, from);
  cr_assert_not_null(at, "the good profile has no %s", from);
  size_t room = sizeof good + strlen(to);
  char *text = malloc(room);
  cr_assert_not_null(text);
  snprintf(text, room, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  return text;
}

struct bad {
  const char *from, *to, *named; /* `named` must be in the message */
};

static const struct bad bads[] = {
    /* not JSON, not ours */
    {"{\"schema\"", "\"schema\"", "no whole JSON"},
    {"\"hbm_bytes_per_s\": 0}}", "\"hbm_bytes_per_s\": 0}", "no whole JSON"},
    {"\"hbm_bytes_per_s\": 0}}", "\"hbm_bytes_per_s\": 0}} x", "no whole JSON"},
    {"[1.0, 2.0]", "[NaN, 2.0]", "no whole JSON"},
    {"[1.0, 2.0]", "[1e999, 2.0]", "no whole JSON"},
    {"\"about\": \"a test\"", "\"about\": \"a\", \"about\": \"b\"", "duplicate"},
    {"refill-profile/1", "refill-profile/2", "schema is \"refill-profile/2\""},
    {"\"schema\": \"refill-profile/1\"", "\"schema\": 1", "schema is 1"},
    {"\"schema\": \"refill-profile/1\", ", "", "schema is missing"},
    {"\"about\":", "\"abuot\":", "abuot"},
    {"\"about\": \"a test\", ", "", "about is missing"},
    {"\"a test\"", "\"\"", "about is \"\""},
    {"\"a test\"", "\"line\\nline\"", "control characters"},
    {"\"device\": \"a box\"", "\"device\": [\"a box\"]", "device is a list of 1"},
    /* the shape */
    {"\"layers\": 3, ", "", "shape.layers is missing"},
    {"\"layers\": 3", "\"layers\": -3", "shape.layers is -3"},
    {"\"layers\": 3", "\"layers\": 3.5", "shape.layers is 3.5"},
    {"\"layers\": 3", "\"layers\": \"3\"", "shape.layers is \"3\""},
    {"\"layers\": 3", "\"layers\": 4294967299", "shape.layers is 4294967299"},
    {"\"kv_heads\": 2", "\"kv_heads\": 3", "shape is not usable"},
    {"\"tied\": false", "\"tied\": 0", "shape.tied is 0"},
    {"10000.0", "-1", "shape.rope_theta is -1"},
    {"\"name\": \"tiny\"", "\"name\": \"tiny\", \"expert\": 8", "shape.expert is 8"},
    {"\"element\": \"bf16\"", "\"element\": \"fp16\"", "element is \"fp16\""},
    {"\"kv_element\": \"fp8\", ", "", "kv_element is missing"},
    /* parts */
    {"\"measured\"", "\"guessed\"", "layer_s.from is \"guessed\""},
    {"\"from\": \"measured\", ", "", "layer_s.from is missing"},
    {"\"how\": \"a guess\"", "\"how\": 3", "embedding_s.how is 3"},
    {"\"how\": \"a guess\"", "\"hwo\": \"\"", "embedding_s.hwo"},
    {"\"seconds\": 0.25", "\"seconds\": -0.25", "head_s.seconds is -0.25"},
    {"\"seconds\": 0.25", "\"seconds\": 86401", "head_s.seconds is 86401"},
    {"\"seconds\": 0.25", "\"seconds\": null", "head_s.seconds is null"},
    {"\"seconds\": 0.25", "\"seconds\": [0.25]", "head_s.seconds is a list"},
    {"\"head_s\": {\"from\": \"published\", \"seconds\": 0.25}", "\"head_s\": 0.25",
     "head_s is 0.25"},
    {"\"n_new\": [1, 11, 21], ", "", "layer_s.n_new is missing"},
    {"\"n_past\": [0, 100], ", "\n", "layer_s.n_past is missing"},
    {"\"n_new\": [1, 3]", "\"n_new\": [1, 3], \"n_past\": [0]", "embedding_s.n_past"},
    /* axes */
    {"[1, 11, 21]", "[1, 11, 11]", "layer_s.n_new[2] is 11"},
    {"[1, 11, 21]", "[1, 21, 11]", "layer_s.n_new[2] is 11"},
    {"[1, 11, 21]", "[0, 11, 21]", "layer_s.n_new[0] is 0"},
    {"[1, 11, 21]", "[1, 11, 1e3]", "layer_s.n_new[2] is 1000.0"},
    {"[1, 11, 21]", "[1, 11, 1099511627777]", "layer_s.n_new[2] is 1099511627777"},
    {"[1, 11, 21]", "[1, 11, 9223372036854775808]", "no whole JSON"},
    {"[1, 11, 21]", "[]", "layer_s.n_new is a list of 0"},
    {"[1, 11, 21]", "7", "layer_s.n_new is 7"},
    {"[0, 100]", "[-1, 100]", "layer_s.n_past[0] is -1"},
    /* tables */
    {"[3.0, 6.0], ", "", "layer_s.seconds is a list of 2"},
    {"[3.0, 6.0]", "[3.0]", "layer_s.seconds[1] is a list of 1"},
    {"[3.0, 6.0]", "3.0", "layer_s.seconds[1] is 3.0"},
    {"[3.0, 6.0]", "[3.0, -6.0]", "layer_s.seconds[1][1] is -6.0"},
    {"[3.0, 6.0]", "[3.0, \"6\"]", "layer_s.seconds[1][1] is \"6\""},
    {"[3.0, 6.0]", "[3.0, true]", "layer_s.seconds[1][1] is true"},
    {"[0.5, 1.5]", "[0.5, 1.5, 2.5]", "embedding_s.seconds is a list of 3"},
    {"[0.5, 1.5]", "[0.5, 1e300]", "embedding_s.seconds[1] is 1e"},
    /* peaks */
    {"\"flops_per_s\": 1e12", "\"flops_per_s\": -1", "peaks.flops_per_s is -1"},
    {"\"flops_per_s\": 1e12, ", "", "peaks.flops_per_s is missing"},
    {"\"peaks\": {\"from\": \"published\"", "\"peaks\": {\"from\": null", "peaks.from is null"},
};

Test(playback_profile, refuses_bad_files_by_name_field_and_value) {
  for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
    char *text = mutated(bads[i].from, bads[i].to);
    struct profile *profile = NULL;
    struct error error = {0};
    int code = profile_parse(&profile, "bad.json", text, strlen(text), &error);
    cr_expect_eq(code, -EINVAL, "case %zu (%s): %d", i, bads[i].to, code);
    cr_expect_null(profile, "case %zu", i);
    cr_expect_not_null(strstr(error.message, bads[i].named), "case %zu: \"%s\" is not in \"%s\"", i,
                       bads[i].named, error.message);
    cr_expect_eq(strncmp(error.message, "bad.json: ", 10), 0, "case %zu: %s", i, error.message);
    profile_free(profile);
    free(text);
  }
}

Test(playback_profile, refuses_every_truncation_and_survives_every_flipped_byte) {
  size_t bytes = strlen(good);
  char *text = strdup(good);
  struct profile *profile = NULL;
  for (size_t n = 0; n < bytes; n++) {
    cr_assert_neq(profile_parse(&profile, "cut.json", good, n, NULL), 0, "%zu bytes", n);
  }
  for (size_t i = 0; i < bytes; i++) {
    for (int bit = 0; bit < 8; bit++) {
      text[i] = (char)(good[i] ^ (1 << bit));
      if (profile_parse(&profile, "flip.json", text, bytes, NULL) == 0) {
        cr_assert(profile_layer_s(profile, 5, 50) >= 0.0);
        profile_free(profile);
      }
      text[i] = good[i];
    }
  }
  free(text);
}

Test(playback_profile, refuses_an_axis_of_too_many_points) {
  static char axis[8 * (PROFILE_AXIS_MAX + 2)];
  size_t used = 0;
  for (int i = 1; i <= PROFILE_AXIS_MAX + 1; i++) {
    used += (size_t)snprintf(axis + used, sizeof axis - used, "%s%d", i > 1 ? ", " : "[", i);
  }
  snprintf(axis + used, sizeof axis - used, "]");
  char *text = mutated("[1, 11, 21]", axis);
  struct profile *profile = NULL;
  struct error error = {0};
  cr_assert_eq(profile_parse(&profile, "long.json", text, strlen(text), &error), -EINVAL);
  cr_assert_not_null(strstr(error.message, "layer_s.n_new is a list of 257"), "%s", error.message);
  free(text);
}

/* ---- names and files ---- */

Test(playback_profile, built_in_names_all_load) {
  int n = 0;
  for (const char *name; (name = profile_builtin_name(n)) != NULL; n++) {
    struct profile *profile = NULL;
    struct error error = {0};
    cr_assert_eq(profile_load(&profile, name, &error), 0, "%s: %s", name, error.message);
    cr_expect_str_eq(profile->name, name);
    cr_expect_geq(profile_layer_s(profile, 1, 0), 0.0);
    profile_free(profile);
  }
  cr_assert_geq(n, 4);
}

Test(playback_profile, zero_takes_no_time_and_any_shape) {
  struct profile *profile = NULL;
  cr_assert_eq(profile_load(&profile, "zero", NULL), 0);
  cr_expect_eq(profile_layer_s(profile, 1 << 20, 1 << 20), 0.0);
  cr_expect_eq(profile_embedding_s(profile, 1 << 20), 0.0);
  cr_expect_eq(profile_head_s(profile), 0.0);
  cr_expect_eq(
      profile_match(profile, shape_preset("llama-3-8b"), ELEMENT_FP8_E4M3, ELEMENT_BF16, NULL), 0);
  profile_free(profile);
}

Test(playback_profile, unknown_names_list_the_known) {
  struct profile *profile = NULL;
  struct error error = {0};
  cr_assert_eq(profile_load(&profile, "h200", &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, "\"h200\""), "%s", error.message);
  cr_expect_not_null(strstr(error.message, "zero, h100-sxm-llama-3-70b"), "%s", error.message);
}

Test(playback_profile, files_are_read_only_where_regular_and_small) {
  char directory[] = "/tmp/refill-profile-XXXXXX", path[64];
  cr_assert_not_null(mkdtemp(directory));
  struct profile *profile = NULL;
  struct error error = {0};
  snprintf(path, sizeof path, "%s/p.json", directory);
  cr_expect_eq(profile_load(&profile, path, &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, path), "%s", error.message);

  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  fputs(good, file);
  fclose(file);
  cr_expect_eq(profile_load(&profile, path, NULL), 0);
  profile_free(profile);

  cr_assert_eq(truncate(path, PROFILE_FILE_BYTES_MAX + 1), 0);
  cr_expect_eq(profile_load(&profile, path, NULL), -EFBIG);
  unlink(path);
  cr_assert_eq(mkfifo(path, 0600), 0);
  cr_expect_eq(profile_load(&profile, path, NULL), -EINVAL, "a FIFO neither hangs nor is read");
  unlink(path);
  cr_expect_eq(profile_load(&profile, "/dev/zero", NULL), -EINVAL);
  cr_expect_lt(profile_load(&profile, directory, NULL), 0);
  rmdir(directory);
}

/* ---- the match with a run ---- */

Test(playback_profile, mismatch_names_the_field_and_both_values) {
  struct profile *profile = parse_good();
  struct shape same = profile->shape;
  cr_expect_eq(profile_match(profile, &same, ELEMENT_BF16, ELEMENT_FP8_E4M3, NULL), 0);
  snprintf(same.name, sizeof same.name, "another label");
  cr_expect_eq(profile_match(profile, &same, ELEMENT_BF16, ELEMENT_FP8_E4M3, NULL), 0);

  struct shape wider = same, deeper = same, tied = same, theta = same;
  wider.hidden = 512;
  deeper.layers = 4;
  tied.tied = true;
  theta.rope_theta = 5e5;
  const struct {
    struct shape *shape;
    enum element element, kv_element;
    const char *named;
  } cases[] = {
      {&wider, ELEMENT_BF16, ELEMENT_FP8_E4M3, "has hidden 256, the model another label has 512"},
      {&deeper, ELEMENT_BF16, ELEMENT_FP8_E4M3, "has layers 3"},
      {&tied, ELEMENT_BF16, ELEMENT_FP8_E4M3, "has tied 0"},
      {&theta, ELEMENT_BF16, ELEMENT_FP8_E4M3, "has rope_theta 10000"},
      {&same, ELEMENT_FP8_E4M3, ELEMENT_FP8_E4M3, "with element bf16, this run has fp8"},
      {&same, ELEMENT_BF16, ELEMENT_BF16, "with kv_element fp8, this run has bf16"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    int code =
        profile_match(profile, cases[i].shape, cases[i].element, cases[i].kv_element, &error);
    cr_expect_eq(code, -EINVAL, "case %zu", i);
    cr_expect_not_null(strstr(error.message, cases[i].named), "%s", error.message);
  }
  profile_free(profile);
}

/* ---- the shipped profiles against hand computation ----
 *
 * bf16 kernels of one layer, in seconds, as published (qkv + out + gate_up + down, attention):
 *   4096 tokens: 0.0008763 + 0.0006977 + 0.005463 + 0.002457, attention of 4096: 0.0004862
 *   2048 tokens: 0.0004125 + 0.0003663 + 0.002187 + 0.001233, attention of 8192: 0.001835
 *      1 token : 0.00006077 + 0.00005164 + 0.0003098 + 0.0001824, of 16384: 0.007188
 * Elementwise: 348,160 bytes a token (two fused residual norms 8 * 8192 * 2, RoPE 2 * 9216 * 2,
 * KV store 4 * 1024 * 2, SwiGLU 3 * 28672 * 2) at 0.85 * 3.35e12 bytes/s. */
static double elementwise_s(double n_new) {
  return n_new * 348160 / (0.85 * 3.35e12);
}

static double causal(double n_new, double n_past) {
  return n_new * n_past + n_new * (n_new + 1) / 2;
}

Test(playback_profile, h100_equals_hand_computation) {
  struct profile *profile = NULL;
  cr_assert_eq(profile_load(&profile, "h100-sxm-llama-3-70b", NULL), 0);
  double fresh_s = 0.0094940 + 0.0004862 + elementwise_s(4096);
  double mixed_s = 0.0041988 + 0.001835 * causal(2048, 6144) / causal(8192, 0) +
                   elementwise_s(2048);
  double kv_s = 131073.0 * 4096 / 3.35e12; /* bound by reading KV, not by its FLOPs */
  cr_assert_gt(kv_s, 0.007188 * causal(1, 131072) / causal(16384, 0));
  double one_s = 0.00060461 + kv_s + elementwise_s(1);
  cr_expect_float_eq(profile_layer_s(profile, 4096, 0), fresh_s, 1e-5 * fresh_s);
  cr_expect_float_eq(profile_layer_s(profile, 2048, 6144), mixed_s, 1e-5 * mixed_s);
  cr_expect_float_eq(profile_layer_s(profile, 1, 131072), one_s, 1e-5 * one_s);
  double head_s = 128256.0 * 8192 * 2 / (0.85 * 3.35e12);
  cr_expect_float_eq(profile_head_s(profile), head_s, 1e-5 * head_s);
  profile_free(profile);
}

Test(playback_profile, h100_stays_below_the_published_peaks) {
  for (int i = 1; i <= 3; i++) {
    struct profile *profile = NULL;
    cr_assert_eq(profile_load(&profile, profile_builtin_name(i), NULL), 0);
    const struct shape *shape = &profile->shape;
    cr_expect_eq(profile_match(profile, shape_preset("llama-3-70b"), profile->element,
                               profile->kv_element, NULL),
                 0, "%s is of the preset's shape", profile->name);
    for (int64_t n_new = 1; n_new <= 65536; n_new *= 2) {
      for (int64_t n_past = 0; n_past <= 262144; n_past = 2 * n_past + 1000) {
        double flops = shape_linear_flops_per_token(shape) * (double)n_new +
                       shape_attention_flops(shape, (double)n_past, (double)n_new);
        double rate = flops / shape->layers / profile_layer_s(profile, n_new, n_past);
        cr_expect_leq(rate, profile->peaks.flops_per_s, "%s (%d, %d): %g", profile->name,
                      (int)n_new, (int)n_past, rate);
      }
    }
    cr_expect_eq(profile->layer_s.origin, PROFILE_DERIVED);
    cr_expect_eq(profile->peaks.origin, PROFILE_PUBLISHED);
    profile_free(profile);
  }
}
