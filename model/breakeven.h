/*
 * How long a prefix must be before reloading it beats recomputing it. Reloading
 * has a fixed cost (look-up, first byte, set-up) and a cost per byte; what it
 * saves grows with the prefix. Source: "essay", the honest limits; "slides",
 * R and T.
 */
#ifndef REFILL_MODEL_BREAKEVEN_H
#define REFILL_MODEL_BREAKEVEN_H

#include <stdbool.h>

#include "model/fit.h"

/* Constant costs, load and compute one after the other: fixed_s / (T - R), tokens; INFINITY where
 * reading a token takes as long as computing it. */
double breakeven_constant_tokens(double fixed_s, double compute_s_per_token,
                                 double read_s_per_token);

struct breakeven {
  struct fit_compute compute; /* time of a prefill over (n_new, n_past) */
  struct fit_line read;       /* time to load, over bytes */
  double kv_bytes_per_token;
  double new_tokens; /* computed in either case, >= 1 */
  bool overlapped;   /* load while computing: max(load, compute), else their sum */
};

/* TTFT when a prefix of n_past is recomputed with the new tokens, or reloaded, seconds. */
double breakeven_recompute_s(const struct breakeven *breakeven, double n_past);
double breakeven_reload_s(const struct breakeven *breakeven, double n_past);

/* The whole numbers of prefix tokens for which reloading is faster: from the shortest, to the last
 * before recomputing is faster again (a slow drive can be hidden behind a few new tokens but not
 * behind a long read). `from_tokens` is INFINITY where it never is within `max_tokens` (at most
 * 1e15), and `to_tokens` where it still is there. Searched on a grid of 8 points an octave, then
 * bisected: a window narrower than that may be missed. */
struct breakeven_range {
  double from_tokens, to_tokens;
};
struct breakeven_range breakeven_tokens(const struct breakeven *breakeven, double max_tokens);

/* The bandwidth, bytes/s, from which reloading n_past tokens pays, with the fixed part of `read`;
 * INFINITY where the fixed part alone takes longer. */
double breakeven_bytes_per_s(const struct breakeven *breakeven, double n_past);

#endif
