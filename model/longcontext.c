/*
 * Long context as a steady state: the KV pool is full, decode steps serve all
 * resident sequences, prefills take turns with them. In one second of the GPU a
 * request uses its prefill and its share of each step, hence the throughput.
 */
#include "model/longcontext.h"

#include <math.h>

static double prefill_flops(const struct longcontext *l, double tokens) {
  double pairs = tokens * (tokens + 1.0) / 2.0;
  return tokens * l->linear_flops_per_token + pairs * l->attention_flops_per_pair;
}

/* Memory or compute, whichever takes longer; attention FLOPs of one query per sequence. */
static double decode_step_s(const struct longcontext *l, double sequences, double context_tokens) {
  double bytes = l->weights_bytes + sequences * context_tokens * l->kv_bytes_per_token;
  double flops = sequences *
                 (l->linear_flops_per_token + context_tokens * l->attention_flops_per_pair);
  return fmax(bytes / l->hbm_bytes_per_s, flops / l->flops_per_s);
}

struct longcontext_point longcontext_at(const struct longcontext *l, double context_tokens) {
  struct longcontext_point p = {0};
  p.kv_bytes = context_tokens * l->kv_bytes_per_token;
  p.max_sequences = floor(l->pool_bytes / p.kv_bytes);
  p.prefill_s = prefill_flops(l, context_tokens - l->n_out_tokens) / l->flops_per_s;
  if (!(p.max_sequences >= 1.0)) {
    p.step_s = p.gpu_s = p.request_s = p.usd_per_request = INFINITY;
    return p;
  }
  p.step_s = decode_step_s(l, p.max_sequences, context_tokens);
  p.gpu_s = p.prefill_s + l->n_out_tokens * p.step_s / p.max_sequences;
  p.request_s = p.gpu_s * p.max_sequences; /* Little's law: residence = residents / throughput */
  p.requests_per_hour = longcontext_requests_per_hour(1.0, p.gpu_s, l->utilization);
  p.usd_per_request = longcontext_usd_per_request(l->usd_per_hour, p.requests_per_hour);
  return p;
}

struct longcontext_multipliers longcontext_multipliers(const struct longcontext *l,
                                                       double base_tokens, double context_tokens) {
  struct longcontext_point base = longcontext_at(l, base_tokens);
  struct longcontext_point point = longcontext_at(l, context_tokens);
  return (struct longcontext_multipliers){.kv = point.kv_bytes / base.kv_bytes,
                                          .concurrency = point.max_sequences / base.max_sequences,
                                          .prefill = point.prefill_s / base.prefill_s,
                                          .step = point.step_s / base.step_s,
                                          .usd_per_request = point.usd_per_request /
                                                             base.usd_per_request};
}

double longcontext_requests_per_hour(double concurrent, double duration_s, double utilization) {
  return concurrent * 3600.0 / duration_s * utilization;
}

double longcontext_usd_per_request(double usd_per_hour, double requests_per_hour) {
  return usd_per_hour / requests_per_hour;
}

double longcontext_chunking_cost_ratio(const struct longcontext *l, double context_tokens,
                                       double chunks) {
  double whole = longcontext_at(l, context_tokens).usd_per_request;
  return whole / (chunks * longcontext_at(l, context_tokens / chunks).usd_per_request);
}

double longcontext_chunking_flops_ratio(const struct longcontext *l, double context_tokens,
                                        double chunks) {
  return prefill_flops(l, context_tokens) / (chunks * prefill_flops(l, context_tokens / chunks));
}
