/*
 * What fits in memory: decided once at open, from what the kernel says can be
 * had, less a reserve for the rest of the program and the page cache.
 *
 * First comes what a run cannot do without, then a KV cache for every layer
 * (so that it can be verified and decoded from), then weight sets: with fewer sets than
 * layers, layers share weights in turn, which changes no time as long as a set is
 * larger than the caches.
 */
#include <errno.h>

#include "base/units.h"
#include "kernels/cpu/cpu_state.h"

#define RESERVE_MIN_BYTES ((size_t)256 << 20)

static size_t at_least(size_t value, size_t least) {
  return value > least ? value : least;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Each part of a map begins on a fresh page. */
static size_t part(int64_t elements, size_t element_size) {
  return memory_round_up((size_t)elements * element_size, 4096);
}

size_t cpu_set_bytes(const struct cpu_device *cpu) {
  size_t bytes = 2 * part(cpu->config.shape.hidden, sizeof(float));
  for (int i = 0; i < LINEARS; i++)
    bytes += memory_round_up(gemm_packed_bytes(cpu->linears[i]), 4096);
  return bytes;
}

size_t cpu_buffers_bytes(const struct cpu_device *cpu) {
  const struct shape *shape = &cpu->config.shape;
  const int64_t m = cpu->chunk_rows, tokens = cpu->config.tokens_max, half = shape->head_dim / 2;
  const int64_t q_dim = (int64_t)shape->q_heads * shape->head_dim;
  const int64_t qkv_dim = q_dim + 2 * (int64_t)shape->kv_heads * shape->head_dim;
  return part(tokens * shape->hidden, sizeof(bf16)) + part(m * shape->hidden, sizeof(bf16)) +
         part(m * larger(qkv_dim, 2 * (int64_t)shape->ffn), sizeof(bf16)) +
         part(m * larger(q_dim, shape->ffn), sizeof(bf16)) +
         2 * part(tokens * half, sizeof(float)) + 2 * part(shape->hidden, sizeof(float));
}

size_t cpu_tables_bytes(const struct cpu_device *cpu) {
  const struct shape *shape = &cpu->config.shape;
  return (shape->tied ? 1 : 2) * part((int64_t)shape->vocabulary * shape->hidden, sizeof(bf16));
}

/* The largest matrix, unpacked, while weights are made. */
static size_t staging_bytes(const struct cpu_device *cpu) {
  const struct shape *shape = &cpu->config.shape;
  size_t most = 0;
  for (int tensor = WEIGHT_QKV; tensor <= WEIGHT_DOWN; tensor++) {
    const struct weight_stream w = weight_stream(shape, 0, 0, (enum weight_tensor)tensor);
    most = at_least(most, (size_t)(w.rows * w.columns) * sizeof(bf16));
  }
  return most;
}

static int too_large(const struct cpu_device *cpu, size_t needed, size_t usable, int sets,
                     int slots, struct error *error) {
  char needed_text[UNITS_TEXT_BYTES], usable_text[UNITS_TEXT_BYTES], set_text[UNITS_TEXT_BYTES];
  char kv_text[UNITS_TEXT_BYTES];
  const double kv_bytes = (double)slots * (double)cpu->pages_max *
                          (double)cpu->config.page_stride_bytes;
  return error_set(
      error, -ENOMEM,
      "%s needs at least %s of memory and %s can be had: %s for each of %d weight sets, %s for the "
      "KV cache of %d layers of %lld tokens; use fewer --tokens, --weight-sets 1 or a smaller "
      "--model",
      cpu->config.shape.name, units_format_bytes(needed_text, (double)needed),
      units_format_bytes(usable_text, (double)usable),
      units_format_bytes(set_text, (double)cpu_set_bytes(cpu)), sets,
      units_format_bytes(kv_text, kv_bytes), slots, (long long)cpu->config.tokens_max);
}

static size_t usable_bytes(void) {
  const size_t available = memory_available_bytes();
  if (available == 0) return (size_t)-1 / 2; /* the kernel does not say: the maps will tell */
  const size_t reserve = at_least(available / 8, RESERVE_MIN_BYTES);
  return available > reserve ? available - reserve : 0;
}

int cpu_budget(struct cpu_device *cpu, struct error *error) {
  const struct device_config *config = &cpu->config;
  struct device_info *info = &cpu->device.info;
  const int asked = config->weight_sets < config->layers ? config->weight_sets : config->layers;
  const int sets_least = asked > 0 ? asked : 1;
  const size_t usable = usable_bytes(), set_bytes = cpu_set_bytes(cpu);
  const size_t slot_bytes = (size_t)cpu->pages_max * config->page_stride_bytes;
  const size_t fixed = cpu_buffers_bytes(cpu) + cpu_tables_bytes(cpu) + staging_bytes(cpu) +
                       cpu_kv_plain_bytes(cpu) + (size_t)sets_least * set_bytes;
  const size_t for_kv = usable > fixed ? usable - fixed : 0;
  info->kv_slots = device_kv_slots(config, for_kv);
  info->kv_resident = info->kv_slots == config->layers;
  const size_t kv_bytes = (size_t)info->kv_slots * slot_bytes;
  if (kv_bytes > for_kv)
    return too_large(cpu, fixed + kv_bytes, usable, sets_least, info->kv_slots, error);
  info->weight_sets = sets_least;
  if (asked <= 0) {
    const size_t more = (for_kv - kv_bytes) / set_bytes;
    const size_t wanted = (size_t)(config->layers - sets_least);
    info->weight_sets += (int)(more < wanted ? more : wanted);
  }
  return 0;
}
