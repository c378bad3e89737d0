/*
 * From how many stored tokens on is reloading faster than recomputing? Measured, with short
 * prefixes, since there fixed costs decide.
 */
#ifndef REFILL_BENCH_MEASURE_BREAK_EVEN_H
#define REFILL_BENCH_MEASURE_BREAK_EVEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bench/measure/group.h"

#define BREAK_EVEN_POINTS_MAX 16
#define BREAK_EVEN_REPEATS 5

struct break_even_point {
  int64_t n_past;               /* stored tokens; n_new is one page */
  double recompute_s, reload_s; /* medians of interleaved runs */
};

struct break_even {
  int64_t n_new;
  int n_points; /* prefixes of 1, 2, 4, ... pages, and the longest */
  struct break_even_point points[BREAK_EVEN_POINTS_MAX];
  int64_t prefix_tokens; /* shortest measured prefix from which reload wins at it and at all longer
                            ones measured; 0: none */
  int64_t wrong_pages;
};

/* Measures prefixes up to `past_max` tokens, at most budget_s seconds in all. */
int break_even_measure(struct group *group, int64_t past_max, double budget_s,
                       struct break_even *result, struct error *error);

/* The prefix to try after n_past: twice as long, at last `last` itself; 0 after that. Without the
 * longest, a verdict could stop well short of the prompts that the sweep measured. */
int64_t break_even_next(int64_t n_past, int64_t last);

/* The verdict over points in ascending order of n_past. */
int64_t break_even_prefix(const struct break_even_point *points, int n);

#endif
