/*
 * --model: presets, files, and what suits the device.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "bench_test.h"

#define SHAPE                                                                                      \
  "{\"name\": \"tiny\", \"layers\": 3, \"hidden\": 64, \"q_heads\": 4, \"kv_heads\": 2, "          \
  "\"head_dim\": 16, \"ffn\": 128, \"vocabulary\": 256, \"tied\": true, \"rope_theta\": 10000, "   \
  "\"norm_eps\": 1e-5}"

/* Resolves the shape of a command line; what options_shape() returned. */
static int shape_of(const char *text, struct shape *shape, struct error *error) {
  struct line line;
  struct options options;
  cr_assert_eq(line_parse(&line, text, &options, error), 0, "%s", error->message);
  return options_shape(&options, shape, error);
}

/* The same with --model FILE, a file of this text. */
static int shape_of_text(const char *json, struct shape *shape, struct error *error) {
  char directory[PATH_MAX], text[PATH_MAX + 64];
  make_directory(directory);
  write_file(directory, "shape.json", json);
  snprintf(text, sizeof text, "sweep --model %s/shape.json", directory);
  int code = shape_of(text, shape, error);
  remove_directory(directory);
  return code;
}

Test(shape_file, presets_and_what_suits_the_device) {
  static const struct {
    const char *line, *name;
  } cases[] = {
      {"sweep --model llama-3-8b", "llama-3-8b"},
      {"sweep", "mha-125m"},
      {"sweep --device playback:zero", "mha-125m"},
      {"sweep --device playback:h100-sxm-llama-3-70b", "llama-3-70b"},
      {"sweep --device playback:h100-sxm-llama-3-70b --model llama-3-8b", "llama-3-8b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct shape shape;
    struct error error = {0};
    cr_assert_eq(shape_of(cases[i].line, &shape, &error), 0, "%s", error.message);
    cr_assert_str_eq(shape.name, cases[i].name, "%s", cases[i].line);
  }
}

Test(shape_file, a_file_gives_every_field) {
  struct shape shape;
  struct error error = {0};
  cr_assert_eq(shape_of_text(SHAPE, &shape, &error), 0, "%s", error.message);
  cr_assert_str_eq(shape.name, "tiny");
  cr_assert_eq(shape.layers, 3);
  cr_assert_eq(shape.hidden, 64);
  cr_assert_eq(shape.q_heads, 4);
  cr_assert_eq(shape.kv_heads, 2);
  cr_assert_eq(shape.head_dim, 16);
  cr_assert_eq(shape.ffn, 128);
  cr_assert_eq(shape.vocabulary, 256);
  cr_assert(shape.tied);
  cr_assert_eq(shape.rope_theta, 10000.0);
  cr_assert_float_eq(shape.norm_eps, 1e-5, 1e-12);
}

Test(shape_file, what_is_wrong_in_a_file_is_named) {
  static const struct {
    const char *json, *must;
  } cases[] = {
      {"{\"name\": \"tiny\"", "line 1"},
      {"[1, 2]", "object"},
      {"{\"name\": \"tiny\", \"layers\": 3}", "hidden"},
      {"{\"name\": \"tiny\", \"layers\": 0}", "layers"},
      {"{\"name\": \"tiny\", \"heads\": 3}", "heads"},
      {"{\"layers\": 1, \"layers\": 2}", "duplicate"},
      {"", "line"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct shape shape;
    struct error error = {0};
    cr_assert_lt(shape_of_text(cases[i].json, &shape, &error), 0, "%s", cases[i].json);
    cr_assert(strstr(error.message, "--model"), "%s", error.message);
    cr_assert(strstr(error.message, cases[i].must), "%s", error.message);
  }
}

/* shape_problem()'s own text travels up. */
Test(shape_file, an_unusable_shape_is_refused) {
  char json[] = SHAPE;
  *strchr(strstr(json, "kv_heads"), '2') = '3';
  struct shape shape;
  struct error error = {0};
  cr_assert_eq(shape_of_text(json, &shape, &error), -EINVAL);
  cr_assert(strstr(error.message, "a divisor of q_heads"), "%s", error.message);
}

Test(shape_file, files_that_are_none_are_refused) {
  struct shape shape;
  struct error error = {0};
  cr_assert_eq(shape_of("sweep --model /nowhere/model.json", &shape, &error), -EINVAL);
  cr_assert(strstr(error.message, "/nowhere/model.json"), "%s", error.message);
  error_clear(&error);
  cr_assert_eq(shape_of("sweep --model /tmp/", &shape, &error), -EINVAL);
  error_clear(&error);
  cr_assert_eq(shape_of("sweep --model /dev/zero", &shape, &error), -EINVAL);
  error_clear(&error);
  cr_assert_eq(shape_of("sweep --device playback:nonsense", &shape, &error), -EINVAL);
  cr_assert(strstr(error.message, "playback:nonsense"), "%s", error.message);
}

Test(shape_file, layers_and_weight_sets_are_held_against_the_model) {
  struct shape shape;
  struct error error = {0};
  cr_assert_eq(shape_of("sweep --model mha-125m --layers 12", &shape, &error), 0);
  cr_assert_eq(shape_of("sweep --model mha-125m --layers 13", &shape, &error), -EINVAL);
  cr_assert(strstr(error.message, "--layers 13") && strstr(error.message, "12"), "%s",
            error.message);
  error_clear(&error);
  cr_assert_eq(shape_of("sweep --model mha-125m --weight-sets 13", &shape, &error), -EINVAL);
  cr_assert(strstr(error.message, "--weight-sets 13"), "%s", error.message);
}
