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

#include "base/memory.h"
#include "base/prng.h"
#include "kernels/cpu/device_cpu.h"
#include "kernels/reference/reference.h"
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

static struct device_config config_of(const struct shape *shape, int layers, int64_t tokens_max) {
  struct device_config config = {.shape = *shape,
                                 .layers = layers,
                                 .tokens_max = tokens_max,
                                 .page_tokens = 16,
                                 .chunk_tokens = 32,
                                 .element = ELEMENT_BF16,
                                 .kv_element = ELEMENT_BF16,
                                 .window = 2,
                                 .write_window = 2,
                                 .seed = SEED};
  config.page_stride_bytes = memory_round_up(
      device_page_payload_bytes(shape, config.page_tokens, config.kv_element), 4096);
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
static int32_t run_reference(const struct shape *shape, int layers, int weight_sets, int64_t n,
                             const int32_t *tokens, float *hidden) {
  struct reference_model model;
  struct error error = {0};
  cr_assert_eq(reference_model_open(&model, shape, weight_sets, SEED, &error), 0);
  const int64_t d = shape->hidden, row = (int64_t)shape->kv_heads * shape->head_dim;
  float *x = calloc((size_t)(n * d), sizeof *x), *k = calloc((size_t)(n * row), sizeof *k);
  float *v = calloc((size_t)(n * row), sizeof *v);
  float *logits = calloc((size_t)shape->vocabulary, sizeof *logits);
  cr_assert(x && k && v && logits);
  reference_embedding(n, d, tokens, model.embedding, x);
  for (int layer = 0; layer < layers; layer++)
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
                             enum isa isa) {
  struct device_config config = config_of(shape, layers, n);
  config.weight_sets = weight_sets;
  struct device *device = open_device(&config, isa);
  int32_t *tokens = make_tokens(n, shape->vocabulary);
  float *want = calloc((size_t)shape->hidden, sizeof *want);
  cr_assert_not_null(want);
  run_reference(shape, layers, device->info.weight_sets, n, tokens, want);
  const struct device_sequence sequence = {.n_past = 0, .n_new = n, .tokens = tokens};
  const struct device_output output = run_all(device, layers, &sequence);
  char name[96];
  (void)snprintf(name, sizeof name, "%s, %d layers, %lld tokens, %s", shape->name, layers,
                 (long long)n, isa_name(isa));
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
      expect_reference(&tiny, 2, 2, lengths[i], isa);
}
