/*
 * What device.h promises, asked of every device: the registered ones, and the
 * skeleton, which must be a good example. One small model, one storage-less
 * "pipeline": pages are copied by hand.
 *
 * Built again with CONTRACT_DEVICES for cuda alone, it runs on the virtual GPU (tests/vgpu).
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "kernels/device.h"
#include "kernels/device_skeleton.h"

enum {
  LAYERS = 3,
  PAGE_TOKENS = 16,
  TOKENS_MAX = 10 * PAGE_TOKENS,
  STRIDE_BYTES = 8192, /* twice a page's payload: padding exists */
  N_PAST = 4 * PAGE_TOKENS,
  N_NEW = 2 * PAGE_TOKENS + 5, /* the last page is partial */
  N_PAST_PAGES = 4,
  N_NEW_PAGES = 3,
  VOCABULARY = 512
};

#ifndef CONTRACT_DEVICES
#define CONTRACT_DEVICES                                                                           \
  {                                                                                                \
    {"playback", "zero"}, {"skeleton", ""}, {                                                      \
      "cpu", ""                                                                                    \
    }                                                                                              \
  }
#endif

struct candidate {
  char name[16], argument[16];
};

struct bench {
  const struct device_ops *ops;
  struct device *device;
  struct device_config config;
  size_t payload_bytes;
  int32_t tokens[TOKENS_MAX];
  struct error error;
};

static const struct device_ops *find(const char *name) {
  return strcmp(name, "skeleton") == 0 ? &device_skeleton_ops : device_find(name);
}

static void open_bench(struct bench *bench, const struct candidate *candidate) {
  *bench = (struct bench){.ops = find(candidate->name)};
  if (bench->ops == NULL) cr_skip_test("this build has no device %s", candidate->name);
  bench->config = (struct device_config){
      .shape = {.name = "tiny",
                .layers = LAYERS,
                .hidden = 256,
                .q_heads = 4,
                .kv_heads = 1,
                .head_dim = 64,
                .ffn = 512,
                .vocabulary = VOCABULARY,
                .rope_theta = 10000.0,
                .norm_eps = 1e-5},
      .layers = LAYERS,
      .tokens_max = TOKENS_MAX,
      .page_tokens = PAGE_TOKENS,
      .page_stride_bytes = STRIDE_BYTES,
      .element = ELEMENT_BF16,
      .kv_element = ELEMENT_BF16,
      .window = 2,
      .write_window = 2,
      .seed = 7,
      .argument = candidate->argument[0] != '\0' ? candidate->argument : NULL,
  };
  bench->payload_bytes = device_page_payload_bytes(&bench->config.shape, PAGE_TOKENS, ELEMENT_BF16);
  for (int i = 0; i < TOKENS_MAX; i++) bench->tokens[i] = (i * 37 + 11) % VOCABULARY;
  int code = bench->ops->open(&bench->device, &bench->config, &bench->error);
  if (code == -ENOTSUP) cr_skip_test("%s: %s", candidate->name, bench->error.message);
  cr_assert_eq(code, 0, "open %s: %s", candidate->name, bench->error.message);
  if (bench->ops->pin) bench->ops->pin(bench->device, true); /* no storage here */
}

static void close_bench(struct bench *bench) {
  bench->ops->close(bench->device);
}

static void good(struct bench *bench, int code, const char *what) {
  cr_assert_eq(code, 0, "%s %s: %d, %s", bench->ops->name, what, code, bench->error.message);
}

static struct device_sequence sequence(struct bench *bench, int64_t n_past, int64_t n_new) {
  return (struct device_sequence){n_past, n_new, bench->tokens + n_past};
}

static void wait_for(struct bench *bench, device_ticket ticket) {
  good(bench, bench->ops->wait(bench->device, ticket, 30.0, NULL, &bench->error), "wait");
}

static unsigned char *page(struct bench *bench, int layer, enum device_side side, int64_t index) {
  unsigned char *first = bench->ops->buffer(bench->device, layer, side);
  cr_assert_not_null(first);
  return first + (size_t)index * STRIDE_BYTES;
}

/* Computes a layer and brings its new pages to the leaving buffer. */
static void run_layer(struct bench *bench, int layer, const struct device_sequence *seq,
                      device_ticket landed) {
  device_ticket computed = 0, left = 0;
  good(
      bench,
      bench->ops->forward_layer(bench->device, layer, seq, 1, &landed, 1, &computed, &bench->error),
      "forward_layer");
  int64_t n_pages = (seq->n_new + PAGE_TOKENS - 1) / PAGE_TOKENS;
  good(bench, bench->ops->kv_out(bench->device, layer, n_pages, computed, &left, &bench->error),
       "kv_out");
  wait_for(bench, computed);
  wait_for(bench, left);
}

/* A run without storage: what lies in the landing buffers is taken as it is. */
static void run_all(struct bench *bench, const struct device_sequence *seq,
                    struct device_output *output) {
  device_ticket ticket = 0;
  good(bench, bench->ops->begin(bench->device, seq, 1, &bench->error), "begin");
  for (int layer = 0; layer < LAYERS; layer++) run_layer(bench, layer, seq, 0);
  good(bench, bench->ops->head(bench->device, seq, 1, &ticket, &bench->error), "head");
  wait_for(bench, ticket);
  good(bench, bench->ops->output(bench->device, output, &bench->error), "output");
}

static uint32_t cache_crc(struct bench *bench, int layer, int64_t index) {
  uint32_t crc = 0;
  good(bench, bench->ops->kv_crc(bench->device, layer, index, 1, &crc, &bench->error), "kv_crc");
  return crc;
}

static bool all_zero(const unsigned char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

#define CONTRACT(test)                                                                             \
  ParameterizedTestParameters(device_contract, test) {                                             \
    static struct candidate candidates[] = CONTRACT_DEVICES;                                       \
    return cr_make_param_array(struct candidate, candidates,                                       \
                               sizeof candidates / sizeof candidates[0]);                          \
  }                                                                                                \
  ParameterizedTest(struct candidate *candidate, device_contract, test)

CONTRACT(says_what_was_obtained) {
  struct bench bench;
  open_bench(&bench, candidate);
  const struct device_info *info = &bench.device->info;
  cr_expect_str_eq(bench.device->ops->name, bench.ops->name);
  cr_expect_gt(strlen(info->description), 0);
  cr_expect_gt(strlen(info->gemm), 0);
  cr_expect_gt(strlen(info->attention), 0);
  cr_expect_geq(info->kv_slots, 1);
  cr_expect_leq(info->kv_slots, LAYERS);
  cr_expect_eq(info->kv_resident, info->kv_slots == LAYERS);
  cr_expect_geq(info->weight_sets, 1);
  cr_expect_geq(info->chunk_tokens, 1);
  cr_expect_gt(info->memory_bytes, 0);
  cr_expect_eq(info->played_back, strcmp(bench.ops->name, "playback") == 0);
  close_bench(&bench);
}

CONTRACT(close_takes_null) {
  const struct device_ops *ops = find(candidate->name);
  if (ops == NULL) cr_skip_test("this build has no device %s", candidate->name);
  ops->close(NULL);
}

/* One that storage registers for that side. */
static bool in_a_region(const struct device *device, enum device_region_use not_for,
                        const unsigned char *from, size_t bytes) {
  for (int i = 0; i < device->n_regions; i++) {
    const unsigned char *begin = device->regions[i].address;
    if (device->regions[i].use == not_for) continue;
    if (from >= begin && from + bytes <= begin + device->regions[i].bytes) return true;
  }
  return false;
}

CONTRACT(buffers_lie_in_aligned_regions) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_sequence seq = sequence(&bench, N_PAST, N_NEW);
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  cr_assert_geq(bench.device->n_regions, 1);
  cr_assert_leq(bench.device->n_regions, DEVICE_REGIONS_MAX);
  for (int i = 0; i < bench.device->n_regions; i++) {
    cr_expect_eq((uintptr_t)bench.device->regions[i].address % 4096, 0, "region %d", i);
  }
  for (int layer = 0; layer < LAYERS; layer++) {
    const unsigned char *landing = page(&bench, layer, DEVICE_LANDING, 0);
    const unsigned char *leaving = page(&bench, layer, DEVICE_LEAVING, 0);
    cr_expect_eq((uintptr_t)landing % 4096, 0);
    cr_expect_eq((uintptr_t)leaving % 4096, 0);
    cr_expect(
        in_a_region(bench.device, DEVICE_REGION_LEAVING, landing, N_PAST_PAGES * STRIDE_BYTES));
    cr_expect(
        in_a_region(bench.device, DEVICE_REGION_LANDING, leaving, N_NEW_PAGES * STRIDE_BYTES));
    cr_expect(leaving >= landing + N_PAST_PAGES * STRIDE_BYTES ||
                  leaving + N_NEW_PAGES * STRIDE_BYTES <= landing,
              "layer %d: new pages overlap the past", layer);
  }
  close_bench(&bench);
}

CONTRACT(landing_of_layers_within_the_window_does_not_overlap) {
  struct bench bench;
  open_bench(&bench, candidate);
  for (int layer = 0; layer + 1 < LAYERS; layer++) {
    const unsigned char *a = page(&bench, layer, DEVICE_LANDING, 0);
    const unsigned char *b = page(&bench, layer + 1, DEVICE_LANDING, 0);
    size_t bytes = N_PAST_PAGES * STRIDE_BYTES;
    cr_expect(a + bytes <= b || b + bytes <= a, "layers %d and %d", layer, layer + 1);
  }
  close_bench(&bench);
}

CONTRACT(refuses_what_it_cannot_run) {
  struct bench bench;
  open_bench(&bench, candidate);
  const struct device_sequence bad[] = {
      {.n_past = 1, .n_new = 1, .tokens = bench.tokens}, /* not whole pages */
      {.n_past = 0, .n_new = 0, .tokens = bench.tokens}, /* nothing to compute */
      {.n_past = -PAGE_TOKENS, .n_new = 1, .tokens = bench.tokens},
      {.n_past = TOKENS_MAX, .n_new = 1, .tokens = bench.tokens}, /* too long */
      {.n_past = 0, .n_new = TOKENS_MAX + 1, .tokens = bench.tokens},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    error_clear(&bench.error);
    int code = bench.ops->begin(bench.device, &bad[i], 1, &bench.error);
    cr_expect_lt(code, 0, "%s took bad sequence %zu", bench.ops->name, i);
    cr_expect_gt(strlen(bench.error.message), 0);
  }
  close_bench(&bench);
}

CONTRACT(tickets_are_of_one_run) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_sequence seq = sequence(&bench, 0, N_NEW);
  device_ticket ticket = 0;
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  cr_expect_eq(bench.ops->wait(bench.device, 0, 0.0, NULL, NULL), 0, "0 is complete");
  cr_expect_eq(bench.ops->wait(bench.device, 1000000, 0.0, NULL, NULL), -EINVAL);
  cr_expect_eq(bench.ops->wait(bench.device, UINT64_MAX, 0.0, NULL, NULL), -EINVAL);
  double before_s = clock_now_s();
  good(&bench, bench.ops->forward_layer(bench.device, 0, &seq, 1, NULL, 0, &ticket, &bench.error),
       "forward_layer");
  cr_assert_neq(ticket, 0, "compute takes time: it has a ticket");
  cr_expect_eq(bench.ops->wait(bench.device, ticket + 1, 0.0, NULL, NULL), -EINVAL);
  struct device_span span = {0};
  good(&bench, bench.ops->wait(bench.device, ticket, 30.0, &span, &bench.error), "wait");
  cr_expect_geq(span.start_s, before_s - 1e-3);
  cr_expect_leq(span.start_s, span.end_s);
  cr_expect_leq(span.end_s, clock_now_s() + 1e-3);
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  cr_expect_eq(bench.ops->wait(bench.device, ticket, 0.0, NULL, NULL), -EINVAL,
               "begin() forgets earlier tickets");
  close_bench(&bench);
}

CONTRACT(kv_crc_continues_over_what_landed) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_sequence seq = sequence(&bench, N_PAST, N_NEW);
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  for (int layer = 0; layer < LAYERS; layer++) {
    uint32_t wanted[N_PAST_PAGES], crcs[N_PAST_PAGES];
    for (int i = 0; i < N_PAST_PAGES; i++) {
      unsigned char *at = page(&bench, layer, DEVICE_LANDING, i);
      for (size_t k = 0; k < bench.payload_bytes; k++) {
        at[k] = (unsigned char)((k * 7 + (size_t)(layer * 31 + i * 13)) % 61); /* finite */
      }
      memset(at + bench.payload_bytes, 0, STRIDE_BYTES - bench.payload_bytes);
      crcs[i] = (uint32_t)(layer * 1000 + i); /* continued, not started over */
      wanted[i] = crc32c(crcs[i], at, bench.payload_bytes);
    }
    device_ticket landed = 0;
    good(&bench, bench.ops->kv_in(bench.device, layer, 0, N_PAST_PAGES, &landed, &bench.error),
         "kv_in");
    run_layer(&bench, layer, &seq, landed);
    good(&bench, bench.ops->kv_crc(bench.device, layer, 0, N_PAST_PAGES, crcs, &bench.error),
         "kv_crc");
    for (int i = 0; i < N_PAST_PAGES; i++) {
      cr_expect_eq(crcs[i], wanted[i], "layer %d, page %d", layer, i);
    }
  }
  close_bench(&bench);
}

CONTRACT(begin_spoils_every_512_bytes_of_the_past) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_sequence seq = sequence(&bench, N_PAST, N_NEW);
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  for (int layer = 0; layer < bench.device->info.kv_slots; layer++) {
    for (int i = 0; i < N_PAST_PAGES; i++) {
      memset(page(&bench, layer, DEVICE_LANDING, i), 0x11, bench.payload_bytes);
    }
  }
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  static unsigned char untouched[512];
  memset(untouched, 0x11, sizeof untouched);
  for (int layer = 0; layer < bench.device->info.kv_slots; layer++) {
    for (int i = 0; i < N_PAST_PAGES; i++) {
      const unsigned char *at = page(&bench, layer, DEVICE_LANDING, i);
      for (size_t k = 0; k + 512 <= bench.payload_bytes; k += 512) {
        cr_assert_neq(memcmp(at + k, untouched, 512), 0, "layer %d, page %d, byte %zu", layer, i,
                      k);
      }
    }
  }
  close_bench(&bench);
}

CONTRACT(new_pages_leave_as_they_stand_in_the_cache) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_sequence seq = sequence(&bench, 0, N_NEW);
  good(&bench, bench.ops->begin(bench.device, &seq, 1, &bench.error), "begin");
  size_t row_bytes = bench.payload_bytes / 2 / PAGE_TOKENS;
  int64_t used = N_NEW % PAGE_TOKENS;
  for (int layer = 0; layer < LAYERS; layer++) {
    run_layer(&bench, layer, &seq, 0);
    for (int i = 0; i < N_NEW_PAGES; i++) {
      const unsigned char *at = page(&bench, layer, DEVICE_LEAVING, i);
      cr_expect_eq(cache_crc(&bench, layer, i), crc32c(0, at, bench.payload_bytes),
                   "layer %d, page %d", layer, i);
      cr_expect(all_zero(at + bench.payload_bytes, STRIDE_BYTES - bench.payload_bytes),
                "padding of layer %d, page %d", layer, i);
      cr_expect_not(all_zero(at, row_bytes), "first K row of layer %d, page %d", layer, i);
    }
    const unsigned char *k = page(&bench, layer, DEVICE_LEAVING, N_NEW_PAGES - 1);
    const unsigned char *v = k + bench.payload_bytes / 2;
    size_t used_bytes = (size_t)used * row_bytes;
    cr_expect_not(all_zero(v + used_bytes - row_bytes, row_bytes), "last V row used");
    cr_expect(all_zero(k + used_bytes, (PAGE_TOKENS - (size_t)used) * row_bytes), "K rows unused");
    cr_expect(all_zero(v + used_bytes, (PAGE_TOKENS - (size_t)used) * row_bytes), "V rows unused");
  }
  close_bench(&bench);
}

CONTRACT(equal_runs_give_equal_kv_and_token) {
  struct bench bench;
  open_bench(&bench, candidate);
  struct device_output first = {0}, second = {0};
  uint32_t crcs[LAYERS][N_NEW_PAGES];
  struct device_sequence seq = sequence(&bench, 0, N_NEW);
  struct device_sequence longer = sequence(&bench, 0, TOKENS_MAX);
  run_all(&bench, &seq, &first);
  bool resident = bench.device->info.kv_resident;
  for (int layer = 0; resident && layer < LAYERS; layer++) {
    for (int i = 0; i < N_NEW_PAGES; i++) crcs[layer][i] = cache_crc(&bench, layer, i);
    if (layer > 0) cr_expect_neq(crcs[layer][0], crcs[layer - 1][0], "layers look alike");
  }
  run_all(&bench, &longer, &second); /* leaves other KV behind */
  run_all(&bench, &seq, &second);
  cr_expect_eq(first.token, second.token);
  cr_expect_geq(first.token, 0);
  cr_expect_lt(first.token, VOCABULARY);
  for (int layer = 0; resident && layer < LAYERS; layer++) {
    for (int i = 0; i < N_NEW_PAGES; i++) {
      cr_expect_eq(cache_crc(&bench, layer, i), crcs[layer][i], "layer %d, page %d", layer, i);
    }
  }
  close_bench(&bench);
}

CONTRACT(refuses_layers_and_pages_that_are_not_there) {
  struct bench bench;
  open_bench(&bench, candidate);
  uint32_t crc = 0;
  cr_expect_lt(bench.ops->kv_crc(bench.device, LAYERS, 0, 1, &crc, NULL), 0);
  cr_expect_lt(bench.ops->kv_crc(bench.device, 0, TOKENS_MAX / PAGE_TOKENS, 1, &crc, NULL), 0);
  cr_expect_lt(bench.ops->kv_crc(bench.device, 0, -1, 1, &crc, NULL), 0);
  close_bench(&bench);
}
