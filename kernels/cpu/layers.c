/*
 * The weights of the cpu device: generated in bf16, packed once into oneDNN's
 * order, in one map on huge pages. Embedding and head stay as generated: one is
 * looked up by row, the other read once by a matrix-vector product.
 */
#include <errno.h>
#include <stdlib.h>

#include "kernels/cpu/cpu_state.h"

#define FILL_STEP 65536 /* elements that a thread makes at a time; a multiple of 4 */

int cpu_linears_open(struct cpu_device *cpu, struct error *error) {
  for (int i = 0; i < LINEARS; i++) {
    const struct weight_stream w =
        weight_stream(&cpu->config.shape, 0, 0, (enum weight_tensor)(WEIGHT_QKV + i));
    const bool residual = i == LINEAR_OUT || i == LINEAR_DOWN;
    const int status = gemm_linear_open(cpu->gemm, &cpu->linears[i], cpu->chunk_rows, w.columns,
                                        w.rows, residual, error);
    if (status != 0) return status;
  }
  return 0;
}

/* The whole tensor, by all threads. */
static void fill(const struct cpu_device *cpu, int set, enum weight_tensor tensor, bf16 *out) {
  const struct weight_stream w = weight_stream(&cpu->config.shape, cpu->config.seed, set, tensor);
  const int64_t count = w.rows * w.columns;
#pragma omp parallel for schedule(static)
  for (int64_t at = 0; at < count; at += FILL_STEP)
    weights_fill(&w, at, count - at < FILL_STEP ? count - at : FILL_STEP, out + at);
}

static void fill_float(const struct cpu_device *cpu, int set, enum weight_tensor tensor,
                       bf16 *staging, float *out) {
  fill(cpu, set, tensor, staging);
  for (int64_t i = 0; i < cpu->config.shape.hidden; i++) out[i] = bf16_to_float(staging[i]);
}

static int set_open(struct cpu_device *cpu, int set, char *at, bf16 *staging, struct error *error) {
  struct layer_weights *w = &cpu->sets[set];
  for (int i = 0; i < LINEARS; i++) {
    fill(cpu, set, (enum weight_tensor)(WEIGHT_QKV + i), staging);
    const int status = gemm_pack(cpu->linears[i], staging, at, &w->packed[i], error);
    if (status != 0) return status;
    at += memory_round_up(gemm_packed_bytes(cpu->linears[i]), 4096);
  }
  w->norm_attention = (float *)at;
  w->norm_ffn = (float *)(at + memory_round_up((size_t)cpu->config.shape.hidden * 4, 4096));
  fill_float(cpu, set, WEIGHT_NORM_ATTENTION, staging, w->norm_attention);
  fill_float(cpu, set, WEIGHT_NORM_FFN, staging, w->norm_ffn);
  return 0;
}

static int sets_open(struct cpu_device *cpu, struct error *error) {
  const int n = cpu->device.info.weight_sets;
  const size_t set_bytes = cpu_set_bytes(cpu);
  size_t largest = 0; /* elements of the largest tensor that is packed */
  for (int i = 0; i < LINEARS; i++) {
    const struct weight_stream w =
        weight_stream(&cpu->config.shape, 0, 0, (enum weight_tensor)(WEIGHT_QKV + i));
    if ((size_t)(w.rows * w.columns) > largest) largest = (size_t)(w.rows * w.columns);
  }
  struct memory staging = {0};
  int status = memory_map(&cpu->weights, (size_t)n * set_bytes, &cpu->placement, 0, error);
  if (status == 0) status = memory_map(&staging, largest * sizeof(bf16), &cpu->placement, 0, error);
  for (int set = 0; set < n && status == 0; set++)
    status = set_open(cpu, set, (char *)cpu->weights.address + (size_t)set * set_bytes,
                      staging.address, error);
  if (status == 0)
    fill_float(cpu, 0, WEIGHT_NORM_FINAL, staging.address, cpu->activations.norm_final);
  memory_unmap(&staging);
  return status;
}

static int tables_open(struct cpu_device *cpu, struct error *error) {
  const int status = memory_map(&cpu->tables, cpu_tables_bytes(cpu), &cpu->placement, 0, error);
  if (status != 0) return error_prefix(error, "embedding and head");
  bf16 *embedding = cpu->tables.address, *head = embedding;
  fill(cpu, 0, WEIGHT_EMBEDDING, embedding);
  if (!cpu->config.shape.tied) {
    head = (bf16 *)((char *)cpu->tables.address + cpu_tables_bytes(cpu) / 2);
    fill(cpu, 0, WEIGHT_HEAD, head);
  }
  cpu->embedding = embedding;
  cpu->head = head;
  return 0;
}

int cpu_weights_open(struct cpu_device *cpu, struct error *error) {
  cpu->sets = calloc((size_t)cpu->device.info.weight_sets, sizeof *cpu->sets);
  if (!cpu->sets) return error_set(error, -ENOMEM, "no memory for the table of weight sets");
  const int status = tables_open(cpu, error);
  return status != 0 ? status : sets_open(cpu, error);
}

void cpu_weights_close(struct cpu_device *cpu) {
  for (int set = 0; cpu->sets && set < cpu->device.info.weight_sets; set++)
    for (int i = 0; i < LINEARS; i++) gemm_packed_close(cpu->sets[set].packed[i]);
  free(cpu->sets);
  for (int i = 0; i < LINEARS; i++) gemm_linear_close(cpu->linears[i]);
  memory_unmap(&cpu->weights);
  memory_unmap(&cpu->tables);
}
