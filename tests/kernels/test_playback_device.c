/* The playback device: its KV is right where it is, its time is the profile's, and it says what it
 * is. What it shares with all devices is in test_device_contract.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "kernels/playback/device_playback.h"
#include "kernels/playback/profile.h"

enum {
  LAYERS = 6,
  PAGE_TOKENS = 16,
  PAGES = 8,
  TOKENS_MAX = PAGES * PAGE_TOKENS,
  STRIDE_BYTES = 8192
};

static const struct device_ops *const ops = &device_playback_ops;
static int32_t tokens[4096];

static struct device_config tiny_config(void) {
  return (struct device_config){
      .shape = {.name = "tiny",
                .layers = LAYERS,
                .hidden = 256,
                .q_heads = 8,
                .kv_heads = 2,
                .head_dim = 32,
                .ffn = 512,
                .vocabulary = 512,
                .rope_theta = 1e4,
                .norm_eps = 1e-5},
      .layers = LAYERS,
      .tokens_max = TOKENS_MAX,
      .page_tokens = PAGE_TOKENS,
      .page_stride_bytes = STRIDE_BYTES,
      .window = 2,
      .write_window = 1,
      .seed = 3,
      .argument = "zero",
  };
}

/* A cache of every layer, or (resident false) of the windows only. */
static struct device *open_tiny(const struct device_config *config, bool resident) {
  struct device *device = NULL;
  struct error error = {0};
  size_t layer_bytes = (size_t)PAGES * STRIDE_BYTES;
  size_t available_bytes = (resident ? 100 : 4) * layer_bytes;
  int code = device_playback_open_within(&device, config, available_bytes, &error);
  cr_assert_eq(code, 0, "%s", error.message);
  cr_assert_eq(device->info.kv_resident, resident);
  cr_assert_eq(device->info.kv_slots, resident ? LAYERS : 3);
  return device;
}

static void begin(struct device *device, int64_t n_past, int64_t n_new) {
  struct device_sequence seq = {n_past, n_new, tokens};
  struct error error = {0};
  cr_assert_eq(ops->begin(device, &seq, 1, &error), 0, "%s", error.message);
}

static void forward(struct device *device, int layer, int64_t n_past, int64_t n_new) {
  struct device_sequence seq = {n_past, n_new, tokens};
  device_ticket ticket;
  cr_assert_eq(ops->forward_layer(device, layer, &seq, 1, NULL, 0, &ticket, NULL), 0);
}

static uint32_t page_crc(struct device *device, int layer, int64_t page) {
  uint32_t crc = 0;
  cr_assert_eq(ops->kv_crc(device, layer, page, 1, &crc, NULL), 0);
  return crc;
}

/* CRCs of every page of a prompt of n_tokens, computed from nothing. */
static void crcs_of_prompt(int64_t n_tokens, uint32_t crcs[LAYERS][PAGES]) {
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, true);
  begin(device, 0, n_tokens);
  int64_t pages = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
  for (int layer = 0; layer < LAYERS; layer++) {
    forward(device, layer, 0, n_tokens);
    for (int64_t page = 0; page < pages; page++) {
      crcs[layer][page] = page_crc(device, layer, page);
    }
  }
  ops->close(device);
}

Test(playback_device, every_page_and_word_differs) {
  uint32_t crcs[LAYERS][PAGES];
  crcs_of_prompt(TOKENS_MAX, crcs);
  for (int a = 0; a < LAYERS * PAGES; a++) {
    for (int b = 0; b < a; b++) {
      cr_expect_neq(crcs[a / PAGES][a % PAGES], crcs[b / PAGES][b % PAGES], "%d and %d", a, b);
    }
  }
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, true);
  const uint64_t *words = ops->buffer(device, 0, DEVICE_LANDING);
  for (int i = 1; i < 512; i++) cr_expect_neq(words[i], words[i - 1], "word %d", i);
  ops->close(device);
}

/* Whatever ran before, new pages hold their content, in either kind of cache. */
static void expect_content_after_any_run(bool resident) {
  static const struct {
    int64_t n_past, n_new;
  } runs[] = {
      {0, TOKENS_MAX}, {96, 32}, {16, 70}, {0, 86}, {112, 3}, {32, 96}, {0, 1}, {0, TOKENS_MAX},
  };
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, resident);
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    int64_t n_past = runs[i].n_past, n_new = runs[i].n_new;
    uint32_t wanted[LAYERS][PAGES];
    crcs_of_prompt(n_past + n_new, wanted);
    begin(device, n_past, n_new);
    for (int layer = 0; layer < LAYERS; layer++) {
      forward(device, layer, n_past, n_new);
      int64_t end = (n_past + n_new + PAGE_TOKENS - 1) / PAGE_TOKENS;
      for (int64_t page = n_past / PAGE_TOKENS; page < end; page++) {
        cr_expect_eq(page_crc(device, layer, page), wanted[layer][page],
                     "run %zu, layer %d, page %d", i, layer, (int)page);
      }
      for (int64_t page = 0; page < n_past / PAGE_TOKENS; page++) {
        cr_expect_neq(page_crc(device, layer, page), wanted[layer][page],
                      "run %zu: the past of layer %d was never delivered", i, layer);
      }
    }
  }
  ops->close(device);
}

Test(playback_device, resident_content_survives_any_order_of_runs) {
  expect_content_after_any_run(true);
}

Test(playback_device, slots_are_refilled_when_layers_share_them) {
  expect_content_after_any_run(false);
}

Test(playback_device, padding_of_new_pages_is_zero_whatever_landed_there) {
  for (int resident = 0; resident < 2; resident++) {
    struct device_config config = tiny_config();
    struct device *device = open_tiny(&config, resident == 1);
    begin(device, 4 * PAGE_TOKENS, 1);
    for (int layer = 0; layer < device->info.kv_slots; layer++) {
      memset(ops->buffer(device, layer, DEVICE_LANDING), 0x55, 4 * STRIDE_BYTES);
    }
    begin(device, 0, 4 * PAGE_TOKENS);
    for (int layer = 0; layer < LAYERS; layer++) {
      forward(device, layer, 0, 4 * PAGE_TOKENS);
      const unsigned char *at = ops->buffer(device, layer, DEVICE_LEAVING);
      for (int i = 0; i < 4 * STRIDE_BYTES; i++) {
        if (i % STRIDE_BYTES >= 4096) cr_assert_eq(at[i], 0, "layer %d, byte %d", layer, i);
      }
    }
    ops->close(device);
  }
}

Test(playback_device, delivered_pages_are_the_prompts_pages) {
  uint32_t wanted[LAYERS][PAGES];
  crcs_of_prompt(TOKENS_MAX, wanted);
  struct device_config config = tiny_config();
  struct device *source = open_tiny(&config, true), *device = open_tiny(&config, true);
  begin(source, 0, TOKENS_MAX);
  begin(device, 4 * PAGE_TOKENS, 4 * PAGE_TOKENS);
  for (int layer = 0; layer < LAYERS; layer++) {
    memcpy(ops->buffer(device, layer, DEVICE_LANDING), ops->buffer(source, layer, DEVICE_LEAVING),
           4 * STRIDE_BYTES);
    forward(device, layer, 4 * PAGE_TOKENS, 4 * PAGE_TOKENS);
  }
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int page = 0; page < PAGES; page++) {
      cr_expect_eq(page_crc(device, layer, page), wanted[layer][page]);
    }
  }
  ops->close(source);
  ops->close(device);
}

Test(playback_device, many_pages_crc_like_one) {
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, true);
  begin(device, 0, TOKENS_MAX);
  uint32_t crcs[PAGES] = {0, 1, 2, 3, 4, 5, 6, 7};
  cr_assert_eq(ops->kv_crc(device, 2, 0, PAGES, crcs, NULL), 0);
  const unsigned char *at = ops->buffer(device, 2, DEVICE_LANDING);
  for (uint32_t page = 0; page < PAGES; page++) {
    cr_expect_eq(crcs[page], crc32c(page, at + page * STRIDE_BYTES, 4096), "page %u", page);
  }
  cr_expect_eq(ops->kv_crc(device, 2, 0, 0, crcs, NULL), 0, "no pages are fine");
  ops->close(device);
}

Test(playback_device, says_that_it_is_played_back) {
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, true);
  cr_expect(device->info.played_back);
  cr_expect_not(device->info.staged);
  cr_expect_eq(device->info.threads, 0);
  cr_expect_not_null(strstr(device->info.description, "playback of zero"));
  ops->close(device);

  config.shape = *shape_preset("llama-3-70b");
  config.page_stride_bytes = 65536;
  config.argument = "h100-sxm-llama-3-70b";
  cr_assert_eq(ops->open(&device, &config, NULL), 0);
  cr_expect_str_eq(device->info.description,
                   "playback of h100-sxm-llama-3-70b (derived figures of NVIDIA H100 80GB HBM3 "
                   "(SXM), not measured here)");
  ops->close(device);
}

Test(playback_device, refuses_what_does_not_fit) {
  const struct {
    const char *argument;
    enum element element, kv_element;
    size_t available_bytes;
    int code;
    const char *named;
  } cases[] = {
      {NULL, ELEMENT_BF16, ELEMENT_BF16, 1 << 30, -EINVAL, "needs a profile"},
      {"", ELEMENT_BF16, ELEMENT_BF16, 1 << 30, -EINVAL, "needs a profile"},
      {"nosuch", ELEMENT_BF16, ELEMENT_BF16, 1 << 30, -ENOENT, "\"nosuch\""},
      {"h100-sxm-llama-3-70b", ELEMENT_BF16, ELEMENT_BF16, 1 << 30, -EINVAL, "has layers 80"},
      {"zero", ELEMENT_BF16, ELEMENT_BF16, 100000, -ENOMEM, "up to 48 tokens fit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct device_config config = tiny_config();
    struct device *device = (struct device *)&config;
    struct error error = {0};
    config.argument = cases[i].argument;
    config.element = cases[i].element;
    config.kv_element = cases[i].kv_element;
    int code = device_playback_open_within(&device, &config, cases[i].available_bytes, &error);
    cr_expect_eq(code, cases[i].code, "case %zu: %d", i, code);
    cr_expect_null(device);
    cr_expect_not_null(strstr(error.message, cases[i].named), "case %zu: %s", i, error.message);
  }
  struct device_config config = tiny_config();
  struct device *device = NULL;
  config.page_stride_bytes = 2048; /* less than a page */
  cr_expect_eq(ops->open(&device, &config, NULL), -EINVAL);
}

Test(playback_device, fp8_halves_the_pages) {
  struct device_config config = tiny_config();
  config.kv_element = ELEMENT_FP8_E4M3;
  struct device *device = open_tiny(&config, true);
  begin(device, 0, TOKENS_MAX);
  uint32_t crc = page_crc(device, 1, 1);
  const unsigned char *at = ops->buffer(device, 1, DEVICE_LANDING);
  cr_expect_eq(crc, crc32c(0, at + STRIDE_BYTES, 2048));
  for (int i = 2048; i < STRIDE_BYTES; i++) cr_assert_eq(at[i], 0, "padding at %d", i);
  ops->close(device);
}

Test(playback_device, token_follows_seed_and_last_token) {
  struct device_output outputs[3] = {{0}};
  for (int i = 0; i < 3; i++) {
    struct device_config config = tiny_config();
    config.seed = i == 2 ? 4 : 3;
    tokens[0] = i == 1 ? 9 : 8;
    struct device *device = open_tiny(&config, true);
    struct device_sequence seq = {0, 1, tokens};
    device_ticket ticket;
    begin(device, 0, 1);
    cr_expect_eq(ops->output(device, &outputs[i], NULL), -EINVAL, "before head()");
    cr_assert_eq(ops->head(device, &seq, 1, &ticket, NULL), 0);
    cr_assert_eq(ops->output(device, &outputs[i], NULL), 0);
    cr_expect_null(outputs[i].hidden);
    ops->close(device);
  }
  cr_expect_neq(outputs[0].token, outputs[1].token);
  cr_expect_neq(outputs[0].token, outputs[2].token);
}

Test(playback_device, refuses_layers_after_tickets_never_enqueued) {
  struct device_config config = tiny_config();
  struct device *device = open_tiny(&config, true);
  struct device_sequence seq = {0, 1, tokens};
  begin(device, 0, 1);
  device_ticket never = 12345, ticket;
  cr_expect_eq(ops->forward_layer(device, 0, &seq, 1, &never, 1, &ticket, NULL), -EINVAL);
  cr_expect_eq(ops->kv_out(device, 0, 1, never, &ticket, NULL), -EINVAL);
  cr_expect_eq(ops->forward_layer(device, LAYERS, &seq, 1, NULL, 0, &ticket, NULL), -EINVAL);
  cr_expect_eq(ops->kv_in(device, 0, PAGES, 1, &ticket, NULL), -EINVAL);
  ops->close(device);
}

Test(playback_device, spans_are_the_profiles_times) {
  struct profile *profile = NULL;
  cr_assert_eq(profile_load(&profile, "h100-sxm-llama-3-70b", NULL), 0);
  struct device_config config = tiny_config();
  config.shape = *shape_preset("llama-3-70b");
  config.layers = 4;
  config.tokens_max = 3072;
  config.page_tokens = 256;
  config.page_stride_bytes = 1 << 20;
  config.argument = "h100-sxm-llama-3-70b";
  struct device *device = NULL;
  struct error error = {0};
  cr_assert_eq(ops->open(&device, &config, &error), 0, "%s", error.message);
  struct device_sequence seq = {2048, 1024, tokens};
  cr_assert_eq(ops->begin(device, &seq, 1, &error), 0);
  double wanted_s = profile_layer_s(profile, 1024, 2048);
  for (int layer = 0; layer < 5; layer++) { /* the fifth is the head */
    device_ticket ticket;
    struct device_span span;
    int code = layer < 4 ? ops->forward_layer(device, layer, &seq, 1, NULL, 0, &ticket, &error)
                         : ops->head(device, &seq, 1, &ticket, &error);
    cr_assert_eq(code, 0, "%s", error.message);
    cr_assert_eq(ops->wait(device, ticket, 0.0, &span, NULL), 0);
    double this_s = layer == 4 ? profile_head_s(profile)
                               : wanted_s + (layer == 0 ? profile_embedding_s(profile, 1024) : 0);
    cr_expect_float_eq(span.end_s - span.start_s, this_s, 1e-7, "layer %d", layer);
    cr_expect_geq(clock_now_s(), span.end_s);
  }
  ops->close(device);
  profile_free(profile);
}

Test(playback_device, probes_give_the_profiles_peaks) {
  struct device_config config = tiny_config();
  struct device_rate rate;
  struct device *device = open_tiny(&config, true);
  cr_expect_eq(ops->probe(device, PROBE_PEAK, 1, 0, &rate, NULL), -ENOTSUP);
  ops->close(device);
  config.shape = *shape_preset("llama-3-70b");
  config.page_stride_bytes = 65536;
  config.argument = "h100-sxm-llama-3-70b";
  cr_assert_eq(ops->open(&device, &config, NULL), 0);
  cr_assert_eq(ops->probe(device, PROBE_PEAK, 1, 0, &rate, NULL), 0);
  cr_expect_float_eq(rate.flops / rate.seconds, 989e12, 1e9);
  cr_assert_eq(ops->probe(device, PROBE_MEMORY_COPY, 1, 0, &rate, NULL), 0);
  cr_expect_float_eq(rate.bytes / rate.seconds, 3.35e12, 1e6);
  cr_expect_eq(ops->probe(device, PROBE_H2D, 1, 0, &rate, NULL), -ENOTSUP);
  cr_expect_eq(ops->probe(device, PROBE_LAYER_GEMMS, 1, 0, &rate, NULL), -ENOTSUP);
  ops->close(device);
}
