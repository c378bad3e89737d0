/*
 * The shape and configuration that tests of the CPU device begin with.
 */
#ifndef REFILL_TESTS_DEVICE_FIXTURE_H
#define REFILL_TESTS_DEVICE_FIXTURE_H

#include "base/memory.h"
#include "kernels/device.h"

/* `layers` of the shape for prompts up to tokens_max, in bf16, pages of 16 tokens aligned for
 * storage, windows of two layers. */
static inline struct device_config device_fixture(const struct shape *shape, int layers,
                                                  int64_t tokens_max, enum element kv_element) {
  struct device_config config = {.shape = *shape,
                                 .layers = layers,
                                 .tokens_max = tokens_max,
                                 .page_tokens = 16,
                                 .element = ELEMENT_BF16,
                                 .kv_element = kv_element,
                                 .window = 2,
                                 .write_window = 2};
  config.page_stride_bytes = memory_round_up(
      device_page_payload_bytes(shape, config.page_tokens, config.kv_element), 4096);
  return config;
}

#endif
