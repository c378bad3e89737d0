/*
 * What a target comes to: its best settings, R and W, and with compute times e, alpha*, the TTFT
 * that it would give, and from which prefix on it pays.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_SUMMARY_H
#define REFILL_BENCH_MEASURE_LAB_SUMMARY_H

#include "bench/measure/lab_compute.h"
#include "bench/measure/storage_lab.h"

/* NaN and NULL where unknown. */
struct lab_summary {
  const struct lab_row *read, *write; /* the fastest of the target */
  double read_s_per_token, write_s_per_token, compute_s_per_token;
  double page_s; /* one page's median latency at the shallowest queue: a reload's fixed cost */
  double e, alpha_star_constant, alpha_star;
  double n_tokens, alpha; /* that the times below are of */
  double ttft_ideal_s, ttft_pipelined_s, recompute_s;
  double break_even_tokens; /* INFINITY: reloading never wins up to n_tokens */
};

/* Of target `index`; alpha NaN: at alpha_star. */
struct lab_summary lab_summarise(const struct storage_lab *lab, const struct lab_compute *compute,
                                 int index, double alpha);

#endif
