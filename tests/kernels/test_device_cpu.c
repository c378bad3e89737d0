/*
 * The cpu device end to end: layers and head against the reference model, and
 * a reload against a recompute.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "kernels/cpu/device_cpu.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/device_fixture.h"
#include "tests/kernels/tolerance.h"

enum { SEED = 7 };

static const struct shape tiny = {.name = "tiny",
                                  .layers = 4,
                                  .hidden = 96,
                                  .q_heads = 6,
                                  .kv_heads = 2,
                                  .head_dim = 16,
                                  .ffn = 160,
                                  .vocabulary = 500,
                                  .rope_theta = 10000.0,
                                  .norm_eps = 1e-5};

static struct device_config config_of(const struct shape *shape, int layers, int64_t tokens_max,
                                      enum element kv_element) {
  struct device_config config = device_fixture(shape, layers, tokens_max, kv_element);
  config.chunk_tokens = 32;
  config.seed = SEED;
  return config;
}

static struct device *open_device(const struct device_config *config, enum isa isa) {
  struct device *device = NULL;
  struct error error = {0};
  const int status = device_cpu_open_isa(&device, config, isa, &error);
  cr_assert_eq(status, 0, "%s", error.message);
  return device;
}

static int32_t *make_tokens(int64_t n, int vocabulary) {
  int32_t *tokens = malloc((size_t)n * sizeof *tokens);
  cr_assert_not_null(tokens);
  for (int64_t i = 0; i < n; i++)
    tokens[i] = (int32_t)prng_below(99, (uint64_t)i, (uint64_t)vocabulary);
  return tokens;
}

/* Layers [0, layers) and the head over a begun run; wants every call to succeed. */
static struct device_output run_layers(struct device *device, int layers,
                                       const struct device_sequence *sequence) {
  const struct device_ops *ops = device->ops;
  struct error error = {0};
  device_ticket ticket = 0;
  for (int layer = 0; layer < layers; layer++) {
    const device_ticket after = ticket;
    cr_assert_eq(ops->forward_layer(device, layer, sequence, 1, &after, 1, &ticket, &error), 0,
                 "%s", error.message);
    cr_assert_neq(ticket, 0);
  }
  struct device_span span;
  struct device_output output;
  cr_assert_eq(ops->head(device, sequence, 1, &ticket, &error), 0, "%s", error.message);
  cr_assert_eq(ops->wait(device, ticket, 1.0, &span, &error), 0, "%s", error.message);
  cr_assert_lt(span.start_s, span.end_s);
  cr_assert_eq(ops->output(device, &output, &error), 0, "%s", error.message);
  return output;
}

static struct device_output run_all(struct device *device, int layers,
                                    const struct device_sequence *sequence) {
  struct error error = {0};
  cr_assert_eq(device->ops->begin(device, sequence, 1, &error), 0, "%s", error.message);
  return run_layers(device, layers, sequence);
}

/* The reference's final state for tokens (n) through `layers` layers. */
static int32_t run_reference(const struct device_config *config, int weight_sets, int64_t n,
                             const int32_t *tokens, float *hidden) {
  const struct shape *shape = &config->shape;
  struct reference_model model;
  struct error error = {0};
  cr_assert_eq(reference_model_open(&model, shape, weight_sets, SEED, &error), 0);
  model.kv_element = config->kv_element;
  const int64_t d = shape->hidden, row = (int64_t)shape->kv_heads * shape->head_dim;
  float *x = calloc((size_t)(n * d), sizeof *x), *k = calloc((size_t)(n * row), sizeof *k);
  float *v = calloc((size_t)(n * row), sizeof *v);
  float *logits = calloc((size_t)shape->vocabulary, sizeof *logits);
  cr_assert(x && k && v && logits);
  reference_embedding(n, d, tokens, model.embedding, x);
  for (int layer = 0; layer < config->layers; layer++)
    cr_assert_eq(reference_forward_layer(&model, layer, n, 0, x, k, v, &error), 0);
  const int32_t token = reference_head(&model, x + (n - 1) * d, hidden, logits);
  free(x);
  free(k);
  free(v);
  free(logits);
  reference_model_close(&model);
  return token;
}

static void expect_reference(const struct shape *shape, int layers, int weight_sets, int64_t n,
                             enum element kv_element, enum isa isa) {
  struct device_config config = config_of(shape, layers, n, kv_element);
  config.weight_sets = weight_sets;
  struct device *device = open_device(&config, isa);
  int32_t *tokens = make_tokens(n, shape->vocabulary);
  float *want = calloc((size_t)shape->hidden, sizeof *want);
  cr_assert_not_null(want);
  run_reference(&config, device->info.weight_sets, n, tokens, want);
  const struct device_sequence sequence = {.n_past = 0, .n_new = n, .tokens = tokens};
  const struct device_output output = run_all(device, layers, &sequence);
  char name[96];
  (void)snprintf(name, sizeof name, "%s, %d layers, %lld tokens, KV %s, %s", shape->name, layers,
                 (long long)n, element_name(kv_element), isa_name(isa));
  cr_expect_eq(
      tolerance_count_wrong_float(name, shape->hidden, output.hidden, want, TOLERANCE_LAYERS), 0,
      "%s", name);
  free(want);
  free(tokens);
  device->ops->close(device);
}

Test(device_cpu, two_layers_match_the_reference_at_every_level) {
  static const int64_t lengths[] = {1, 31, 32, 33, 77};
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++)
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
      expect_reference(&tiny, 2, 2, lengths[i], ELEMENT_BF16, isa);
}

Test(device_cpu, an_fp8_cache_gives_what_the_reference_makes_of_one) {
  expect_reference(&tiny, 2, 2, 77, ELEMENT_FP8_E4M3, ISA_PLAIN);
  expect_reference(&tiny, 2, 2, 77, ELEMENT_FP8_E4M3, isa_best());
}

/* A cache that were not rounded would agree with the reference above within its tolerance. */
Test(device_cpu, an_fp8_cache_holds_codes) {
  const struct device_config config = config_of(&tiny, 2, 32, ELEMENT_FP8_E4M3);
  const struct device_config wide = config_of(&tiny, 2, 32, ELEMENT_BF16);
  struct device *device = open_device(&config, isa_best()), *other = open_device(&wide, isa_best());
  int32_t *tokens = make_tokens(32, tiny.vocabulary);
  const struct device_sequence whole = {0, 32, tokens};
  (void)run_all(device, 2, &whole);
  (void)run_all(other, 2, &whole);
  const e4m3 *codes = device->ops->buffer(device, 0, DEVICE_LANDING);
  const bf16 *values = other->ops->buffer(other, 0, DEVICE_LANDING);
  for (int i = 0; i < 2 * 16 * 2 * 16; i++)
    cr_assert_eq(codes[i], e4m3_from_float(bf16_to_float(values[i])), "element %d of K, then V", i);
  free(tokens);
  device->ops->close(device);
  other->ops->close(other);
}

/* ---- reload ----------------------------------------------------------------------------- */

enum { N_TOKENS = 101, N_LAYERS = 4 };

/* Pages [0, n) of every layer, as they stand in the KV cache. */
static char *copy_pages(struct device *device, const struct device_config *config, int64_t n) {
  const size_t bytes = (size_t)n * config->page_stride_bytes;
  char *copy = malloc((size_t)config->layers * bytes);
  cr_assert_not_null(copy);
  for (int layer = 0; layer < config->layers; layer++)
    memcpy(copy + (size_t)layer * bytes, device->ops->buffer(device, layer, DEVICE_LANDING), bytes);
  return copy;
}

/* Recomputes N_TOKENS, then reloads n_past of them from the pages just made. */
static void expect_reload(int64_t n_past, bool exactly, enum element kv_element, enum isa isa) {
  const struct device_config config = config_of(&tiny, N_LAYERS, N_TOKENS, kv_element);
  struct device *device = open_device(&config, isa);
  int32_t *tokens = make_tokens(N_TOKENS, tiny.vocabulary);
  const struct device_sequence whole = {0, N_TOKENS, tokens};
  const struct device_sequence rest = {n_past, N_TOKENS - n_past, tokens + n_past};
  struct device_output output = run_all(device, N_LAYERS, &whole);
  const int64_t pages = (N_TOKENS + config.page_tokens - 1) / config.page_tokens;
  const int32_t token = output.token;
  float hidden[96];
  memcpy(hidden, output.hidden, sizeof hidden);
  char *before = copy_pages(device, &config, pages);
  struct error error = {0};
  cr_assert_eq(device->ops->begin(device, &rest, 1, &error), 0, "%s", error.message);
  const size_t layer_bytes = (size_t)pages * config.page_stride_bytes;
  for (int layer = 0; layer < N_LAYERS; layer++)
    memcpy(device->ops->buffer(device, layer, DEVICE_LANDING), before + (size_t)layer * layer_bytes,
           (size_t)(n_past / config.page_tokens) * config.page_stride_bytes);
  output = run_layers(device, N_LAYERS, &rest);
  if (exactly) {
    char *after = copy_pages(device, &config, pages);
    cr_expect_eq(output.token, token);
    cr_expect_eq(memcmp(output.hidden, hidden, sizeof hidden), 0, "hidden, %s", isa_name(isa));
    cr_expect_eq(memcmp(before, after, N_LAYERS * layer_bytes), 0, "pages, %s", isa_name(isa));
    free(after);
  } else {
    cr_expect_eq(tolerance_count_wrong_float("reload", 96, output.hidden, hidden, TOLERANCE_LAYERS),
                 0);
  }
  free(before);
  free(tokens);
  device->ops->close(device);
}

Test(device_cpu, reload_at_a_chunk_is_recompute_bit_for_bit) {
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    expect_reload(32, true, ELEMENT_BF16, isa);
    expect_reload(64, true, ELEMENT_BF16, isa);
    expect_reload(96, true, ELEMENT_BF16, isa);
    expect_reload(64, true, ELEMENT_FP8_E4M3, isa);
  }
}

Test(device_cpu, reload_within_a_chunk_is_near) {
  expect_reload(16, false, ELEMENT_BF16, isa_best());
  expect_reload(80, false, ELEMENT_BF16, isa_best());
}

Test(device_cpu, a_page_that_never_arrived_changes_the_result) {
  const struct device_config config = config_of(&tiny, 2, N_TOKENS, ELEMENT_BF16);
  struct device *device = open_device(&config, isa_best());
  int32_t *tokens = make_tokens(N_TOKENS, tiny.vocabulary);
  const struct device_sequence whole = {0, N_TOKENS, tokens}, rest = {64, 37, tokens + 64};
  struct error error = {0};
  (void)run_all(device, 2, &whole);
  uint32_t before[4] = {0}, after[4] = {0};
  cr_assert_eq(device->ops->kv_crc(device, 1, 0, 4, before, &error), 0);
  cr_assert_eq(device->ops->begin(device, &rest, 1, &error), 0);
  cr_assert_eq(device->ops->kv_crc(device, 1, 0, 4, after, &error), 0);
  for (int page = 0; page < 4; page++) cr_expect_neq(before[page], after[page], "page %d", page);
  const struct device_output output = run_layers(device, 2, &rest);
  for (int i = 0; i < tiny.hidden; i++) cr_assert(isfinite(output.hidden[i]));
  free(tokens);
  device->ops->close(device);
}
