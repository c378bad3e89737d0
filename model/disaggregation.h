/*
 * Separate prefill and decode workers: KV transfer, pool sizes, and the six
 * gates to pass first. Source: "serving physics", chapter 8; the six conditions
 * are the document's, the default thresholds are stated here.
 */
#ifndef REFILL_MODEL_DISAGGREGATION_H
#define REFILL_MODEL_DISAGGREGATION_H

#include <stdbool.h>

/* Bytes over a link, seconds: latency + bytes / bandwidth. */
double disaggregation_transfer_s(double kv_bytes, double link_bytes_per_s, double latency_s);

/* The six readiness conditions, in the document's order. */
enum disaggregation_gate {
  GATE_PREFILL_DOMINATES, /* 1: TTFT is dominated by long-prompt prefill */
  GATE_INTERFERENCE,      /* 2: prefill bursts interrupt decode */
  GATE_TRAFFIC,           /* 3: enough traffic for two pools */
  GATE_TRANSFER,          /* 4: KV transfer fits into the SLO */
  GATE_AUTOSCALING,       /* 5: pools scale independently */
  GATE_DEBUGGING,         /* 6: multi-step failures can be diagnosed */
  N_GATES
};

/* A short text for each gate. */
const char *disaggregation_gate_name(enum disaggregation_gate gate);

struct disaggregation_state {
  double prompt_tokens;       /* typical (median) prompt */
  double ttft_s, ttft_slo_s;  /* measured p99 and its target */
  double prefill_s;           /* of the TTFT: prefill of that prompt alone */
  double tpot_s;              /* decode undisturbed */
  double tpot_burst_s;        /* decode during prefill bursts */
  double prefill_utilization; /* that the planned pools would have, 0 to 1 */
  double decode_utilization;
  double kv_bytes; /* of that prompt */
  double link_bytes_per_s, link_latency_s;
  bool scales_independently; /* the autoscaler tells prefill from decode pressure */
  bool failures_diagnosable; /* per-stage failures are visible */
};

struct disaggregation_limits {
  double prompt_tokens_min;  /* 2,000: below, prefill is not the bottleneck */
  double prefill_share_min;  /* 0.5 of TTFT */
  double interference_min;   /* 1.1: TPOT in bursts over TPOT undisturbed */
  double utilization_min;    /* 0.5 of each pool */
  double transfer_share_max; /* 0.5 of the TTFT target */
};
struct disaggregation_limits disaggregation_default_limits(void);

struct disaggregation_verdict {
  bool passed[N_GATES];
  int n_passed;
  bool ready; /* all six */
  double transfer_s;
  double transfer_share; /* of the TTFT target */
};
struct disaggregation_verdict disaggregation_check(const struct disaggregation_state *state,
                                                   const struct disaggregation_limits *limits);

/* GPUs of each pool for a traffic, whole GPUs, at a target utilisation: requests/s x GPU-seconds
 * of prefill, requests/s x N_out x GPU-seconds per output token (T_step / B). */
struct disaggregation_pools {
  double prefill_gpus, decode_gpus;
  double prefill_utilization, decode_utilization; /* that these whole numbers lead to */
  double prefill_share;                           /* of all GPUs */
};
struct disaggregation_pools disaggregation_pools(double requests_per_s, double prefill_gpu_s,
                                                 double n_out_tokens, double decode_gpu_s_per_token,
                                                 double target_utilization);

/* Relative fall from one time to another: (before - after) / before. */
double disaggregation_improvement(double before_s, double after_s);

/* TTFT expected of a prefill pool: M/D/1 wait + prefill + transfer, where the wait is
 * rho / (2 (1 - rho)) x prefill at utilisation rho; INFINITY from rho = 1 on. */
double disaggregation_ttft_s(double prefill_s, double utilization, double transfer_s);

#endif
