/*
 * Least squares without allocation.
 *
 * Each fit sums normal equations over the samples (at most 4 unknowns, columns
 * scaled to one another) and solves them for every subset of the coefficients:
 * the best subset without a negative one is the non-negative least squares
 * solution, exactly, and 15 systems of at most 4 equations cost nothing.
 *
 * The floor makes compute time a maximum, which is not linear. But once it is
 * decided which samples lie on the floor it is, and only the size of n_new can
 * decide it: so every n_new that occurs is tried as the last one on the floor,
 * and what fits best, judged by the maximum itself, is kept.
 */
#include "model/fit.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define UNKNOWNS_MAX 4

struct normal {
  int n;                                     /* unknowns */
  double matrix[UNKNOWNS_MAX][UNKNOWNS_MAX]; /* sum of column_i column_j */
  double right[UNKNOWNS_MAX];                /* sum of column_i observed */
};

/* Adds one sample: its row of columns and what was observed, both over the observed value. */
static void normal_add(struct normal *normal, const double *row, double observed) {
  double weight = 1.0 / (observed * observed);
  for (int i = 0; i < normal->n; i++) {
    for (int j = 0; j < normal->n; j++) normal->matrix[i][j] += row[i] * row[j] * weight;
    normal->right[i] += row[i] * observed * weight;
  }
}

/* Solves a[n][n] x = b in place by elimination with pivoting; false where it is singular. */
static bool solve(double a[UNKNOWNS_MAX][UNKNOWNS_MAX], double *b, int n) {
  for (int column = 0; column < n; column++) {
    int pivot = column;
    for (int row = column + 1; row < n; row++) {
      if (fabs(a[row][column]) > fabs(a[pivot][column])) pivot = row;
    }
    if (!(fabs(a[pivot][column]) > 1e-13)) return false; /* the diagonal is scaled to 1 */
    for (int j = 0; j < n; j++) {
      double swap = a[column][j];
      a[column][j] = a[pivot][j];
      a[pivot][j] = swap;
    }
    double swap = b[column];
    b[column] = b[pivot];
    b[pivot] = swap;
    for (int row = column + 1; row < n; row++) {
      double factor = a[row][column] / a[column][column];
      for (int j = column; j < n; j++) a[row][j] -= factor * a[column][j];
      b[row] -= factor * b[column];
    }
  }
  for (int row = n - 1; row >= 0; row--) {
    for (int j = row + 1; j < n; j++) b[row] -= a[row][j] * b[j];
    b[row] /= a[row][row];
  }
  return true;
}

/* Solves for the coefficients whose bit is set in `subset`, others 0. Returns what they explain
 * (right . x), or a negative number where there is no usable solution. */
static double solve_subset(const struct normal *normal, unsigned subset, double *x) {
  double a[UNKNOWNS_MAX][UNKNOWNS_MAX], b[UNKNOWNS_MAX], scale[UNKNOWNS_MAX];
  int index[UNKNOWNS_MAX], n = 0;
  for (int i = 0; i < normal->n; i++) {
    if (!(subset & 1U << i)) continue;
    if (!(normal->matrix[i][i] > 0.0)) return -1.0; /* a column of zeros */
    scale[n] = 1.0 / sqrt(normal->matrix[i][i]);
    index[n++] = i;
  }
  for (int i = 0; i < n; i++) {
    for (int j = 0; j < n; j++) {
      a[i][j] = normal->matrix[index[i]][index[j]] * scale[i] * scale[j];
    }
    b[i] = normal->right[index[i]] * scale[i];
  }
  if (!solve(a, b, n)) return -1.0;
  double explained = 0.0;
  memset(x, 0, sizeof(double) * (size_t)normal->n);
  for (int i = 0; i < n; i++) {
    if (!(b[i] >= 0.0)) return -1.0;
    x[index[i]] = b[i] * scale[i];
    explained += normal->right[index[i]] * x[index[i]];
  }
  return explained;
}

/* The non-negative least squares solution; x is all 0 where there is none. */
static void solve_nonnegative(const struct normal *normal, double *x) {
  double best = 0.0, candidate[UNKNOWNS_MAX];
  memset(x, 0, sizeof(double) * (size_t)normal->n);
  for (unsigned subset = 1; subset < 1U << normal->n; subset++) {
    double explained = solve_subset(normal, subset, candidate);
    if (explained <= best) continue;
    best = explained;
    memcpy(x, candidate, sizeof(double) * (size_t)normal->n);
  }
}

/* ---- relative errors ---- */

struct tally {
  double squares, largest, sum_s, sum_s_squared, error_s_squared;
  int largest_at, n;
};

static double tally_add(struct tally *tally, double model_s, double observed_s) {
  double error = (model_s - observed_s) / observed_s;
  if (fabs(error) > fabs(tally->largest)) {
    tally->largest = error;
    tally->largest_at = tally->n;
  }
  tally->squares += error * error;
  tally->sum_s += observed_s;
  tally->sum_s_squared += observed_s * observed_s;
  tally->error_s_squared += (model_s - observed_s) * (model_s - observed_s);
  tally->n++;
  return error;
}

static struct fit_quality tally_quality(const struct tally *tally) {
  double about_mean = tally->sum_s_squared - tally->sum_s * tally->sum_s / tally->n;
  return (struct fit_quality){
      .rms = sqrt(tally->squares / tally->n),
      .largest = tally->largest,
      .largest_at = tally->largest_at,
      .r_squared = about_mean > 0.0 ? 1.0 - tally->error_s_squared / about_mean : 1.0};
}

static bool usable(double size, double time_s) {
  return isfinite(size) && size >= 0.0 && isfinite(time_s) && time_s > 0.0;
}

/* ---- lines ---- */

double fit_line_s(const struct fit_line *fit, double x) {
  return fit->fixed_s + x * fit->slope_s;
}

double fit_line_rate_per_s(const struct fit_line *fit) {
  return fit->slope_s > 0.0 ? 1.0 / fit->slope_s : INFINITY;
}

bool fit_line_samples(const struct fit_line_sample *samples, int n, struct fit_line *fit,
                      double *residual, struct fit_quality *quality) {
  if (n < 1 || n > FIT_SAMPLES_MAX) return false;
  struct normal normal = {.n = 2};
  for (int i = 0; i < n; i++) {
    if (!usable(samples[i].x, samples[i].time_s)) return false;
    normal_add(&normal, (double[]){1.0, samples[i].x}, samples[i].time_s);
  }
  double x[UNKNOWNS_MAX];
  solve_nonnegative(&normal, x);
  *fit = (struct fit_line){.fixed_s = x[0], .slope_s = x[1]};
  struct tally tally = {0};
  for (int i = 0; i < n; i++) {
    double error = tally_add(&tally, fit_line_s(fit, samples[i].x), samples[i].time_s);
    if (residual) residual[i] = error;
  }
  if (quality) *quality = tally_quality(&tally);
  return true;
}

/* ---- compute ---- */

static double causal_pairs(double n_new, double n_past) {
  return n_new * n_past + n_new * (n_new + 1.0) / 2.0;
}

double fit_compute_s(const struct fit_compute *fit, double n_new, double n_past) {
  return fit->fixed_s + fmax(fit->floor_s, n_new * fit->s_per_token) +
         causal_pairs(n_new, n_past) * fit->s_per_pair;
}

double fit_compute_s_per_token(const struct fit_compute *fit, double n_new, double n_past) {
  return fit_compute_s(fit, n_new, n_past) / n_new;
}

/* The best fit in which samples of n_new <= floor_tokens lie on the floor. */
static struct fit_compute fit_with_floor(const struct fit_compute_sample *samples, int n,
                                         double floor_tokens) {
  struct normal normal = {.n = 4};
  for (int i = 0; i < n; i++) {
    const struct fit_compute_sample *s = &samples[i];
    bool on_floor = s->n_new <= floor_tokens;
    double row[] = {1.0, on_floor ? 1.0 : 0.0, on_floor ? 0.0 : s->n_new,
                    causal_pairs(s->n_new, s->n_past)};
    normal_add(&normal, row, s->time_s);
  }
  double x[UNKNOWNS_MAX];
  solve_nonnegative(&normal, x);
  return (struct fit_compute){x[0], x[1], x[2], x[3]};
}

static struct tally tally_compute(const struct fit_compute *fit,
                                  const struct fit_compute_sample *samples, int n,
                                  double *residual) {
  struct tally tally = {0};
  for (int i = 0; i < n; i++) {
    double model_s = fit_compute_s(fit, samples[i].n_new, samples[i].n_past);
    double error = tally_add(&tally, model_s, samples[i].time_s);
    if (residual) residual[i] = error;
  }
  return tally;
}

bool fit_compute_samples(const struct fit_compute_sample *samples, int n, struct fit_compute *fit,
                         double *residual, struct fit_quality *quality) {
  if (n < 1 || n > FIT_SAMPLES_MAX) return false;
  for (int i = 0; i < n; i++) {
    if (!(samples[i].n_new >= 1.0) || !usable(samples[i].n_past, samples[i].time_s)) return false;
    if (!isfinite(samples[i].n_new)) return false;
  }
  struct fit_compute best = fit_with_floor(samples, n, 0.0); /* no sample on the floor */
  double least = tally_compute(&best, samples, n, NULL).squares;
  double last_tried = 0.0;
  for (int i = 0; i < n; i++) {
    if (samples[i].n_new == last_tried) continue; /* grids repeat one n_new in a row */
    last_tried = samples[i].n_new;
    struct fit_compute candidate = fit_with_floor(samples, n, last_tried);
    double squares = tally_compute(&candidate, samples, n, NULL).squares;
    if (!(squares < least * (1.0 - 1e-9))) continue; /* a floor must earn its place */
    least = squares;
    best = candidate;
  }
  *fit = best;
  struct tally tally = tally_compute(fit, samples, n, residual);
  if (quality) *quality = tally_quality(&tally);
  return true;
}
