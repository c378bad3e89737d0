/* The table of devices and the decisions about KV memory that devices share. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernels/device.h"

Test(device, is_found_by_its_name) {
  const struct device_ops *playback = device_find("playback");
  cr_assert_not_null(playback);
  cr_assert_str_eq(playback->name, "playback");
  cr_assert_null(device_find("playbac"));
  cr_assert_null(device_find("skeleton"), "the skeleton is to be copied, not run");
  cr_assert_null(device_find(""));
  cr_assert_null(device_find(NULL));
}

Test(device, table_is_dense_and_complete) {
  cr_assert_null(device_at(-1));
  int n = 0;
  for (const struct device_ops *ops; (ops = device_at(n)) != NULL; n++) {
    cr_assert_eq(device_find(ops->name), ops, "%s is found as another", ops->name);
    cr_assert(ops->open && ops->close && ops->begin && ops->buffer && ops->kv_in &&
                  ops->forward_layer && ops->kv_out && ops->head && ops->wait && ops->kv_crc &&
                  ops->output,
              "%s lacks a required member", ops->name);
  }
  cr_assert_geq(n, 1);
  cr_assert_null(device_at(n + 1));
}

Test(device, page_payload_is_k_and_v_rows) {
  const struct shape *shape = shape_preset("llama-3-70b");
  cr_assert_not_null(shape);
  /* 2 (K, V) * 256 tokens * 8 heads * 128 * 2 bytes */
  cr_assert_eq(device_page_payload_bytes(shape, 256, ELEMENT_BF16), 1048576);
  cr_assert_eq(device_page_payload_bytes(shape, 256, ELEMENT_FP8_E4M3), 524288);
  cr_assert_eq(device_page_payload_bytes(shape, 1, ELEMENT_BF16) * (size_t)shape->layers, 327680);
}

static struct device_config slots_config(int layers, int window, int write_window) {
  return (struct device_config){.layers = layers,
                                .tokens_max = 1000, /* 8 pages, the last one partial */
                                .page_tokens = 128,
                                .page_stride_bytes = 4096,
                                .window = window,
                                .write_window = write_window};
}

Test(device, kv_slots_are_all_layers_or_the_windows) {
  const size_t layer_bytes = 8 * 4096;
  const struct {
    int layers, window, write_window;
    size_t available_bytes;
    int slots;
  } cases[] = {
      {80, 2, 2, 80 * layer_bytes * 8 / 7 + 8, 80}, /* all fit, an eighth stays free */
      {80, 2, 2, 80 * layer_bytes, 4},              /* they would, without the reserve */
      {80, 2, 2, 0, 4},
      {80, 5, 3, 0, 8},
      {3, 2, 2, 0, 3}, /* never more than there are layers */
      {4, 2, 2, 0, 4},
      {1, 1, 1, 0, 1},
      {80, 2147483647, 2147483647, 0, 80}, /* the sum does not overflow */
      {80, 2, 2, SIZE_MAX, 80},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct device_config config =
        slots_config(cases[i].layers, cases[i].window, cases[i].write_window);
    int slots = device_kv_slots(&config, cases[i].available_bytes);
    cr_expect_eq(slots, cases[i].slots, "case %zu: %d slots, not %d", i, slots, cases[i].slots);
  }
}

/* The pipeline's two bounds, played through: whenever a page of layer l arrives, or compute writes
 * into layer l's slot, the slot's former layer is done with. And one slot fewer is too few. */
static bool slots_are_safe(int layers, int window, int write_window, int slots) {
  bool safe = true;
  for (int layer = slots; layer < layers; layer++) {
    int former = layer - slots;
    int computed = layer - window; /* at least these are done when layer's read starts */
    int written = computed >= 0 ? computed - write_window : -1;
    int written_at_compute = layer - write_window;
    safe = safe && former <= computed && former <= written && former <= written_at_compute;
  }
  return safe;
}

Test(device, kv_slots_are_as_few_as_the_pipeline_allows) {
  for (int window = 1; window <= 5; window++) {
    for (int write_window = 1; write_window <= 5; write_window++) {
      struct device_config config = slots_config(40, window, write_window);
      int slots = device_kv_slots(&config, 0);
      cr_expect(slots_are_safe(40, window, write_window, slots), "%d + %d", window, write_window);
      cr_expect_not(slots_are_safe(40, window, write_window, slots - 1), "%d + %d", window,
                    write_window);
    }
  }
}
