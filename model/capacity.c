/*
 * KV capacity by division. Counts of sequences are floored, since half a
 * sequence serves nobody; they stay double, as every count in these models, so
 * that an unlimited pool is INFINITY and not an overflow.
 */
#include "model/capacity.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const struct {
  const char *name;
  double bytes;
} dtypes[] = {{"bf16", 2.0}, {"fp16", 2.0}, {"fp8", 1.0},
              {"int8", 1.0}, {"fp4", 0.5},  {"int4", 0.5}};

double capacity_dtype_bytes(const char *dtype) {
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].bytes;
  }
  return 0.0;
}

double capacity_kv_bytes(double kv_bytes_per_token, double n_sequences, double context_tokens) {
  return kv_bytes_per_token * n_sequences * context_tokens;
}

double capacity_pool_bytes(double hbm_bytes, double weights_bytes, double overhead_bytes) {
  return fmax(0.0, hbm_bytes - weights_bytes - overhead_bytes);
}

double capacity_max_sequences(double pool_bytes, double kv_bytes_per_token, double context_tokens) {
  return floor(pool_bytes / (kv_bytes_per_token * context_tokens));
}

double capacity_effective_bytes(double pool_bytes, double degraded_share) {
  return pool_bytes * (1.0 - degraded_share);
}

double capacity_paged_tokens(double tokens, double page_tokens) {
  return ceil(tokens / page_tokens) * page_tokens;
}

double capacity_paging_gain(double reserved_tokens, double tokens, double page_tokens) {
  return reserved_tokens / capacity_paged_tokens(tokens, page_tokens);
}

double capacity_pressure(double pool_bytes, double kv_bytes_per_token, double n_sequences,
                         double context_tokens) {
  return capacity_kv_bytes(kv_bytes_per_token, n_sequences, context_tokens) / pool_bytes;
}

double capacity_max_context_tokens(double pool_bytes, double kv_bytes_per_token,
                                   double n_sequences) {
  return floor(pool_bytes / (kv_bytes_per_token * n_sequences));
}

double capacity_min_gpus(double hbm_bytes_per_gpu, double overhead_bytes_per_gpu,
                         double weights_bytes, double kv_bytes) {
  double usable_bytes = hbm_bytes_per_gpu - overhead_bytes_per_gpu;
  if (!(usable_bytes > 0.0)) return INFINITY;
  return fmax(1.0, ceil((weights_bytes + kv_bytes) / usable_bytes));
}

double capacity_overflow_bytes(double pool_bytes, double kv_bytes_per_token, double n_sequences,
                               double context_tokens) {
  double demand_bytes = capacity_kv_bytes(kv_bytes_per_token, n_sequences, context_tokens);
  return fmax(0.0, demand_bytes - pool_bytes);
}
