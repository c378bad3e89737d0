/*
 * The cuda device on the virtual GPU against the float oracle and the CPU device: the same layers,
 * weights and tokens must give the same last state, in every format.
 *
 * Run with the virtual GPU's libraries before the loader's path (make vgpu does).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/device.h"
#include "kernels/reference/reference.h"

#define TOKENS_MAX 96
#define PAGE_TOKENS 16
#define TIMEOUT_S 60.0

static struct shape tiny(int head_dim) {
  struct shape shape = {.name = "tiny",
                        .layers = 2,
                        .hidden = 256,
                        .q_heads = 256 / head_dim,
                        .kv_heads = 128 / head_dim,
                        .head_dim = head_dim,
                        .ffn = 512,
                        .vocabulary = 512,
                        .rope_theta = 10000.0,
                        .norm_eps = 1e-5};
  return shape;
}

static struct device *open_device(const char *name, struct shape shape, enum element element,
                                  enum element kv_element) {
  const char *attention = strcmp(name, "cuda") == 0 ? getenv("ATTENTION") : NULL;
  size_t page = device_page_payload_bytes(&shape, PAGE_TOKENS, kv_element);
  struct device_config config = {.shape = shape,
                                 .layers = shape.layers,
                                 .tokens_max = TOKENS_MAX,
                                 .page_tokens = PAGE_TOKENS,
                                 .page_stride_bytes = (page + 4095) / 4096 * 4096,
                                 .chunk_tokens = 48,
                                 .element = element,
                                 .kv_element = kv_element,
                                 .window = 1,
                                 .write_window = 1,
                                 .seed = 3};
  if (attention && strcmp(attention, "cudnn") == 0) config.attention = DEVICE_ATTENTION_CUDNN;
  if (attention && strcmp(attention, "builtin") == 0) config.attention = DEVICE_ATTENTION_BUILTIN;
  struct device *device = NULL;
  struct error error = {0};
  int code = device_find(name)->open(&device, &config, &error);
  if (code == -ENOTSUP && strstr(error.message, "no NVIDIA driver"))
    cr_skip_test("SKIPPED: the virtual GPU is not on the loader's path: run by make vgpu");
  cr_assert_eq(code, 0, "%s: %s", name, error.message);
  if (device->ops->pin) device->ops->pin(device, true); /* no storage here */
  /* A device that helped itself would hide what it gave up. */
  cr_assert_eq(device->info.n_degraded, 0, "%s: %s", name, device->info.degraded[0]);
  cr_assert_eq(device->info.element, element);
  return device;
}

static void wait_for(struct device *device, device_ticket ticket) {
  struct error error = {0};
  cr_assert_eq(device->ops->wait(device, ticket, TIMEOUT_S, NULL, &error), 0, "%s", error.message);
}

/* New KV leaves from a thread of its own, as it does in the pipeline: one that the device has not
 * seen before. */
struct leave {
  struct device *device;
  int layer;
  int64_t n_pages;
  device_ticket after, left;
  int code;
  struct error error;
};

static void *leave(void *argument) {
  struct leave *l = argument;
  l->code = l->device->ops->kv_out(l->device, l->layer, l->n_pages, l->after, &l->left, &l->error);
  return NULL;
}

static device_ticket kv_out(struct device *device, int layer, int64_t n, device_ticket after) {
  struct leave l = {.device = device,
                    .layer = layer,
                    .n_pages = (n + PAGE_TOKENS - 1) / PAGE_TOKENS,
                    .after = after};
  pthread_t thread;
  cr_assert_eq(pthread_create(&thread, NULL, leave, &l), 0);
  pthread_join(thread, NULL);
  cr_assert_eq(l.code, 0, "%s", l.error.message);
  return l.left;
}

/* A whole prompt without a past; copies the last state. */
static int32_t run(struct device *device, const int32_t *tokens, int64_t n, int layers, int hidden,
                   float *state) {
  struct device_sequence seq = {.n_new = n, .tokens = tokens};
  struct error error = {0};
  device_ticket before = 0;
  cr_assert_eq(device->ops->begin(device, &seq, 1, &error), 0, "%s", error.message);
  for (int layer = 0; layer < layers; layer++) {
    device_ticket ticket = 0;
    int code = device->ops->forward_layer(device, layer, &seq, 1, &before, 1, &ticket, &error);
    cr_assert_eq(code, 0, "%s", error.message);
    wait_for(device, kv_out(device, layer, n, ticket));
    before = ticket;
  }
  device_ticket head = 0;
  cr_assert_eq(device->ops->head(device, &seq, 1, &head, &error), 0, "%s", error.message);
  wait_for(device, head);
  struct device_output output;
  cr_assert_eq(device->ops->output(device, &output, &error), 0, "%s", error.message);
  memcpy(state, output.hidden, (size_t)hidden * sizeof *state);
  return output.token;
}

/* Also gives the last layer's K and V: (n, kv_heads, D) each. */
static void oracle(struct shape shape, const int32_t *tokens, int64_t n, float *state, float *k,
                   float *v) {
  struct reference_model model;
  struct error error = {0};
  size_t row = (size_t)shape.hidden;
  float *x = malloc((size_t)n * row * sizeof *x), *logits = malloc(512 * sizeof *logits);
  cr_assert_eq(reference_model_open(&model, &shape, shape.layers, 3, &error), 0);
  reference_embedding(n, shape.hidden, tokens, model.embedding, x);
  for (int layer = 0; layer < shape.layers; layer++)
    cr_assert_eq(reference_forward_layer(&model, layer, n, 0, x, k, v, &error), 0);
  reference_head(&model, x + (size_t)(n - 1) * row, state, logits);
  reference_model_close(&model);
  free(x);
  free(logits);
}

/* Root of the summed squares of the difference, over that of what is wanted. */
static double difference(const float *got, const float *wanted, int n) {
  double sum = 0, size = 0;
  for (int i = 0; i < n; i++) {
    sum += pow((double)got[i] - (double)wanted[i], 2);
    size += pow((double)wanted[i], 2);
  }
  return sqrt(sum / size);
}

/* The last layer's leaving pages against K and V, token by token: the last state alone hardly shows
 * what an early token saw. */
static void check_pages(struct device *cuda, struct shape shape, int64_t n, const float *k,
                        const float *v, double allowed) {
  const size_t row = (size_t)(shape.kv_heads * shape.head_dim), half = PAGE_TOKENS * row;
  const size_t stride = (2 * half * sizeof(bf16) + 4095) / 4096 * 4096;
  const char *pages = cuda->ops->buffer(cuda, shape.layers - 1, DEVICE_LEAVING);
  for (size_t token = 0; token < (size_t)n; token++) {
    const bf16 *page = (const void *)(pages + token / PAGE_TOKENS * stride);
    const bf16 *from = page + token % PAGE_TOKENS * row;
    float got[2][128];
    for (size_t i = 0; i < row; i++) {
      got[0][i] = bf16_to_float(from[i]);
      got[1][i] = bf16_to_float(from[half + i]);
    }
    cr_assert_leq(difference(got[0], k + token * row, (int)row), allowed, "K of token %zu", token);
    cr_assert_leq(difference(got[1], v + token * row, (int)row), allowed, "V of token %zu", token);
  }
}

static void check(int head_dim, enum element element, enum element kv_element, double allowed) {
  static const int64_t lengths[] = {1, 65, 96};
  struct shape shape = tiny(head_dim);
  struct device *cuda = open_device("cuda", shape, element, kv_element);
  int32_t tokens[TOKENS_MAX];
  float k[TOKENS_MAX * 128], v[TOKENS_MAX * 128];
  for (int i = 0; i < TOKENS_MAX; i++) tokens[i] = (i * 37 + 11) % 512;
  for (size_t i = 0; i < 3; i++) {
    float got[256], wanted[256];
    run(cuda, tokens, lengths[i], shape.layers, shape.hidden, got);
    oracle(shape, tokens, lengths[i], wanted, k, v);
    double off = difference(got, wanted, shape.hidden);
    cr_expect(off <= allowed, "%lld tokens: off by %.4f, %.4f is allowed", (long long)lengths[i],
              off, allowed);
    if (kv_element == ELEMENT_BF16) check_pages(cuda, shape, lengths[i], k, v, allowed);
  }
  cuda->ops->close(cuda);
}

/* Each of about 14 roundings to bf16 adds 2^-9 to 2^-8 of deviation: 1% in sum. */
Test(devices, bf16_is_the_oracle) {
  check(64, ELEMENT_BF16, ELEMENT_BF16, 0.012);
}

Test(devices, bf16_with_wide_heads) {
  check(128, ELEMENT_BF16, ELEMENT_BF16, 0.012);
}

/* 3 bits of mantissa, on both sides of each GEMM: 2^-5 to 2^-4 each, averaged by the sum. */
Test(devices, fp8_is_near_the_oracle) {
  check(64, ELEMENT_FP8_E4M3, ELEMENT_BF16, 0.09);
}

Test(devices, fp8_kv_is_near_the_oracle) {
  check(64, ELEMENT_BF16, ELEMENT_FP8_E4M3, 0.05);
}

Test(devices, bf16_is_the_cpu_device) {
  struct shape shape = tiny(64);
  struct device *cuda = open_device("cuda", shape, ELEMENT_BF16, ELEMENT_BF16);
  struct device *cpu = open_device("cpu", shape, ELEMENT_BF16, ELEMENT_BF16);
  int32_t tokens[TOKENS_MAX];
  float got[256], wanted[256];
  for (int i = 0; i < TOKENS_MAX; i++) tokens[i] = (i * 53 + 5) % 512;
  int32_t token = run(cuda, tokens, 77, shape.layers, shape.hidden, got);
  cr_expect_eq(run(cpu, tokens, 77, shape.layers, shape.hidden, wanted), token);
  cr_expect_leq(difference(got, wanted, shape.hidden), 0.012);
  cuda->ops->close(cuda);
  cpu->ops->close(cpu);
}

/* The last page's rows past the prompt are zero, also where a longer prompt was before. */
Test(devices, padding_is_zero) {
  struct shape shape = tiny(64);
  struct device *cuda = open_device("cuda", shape, ELEMENT_BF16, ELEMENT_BF16);
  int32_t tokens[TOKENS_MAX];
  float state[256];
  for (int i = 0; i < TOKENS_MAX; i++) tokens[i] = i;
  run(cuda, tokens, 96, shape.layers, shape.hidden, state);
  run(cuda, tokens, 65, shape.layers, shape.hidden, state);
  size_t row = (size_t)(shape.kv_heads * shape.head_dim) * 2, half = PAGE_TOKENS * row;
  size_t stride = (2 * half + 4095) / 4096 * 4096;
  const unsigned char *page = cuda->ops->buffer(cuda, 1, DEVICE_LEAVING);
  page += 4 * stride;
  for (size_t i = row; i < half; i++)
    cr_assert(page[i] == 0 && page[half + i] == 0, "byte %zu of the padding", i);
  cr_assert(page[0] | page[1] | page[half], "the last token's row is there");
  cuda->ops->close(cuda);
}

/* ---- runs of several lengths ------------------------------------------------------------- */

enum { PAST_PAGES = 4, STRIDE_BYTES = 8192 }; /* a page of `tiny` is 8 KiB */

/* A run of n_new tokens after n_past, whose pages come from and go to `saved`: by layer, in the
 * order of the prompt. Copies the last state. */
static void reload(struct device *device, const struct shape *shape, const int32_t *tokens,
                   int64_t n_past, int64_t n_new, unsigned char (*saved)[PAST_PAGES * STRIDE_BYTES],
                   float *state) {
  struct device_sequence seq = {.n_past = n_past, .n_new = n_new, .tokens = tokens + n_past};
  struct error error = {0};
  const size_t past_bytes = (size_t)n_past / PAGE_TOKENS * STRIDE_BYTES;
  device_ticket head = 0;
  cr_assert_eq(device->ops->begin(device, &seq, 1, &error), 0, "%s", error.message);
  for (int layer = 0; layer < shape->layers; layer++) {
    device_ticket landed = 0, computed = 0;
    memcpy(device->ops->buffer(device, layer, DEVICE_LANDING), saved[layer], past_bytes);
    int code = device->ops->kv_in(device, layer, 0, n_past / PAGE_TOKENS, &landed, &error);
    if (!code)
      code = device->ops->forward_layer(device, layer, &seq, 1, &landed, 1, &computed, &error);
    cr_assert_eq(code, 0, "%s", error.message);
    wait_for(device, kv_out(device, layer, n_new, computed));
    if (n_past == 0 && n_new >= PAST_PAGES * PAGE_TOKENS)
      memcpy(saved[layer], device->ops->buffer(device, layer, DEVICE_LEAVING), sizeof *saved);
  }
  cr_assert_eq(device->ops->head(device, &seq, 1, &head, &error), 0, "%s", error.message);
  wait_for(device, head);
  struct device_output output;
  cr_assert_eq(device->ops->output(device, &output, &error), 0, "%s", error.message);
  memcpy(state, output.hidden, (size_t)shape->hidden * sizeof *state);
}

/* What a run leaves in the device (graphs, plans, KV, angles) is of no use to the next one where
 * only its past, or only its new part, is another. */
Test(devices, a_run_after_one_of_another_length_is_as_if_it_were_the_first) {
  static const struct {
    int64_t n_past, n_new;
    int wanted; /* which whole prompt it ends as */
  } runs[] = {{64, 21, 0}, {32, 21, 1}, {32, 53, 0}, {64, 21, 0}, {16, 37, 1}};
  static const int64_t whole[] = {85, 53};
  static unsigned char saved[2][PAST_PAGES * STRIDE_BYTES], unused[2][PAST_PAGES * STRIDE_BYTES];
  struct shape shape = tiny(64);
  struct device *cuda = open_device("cuda", shape, ELEMENT_BF16, ELEMENT_BF16);
  int32_t tokens[TOKENS_MAX];
  float wanted[2][256], got[256];
  for (int i = 0; i < TOKENS_MAX; i++) tokens[i] = (i * 29 + 7) % 512;
  reload(cuda, &shape, tokens, 0, whole[0], saved, wanted[0]);
  reload(cuda, &shape, tokens, 0, whole[1], unused, wanted[1]);
  cr_assert_gt(difference(wanted[0], wanted[1], shape.hidden), 0.1);
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    struct device_condition condition;
    reload(cuda, &shape, tokens, runs[i].n_past, runs[i].n_new, saved, got);
    cuda->ops->condition(cuda, &condition);
    cr_expect(condition.graphs, "layers of so small a model are launched as graphs");
    const double off = difference(got, wanted[runs[i].wanted], shape.hidden);
    cr_expect_leq(off, 0.012, "%lld after %lld tokens: off by %.4f", (long long)runs[i].n_new,
                  (long long)runs[i].n_past, off);
  }
  cuda->ops->close(cuda);
}

/* Spans are on the host's clock, within the error that the device states; a poll tells work that is
 * under way from work that is done; and nothing is known of the last run's tickets. */
Test(devices, tickets_tell_when) {
  cr_assert_eq(setenv("VGPU_SLOW_KERNELS_US", "20000", 1), 0);
  struct shape shape = tiny(64);
  struct device *cuda = open_device("cuda", shape, ELEMENT_BF16, ELEMENT_BF16);
  const int32_t tokens[1] = {5};
  struct device_sequence seq = {.n_new = 1, .tokens = tokens};
  struct error error = {0};
  struct device_condition condition;
  struct device_span span = {0};
  device_ticket ticket = 0;
  cr_assert_eq(cuda->ops->begin(cuda, &seq, 1, &error), 0, "%s", error.message);
  cuda->ops->condition(cuda, &condition);
  cr_expect_gt(condition.clock_error_s, 0);
  cr_expect_lt(condition.clock_error_s, 5 * 20e-3, "stated: %g, as long as the layer takes",
               condition.clock_error_s);
  const double before_s = clock_now_s();
  int code = cuda->ops->forward_layer(cuda, 0, &seq, 1, NULL, 0, &ticket, &error);
  cr_assert_eq(code, 0, "%s", error.message);
  cr_expect_eq(cuda->ops->wait(cuda, ticket, 0, NULL, &error), -EAGAIN);
  cr_assert_eq(cuda->ops->wait(cuda, ticket, TIMEOUT_S, &span, &error), 0, "%s", error.message);
  const double after_s = clock_now_s(), unsure_s = condition.clock_error_s + 1e-6;
  cr_expect_geq(span.start_s, before_s - unsure_s);
  cr_expect_leq(span.end_s, after_s + unsure_s);
  cr_expect_geq(span.end_s - span.start_s, 5 * 20e-3, "each kernel takes 20 ms");
  cr_expect_eq(cuda->ops->wait(cuda, ticket + 1, 0, NULL, NULL), -EINVAL, "none such");
  cr_assert_eq(cuda->ops->begin(cuda, &seq, 1, &error), 0, "%s", error.message);
  cr_expect_eq(cuda->ops->wait(cuda, ticket, 0, NULL, NULL), -EINVAL, "the last run's");
  for (int i = 0; i < 100; i++) { /* more than a run may have: none is left over from the last */
    cr_assert_eq(cuda->ops->begin(cuda, &seq, 1, &error), 0, "%s", error.message);
    wait_for(cuda, kv_out(cuda, 0, 1, 0));
  }
  cuda->ops->close(cuda);
}

/* A sweep comes back to each of its points in every round: what was chosen for a row count is kept,
 * so the heuristic is asked once for each of them, of 4 GEMMs. */
Test(devices, plans_of_a_whole_sweep_are_kept) {
  enum { SHAPES = 24 };
  char fails[96];
  struct shape shape = tiny(64);
  int32_t tokens[SHAPES] = {0};
  /* The longest prompt, for which a device opens, is of 48 rows and 48. */
  snprintf(fails, sizeof fails, "cublasLtMatmulAlgoGetHeuristic:%d+:1", 4 * (SHAPES + 1) + 1);
  cr_assert_eq(setenv("VGPU_FAIL", fails, 1), 0);
  struct device *cuda = open_device("cuda", shape, ELEMENT_BF16, ELEMENT_BF16);
  for (int round = 0; round < 2; round++)
    for (int n_new = 1; n_new <= SHAPES; n_new++) {
      struct device_sequence seq = {.n_new = n_new, .tokens = tokens};
      struct error error = {0};
      cr_assert_eq(cuda->ops->begin(cuda, &seq, 1, &error), 0, "round %d, %d tokens: %s", round,
                   n_new, error.message);
    }
  cuda->ops->close(cuda);
}
