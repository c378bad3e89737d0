/*
 * Seconds between the points of a profile: bilinear interpolation.
 *
 * Linear is right where it matters: GEMM time is nearly linear in n_new, and
 * attention has a term n_new * n_past, which is bilinear, and one n_new^2 / 2, for
 * which grids have points closer together. Below the first point the value is held:
 * a GEMM over one token takes as long as over eight, as the weights must be read.
 * Beyond the last point the last slope goes on; noise in a measured grid may make
 * it negative, so times end at 0.
 */
#include <assert.h>

#include "kernels/playback/profile.h"

/* Where a value lies on an axis: between points `low` and `high`, `weight` of the way (above 1
 * beyond the last point). */
struct position {
  int low, high;
  double weight;
};

static struct position locate(const int64_t *axis, int n_points, int64_t value) {
  if (axis == NULL || n_points == 1 || value <= axis[0]) return (struct position){0, 0, 0.0};
  int high = 1;
  while (high < n_points - 1 && axis[high] < value) high++;
  double step = (double)(axis[high] - axis[high - 1]);
  return (struct position){high - 1, high, (double)(value - axis[high - 1]) / step};
}

static double between(double low, double high, double weight) {
  return low + (high - low) * weight;
}

double profile_grid_s(const struct profile_grid *grid, int64_t n_new, int64_t n_past) {
  assert(grid->n_rows >= 1 && grid->n_columns >= 1);
  assert(n_new >= 0 && n_past >= 0);
  struct position row = locate(grid->n_new, grid->n_rows, n_new);
  struct position column = locate(grid->n_past, grid->n_columns, n_past);
  const double *low = grid->seconds + (size_t)row.low * (size_t)grid->n_columns;
  const double *high = grid->seconds + (size_t)row.high * (size_t)grid->n_columns;
  double at_low = between(low[column.low], low[column.high], column.weight);
  double at_high = between(high[column.low], high[column.high], column.weight);
  double seconds = between(at_low, at_high, row.weight);
  return seconds > 0.0 ? seconds : 0.0;
}

double profile_layer_s(const struct profile *profile, int64_t n_new, int64_t n_past) {
  return profile_grid_s(&profile->layer_s, n_new, n_past);
}

double profile_embedding_s(const struct profile *profile, int64_t n_new) {
  return profile_grid_s(&profile->embedding_s, n_new, 0);
}

double profile_head_s(const struct profile *profile) {
  return profile_grid_s(&profile->head_s, 1, 0);
}
