/*
 * Context parallelism, KV offload or the fewest GPUs: what serving many long
 * contexts costs an hour, and the TTFT of each. Source: "kv-offload cost
 * model".
 *
 *   G(bytes) = tp_base ceil(ceil(bytes / HBM) / tp_base), GPUs, whole servers of tp_base
 *   G_min    = G(weights + KV of one request)      offload, and the fewest GPUs that run
 *   G_cp     = G(weights + KV of all requests)     context parallelism: all KV in HBM
 */
#ifndef REFILL_MODEL_COST_H
#define REFILL_MODEL_COST_H

#include <stdbool.h>

struct cost_input {
  double context_tokens;
  double concurrency; /* requests whose KV must be at hand */
  double hbm_bytes;   /* of one GPU */
  double gpu_usd_per_hour;
  double flops_per_s;          /* of one GPU, effective: peak x MFU */
  double nvme_bytes;           /* of one server */
  double nvme_bytes_per_s;     /* of one server, all drives */
  double external_bytes_per_s; /* shared storage, used once local drives are full */
  double external_usd_per_gb_month;
  double tp_base; /* GPUs of a server */
  double params;  /* parameters, for 2 P FLOPs per token */
  double weights_bytes;
  double kv_bytes_per_token;
};

/* The document's sliders as it sets them: 128,000 tokens, 50 requests, 80 GB, $3.50, 100 TFLOPS,
 * 16 TB and 56 GB/s a server, 10 GB/s and $0.20 external, 8 GPUs, 70e9 parameters, 140 GB,
 * 327,680 bytes a token. */
struct cost_input cost_default_input(void);

/* Names as `plan --json` prints them. */
struct cost_result {
  double kv_bytes_per_request;
  double kv_bytes_total;
  double gpus_offload; /* G_min */
  double gpus_cp;      /* G_cp */
  double servers_offload;
  double servers_cp;
  double local_nvme_bytes;     /* of all servers of the offload set-up */
  double overflow_requests;    /* floor(local / KV of one): more no longer fit on local drives */
  double external_bytes;       /* KV beyond the local drives */
  bool external;               /* reads come from external storage */
  double ttft_cp_s;            /* 2 P N / (G_cp F) */
  double ttft_min_gpu_s;       /* 2 P N / (G_min F) */
  double ttft_offload_s;       /* KV of one / bandwidth */
  double cost_cp_usd_per_hour; /* G_cp $ */
  double cost_offload_gpu_usd_per_hour;      /* G_min $ */
  double cost_offload_external_usd_per_hour; /* external GB x $/GB/month / 730 */
  double cost_offload_usd_per_hour;          /* both */
  double cost_ratio;                         /* offload / context parallelism */
};

struct cost_result cost_model(const struct cost_input *input);

/* G(bytes), GPUs. */
double cost_gpus(const struct cost_input *input, double bytes);

/* The fewest requests at which context parallelism needs more GPUs than offload: from there on
 * offload is cheaper on GPUs. */
double cost_first_saving_concurrency(const struct cost_input *input);

/* The bandwidth, bytes/s, at which offload's TTFT equals that of context parallelism, and that
 * of the fewest GPUs: what the drives must deliver to be as fast. */
double cost_bandwidth_to_match_cp_bytes_per_s(const struct cost_input *input);
double cost_bandwidth_to_match_min_gpu_bytes_per_s(const struct cost_input *input);

/* Offload's TTFT when `n_loads` requests share the bandwidth, seconds: the document assumes that
 * one request has it all. */
double cost_ttft_offload_shared_s(const struct cost_input *input, double n_loads);

#endif
