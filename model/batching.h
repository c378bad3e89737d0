/*
 * Continuous batching: what B requests at once cost each of them, how many an
 * SLA allows, and what a faster prefill buys. Source: "slides", end-to-end gain
 * analysis; the constants of the asymptotic regimes are worked out here, where
 * the slides give proportionalities only.
 *
 * AP, "additional prefill": another request's prefill, spread over its N_out
 * decode steps. AH, "additional HBM": another request's KV read at each step.
 */
#ifndef REFILL_MODEL_BATCHING_H
#define REFILL_MODEL_BATCHING_H

struct batching {
  double n_out_tokens;    /* N_out, mean output tokens of a request */
  double ttft1_s;         /* TTFT(1), a request alone */
  double tpot1_s;         /* TPOT(1), a request alone */
  double kv1_bytes;       /* KV(1), mean KV of one prompt */
  double hbm_bytes_per_s; /* BW_hbm */
};

/* AP = TTFT(1) / N_out and AH = KV(1) / BW_hbm, seconds per output token. */
double batching_ap_s(const struct batching *batching);
double batching_ah_s(const struct batching *batching);

/* The number of prefills at one time among B requests is Binom(B, 1/N_out):
 * probability of exactly k (0 outside 0..B). */
double batching_prefills_probability(double n_requests, double n_out_tokens, int k);

/* E[TTFT(B)] = (1 + (B-1)/N_out) TTFT(1), E[TPOT(B)] = TPOT(1) + (B-1)(AP+AH), seconds. */
double batching_expected_ttft_s(const struct batching *batching, double n_requests);
double batching_expected_tpot_s(const struct batching *batching, double n_requests);

/* The largest B whose expected TPOT is within the SLA: 1 + floor((SLA - TPOT(1)) / (AP+AH)), 0
 * where even one request is too slow. (The slides leave the 1 out; it follows from E[TPOT].)
 * The same for TTFT: 1 + floor((SLA / TTFT(1) - 1) N_out). And under both. */
double batching_max_batch(const struct batching *batching, double sla_tpot_s);
double batching_max_batch_ttft(const struct batching *batching, double sla_ttft_s);
double batching_max_batch_sla(const struct batching *batching, double sla_ttft_s,
                              double sla_tpot_s);

/* The largest B that the SLA and HBM both allow: its KV has room for max_sequences
 * (capacity_max_sequences()); and how many such users one of the server's n_gpus serves. */
double batching_held_batch(const struct batching *batching, double sla_tpot_s,
                           double max_sequences);
double batching_users_per_gpu(const struct batching *batching, double sla_tpot_s,
                              double max_sequences, double n_gpus);

/* How much larger B may be when prefill is `speedup` times faster:
 * (AP+AH) / (AP/x + AH); tends to batching_tps_gain_bound() = 1 + AP/AH. */
double batching_gain(const struct batching *batching, double speedup);
double batching_tps_gain_bound(const struct batching *batching);

/* The same server with prefill `speedup` times faster: TTFT(1) / x. */
struct batching batching_accelerated(const struct batching *batching, double speedup);

/* What a user waits for all of an answer: TTFT + N_out TPOT, seconds ("serving physics",
 * chapter 5). */
double batching_user_latency_s(double ttft_s, double n_out_tokens, double tpot_s);

/* A point of the slides' "system efficiency against user experience" plots. */
struct batching_point {
  double user_tokens_per_s;       /* 1 / E[TPOT(B)] */
  double requests_per_s_per_gpu;  /* B / (E[TTFT(B)] + N_out E[TPOT(B)]) / GPUs */
  double output_tokens_per_s_gpu; /* the same in output tokens */
};
struct batching_point batching_point(const struct batching *batching, double n_requests,
                                     double n_gpus);

/* What AP/AH depends on, model, GPU and application (slides, "asymptotic E2E gain"). */
struct batching_ratio {
  double linear_flops_per_token;   /* shape_linear_flops_per_token(); about 2 |model| */
  double attention_flops_per_pair; /* 4 L Hq D: one new token against one earlier */
  double kv_bytes_per_token;
  double flops_per_s;
  double hbm_bytes_per_s;
  double n_in_tokens;
  double n_out_tokens;
};

/* AP/AH = (linear + attention N_in / 2) / KV_token * BW_hbm / FLOPS / N_out, and its two regimes:
 * short prompts (linear only: independent of N_in), long prompts (attention only: grows as N_in).*/
double batching_ap_over_ah(const struct batching_ratio *ratio);
double batching_ap_over_ah_short(const struct batching_ratio *ratio);
double batching_ap_over_ah_long(const struct batching_ratio *ratio);

/* N_in at which both regimes are equal: 2 linear / attention. 12 d for plain multi-head attention
 * with an FFN of 4 d; the slides' 6 d counts attention without the causal half. */
double batching_regime_boundary_tokens(const struct batching_ratio *ratio);

#endif
