/*
 * Work that counts: goodput under an SLO and the cost of an accepted result.
 * Source: "serving physics", chapter 9.
 */
#ifndef REFILL_MODEL_GOODPUT_H
#define REFILL_MODEL_GOODPUT_H

#include <stdbool.h>

/* One served request. */
struct goodput_request {
  double ttft_s;
  double tpot_s;
  double end_to_end_s;
  bool quality_ok;
  double cost_usd; /* whatever it cost, retries included */
};

/* What a request must meet; INFINITY for no limit. */
struct goodput_slo {
  double ttft_s;
  double tpot_s;
  double end_to_end_s;
};

struct goodput_result {
  int accepted;    /* meet all gates */
  int failed_ttft; /* each gate counted on its own: one request may fail several */
  int failed_tpot;
  int failed_end_to_end;
  int failed_quality;
  double throughput_per_s; /* requests attempted / duration */
  double goodput_per_s;    /* accepted / duration */
  double cost_usd;         /* of all requests, failed ones too */
  double usd_per_accepted; /* cost / accepted; INFINITY where none is */
};

/* Gates requests[n] of a run that lasted `duration_s`. */
struct goodput_result goodput_measure(const struct goodput_request *requests, int n,
                                      struct goodput_slo slo, double duration_s);

/* Cost per accepted result from totals. */
double goodput_usd_per_accepted(double total_usd, double accepted);

/* The same where each failed attempt is repeated until one passes: a result takes 1/pass_rate
 * attempts on average. */
double goodput_usd_with_retries(double usd_per_attempt, double pass_rate);

/* The recommended operating point of a sweep (one result per request rate): the index of the
 * lowest cost per accepted result; among equals the larger goodput. n >= 1. */
int goodput_best(const struct goodput_result *results, int n);

/* Share of GPU time that becomes accepted output: utilization x (1 - retried) x (1 - recomputed)
 * x (1 - rejected drafts) x pass rate; each share is of what the one before it leaves. */
double goodput_productive_share(double utilization, double retried_share, double recomputed_share,
                                double rejected_share, double pass_rate);

/* Speculative decoding: tokens per verification with k drafted tokens, each accepted with
 * probability `acceptance`: (1 - a^(k+1)) / (1 - a). */
double goodput_tokens_per_verification(double acceptance, double drafted);

/* Throughput against plain decode: tokens per verification / (k draft_s + verify_s) x step_s.
 * Below 1 it does not pay; verify_s is the target model's step over B (k+1) tokens, which
 * roofline.h gives, so a wide batch near the compute floor makes it lose. */
double goodput_speculative_speedup(double acceptance, double drafted, double draft_s,
                                   double verify_s, double step_s);

/* The acceptance at which that speed-up is 1, found by bisection to 1e-12; 1 where even perfect
 * drafts do not pay, 0 where any do. */
double goodput_breakeven_acceptance(double drafted, double draft_s, double verify_s, double step_s);

/* A change that makes raw work `speedup` times cheaper (quantization: 1.6x) pays per accepted
 * result while the pass rate stays above pass_rate / speedup. */
double goodput_breakeven_pass_rate(double pass_rate, double speedup);

#endif
