/*
 * MoE decode on three resources. Expert routing is taken as uniform and
 * independent per token: skew makes the busiest GPU slower than this says, so
 * communication and memory are lower bounds.
 */
#include "model/moe.h"

#include <math.h>

const char *moe_bound_name(enum moe_bound bound) {
  switch (bound) {
  case MOE_COMPUTE:
    return "compute-bound";
  case MOE_MEMORY:
    return "memory-bound";
  case MOE_COMMUNICATION:
    return "communication-bound";
  }
  return "unknown";
}

double moe_params_per_expert(const struct moe *moe) {
  return (moe->params_total - moe->params_active) / (moe->experts - moe->experts_active);
}

double moe_params_shared(const struct moe *moe) {
  return moe->params_active - moe->experts_active * moe_params_per_expert(moe);
}

double moe_resident_bytes(const struct moe *moe) {
  return moe->params_total * moe->weight_bytes;
}

double moe_min_gpus(const struct moe *moe) {
  return ceil(moe_resident_bytes(moe) / moe->hbm_bytes);
}

double moe_experts_touched(const struct moe *moe, double batch) {
  double missed = pow(1.0 - moe->experts_active / moe->experts, batch);
  return moe->experts * (1.0 - missed);
}

double moe_weight_bytes_read(const struct moe *moe, double batch) {
  double routed = moe_experts_touched(moe, batch) * moe_params_per_expert(moe);
  return (moe_params_shared(moe) + routed) * moe->weight_bytes;
}

/* Bytes that each GPU sends for one layer, there and back. */
static double dispatch_bytes(const struct moe *moe, double batch) {
  double tokens = batch / moe->n_gpus;
  double elements = tokens * moe->experts_active * moe->hidden;
  double remote = 1.0 - 1.0 / moe->n_gpus;
  return elements * (moe->dispatch_bytes + moe->combine_bytes) * remote;
}

/* On one GPU nothing travels. */
static double exchange_latency_s(const struct moe *moe) {
  return moe->n_gpus > 1.0 ? 2.0 * moe->link_latency_s : 0.0;
}

double moe_dispatch_s(const struct moe *moe, double batch) {
  return dispatch_bytes(moe, batch) / moe->link_bytes_per_s + exchange_latency_s(moe);
}

static double compute_s(const struct moe *moe, double batch) {
  return batch * 2.0 * moe->params_active / (moe->n_gpus * moe->flops_per_s);
}

static double memory_s(const struct moe *moe, double weight_bytes, double batch) {
  return (weight_bytes + batch * moe->kv_bytes) / (moe->n_gpus * moe->hbm_bytes_per_s);
}

struct moe_step moe_step(const struct moe *moe, double batch) {
  struct moe_step s = {0};
  s.compute_s = compute_s(moe, batch);
  s.memory_s = memory_s(moe, moe_weight_bytes_read(moe, batch), batch);
  s.communication_s = moe->layers * moe_dispatch_s(moe, batch);
  double longest_s = fmax(s.compute_s, s.memory_s);
  s.step_s = longest_s + s.communication_s;
  s.communication_share = s.communication_s / s.step_s;
  if (s.communication_s > longest_s) {
    s.bound = MOE_COMMUNICATION;
  } else {
    s.bound = s.compute_s >= s.memory_s ? MOE_COMPUTE : MOE_MEMORY;
  }
  double needed_bytes = moe_resident_bytes(moe) + batch * moe->kv_bytes;
  s.fits = needed_bytes <= moe->n_gpus * moe->hbm_bytes;
  return s;
}

double moe_naive_step_s(const struct moe *moe, double batch) {
  double active_bytes = moe->params_active * moe->weight_bytes;
  return fmax(compute_s(moe, batch), memory_s(moe, active_bytes, batch));
}

double moe_link_needed_bytes_per_s(const struct moe *moe, double batch) {
  struct moe_step s = moe_step(moe, batch);
  double per_layer_s = fmax(s.compute_s, s.memory_s) / moe->layers - exchange_latency_s(moe);
  if (!(per_layer_s > 0.0)) return INFINITY;
  return dispatch_bytes(moe, batch) / per_layer_s;
}

double moe_latency_slowdown(double step_s, double exchanges, double latency_s) {
  return (step_s + exchanges * latency_s) / step_s;
}
