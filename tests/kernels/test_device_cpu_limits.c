/*
 * What the cpu device refuses, and that activations stay sane through many
 * layers on few weight sets.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu_state.h"
#include "kernels/cpu/device_cpu.h"
#include "tests/kernels/device_fixture.h"

static const struct shape tiny = {.name = "tiny",
                                  .layers = 80,
                                  .hidden = 64,
                                  .q_heads = 4,
                                  .kv_heads = 1,
                                  .head_dim = 16,
                                  .ffn = 128,
                                  .vocabulary = 100,
                                  .rope_theta = 10000.0,
                                  .norm_eps = 1e-5};

static struct device_config config_of(const struct shape *shape, int layers, int64_t tokens_max) {
  struct device_config config = device_fixture(shape, layers, tokens_max, ELEMENT_BF16);
  config.seed = 3;
  return config;
}

/* Root mean square of the residual stream's last token. */
static double residual_rms(struct device *device, int64_t n_new) {
  const struct cpu_device *cpu = cpu_device_of(device);
  const int64_t d = cpu->config.shape.hidden;
  const bf16 *last = cpu->activations.hidden + (n_new - 1) * d;
  double squares = 0.0;
  for (int64_t i = 0; i < d; i++)
    squares += (double)bf16_to_float(last[i]) * (double)bf16_to_float(last[i]);
  return sqrt(squares / (double)d);
}

static void expect_sane(const struct shape *shape, int layers, int weight_sets, int64_t n) {
  struct device_config config = config_of(shape, layers, n);
  config.weight_sets = weight_sets;
  struct device *device = NULL;
  struct error error = {0};
  cr_assert_eq(device_cpu_ops.open(&device, &config, &error), 0, "%s", error.message);
  cr_expect_eq(device->info.weight_sets, weight_sets);
  int32_t *tokens = calloc((size_t)n, sizeof *tokens);
  cr_assert_not_null(tokens);
  for (int64_t i = 0; i < n; i++) tokens[i] = (int32_t)(i * 31 % shape->vocabulary);
  const struct device_sequence sequence = {0, n, tokens};
  cr_assert_eq(device->ops->begin(device, &sequence, 1, &error), 0);
  for (int layer = 0; layer < layers; layer++) {
    device_ticket ticket;
    cr_assert_eq(device->ops->forward_layer(device, layer, &sequence, 1, NULL, 0, &ticket, &error),
                 0, "%s", error.message);
    const double rms = residual_rms(device, n);
    cr_assert(rms > 0.3 && rms < 30.0, "%s: residual RMS %g after layer %d", shape->name, rms,
              layer);
  }
  free(tokens);
  device->ops->close(device);
}

Test(device_cpu_limits, eighty_cycled_layers_stay_sane) {
  expect_sane(&tiny, 80, 1, 20);
  expect_sane(&tiny, 80, 7, 20);
  struct shape mha = *shape_preset("mha-125m");
  mha.layers = 80;
  expect_sane(&mha, 80, 2, 16);
}

/* Opening must fail with `code` and a message that holds `word`. */
static void expect_refused(const struct device_config *config, int code, const char *word) {
  struct device *device = NULL;
  struct error error = {0};
  cr_expect_eq(device_cpu_ops.open(&device, config, &error), code, "%s", error.message);
  cr_expect_null(device);
  cr_expect_not_null(strstr(error.message, word), "\"%s\" lacks \"%s\"", error.message, word);
}

Test(device_cpu_limits, refuses_what_it_cannot_do) {
  struct device_config config = config_of(&tiny, 2, 64);
  config.element = ELEMENT_FP8_E4M3;
  expect_refused(&config, -ENOTSUP, "fp8");
  config = config_of(&tiny, 81, 64);
  expect_refused(&config, -EINVAL, "81 layers");
  config = config_of(&tiny, 2, 64);
  config.argument = "3";
  expect_refused(&config, -EINVAL, "argument");
  config = config_of(&tiny, 2, 64);
  config.page_stride_bytes = 64;
  expect_refused(&config, -EINVAL, "stride");
}

Test(device_cpu_limits, says_what_does_not_fit) {
  if (memory_available_bytes() == 0) cr_skip_test("this kernel does not tell MemAvailable");
  struct device_config config = config_of(&tiny, 2, 64);
  config.tokens_max = (int64_t)1 << 42;
  expect_refused(&config, -ENOMEM, "--tokens");
}

Test(device_cpu_limits, refuses_runs_out_of_bounds_or_order) {
  const struct device_config config = config_of(&tiny, 2, 64);
  struct device *device = NULL;
  struct error error = {0};
  cr_assert_eq(device_cpu_ops.open(&device, &config, &error), 0, "%s", error.message);
  int32_t tokens[65] = {0};
  const struct device_ops *ops = device->ops;
  const struct device_sequence good = {16, 40, tokens};
  const struct device_sequence bad[] = {
      {8, 40, tokens}, {-16, 40, tokens}, {16, 0, tokens}, {16, 49, tokens}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    cr_expect_eq(ops->begin(device, &bad[i], 1, NULL), -EINVAL, "sequence %zu", i);
  tokens[3] = 100;
  cr_expect_eq(ops->begin(device, &good, 1, NULL), -EINVAL, "a token outside the vocabulary");
  tokens[3] = 99;
  cr_expect_eq(ops->begin(device, &good, 2, NULL), -ENOTSUP);
  device_ticket ticket;
  cr_expect_eq(ops->forward_layer(device, 0, &good, 1, NULL, 0, &ticket, NULL), -EINVAL,
               "no run was begun");
  cr_assert_eq(ops->begin(device, &good, 1, &error), 0, "%s", error.message);
  cr_expect_eq(ops->forward_layer(device, 1, &good, 1, NULL, 0, &ticket, NULL), -EINVAL);
  cr_expect_eq(ops->head(device, &good, 1, &ticket, NULL), -EINVAL);
  const device_ticket never = 12345;
  cr_expect_eq(ops->forward_layer(device, 0, &good, 1, &never, 1, &ticket, NULL), -EINVAL);
  cr_assert_eq(ops->forward_layer(device, 0, &good, 1, NULL, 0, &ticket, &error), 0);
  cr_expect_eq(ops->wait(device, ticket, 0, NULL, NULL), 0);
  cr_expect_eq(ops->wait(device, ticket + 1, 0, NULL, NULL), -EINVAL);
  cr_assert_eq(ops->begin(device, &good, 1, &error), 0);
  cr_expect_eq(ops->wait(device, ticket, 0, NULL, NULL), -EINVAL, "a ticket of the run before");
  ops->close(device);
}

Test(device_cpu_limits, the_last_page_leaves_zero_padded) {
  const struct device_config config = config_of(&tiny, 1, 64);
  struct device *device = NULL;
  struct error error = {0};
  cr_assert_eq(device_cpu_ops.open(&device, &config, &error), 0, "%s", error.message);
  int32_t tokens[64] = {0};
  const struct device_sequence full = {0, 64, tokens}, part = {16, 21, tokens};
  device_ticket ticket;
  cr_assert_eq(device->ops->begin(device, &full, 1, &error), 0);
  cr_assert_eq(device->ops->forward_layer(device, 0, &full, 1, NULL, 0, &ticket, &error), 0);
  cr_assert_eq(device->ops->begin(device, &part, 1, &error), 0);
  cr_assert_eq(device->ops->forward_layer(device, 0, &part, 1, NULL, 0, &ticket, &error), 0);
  cr_assert_eq(device->ops->kv_out(device, 0, 2, ticket, &ticket, &error), 0);
  const bf16 *page = (const bf16 *)((const char *)device->ops->buffer(device, 0, DEVICE_LEAVING) +
                                    config.page_stride_bytes);
  for (int row = 0; row < 32; row++) { /* 16 of K, 16 of V; 5 used */
    int zeros = 0;
    for (int j = 0; j < 16; j++) zeros += page[row * 16 + j] == 0;
    if (row % 16 < 5) cr_expect_lt(zeros, 16, "row %d", row);
    if (row % 16 >= 5) cr_expect_eq(zeros, 16, "row %d", row);
  }
  device->ops->close(device);
}
