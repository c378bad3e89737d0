/*
 * Rates of single parts on the cpu device, for calibration and for judging the
 * layer: its GEMMs alone, its attention alone, the machine's peak, its memory.
 * Each is run once to warm up, then several times; the median counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "kernels/cpu/cpu_state.h"

#define PROBE_RUNS 5
#define COPY_BYTES ((size_t)256 << 20)

/* What is timed. */
struct probe {
  struct cpu_device *cpu;
  int64_t n_new, n_past;
  struct gemm_linear *square;
  struct gemm_packed *square_weights;
  int64_t square_n;
  bf16 *from, *to; /* operands of the square, or both ends of the copy */
};

typedef int probe_step(const struct probe *probe, struct error *error);

static int compare_seconds(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int median_seconds(probe_step *step, const struct probe *probe, double *seconds,
                          struct error *error) {
  double times_s[PROBE_RUNS];
  int status = step(probe, error);
  for (int i = 0; i < PROBE_RUNS && status == 0; i++) {
    const double start_s = clock_now_s();
    status = step(probe, error);
    times_s[i] = clock_now_s() - start_s;
  }
  if (status != 0) return status;
  qsort(times_s, PROBE_RUNS, sizeof times_s[0], compare_seconds);
  *seconds = times_s[PROBE_RUNS / 2];
  return 0;
}

/* The four GEMMs over the chunks that a layer would cut, nothing else. */
static int layer_gemms(const struct probe *probe, struct error *error) {
  struct cpu_device *cpu = probe->cpu;
  const struct activations *a = &cpu->activations;
  const int64_t end = probe->n_past + probe->n_new;
  const struct {
    const bf16 *x;
    bf16 *y;
  } operands[LINEARS] = {[LINEAR_QKV] = {a->normed, a->qkv},
                         [LINEAR_OUT] = {a->heads, a->hidden},
                         [LINEAR_GATE_UP] = {a->normed, a->gate_up},
                         [LINEAR_DOWN] = {a->act, a->hidden}};
  int status = 0;
  for (int64_t from = probe->n_past, to; from < end; from = to) {
    to = cpu_chunk_end(cpu, from, end);
    for (int i = 0; i < LINEARS && status == 0; i++)
      status = gemm_run(cpu->linears[i], cpu->sets[0].packed[i], to - from, operands[i].x,
                        operands[i].y, error);
  }
  return status;
}

static int layer_attention(const struct probe *probe, struct error *error) {
  (void)error;
  struct cpu_device *cpu = probe->cpu;
  const struct shape *shape = &cpu->config.shape;
  const struct attention_view view = cpu_kv_view(cpu, 0);
  const int64_t end = probe->n_past + probe->n_new;
  for (int64_t from = probe->n_past, to; from < end; from = to) {
    to = cpu_chunk_end(cpu, from, end);
    attention_run(&cpu->attention, &view, from, to - from, cpu->activations.qkv,
                  (int64_t)(shape->q_heads + 2 * shape->kv_heads) * shape->head_dim,
                  cpu->activations.heads);
  }
  return 0;
}

static int square_gemm(const struct probe *probe, struct error *error) {
  return gemm_run(probe->square, probe->square_weights, probe->square_n, probe->from, probe->to,
                  error);
}

static int copy_memory(const struct probe *probe, struct error *error) {
  (void)error;
  const size_t step = (size_t)1 << 20;
#pragma omp parallel for schedule(static)
  for (size_t at = 0; at < COPY_BYTES; at += step)
    memcpy((char *)probe->to + at, (const char *)probe->from + at, step);
  return 0;
}

/* Values like a layer's: uniform in [-sqrt(3), sqrt(3)), variance 1. */
static void fill_values(bf16 *out, int64_t count, uint64_t stream) {
  const struct weight_stream values = {.stream = prng_stream(0, stream), .scale = 1.7320508F};
  const int64_t step = 65536;
#pragma omp parallel for schedule(static)
  for (int64_t at = 0; at < count; at += step)
    weights_fill(&values, at, count - at < step ? count - at : step, out + at);
}

/* Buffers hold whatever the last run left: a probe of arithmetic wants finite values, as a NaN or a
 * denormal may take its own time. */
static void fill_activations(struct cpu_device *cpu) {
  const struct shape *shape = &cpu->config.shape;
  const struct activations *a = &cpu->activations;
  const int64_t m = cpu->chunk_rows, q_dim = (int64_t)shape->q_heads * shape->head_dim;
  const int64_t qkv_dim = q_dim + 2 * (int64_t)shape->kv_heads * shape->head_dim;
  fill_values(a->hidden, m * shape->hidden, 0);
  fill_values(a->normed, m * shape->hidden, 1);
  fill_values(a->qkv, m * qkv_dim, 2);
  fill_values(a->heads, m * (q_dim > shape->ffn ? q_dim : shape->ffn), 3);
}

static int probe_layer_gemms(struct probe *probe, struct device_rate *rate, struct error *error) {
  const struct shape *shape = &probe->cpu->config.shape;
  int status = cpu_prepare(probe->cpu, probe->n_past, probe->n_new, error);
  if (status != 0) return status;
  fill_activations(probe->cpu);
  rate->flops = shape_linear_flops_per_token(shape) / shape->layers * (double)probe->n_new;
  return median_seconds(layer_gemms, probe, &rate->seconds, error);
}

static int probe_attention(struct probe *probe, struct device_rate *rate, struct error *error) {
  struct cpu_device *cpu = probe->cpu;
  const struct shape *shape = &cpu->config.shape;
  fill_activations(cpu);
  fill_values(cpu->kv.address,
              (int64_t)((size_t)cpu->pages_max * cpu->config.page_stride_bytes / 2), 4);
  rate->flops = shape_attention_flops(shape, (double)probe->n_past, (double)probe->n_new) /
                shape->layers;
  return median_seconds(layer_attention, probe, &rate->seconds, error);
}

static int square_rate(struct probe *probe, int64_t n, struct device_rate *rate,
                       struct error *error) {
  struct memory memory = {0};
  const size_t matrix_bytes = memory_round_up((size_t)(n * n) * sizeof(bf16), 4096);
  struct gemm *gemm = probe->cpu->gemm;
  int status = gemm_linear_open(gemm, &probe->square, n, n, n, false, error);
  if (status == 0)
    status = memory_map(&memory, 2 * matrix_bytes + gemm_packed_bytes(probe->square),
                        &probe->cpu->placement, 1, error);
  if (status == 0) {
    probe->square_n = n;
    probe->from = memory.address;
    probe->to = (bf16 *)((char *)memory.address + matrix_bytes);
    fill_values(probe->from, n * n, 5);
    status = gemm_pack(probe->square, probe->from, (char *)memory.address + 2 * matrix_bytes,
                       &probe->square_weights, error);
  }
  rate->flops = 2.0 * (double)n * (double)n * (double)n;
  if (status == 0) status = median_seconds(square_gemm, probe, &rate->seconds, error);
  gemm_packed_close(probe->square_weights);
  gemm_linear_close(probe->square);
  probe->square = NULL;
  probe->square_weights = NULL;
  memory_unmap(&memory);
  return status;
}

/* The peak is the best of a few sizes: what fits the caches best differs between CPUs. */
static int probe_peak(struct probe *probe, struct device_rate *rate, struct error *error) {
  static const int64_t sizes[] = {1024, 2048, 3072};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct device_rate one = {0};
    const int status = square_rate(probe, sizes[i], &one, error);
    if (status != 0) return status;
    if (i == 0 || one.flops / one.seconds > rate->flops / rate->seconds) *rate = one;
  }
  return 0;
}

static int probe_memory_copy(struct probe *probe, struct device_rate *rate, struct error *error) {
  struct memory memory = {0};
  int status = memory_map(&memory, 2 * COPY_BYTES, &probe->cpu->placement, 1, error);
  if (status != 0) return status;
  probe->from = memory.address;
  probe->to = (bf16 *)((char *)memory.address + COPY_BYTES);
  rate->bytes = 2.0 * (double)COPY_BYTES;
  status = median_seconds(copy_memory, probe, &rate->seconds, error);
  memory_unmap(&memory);
  return status;
}

int cpu_probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
              struct device_rate *rate, struct error *error) {
  struct cpu_device *cpu = cpu_device_of(device);
  struct probe probe = {.cpu = cpu, .n_new = n_new, .n_past = n_past};
  *rate = (struct device_rate){0};
  const bool counts_tokens = what == PROBE_LAYER_GEMMS || what == PROBE_ATTENTION;
  if (counts_tokens && (n_past < 0 || n_new < 1 || n_past + n_new > cpu->config.tokens_max))
    return error_set(error, -EINVAL,
                     "a probe of n_past %lld + n_new %lld is not in [1, %lld] tokens",
                     (long long)n_past, (long long)n_new, (long long)cpu->config.tokens_max);
  cpu->begun = false; /* buffers and KV are overwritten */
  switch (what) {
  case PROBE_LAYER_GEMMS:
    return probe_layer_gemms(&probe, rate, error);
  case PROBE_ATTENTION:
    return probe_attention(&probe, rate, error);
  case PROBE_PEAK:
    return probe_peak(&probe, rate, error);
  case PROBE_MEMORY_COPY:
    return probe_memory_copy(&probe, rate, error);
  default:
    return error_set(error, -ENOTSUP, "the cpu device does not time this part apart");
  }
}
