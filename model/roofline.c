/*
 * Decode and prefill as bytes and FLOPs against two ceilings.
 *
 * The step is a maximum of two lines in B, so every question (which zone, which
 * batch meets an SLO, which batch carries a traffic) has a closed form; none is
 * searched for.
 */
#include "model/roofline.h"

#include <math.h>

const char *roofline_zone_name(enum roofline_zone zone) {
  switch (zone) {
  case ZONE_WEIGHTS:
    return "weight-bound";
  case ZONE_AMORTIZED:
    return "amortized";
  case ZONE_COMPUTE:
    return "compute-bound";
  }
  return "unknown";
}

static double memory_s(const struct roofline *roofline, double batch) {
  return (roofline->w_active_bytes + batch * roofline->kv_bytes) / roofline->bytes_per_s;
}

static double compute_s(const struct roofline *roofline, double batch) {
  return batch * roofline->flops_per_token / roofline->flops_per_s;
}

double roofline_step_s(const struct roofline *roofline, double batch) {
  return fmax(memory_s(roofline, batch), compute_s(roofline, batch));
}

double roofline_tokens_per_s(const struct roofline *roofline, double batch) {
  return batch / roofline_step_s(roofline, batch);
}

double roofline_naive_tokens_per_s(const struct roofline *roofline) {
  return roofline->flops_per_s / roofline->flops_per_token;
}

enum roofline_zone roofline_zone(const struct roofline *roofline, double batch) {
  if (compute_s(roofline, batch) >= memory_s(roofline, batch)) return ZONE_COMPUTE;
  return batch * roofline->kv_bytes >= roofline->w_active_bytes ? ZONE_AMORTIZED : ZONE_WEIGHTS;
}

double roofline_amortized_from(const struct roofline *roofline) {
  return roofline->w_active_bytes / roofline->kv_bytes;
}

double roofline_compute_from(const struct roofline *roofline) {
  double gap_s = compute_s(roofline, 1.0) - roofline->kv_bytes / roofline->bytes_per_s;
  if (!(gap_s > 0.0)) return INFINITY;
  return roofline->w_active_bytes / roofline->bytes_per_s / gap_s;
}

double roofline_max_batch(const struct roofline *roofline, double tpot_s, double max_sequences) {
  double spare_bytes = tpot_s * roofline->bytes_per_s - roofline->w_active_bytes;
  if (spare_bytes < 0.0) return 0.0;
  double by_memory = roofline->kv_bytes > 0.0 ? spare_bytes / roofline->kv_bytes : INFINITY;
  double by_compute = tpot_s * roofline->flops_per_s / roofline->flops_per_token;
  return floor(fmin(fmin(by_memory, by_compute), max_sequences));
}

double roofline_batch_for_traffic(const struct roofline *roofline, double tokens_per_s) {
  /* B = rate T_step(B). Below the compute ceiling only the memory line can meet it: on the
   * compute line T_step(B) rate is less than B for every B. */
  if (tokens_per_s >= roofline_naive_tokens_per_s(roofline)) return INFINITY;
  double spare_bytes_per_s = roofline->bytes_per_s - tokens_per_s * roofline->kv_bytes;
  if (spare_bytes_per_s <= 0.0) return INFINITY;
  return tokens_per_s * roofline->w_active_bytes / spare_bytes_per_s;
}

double roofline_usd_per_mtok(const struct roofline *roofline, double batch, double usd_per_s) {
  return usd_per_s * roofline_step_s(roofline, batch) / batch * 1e6;
}

double roofline_usd_per_mtok_accepted(const struct roofline *roofline, double batch,
                                      double usd_per_s, double pass_rate) {
  return roofline_usd_per_mtok(roofline, batch, usd_per_s) / pass_rate;
}

double roofline_prefill_s(const struct roofline *roofline, double n_new) {
  return fmax(roofline->w_active_bytes / roofline->bytes_per_s, compute_s(roofline, n_new));
}

double roofline_prefill_compute_from(const struct roofline *roofline) {
  return roofline->w_active_bytes / roofline->bytes_per_s / compute_s(roofline, 1.0);
}

double roofline_output_input_ratio(const struct roofline *roofline, double batch, double n_new) {
  double output_s = roofline_step_s(roofline, batch) / batch;
  return output_s / (roofline_prefill_s(roofline, n_new) / n_new);
}
