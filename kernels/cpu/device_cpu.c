/*
 * Opens and closes the cpu device; what its files do is listed in cpu_state.h.
 */
#include "kernels/cpu/device_cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu_state.h"

#define CHUNK_TOKENS_DEFAULT                                                                       \
  512 /* GEMMs are near their best from here on; activations stay small */

static int check_config(const struct device_config *config, struct error *error) {
  if (config->element != ELEMENT_BF16)
    return error_set(error, -ENOTSUP,
                     "the cpu device computes in bf16, not in fp8: use --dtype bf16 (--kv-dtype "
                     "fp8 is possible)");
  int failed = device_check_choices(config, "cpu", error);
  if (failed) return failed;
  const char *problem = shape_problem(&config->shape);
  if (problem) return error_set(error, -EINVAL, "model %s: %s", config->shape.name, problem);
  if (config->layers < 1 || config->layers > config->shape.layers)
    return error_set(error, -EINVAL, "%d layers of a model that has %d", config->layers,
                     config->shape.layers);
  if (config->tokens_max < 1 || config->page_tokens < 1 || config->chunk_tokens < 0)
    return error_set(error, -EINVAL,
                     "tokens_max %lld, page_tokens %lld or chunk_tokens %lld is "
                     "out of range",
                     (long long)config->tokens_max, (long long)config->page_tokens,
                     (long long)config->chunk_tokens);
  const size_t payload =
      device_page_payload_bytes(&config->shape, config->page_tokens, config->kv_element);
  if (config->page_stride_bytes < payload)
    return error_set(error, -EINVAL, "a page stride of %zu bytes is under the page's %zu",
                     config->page_stride_bytes, payload);
  if (config->window < 1 || config->write_window < 1)
    return error_set(error, -EINVAL, "windows of %d and %d layers: each must be at least 1",
                     config->window, config->write_window);
  return 0;
}

static int count_cpus(const struct placement *placement) {
  int count = 0;
  for (int i = 0; i < PLACEMENT_CPU_WORDS; i++) count += __builtin_popcountll(placement->cpus[i]);
  return count;
}

/* Decides the number of compute threads, and binds them all (this one is among them). */
static int threads_open(struct cpu_device *cpu, struct error *error) {
  const int cpus = count_cpus(&cpu->placement);
  int threads = omp_get_max_threads(), status = 0;
  cpu->threads_before = threads;
  if (cpus > 0 && cpus < threads) threads = cpus;
  omp_set_num_threads(threads);
  cpu->device.info.threads = threads;
  if (cpus == 0) return 0;
#pragma omp parallel reduction(min : status)
  status = placement_bind_thread(&cpu->placement);
  if (status == 0) return 0;
  return error_set(error, status, "binding %d compute threads to their CPUs: %s", threads,
                   strerror(-status));
}

/* Takes `bytes` from a map, each part on a fresh page. */
static void *take(char **at, int64_t elements, size_t element_size) {
  void *part = *at;
  *at += memory_round_up((size_t)elements * element_size, 4096);
  return part;
}

static int activations_open(struct cpu_device *cpu, struct error *error) {
  const struct shape *shape = &cpu->config.shape;
  const int64_t m = cpu->chunk_rows, tokens = cpu->config.tokens_max, half = shape->head_dim / 2;
  const int64_t q_dim = (int64_t)shape->q_heads * shape->head_dim;
  const int64_t qkv_dim = q_dim + 2 * (int64_t)shape->kv_heads * shape->head_dim;
  const int64_t gate_up = 2 * (int64_t)shape->ffn;
  struct activations *a = &cpu->activations;
  const int status = memory_map(&cpu->buffers, cpu_buffers_bytes(cpu), &cpu->placement, 1, error);
  if (status != 0) return error_prefix(error, "activations");
  char *at = cpu->buffers.address;
  a->hidden = take(&at, tokens * shape->hidden, sizeof(bf16));
  a->normed = take(&at, m * shape->hidden, sizeof(bf16));
  a->qkv = a->gate_up = take(&at, m * (qkv_dim > gate_up ? qkv_dim : gate_up), sizeof(bf16));
  a->heads = a->act = take(&at, m * (q_dim > shape->ffn ? q_dim : shape->ffn), sizeof(bf16));
  a->cosines = take(&at, tokens * half, sizeof(float));
  a->sines = take(&at, tokens * half, sizeof(float));
  a->last = take(&at, shape->hidden, sizeof(float));
  a->norm_final = take(&at, shape->hidden, sizeof(float));
  pointwise_rope_tables(tokens, half, shape->rope_theta, a->cosines, a->sines);
  return 0;
}

static int attention_part_open(struct cpu_device *cpu, struct error *error) {
  const struct shape *shape = &cpu->config.shape;
  const struct attention_shape heads = {shape->q_heads, shape->kv_heads, shape->head_dim};
  return attention_open(&cpu->attention, heads, cpu->chunk_rows, cpu->isa, cpu->device.info.threads,
                        &cpu->placement, error);
}

/* The CPU's name as it gives it, spaces at the ends cut off. */
static void cpu_brand(char text[49]) {
  unsigned words[12] = {0};
  for (unsigned i = 0; i < 3; i++)
    (void)__get_cpuid(0x80000002U + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                      &words[4 * i + 3]);
  char raw[49] = {0};
  memcpy(raw, words, sizeof words);
  const char *begin = raw + strspn(raw, " ");
  (void)snprintf(text, 49, "%s", begin);
  for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) text[n - 1] = '\0';
}

static void describe(struct cpu_device *cpu) {
  struct device_info *info = &cpu->device.info;
  char brand[49], gemm[DEVICE_TEXT_BYTES];
  cpu_brand(brand);
  gemm_describe(cpu->linears[LINEAR_QKV], gemm, sizeof gemm);
  (void)snprintf(info->description, sizeof info->description, "%.48s, %d threads",
                 brand[0] ? brand : "x86-64", info->threads);
  (void)snprintf(info->gemm, sizeof info->gemm, "%s", gemm);
  (void)snprintf(info->attention, sizeof info->attention, "%s%s", cpu->attention.kernels->name,
                 cpu->plain.bytes ? ", KV decoded from FP8" : "");
  info->element = cpu->config.element;
  info->memory_bytes = cpu->weights.bytes + cpu->tables.bytes + cpu->buffers.bytes + cpu->kv.bytes +
                       cpu->plain.bytes + cpu->attention.scratch.bytes;
}

/* oneDNN's first execution makes buffers for each thread: not in a timed region. */
static int warm_up(struct cpu_device *cpu, struct error *error) {
  const struct activations *a = &cpu->activations;
  return gemm_run(cpu->linears[LINEAR_OUT], cpu->sets[0].packed[LINEAR_OUT], cpu->chunk_rows,
                  a->heads, a->hidden, error);
}

/* The steps of open(), in the order of what they need. */
static int open_steps(struct cpu_device *cpu, struct error *error) {
  int status = threads_open(cpu, error);
  if (status == 0) status = gemm_open(&cpu->gemm, &cpu->placement, error);
  if (status == 0) status = cpu_linears_open(cpu, error);
  if (status == 0) status = cpu_budget(cpu, error);
  if (status == 0) status = tickets_open(&cpu->tickets, cpu->config.layers, error);
  if (status == 0) status = activations_open(cpu, error);
  if (status == 0) status = attention_part_open(cpu, error);
  if (status == 0) status = cpu_kv_open(cpu, error);
  if (status == 0) status = cpu_weights_open(cpu, error);
  if (status == 0) status = warm_up(cpu, error);
  return status;
}

static void cpu_close(struct device *device) {
  if (!device) return;
  struct cpu_device *cpu = cpu_device_of(device);
  cpu_weights_close(cpu);
  gemm_close(cpu->gemm);
  attention_close(&cpu->attention);
  tickets_close(&cpu->tickets);
  memory_unmap(&cpu->buffers);
  memory_unmap(&cpu->kv);
  memory_unmap(&cpu->plain);
  if (cpu->threads_before > 0) omp_set_num_threads(cpu->threads_before);
  free(cpu);
}

int device_cpu_open_isa(struct device **device, const struct device_config *config, enum isa isa,
                        struct error *error) {
  *device = NULL;
  int status = check_config(config, error);
  if (status != 0) return status;
  struct cpu_device *cpu = calloc(1, sizeof *cpu);
  if (!cpu) return error_set(error, -ENOMEM, "no memory for the cpu device");
  const int64_t chunk = config->chunk_tokens > 0 ? config->chunk_tokens : CHUNK_TOKENS_DEFAULT;
  cpu->config = *config;
  cpu->placement = config->placement ? *config->placement : PLACEMENT_ANY;
  cpu->config.placement = NULL; /* the caller's may go; ours is a copy */
  cpu->config.argument = NULL;
  cpu->isa = isa;
  cpu->pointwise = pointwise_for(isa);
  cpu->chunk_rows = chunk < config->tokens_max ? chunk : config->tokens_max;
  cpu->pages_max = pages_of(config->tokens_max, config->page_tokens);
  cpu->page_payload_bytes =
      device_page_payload_bytes(&config->shape, config->page_tokens, config->kv_element);
  cpu->device.ops = &device_cpu_ops;
  cpu->device.info.chunk_tokens = chunk;
  status = open_steps(cpu, error);
  if (status != 0) {
    cpu_close(&cpu->device);
    return status;
  }
  describe(cpu);
  *device = &cpu->device;
  return 0;
}

static int cpu_open(struct device **device, const struct device_config *config,
                    struct error *error) {
  *device = NULL;
  if (config->argument && config->argument[0])
    return error_set(error, -EINVAL, "the cpu device takes no argument, not \"%s\"",
                     config->argument);
  return device_cpu_open_isa(device, config, isa_best(), error);
}

const struct device_ops device_cpu_ops = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .begin = cpu_begin,
    .buffer = cpu_buffer,
    .kv_in = cpu_kv_in,
    .forward_layer = cpu_forward_layer,
    .kv_out = cpu_kv_out,
    .head = cpu_head,
    .wait = cpu_wait,
    .kv_crc = cpu_kv_crc,
    .output = cpu_output,
    .probe = cpu_probe,
};
