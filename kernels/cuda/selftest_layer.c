/*
 * The whole device on a small model, layers and head, against the float reference.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/device_cuda.h"
#include "kernels/cuda/selftest_bed.h"
#include "kernels/reference/reference.h"

#define TOKENS 77
#define PAGE_TOKENS 16
#define PAGES ((TOKENS + PAGE_TOKENS - 1) / PAGE_TOKENS)
#define SEED 3
#define TIMEOUT_S 60.0
/* About 14 roundings to bf16; in FP8 3 bits of mantissa on both sides of each GEMM. */
#define ALLOWED_BF16 0.02
#define ALLOWED_FP8 0.12

static const struct shape tiny = {.name = "self-test",
                                  .layers = 2,
                                  .hidden = 256,
                                  .q_heads = 4,
                                  .kv_heads = 2,
                                  .head_dim = 64,
                                  .ffn = 512,
                                  .vocabulary = 512,
                                  .rope_theta = 10000.0,
                                  .norm_eps = 1e-5};

static int run_layers(struct device *device, const int32_t *tokens, struct device_output *output,
                      struct error *error) {
  const struct device_ops *ops = device->ops;
  const struct device_sequence seq = {.n_new = TOKENS, .tokens = tokens};
  device_ticket before = 0, head = 0;
  int failed = ops->begin(device, &seq, 1, error);
  for (int layer = 0; layer < tiny.layers && !failed; layer++) {
    device_ticket ticket = 0, left = 0;
    failed = ops->forward_layer(device, layer, &seq, 1, &before, 1, &ticket, error);
    if (!failed) failed = ops->kv_out(device, layer, PAGES, ticket, &left, error);
    if (!failed) failed = ops->wait(device, left, TIMEOUT_S, NULL, error);
    before = ticket;
  }
  if (!failed) failed = ops->head(device, &seq, 1, &head, error);
  if (!failed) failed = ops->wait(device, head, TIMEOUT_S, NULL, error);
  return failed ? failed : ops->output(device, output, error);
}

/* The last token's state by the reference, into state[hidden]. */
static int reference_state(const int32_t *tokens, enum element kv_element, float *state,
                           struct error *error) {
  struct reference_model model;
  int failed = reference_model_open(&model, &tiny, tiny.layers, SEED, error);
  if (failed) return failed;
  model.kv_element = kv_element;
  const size_t d = (size_t)tiny.hidden, kv = (size_t)(tiny.kv_heads * tiny.head_dim);
  float *x = calloc(TOKENS * d, sizeof *x), *logits = calloc((size_t)tiny.vocabulary, sizeof *x);
  float *k = calloc(TOKENS * kv, sizeof *k), *v = calloc(TOKENS * kv, sizeof *v);
  if (!x || !logits || !k || !v) {
    failed = error_set(error, -ENOMEM, "no memory for the reference");
  } else {
    reference_embedding(TOKENS, tiny.hidden, tokens, model.embedding, x);
    for (int layer = 0; layer < tiny.layers && !failed; layer++)
      failed = reference_forward_layer(&model, layer, TOKENS, 0, x, k, v, error);
    reference_head(&model, x + (TOKENS - 1) * d, state, logits);
  }
  reference_model_close(&model);
  free(x);
  free(logits);
  free(k);
  free(v);
  return failed;
}

static int compare(const float *got, const float *wanted, double allowed, char *found, size_t bytes,
                   struct error *error) {
  double sum = 0, size = 0;
  for (int i = 0; i < tiny.hidden; i++) {
    sum += pow((double)got[i] - (double)wanted[i], 2);
    size += pow((double)wanted[i], 2);
  }
  const double off = sqrt(sum / size);
  snprintf(found, bytes, "off by %.4f, %.2f is allowed", off, allowed);
  if (off <= allowed) return 0; /* not-a-number is not */
  return error_set(error, -EBADMSG, "the last state is off by %.4f, %.2f is allowed", off, allowed);
}

int selftest_layer(const struct selftest *test, enum element element, enum device_graphs graphs,
                   char *found, size_t bytes, struct error *error) {
  const size_t page_bytes = 2 * (size_t)PAGE_TOKENS * (size_t)(tiny.kv_heads * tiny.head_dim) *
                            element_bytes(element);
  const struct device_config config = {.shape = tiny,
                                       .layers = tiny.layers,
                                       .tokens_max = TOKENS,
                                       .page_tokens = PAGE_TOKENS,
                                       .page_stride_bytes = (page_bytes + 4095) / 4096 * 4096,
                                       .chunk_tokens = 48,
                                       .element = element,
                                       .kv_element = element,
                                       .window = 1,
                                       .write_window = 1,
                                       .seed = SEED,
                                       .argument = test->index,
                                       .attention = test->attention,
                                       .graphs = graphs,
                                       .library_directory = test->directory};
  int32_t tokens[TOKENS];
  float wanted[256];
  char numbers[64] = "";
  for (int i = 0; i < TOKENS; i++) tokens[i] = (i * 37 + 11) % tiny.vocabulary;
  struct device *device = NULL;
  struct device_output output = {0};
  int failed = reference_state(tokens, element, wanted, error);
  if (!failed) failed = device_cuda_plugin_ops.open(&device, &config, error);
  if (failed) return failed;
  if (device->info.element != element) /* the device helps itself; this step is about FP8 */
    failed = error_set(error, -ENOTSUP, "%.150s", device->info.degraded[0]);
  device_cuda_plugin_ops.pin(device, true); /* no storage here */
  if (!failed) failed = run_layers(device, tokens, &output, error);
  if (!failed)
    failed = compare(output.hidden, wanted, element == ELEMENT_BF16 ? ALLOWED_BF16 : ALLOWED_FP8,
                     numbers, sizeof numbers, error);
  snprintf(found, bytes, "%s; attention: %.100s", numbers, device->info.attention);
  device->ops->close(device);
  return failed;
}
