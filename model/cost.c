/*
 * The cost model, formula by formula as the document has it. Its assumptions
 * hold here too: prefill scales linearly with GPUs, 2 P FLOPs a token without
 * attention, one request gets the full bandwidth, local drives cost nothing.
 */
#include "model/cost.h"

#include <math.h>

#define HOURS_PER_MONTH 730.0
#define BYTES_PER_GB 1e9

struct cost_input cost_default_input(void) {
  return (struct cost_input){.context_tokens = 128000,
                             .concurrency = 50,
                             .hbm_bytes = 80e9,
                             .gpu_usd_per_hour = 3.50,
                             .flops_per_s = 100e12,
                             .nvme_bytes = 16e12,
                             .nvme_bytes_per_s = 56e9,
                             .external_bytes_per_s = 10e9,
                             .external_usd_per_gb_month = 0.20,
                             .tp_base = 8,
                             .params = 70e9,
                             .weights_bytes = 140e9,
                             .kv_bytes_per_token = 327680};
}

double cost_gpus(const struct cost_input *input, double bytes) {
  double gpus = ceil(bytes / input->hbm_bytes);
  return input->tp_base * ceil(gpus / input->tp_base);
}

static double prefill_s(const struct cost_input *input, double gpus) {
  return 2.0 * input->params * input->context_tokens / (gpus * input->flops_per_s);
}

struct cost_result cost_model(const struct cost_input *input) {
  struct cost_result r = {0};
  r.kv_bytes_per_request = input->kv_bytes_per_token * input->context_tokens;
  r.kv_bytes_total = r.kv_bytes_per_request * input->concurrency;
  r.gpus_offload = cost_gpus(input, input->weights_bytes + r.kv_bytes_per_request);
  r.gpus_cp = cost_gpus(input, input->weights_bytes + r.kv_bytes_total);
  r.servers_offload = r.gpus_offload / input->tp_base;
  r.servers_cp = r.gpus_cp / input->tp_base;

  r.local_nvme_bytes = r.servers_offload * input->nvme_bytes;
  r.overflow_requests = floor(r.local_nvme_bytes / r.kv_bytes_per_request);
  r.external_bytes = fmax(0.0, r.kv_bytes_total - r.local_nvme_bytes);
  r.external = r.external_bytes > 0.0;

  r.ttft_cp_s = prefill_s(input, r.gpus_cp);
  r.ttft_min_gpu_s = prefill_s(input, r.gpus_offload);
  double bytes_per_s = r.external ? input->external_bytes_per_s : input->nvme_bytes_per_s;
  r.ttft_offload_s = r.kv_bytes_per_request / bytes_per_s;

  r.cost_cp_usd_per_hour = r.gpus_cp * input->gpu_usd_per_hour;
  r.cost_offload_gpu_usd_per_hour = r.gpus_offload * input->gpu_usd_per_hour;
  r.cost_offload_external_usd_per_hour = r.external_bytes / BYTES_PER_GB *
                                         input->external_usd_per_gb_month / HOURS_PER_MONTH;
  r.cost_offload_usd_per_hour = r.cost_offload_gpu_usd_per_hour +
                                r.cost_offload_external_usd_per_hour;
  r.cost_ratio = r.cost_offload_usd_per_hour / r.cost_cp_usd_per_hour;
  return r;
}

double cost_first_saving_concurrency(const struct cost_input *input) {
  double kv_bytes = input->kv_bytes_per_token * input->context_tokens;
  double gpus = cost_gpus(input, input->weights_bytes + kv_bytes);
  double room_bytes = gpus * input->hbm_bytes - input->weights_bytes;
  return floor(room_bytes / kv_bytes) + 1.0;
}

double cost_bandwidth_to_match_cp_bytes_per_s(const struct cost_input *input) {
  struct cost_result r = cost_model(input);
  return r.kv_bytes_per_request / r.ttft_cp_s;
}

double cost_bandwidth_to_match_min_gpu_bytes_per_s(const struct cost_input *input) {
  struct cost_result r = cost_model(input);
  return r.kv_bytes_per_request / r.ttft_min_gpu_s;
}

double cost_ttft_offload_shared_s(const struct cost_input *input, double n_loads) {
  return cost_model(input).ttft_offload_s * n_loads;
}
