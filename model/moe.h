/*
 * Mixture of experts: few parameters compute, all of them must be resident, and
 * tokens travel to their experts. Source: "serving physics", chapter 8.
 */
#ifndef REFILL_MODEL_MOE_H
#define REFILL_MODEL_MOE_H

#include <stdbool.h>

struct moe {
  double params_total;  /* resident, over all GPUs */
  double params_active; /* computed per token */
  double experts;       /* routed experts of a layer */
  double experts_active;
  double layers;         /* MoE layers: each dispatches and combines once */
  double hidden;         /* elements of a token's activation */
  double weight_bytes;   /* of one parameter */
  double dispatch_bytes; /* of one activation element on its way to an expert */
  double combine_bytes;  /* and on its way back */
  double kv_bytes;       /* of one sequence at its context */
  double n_gpus;         /* over which experts and sequences are spread evenly */
  double hbm_bytes;      /* of one GPU */
  double hbm_bytes_per_s;
  double flops_per_s;      /* of one GPU, effective */
  double link_bytes_per_s; /* of one GPU, one way */
  double link_latency_s;   /* of one exchange */
};

enum moe_bound { MOE_COMPUTE, MOE_MEMORY, MOE_COMMUNICATION };

/* "compute-bound", "memory-bound", "communication-bound". */
const char *moe_bound_name(enum moe_bound bound);

/* Params that one routed expert has over all layers, and those every token uses (attention,
 * embeddings, shared experts): from total = shared + experts x and active = shared +
 * experts_active x. */
double moe_params_per_expert(const struct moe *moe);
double moe_params_shared(const struct moe *moe);

/* Bytes of all weights, and the GPUs whose HBM holds them (nothing else in it). */
double moe_resident_bytes(const struct moe *moe);
double moe_min_gpus(const struct moe *moe);

/* Distinct experts of a layer that a batch touches when routing is uniform:
 * experts (1 - (1 - experts_active/experts)^B). */
double moe_experts_touched(const struct moe *moe, double batch);

/* W_active: weight bytes read in one decode step, shared and touched experts, all GPUs together. */
double moe_weight_bytes_read(const struct moe *moe, double batch);

/* One layer's all-to-all, there and back, seconds. Each GPU sends the activations of its share of
 * the batch to experts_active experts, all but 1/n_gpus of them elsewhere:
 * B/G experts_active hidden (dispatch + combine bytes) (1 - 1/G) / link + 2 latency. */
double moe_dispatch_s(const struct moe *moe, double batch);

/* One decode step: what each resource would take alone, and which is the longest. */
struct moe_step {
  double compute_s;           /* B 2 params_active / (G F) */
  double memory_s;            /* (weights read + B KV) / (G BW) */
  double communication_s;     /* layers x dispatch */
  double step_s;              /* max(compute, memory) + communication: dispatch is not overlapped */
  double communication_share; /* of step_s */
  enum moe_bound bound;
  bool fits; /* weights and the batch's KV in HBM */
};
struct moe_step moe_step(const struct moe *moe, double batch);

/* A dense model of params_active on the same GPUs: what "basically the cost of a 37B model" would
 * mean, seconds per step. Over moe_step().step_s it is the share of the promise that is kept. */
double moe_naive_step_s(const struct moe *moe, double batch);

/* The link speed from which communication is no longer the longest, bytes/s; INFINITY where the
 * latencies alone take longer than compute and memory. */
double moe_link_needed_bytes_per_s(const struct moe *moe, double batch);

/* A step that makes `exchanges` round trips over a network that adds `latency_s` to each, over one
 * that does not: how much slower it is ("10x slower" behind packet inspection). */
double moe_latency_slowdown(double step_s, double exchanges, double latency_s);

#endif
