/*
 * T over (n_new, n_past): the layers computed alone at each point of a grid, points interleaved
 * in a seeded shuffle. T is not constant: small n_new is bound by the bandwidth of weights, long
 * contexts by attention.
 */
#ifndef REFILL_BENCH_MEASURE_COMPUTE_GRID_H
#define REFILL_BENCH_MEASURE_COMPUTE_GRID_H

#include <stdint.h>

#include "base/error.h"
#include "bench/measure/group.h"
#include "bench/measure/rig.h"
#include "bench/measure/stats.h"

#define GRID_NEW_MAX 12
#define GRID_PAST_MAX 6

/* One point: all layers, and what single layers say. */
struct grid_point {
  int64_t n_new, n_past;
  struct samples compute_s;           /* all layers, embedding and head included */
  struct samples layer_s;             /* median of the layers between first and last */
  int held_down;                      /* samples during which clocks were held down */
  struct samples embedding_s, head_s; /* what layer 0 and the last take beyond that */
};

struct compute_grid {
  int n_new, n_past; /* points of each axis */
  int64_t new_axis[GRID_NEW_MAX], past_axis[GRID_PAST_MAX];
  struct grid_point *points; /* (n_new, n_past) */
  int rounds;
};

/* Axes that fit a prompt of n_tokens: n_new 1, 16, 64, 256, ... n_tokens; n_past 0, and whole pages
 * near n_tokens/4 and n_tokens. Returns 0 or -ENOMEM. */
int compute_grid_init(struct compute_grid *grid, int64_t n_tokens, int64_t page_tokens,
                      struct error *error);
void compute_grid_free(struct compute_grid *grid);

struct grid_point *compute_grid_at(const struct compute_grid *grid, int i_new, int i_past);

/* One run at a point; its samples are added. */
int compute_grid_measure(struct group *group, struct grid_point *point, struct error *error);

/* Forgets all samples: no round was complete. */
void compute_grid_forget(struct compute_grid *grid);

/* Seconds of all layers at any (n_new, n_past) inside the grid: bilinear in the medians, held
 * outside. */
double compute_grid_s(const struct compute_grid *grid, double n_new, double n_past);

#endif
