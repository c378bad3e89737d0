/*
 * The grid's axes, its runs, and interpolation between its points.
 */
#include "bench/measure/compute_grid.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- axes ---- */

static void choose_axes(struct compute_grid *grid, int64_t n_tokens, int64_t page_tokens) {
  static const int64_t lengths[] = {1, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576};
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths && lengths[i] < n_tokens; i++)
    grid->new_axis[grid->n_new++] = lengths[i];
  grid->new_axis[grid->n_new++] = n_tokens;
  const int64_t pasts[] = {0, n_tokens / 4, n_tokens};
  for (int i = 0; i < 3; i++) {
    int64_t past = pasts[i] / page_tokens * page_tokens;
    if (grid->n_past == 0 || past > grid->past_axis[grid->n_past - 1])
      grid->past_axis[grid->n_past++] = past;
  }
}

int compute_grid_init(struct compute_grid *grid, int64_t n_tokens, int64_t page_tokens,
                      struct error *error) {
  *grid = (struct compute_grid){0};
  choose_axes(grid, n_tokens, page_tokens);
  size_t n = (size_t)(grid->n_new * grid->n_past);
  grid->points = calloc(n, sizeof *grid->points);
  if (!grid->points) return error_set(error, -ENOMEM, "no memory for a grid of %zu points", n);
  for (int i = 0; i < grid->n_new; i++)
    for (int k = 0; k < grid->n_past; k++) {
      struct grid_point *point = compute_grid_at(grid, i, k);
      point->n_new = grid->new_axis[i];
      point->n_past = grid->past_axis[k];
    }
  return 0;
}

void compute_grid_free(struct compute_grid *grid) {
  free(grid->points);
  *grid = (struct compute_grid){0};
}

struct grid_point *compute_grid_at(const struct compute_grid *grid, int i_new, int i_past) {
  return &grid->points[i_new * grid->n_past + i_past];
}

/* ---- runs ---- */

int compute_grid_measure(struct group *group, struct grid_point *grid_point, struct error *error) {
  struct point point = {.n_tokens = grid_point->n_new + grid_point->n_past,
                        .n_past = grid_point->n_past,
                        .n_new = grid_point->n_new};
  int failed = group_leg(group, &point, LEG_COMPUTE, error);
  if (failed) return failed;
  grid_point->held_down += point.held_down;
  int layers = group->rig->layers;
  pipeline_intervals(&group->run, group->scratch);
  double middle_s[STATS_SAMPLES_MAX];
  int n = 0;
  for (int layer = 1; layer < layers - 1 && n < STATS_SAMPLES_MAX; layer++)
    middle_s[n++] = group->scratch[layer].compute_s;
  double total_s = pipeline_totals(group->scratch, layers).compute_s;
  double layer_s = n > 0 ? stats_median(middle_s, n) : total_s / layers;
  samples_add(&grid_point->compute_s, total_s);
  samples_add(&grid_point->layer_s, layer_s);
  samples_add(&grid_point->embedding_s, n > 0 ? fmax(0, group->scratch[0].compute_s - layer_s) : 0);
  samples_add(&grid_point->head_s,
              n > 0 ? fmax(0, group->scratch[layers - 1].compute_s - layer_s) : 0);
  return 0;
}

void compute_grid_forget(struct compute_grid *grid) {
  for (int i = 0; i < grid->n_new * grid->n_past; i++) {
    struct grid_point *point = &grid->points[i];
    *point = (struct grid_point){.n_new = point->n_new, .n_past = point->n_past};
  }
  grid->rounds = 0;
}

/* ---- between the points ---- */

/* The pair of axis points around `at`, and how far between them; outside, the end point twice. */
static double bracket(const int64_t *axis, int n, double at, int *below) {
  *below = 0;
  if (n == 1 || at <= (double)axis[0]) return 0;
  int i = 0;
  while (i < n - 2 && at > (double)axis[i + 1]) i++;
  *below = i;
  double share = (at - (double)axis[i]) / (double)(axis[i + 1] - axis[i]);
  return share > 1 ? 1 : share;
}

static double median_at(const struct compute_grid *grid, int i_new, int i_past) {
  const struct samples *samples = &compute_grid_at(grid, i_new, i_past)->compute_s;
  return stats_median(samples->values, samples->n);
}

double compute_grid_s(const struct compute_grid *grid, double n_new, double n_past) {
  int i = 0;
  int k = 0;
  double u = bracket(grid->new_axis, grid->n_new, n_new, &i);
  double v = bracket(grid->past_axis, grid->n_past, n_past, &k);
  int i1 = u > 0 ? i + 1 : i;
  int k1 = v > 0 ? k + 1 : k;
  double low = (1 - u) * median_at(grid, i, k) + u * median_at(grid, i1, k);
  double high = (1 - u) * median_at(grid, i, k1) + u * median_at(grid, i1, k1);
  return (1 - v) * low + v * high;
}
