/*
 * The decode roofline: what bounds one decode step, where the zones of the
 * batch-size frontier lie, and what a token costs there. Source: "serving
 * physics", chapter 4. A bound, not a prediction: real kernels overlap less.
 */
#ifndef REFILL_MODEL_ROOFLINE_H
#define REFILL_MODEL_ROOFLINE_H

struct roofline {
  double w_active_bytes;  /* W_active: weight bytes read per step, whatever the batch */
  double kv_bytes;        /* M_kv: KV bytes of ONE sequence at its context, read per step */
  double flops_per_token; /* O_tok, about 2 x parameters */
  double bytes_per_s;     /* BW_eff, sustained */
  double flops_per_s;     /* F_eff, sustained */
};

/* The three zones: weight fetch dominates; KV fetch has overtaken it; compute is the floor. */
enum roofline_zone { ZONE_WEIGHTS, ZONE_AMORTIZED, ZONE_COMPUTE };

/* "weight-bound", "amortized", "compute-bound". */
const char *roofline_zone_name(enum roofline_zone zone);

/* T_step = max((W_active + B M_kv) / BW, B O_tok / F), seconds; it is the TPOT of every sequence
 * in the batch. */
double roofline_step_s(const struct roofline *roofline, double batch);

/* B / T_step, output tokens/s of the whole batch. */
double roofline_tokens_per_s(const struct roofline *roofline, double batch);

/* What "FLOPS / FLOPs per token" would promise: F / O_tok, tokens/s. */
double roofline_naive_tokens_per_s(const struct roofline *roofline);

enum roofline_zone roofline_zone(const struct roofline *roofline, double batch);

/* Where zones meet, sequences (real numbers): W_active = B M_kv, and memory time = compute time;
 * INFINITY where the second never happens because KV reads alone take longer than compute. */
double roofline_amortized_from(const struct roofline *roofline);
double roofline_compute_from(const struct roofline *roofline);

/* The largest whole batch whose step is within `tpot_s`; 0 where none is. Bounded by what fits
 * into memory too: `max_sequences` of capacity.h, INFINITY for no limit. */
double roofline_max_batch(const struct roofline *roofline, double tpot_s, double max_sequences);

/* The batch at which decode keeps up with a traffic of `tokens_per_s` output tokens (by Little's
 * law B = rate x T_step(B)); INFINITY where no batch does. */
double roofline_batch_for_traffic(const struct roofline *roofline, double tokens_per_s);

/* US dollars per million output tokens: usd_per_s T_step / B 1e6; accepted: over the share of
 * results that pass. */
double roofline_usd_per_mtok(const struct roofline *roofline, double batch, double usd_per_s);
double roofline_usd_per_mtok_accepted(const struct roofline *roofline, double batch,
                                      double usd_per_s, double pass_rate);

/* Prefill on the same ceilings: n_new tokens share one read of the weights, max(W / BW, n_new
 * O_tok / F), seconds (attention left out), and the n_new from which it is compute-bound. */
double roofline_prefill_s(const struct roofline *roofline, double n_new);
double roofline_prefill_compute_from(const struct roofline *roofline);

/* Cost of an output token over that of an input token, both by time on the same GPU: decode
 * T_step(B)/B over prefill per token. */
double roofline_output_input_ratio(const struct roofline *roofline, double batch, double n_new);

#endif
