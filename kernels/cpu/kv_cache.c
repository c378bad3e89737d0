/*
 * The KV cache of the cpu device: pages in place. Storage reads into them,
 * attention reads them where they landed, new KV is written into them and
 * leaves from them; nothing is copied. Layer l lives in slot l % kv_slots.
 *
 * An FP8 cache (--kv-dtype fp8) holds codes of E4M3 with scale 1, as the GPU's: keys after a norm
 * and values of synthetic weights are far from 448. Attention reads bf16, so one layer at a time is
 * decoded into `plain`, which is exact; new tokens are rounded to codes first and read back from
 * them, so that attention sees after a recompute what it sees after a reload.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "kernels/cpu/cpu_state.h"

#define POISON_STEP_BYTES 512
/* Four times -97 in bf16, eight times -2.5 in E4M3. */
static const uint64_t POISON = UINT64_C(0xc2c2c2c2c2c2c2c2);

int cpu_kv_open(struct cpu_device *cpu, struct error *error) {
  struct device_info *info = &cpu->device.info;
  const size_t slot_bytes = (size_t)cpu->pages_max * cpu->config.page_stride_bytes;
  const int status =
      memory_map(&cpu->kv, slot_bytes * (size_t)info->kv_slots, &cpu->placement, 1, error);
  if (status != 0) return error_prefix(error, "KV cache of %d layers", info->kv_slots);
  cpu->device.regions[0] =
      (struct device_region){.address = cpu->kv.address, .bytes = cpu->kv.bytes};
  cpu->device.n_regions = 1;
  for (int code = 0; code < 256; code++)
    cpu->worth[code] = bf16_from_float(e4m3_to_float((e4m3)code));
  const size_t plain_bytes = cpu_kv_plain_bytes(cpu);
  if (plain_bytes == 0) return 0;
  return memory_map(&cpu->plain, plain_bytes, &cpu->placement, 1, error);
}

static bool is_fp8(const struct cpu_device *cpu) {
  return cpu->config.kv_element == ELEMENT_FP8_E4M3;
}

/* Of a page in bf16, without what storage pads. */
static size_t plain_page_bytes(const struct cpu_device *cpu) {
  return device_page_payload_bytes(&cpu->config.shape, cpu->config.page_tokens, ELEMENT_BF16);
}

size_t cpu_kv_plain_bytes(const struct cpu_device *cpu) {
  return is_fp8(cpu) ? (size_t)cpu->pages_max * plain_page_bytes(cpu) : 0;
}

static char *page_address(const struct cpu_device *cpu, int layer, int64_t page) {
  assert(layer >= 0 && layer < cpu->config.layers);
  const int64_t slot = layer % cpu->device.info.kv_slots;
  return (char *)cpu->kv.address +
         (size_t)(slot * cpu->pages_max + page) * cpu->config.page_stride_bytes;
}

/* Page `page` of a layer as attention reads it. */
static char *view_address(const struct cpu_device *cpu, int layer, int64_t page) {
  if (!is_fp8(cpu)) return page_address(cpu, layer, page);
  return (char *)cpu->plain.address + (size_t)page * plain_page_bytes(cpu);
}

struct attention_view cpu_kv_view(const struct cpu_device *cpu, int layer) {
  const size_t stride_bytes = is_fp8(cpu) ? plain_page_bytes(cpu) : cpu->config.page_stride_bytes;
  return (struct attention_view){.pages = view_address(cpu, layer, 0),
                                 .page_stride_bytes = stride_bytes,
                                 .page_tokens = cpu->config.page_tokens,
                                 .row_elements = (int64_t)cpu->config.shape.kv_heads *
                                                 cpu->config.shape.head_dim};
}

void cpu_kv_load(struct cpu_device *cpu, int layer, int64_t n_past) {
  const int64_t elements = (int64_t)(cpu->page_payload_bytes); /* a code is a byte */
  if (!is_fp8(cpu)) return;
#pragma omp parallel for schedule(static)
  for (int64_t page = 0; page < n_past / cpu->config.page_tokens; page++) {
    const e4m3 *codes = (const e4m3 *)page_address(cpu, layer, page);
    bf16 *out = (bf16 *)(void *)view_address(cpu, layer, page);
    for (int64_t i = 0; i < elements; i++) out[i] = cpu->worth[codes[i]];
  }
}

/* Rounds a row to codes, and leaves in it what they are worth. */
static void quantise_row(const struct cpu_device *cpu, int64_t n, bf16 *row, e4m3 *codes) {
  for (int64_t i = 0; i < n; i++) {
    codes[i] = e4m3_from_float(bf16_to_float(row[i]));
    row[i] = cpu->worth[codes[i]];
  }
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
    const int64_t page = position / page_tokens, at = position % page_tokens * kv_dim;
    bf16 *k_row = (bf16 *)(void *)view_address(cpu, layer, page) + at;
    bf16 *v_row = k_row + page_tokens * kv_dim;
    for (int64_t h = 0; h < q_dim; h += dim) kernels->rope(half, cosines, sines, q + h, q + h);
    for (int64_t h = 0; h < kv_dim; h += dim) kernels->rope(half, cosines, sines, k + h, k_row + h);
    memcpy(v_row, v, (size_t)kv_dim * sizeof *v);
    if (!is_fp8(cpu)) continue;
    e4m3 *codes = (e4m3 *)page_address(cpu, layer, page) + at;
    quantise_row(cpu, kv_dim, k_row, codes);
    quantise_row(cpu, kv_dim, v_row, codes + page_tokens * kv_dim);
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
