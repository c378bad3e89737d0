/*
 * The KV cache of the cpu device: pages in place. Storage reads into them,
 * attention reads them where they landed, new KV is written into them and
 * leaves from them; nothing is copied. Layer l lives in slot l % kv_slots.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "kernels/cpu/cpu_state.h"

#define POISON_STEP_BYTES 512
static const uint64_t POISON = UINT64_C(0xc2c2c2c2c2c2c2c2); /* four times -97 in bf16 */

int cpu_kv_open(struct cpu_device *cpu, struct error *error) {
  struct device_info *info = &cpu->device.info;
  const size_t slot_bytes = (size_t)cpu->pages_max * cpu->config.page_stride_bytes;
  const int status =
      memory_map(&cpu->kv, slot_bytes * (size_t)info->kv_slots, &cpu->placement, 1, error);
  if (status != 0) return error_prefix(error, "KV cache of %d layers", info->kv_slots);
  cpu->device.regions[0] = (struct device_region){cpu->kv.address, cpu->kv.bytes};
  cpu->device.n_regions = 1;
  return 0;
}

static char *page_address(const struct cpu_device *cpu, int layer, int64_t page) {
  assert(layer >= 0 && layer < cpu->config.layers);
  const int64_t slot = layer % cpu->device.info.kv_slots;
  return (char *)cpu->kv.address +
         (size_t)(slot * cpu->pages_max + page) * cpu->config.page_stride_bytes;
}

struct attention_view cpu_kv_view(const struct cpu_device *cpu, int layer) {
  return (struct attention_view){.pages = page_address(cpu, layer, 0),
                                 .page_stride_bytes = cpu->config.page_stride_bytes,
                                 .page_tokens = cpu->config.page_tokens,
                                 .row_elements = (int64_t)cpu->config.shape.kv_heads *
                                                 cpu->config.shape.head_dim};
}

void cpu_kv_store(struct cpu_device *cpu, int layer, int64_t first, int64_t n_tokens, bf16 *qkv) {
  const struct shape *shape = &cpu->config.shape;
  const int64_t dim = shape->head_dim, half = dim / 2, page_tokens = cpu->config.page_tokens;
  const int64_t q_dim = shape->q_heads * dim, kv_dim = shape->kv_heads * dim;
  const struct pointwise *kernels = cpu->pointwise;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_tokens; i++) {
    const int64_t position = first + i;
    const float *cosines = cpu->activations.cosines + position * half;
    const float *sines = cpu->activations.sines + position * half;
    bf16 *q = qkv + i * (q_dim + 2 * kv_dim);
    const bf16 *k = q + q_dim, *v = k + kv_dim;
    bf16 *k_row = (bf16 *)page_address(cpu, layer, position / page_tokens) +
                  position % page_tokens * kv_dim;
    for (int64_t h = 0; h < q_dim; h += dim) kernels->rope(half, cosines, sines, q + h, q + h);
    for (int64_t h = 0; h < kv_dim; h += dim) kernels->rope(half, cosines, sines, k + h, k_row + h);
    memcpy(k_row + page_tokens * kv_dim, v, (size_t)kv_dim * sizeof *v);
  }
}

void cpu_kv_poison(struct cpu_device *cpu, int64_t n_past) {
  const int64_t pages = n_past / cpu->config.page_tokens;
  const int64_t total = pages * cpu->device.info.kv_slots;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < total; i++) {
    char *page = (char *)cpu->kv.address +
                 (size_t)(i / pages * cpu->pages_max + i % pages) * cpu->config.page_stride_bytes;
    for (size_t at = 0; at < cpu->page_payload_bytes; at += POISON_STEP_BYTES) {
      const size_t left = cpu->page_payload_bytes - at;
      memcpy(page + at, &POISON, left < sizeof POISON ? left : sizeof POISON);
    }
  }
}

void *cpu_buffer(struct device *device, int layer, enum device_side side) {
  const struct cpu_device *cpu = cpu_device_of(device);
  const int64_t new_page = cpu->sequence.n_past / cpu->config.page_tokens;
  return page_address(cpu, layer, side == DEVICE_LANDING ? 0 : new_page);
}

static int check_pages(const struct cpu_device *cpu, int layer, int64_t first, int64_t n,
                       struct error *error) {
  if (layer < 0 || layer >= cpu->config.layers)
    return error_set(error, -EINVAL, "layer %d is not in [0, %d)", layer, cpu->config.layers);
  if (first < 0 || n < 0 || first + n > cpu->pages_max)
    return error_set(error, -EINVAL, "pages [%lld, %lld) are not in [0, %lld)", (long long)first,
                     (long long)(first + n), (long long)cpu->pages_max);
  return 0;
}

int cpu_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
              device_ticket *ticket, struct error *error) {
  *ticket = 0; /* pages landed in the KV cache itself */
  return check_pages(cpu_device_of(device), layer, first_page, n_pages, error);
}

int cpu_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
               device_ticket *ticket, struct error *error) {
  struct cpu_device *cpu = cpu_device_of(device);
  const int64_t page_tokens = cpu->config.page_tokens;
  const int64_t first_page = cpu->sequence.n_past / page_tokens;
  *ticket = 0; /* pages leave from the KV cache itself */
  int status = check_pages(cpu, layer, first_page, n_pages, error);
  if (status == 0 && after != 0) status = tickets_find(&cpu->tickets, after, NULL, error);
  if (status != 0) return status;
  const int64_t end = cpu->sequence.n_past + cpu->sequence.n_new, used = end % page_tokens;
  if (used == 0 || n_pages == 0) return 0;
  const size_t row_bytes = cpu->page_payload_bytes / (size_t)(2 * page_tokens);
  char *last = page_address(cpu, layer, end / page_tokens);
  for (int part = 0; part < 2; part++) /* K, then V */
    memset(last + (size_t)(part * page_tokens + used) * row_bytes, 0,
           (size_t)(page_tokens - used) * row_bytes);
  return 0;
}

int cpu_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
               uint32_t *crcs, struct error *error) {
  const struct cpu_device *cpu = cpu_device_of(device);
  const int status = check_pages(cpu, layer, first_page, n_pages, error);
  if (status != 0) return status;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_pages; i++)
    crcs[i] = crc32c(crcs[i], page_address(cpu, layer, first_page + i), cpu->page_payload_bytes);
  return 0;
}
