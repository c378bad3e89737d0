/*
 * What a sweep measures, and for how long: points around the crossover, groups in a
 * seeded shuffle, an end when the intervals are narrow.
 */
#ifndef REFILL_BENCH_MEASURE_SWEEP_PLAN_H
#define REFILL_BENCH_MEASURE_SWEEP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bench/measure/group.h"
#include "bench/measure/point.h"
#include "bench/measure/rig.h"

#define SWEEP_ALPHAS 7        /* chosen when --alpha is not given */
#define SWEEP_GROUPS_MIN 5    /* before an interval is believed */
#define SWEEP_GROUPS_MAX 15   /* cap without --repeat */
#define SWEEP_HALF_WIDTH 0.03 /* of the median: intervals narrower than this are narrow */
#define SWEEP_LENGTHS_MAX 32

/* A first look at one prompt length: enough to choose alphas and to foresee the duration. */
struct sweep_scout {
  int64_t n_tokens;
  double compute_s;                           /* N new tokens, alone */
  double read_s_per_token, write_s_per_token; /* alone; 0 where there is no such leg */
  double alpha_max;                           /* of whole pages */
  double alpha_star;                          /* read = compute, from a few alphas */
};

struct sweep {
  struct rig *rig;
  struct group group;
  struct sweep_scout scouts[SWEEP_LENGTHS_MAX]; /* one a prompt length */
  int n_lengths;
  struct point *points; /* recompute of each length first in its run of points */
  int n_points;
  int groups_done; /* whole rounds */
  double started_s;
};

/* Measures each length of the options roughly (two runs each leg; also the warm-up). -EINTR when
 * interrupted. */
int sweep_scout_all(struct sweep *sweep, struct error *error);

/* Makes the points: for each length `recompute` and each policy over each alpha, duplicates (after
 * whole pages) left out. Allocates sweep->points. */
int sweep_make_points(struct sweep *sweep, struct error *error);

/* Alphas around the crossover, ascending, in [0, alpha_max]; returns how many (at most
 * SWEEP_ALPHAS). */
int sweep_choose_alphas(double alpha_star, double alpha_max, double *alphas);

/* Seconds that one group of a point is expected to take. */
double sweep_expected_s(const struct sweep *sweep, const struct point *point);

/* Bytes that one round writes to the drive: alone, beside reads, and overlapped. */
double sweep_round_bytes(const struct sweep *sweep);

/* A seeded shuffle of 0..n-1 for round `round`. */
void sweep_shuffle(int *order, int n, uint64_t seed, int round);

/* True when another round is to be run: --repeat, intervals, cap and --budget considered. */
bool sweep_wants_more(const struct sweep *sweep);

/* True where every point's first-token interval is narrow. */
bool sweep_is_narrow(const struct sweep *sweep);

void sweep_free(struct sweep *sweep);

/* e = T(N,0)/R and the crossover as measured, of one length, from its points; NaN where unknown. */
struct sweep_summary {
  int64_t n_tokens;
  double e;                   /* token acceleration */
  double alpha_star_constant; /* e/(1+e): where T were constant */
  double alpha_star;          /* read(alpha N) = compute((1-alpha) N), as measured */
  double recompute_s;         /* first token without stored KV */
  const struct point *recompute;
  const struct point *best; /* the overlapped point of the largest speedup; NULL: none */
};
struct sweep_summary sweep_summarise(const struct sweep *sweep, int length);

#endif
