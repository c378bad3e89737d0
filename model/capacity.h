/*
 * How many sequences fit into memory: the KV pool against context and KV dtype,
 * after fragmentation and paging. Sources: "serving physics", chapter 6;
 * "essay", PagedAttention.
 */
#ifndef REFILL_MODEL_CAPACITY_H
#define REFILL_MODEL_CAPACITY_H

/* Bytes of one KV element of dtype "bf16", "fp16" (2), "fp8", "int8" (1), "fp4", "int4" (0.5);
 * 0 for another name. Scales of block formats are left out. */
double capacity_dtype_bytes(const char *dtype);

/* M_total = KV per token x N_seq x T, bytes. */
double capacity_kv_bytes(double kv_bytes_per_token, double n_sequences, double context_tokens);

/* M_avail = HBM - weights - overhead, bytes, all GPUs of one replica together; never below 0. */
double capacity_pool_bytes(double hbm_bytes, double weights_bytes, double overhead_bytes);

/* N_seq_max = floor(pool / (KV per token x context)). */
double capacity_max_sequences(double pool_bytes, double kv_bytes_per_token, double context_tokens);

/* What is left of a pool that fragmentation has degraded by `share` (0.20 to 0.35 under
 * sustained mixed traffic, as the document reports), bytes. */
#define CAPACITY_DEGRADATION_LOW 0.20
#define CAPACITY_DEGRADATION_HIGH 0.35
double capacity_effective_bytes(double pool_bytes, double degraded_share);

/* Tokens that a sequence of `tokens` occupies in pages of `page_tokens`: rounded up. */
double capacity_paged_tokens(double tokens, double page_tokens);

/* How many times more sequences paging holds than reserving `reserved_tokens` (the longest
 * output possible) for each: reserved / paged. The essay reports 2 to 4. */
double capacity_paging_gain(double reserved_tokens, double tokens, double page_tokens);

/* Demand over pool: KV of `n_sequences` at `context_tokens` (the document: p90 context, target
 * concurrency) divided by the pool; above 1 sequences are evicted or wait. */
double capacity_pressure(double pool_bytes, double kv_bytes_per_token, double n_sequences,
                         double context_tokens);

/* The longest context at which `n_sequences` still fit, tokens. */
double capacity_max_context_tokens(double pool_bytes, double kv_bytes_per_token,
                                   double n_sequences);

/* The fewest GPUs whose HBM holds weights (spread), overhead (on each) and the KV; INFINITY where
 * overhead fills a GPU. */
double capacity_min_gpus(double hbm_bytes_per_gpu, double overhead_bytes_per_gpu,
                         double weights_bytes, double kv_bytes);

/* KV of `n_sequences` beyond the pool, bytes: what a tier below must hold (0 where all fits). */
double capacity_overflow_bytes(double pool_bytes, double kv_bytes_per_token, double n_sequences,
                               double context_tokens);

#endif
