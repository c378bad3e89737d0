/*
 * Continuous batching by expectation: every formula is linear in B - 1, the
 * number of other requests, because the slides' model adds the others' prefill
 * and KV traffic to a request's own time. That holds while decode is bound by
 * memory bandwidth; roofline.h says where it stops.
 */
#include "model/batching.h"

#include <math.h>

double batching_ap_s(const struct batching *batching) {
  return batching->ttft1_s / batching->n_out_tokens;
}

double batching_ah_s(const struct batching *batching) {
  return batching->kv1_bytes / batching->hbm_bytes_per_s;
}

double batching_prefills_probability(double n_requests, double n_out_tokens, int k) {
  if (k < 0 || k > n_requests) return 0.0;
  double p = 1.0 / n_out_tokens;
  if (p >= 1.0) return k == n_requests ? 1.0 : 0.0;
  /* By ratios of neighbours: factorials of a large batch would overflow. */
  double probability = pow(1.0 - p, n_requests);
  for (int i = 1; i <= k; i++) probability *= (n_requests - i + 1) / i * p / (1.0 - p);
  return probability;
}

double batching_expected_ttft_s(const struct batching *batching, double n_requests) {
  return (1.0 + (n_requests - 1.0) / batching->n_out_tokens) * batching->ttft1_s;
}

double batching_expected_tpot_s(const struct batching *batching, double n_requests) {
  double per_request_s = batching_ap_s(batching) + batching_ah_s(batching);
  return batching->tpot1_s + (n_requests - 1.0) * per_request_s;
}

double batching_max_batch(const struct batching *batching, double sla_tpot_s) {
  if (sla_tpot_s < batching->tpot1_s) return 0.0;
  double per_request_s = batching_ap_s(batching) + batching_ah_s(batching);
  return 1.0 + floor((sla_tpot_s - batching->tpot1_s) / per_request_s);
}

double batching_max_batch_ttft(const struct batching *batching, double sla_ttft_s) {
  if (sla_ttft_s < batching->ttft1_s) return 0.0;
  return 1.0 + floor((sla_ttft_s / batching->ttft1_s - 1.0) * batching->n_out_tokens);
}

double batching_max_batch_sla(const struct batching *batching, double sla_ttft_s,
                              double sla_tpot_s) {
  return fmin(batching_max_batch(batching, sla_tpot_s),
              batching_max_batch_ttft(batching, sla_ttft_s));
}

double batching_held_batch(const struct batching *batching, double sla_tpot_s,
                           double max_sequences) {
  return fmin(batching_max_batch(batching, sla_tpot_s), max_sequences);
}

double batching_users_per_gpu(const struct batching *batching, double sla_tpot_s,
                              double max_sequences, double n_gpus) {
  return batching_held_batch(batching, sla_tpot_s, max_sequences) / n_gpus;
}

double batching_gain(const struct batching *batching, double speedup) {
  double ap_s = batching_ap_s(batching), ah_s = batching_ah_s(batching);
  return (ap_s + ah_s) / (ap_s / speedup + ah_s);
}

double batching_tps_gain_bound(const struct batching *batching) {
  return 1.0 + batching_ap_s(batching) / batching_ah_s(batching);
}

struct batching batching_accelerated(const struct batching *batching, double speedup) {
  struct batching faster = *batching;
  faster.ttft1_s /= speedup;
  return faster;
}

double batching_user_latency_s(double ttft_s, double n_out_tokens, double tpot_s) {
  return ttft_s + n_out_tokens * tpot_s;
}

struct batching_point batching_point(const struct batching *batching, double n_requests,
                                     double n_gpus) {
  double tpot_s = batching_expected_tpot_s(batching, n_requests);
  double ttft_s = batching_expected_ttft_s(batching, n_requests);
  double request_s = batching_user_latency_s(ttft_s, batching->n_out_tokens, tpot_s);
  double requests_per_s = n_requests / request_s / n_gpus;
  return (struct batching_point){.user_tokens_per_s = 1.0 / tpot_s,
                                 .requests_per_s_per_gpu = requests_per_s,
                                 .output_tokens_per_s_gpu = requests_per_s *
                                                            batching->n_out_tokens};
}

/* AP/AH for a mean number of FLOPs per prompt token; N_in cancels out of the rest. */
static double ap_over_ah(const struct batching_ratio *ratio, double flops_per_token) {
  return flops_per_token / ratio->kv_bytes_per_token * ratio->hbm_bytes_per_s / ratio->flops_per_s /
         ratio->n_out_tokens;
}

double batching_ap_over_ah_short(const struct batching_ratio *ratio) {
  return ap_over_ah(ratio, ratio->linear_flops_per_token);
}

double batching_ap_over_ah_long(const struct batching_ratio *ratio) {
  return ap_over_ah(ratio, ratio->attention_flops_per_pair * ratio->n_in_tokens / 2.0);
}

double batching_ap_over_ah(const struct batching_ratio *ratio) {
  return batching_ap_over_ah_short(ratio) + batching_ap_over_ah_long(ratio);
}

double batching_regime_boundary_tokens(const struct batching_ratio *ratio) {
  return 2.0 * ratio->linear_flops_per_token / ratio->attention_flops_per_pair;
}
