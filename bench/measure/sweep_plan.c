/*
 * Choosing points, ordering groups, knowing when to stop.
 */
#include "bench/measure/sweep_plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"

/* ---- the first look ---- */

static int leg_s(struct sweep *sweep, struct point *point, unsigned legs, struct ttft_layer *total,
                 struct error *error) {
  int failed = group_leg(&sweep->group, point, legs, error);
  if (failed) return failed;
  pipeline_intervals(&sweep->group.run, sweep->group.scratch);
  *total = pipeline_totals(sweep->group.scratch, sweep->rig->layers);
  return 0;
}

/* Reads and computes at a few alphas: where do the two curves cross? */
static int scout_crossover(struct sweep *sweep, struct sweep_scout *scout, struct error *error) {
  enum { LOOKS = 4 };
  const double shares[LOOKS] = {0.5, 0.8, 0.95, 1};
  double alpha[LOOKS + 1] = {0};
  double read_s[LOOKS + 1] = {0};
  double compute_s[LOOKS + 1] = {scout->compute_s};
  for (int i = 0; i < LOOKS; i++) {
    struct point point = {.n_tokens = scout->n_tokens, .policy = POLICY_OVERLAP};
    point.n_past =
        rig_past_tokens(shares[i] * scout->alpha_max, scout->n_tokens, sweep->rig->page_tokens);
    point.n_new = point.n_tokens - point.n_past;
    alpha[i + 1] = (double)point.n_past / (double)point.n_tokens;
    struct ttft_layer total = {0};
    int failed = leg_s(sweep, &point, LEG_COMPUTE, &total, error);
    if (failed) return failed;
    compute_s[i + 1] = total.compute_s;
    failed = leg_s(sweep, &point, LEG_READ, &total, error);
    if (failed) return failed;
    read_s[i + 1] = fmax(total.read_s, total.h2d_s);
    if (point.n_past > 0) scout->read_s_per_token = read_s[i + 1] / (double)point.n_past;
  }
  scout->alpha_star = ttft_alpha_star_measured(alpha, read_s, compute_s, LOOKS + 1);
  return 0;
}

static int scout_one(struct sweep *sweep, struct sweep_scout *scout, struct error *error) {
  struct rig *rig = sweep->rig;
  struct point point = {.n_tokens = scout->n_tokens, .n_new = scout->n_tokens};
  struct ttft_layer total = {0};
  int failed = 0;
  for (int i = 0; i < 2 && !failed; i++) /* the first run warms caches and clocks up */
    failed = leg_s(sweep, &point, LEG_COMPUTE, &total, error);
  if (failed) return failed;
  scout->compute_s = total.compute_s;
  if (rig->config.options->store) {
    failed = leg_s(sweep, &point, LEG_WRITE, &total, error); /* fresh extents: warm-up only */
    if (!failed) failed = leg_s(sweep, &point, LEG_WRITE, &total, error);
    if (failed) return failed;
    scout->write_s_per_token = fmax(total.write_s, total.d2h_s) / (double)scout->n_tokens;
  }
  int64_t past = rig_past_tokens(1, scout->n_tokens, rig->page_tokens);
  scout->alpha_max = (double)past / (double)scout->n_tokens;
  scout->alpha_star = 1;
  return past > 0 ? scout_crossover(sweep, scout, error) : 0;
}

int sweep_scout_all(struct sweep *sweep, struct error *error) {
  const struct options_counts *lengths = &sweep->rig->config.options->tokens;
  sweep->started_s = clock_now_s();
  double budget_s = sweep->rig->config.options->budget_s;
  if (budget_s > 0) sweep->group.deadline_s = sweep->started_s + budget_s;
  for (int i = 0; i < lengths->n; i++) {
    sweep->scouts[i] = (struct sweep_scout){.n_tokens = lengths->values[i]};
    int failed = scout_one(sweep, &sweep->scouts[i], error);
    if (failed) return failed;
    sweep->n_lengths = i + 1;
  }
  return 0;
}

/* ---- points ---- */

int sweep_choose_alphas(double alpha_star, double alpha_max, double *alphas) {
  double low = alpha_star;
  if (!(low > 0.05)) low = 0.05; /* reading binds from the start: only the far side has points */
  if (low > alpha_max) low = alpha_max;
  bool both_sides = alpha_star < alpha_max;
  int n = 0;
  if (both_sides) {
    const double below[] = {0.5, 0.75, 0.9, 1};
    for (int i = 0; i < 4; i++) alphas[n++] = below[i] * low;
    for (int i = 1; i <= 3; i++) alphas[n++] = low + (alpha_max - low) * i / 3;
  } else {
    const double shares[] = {0.25, 0.5, 0.7, 0.85, 0.93, 0.97, 1};
    for (int i = 0; i < SWEEP_ALPHAS; i++) alphas[n++] = shares[i] * alpha_max;
  }
  return n;
}

static bool has_point(const struct sweep *sweep, const struct point *point) {
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *other = &sweep->points[i];
    if (other->n_tokens == point->n_tokens && other->n_past == point->n_past &&
        other->policy == point->policy)
      return true;
  }
  return false;
}

static void add_point(struct sweep *sweep, int64_t n_tokens, double alpha, enum policy policy) {
  struct point point = {.n_tokens = n_tokens, .alpha_asked = alpha, .policy = policy};
  if (policy != POLICY_RECOMPUTE)
    point.n_past = rig_past_tokens(alpha, n_tokens, sweep->rig->page_tokens);
  point.n_new = n_tokens - point.n_past;
  point.alpha = (double)point.n_past / (double)n_tokens;
  if (!has_point(sweep, &point)) sweep->points[sweep->n_points++] = point;
}

static int compare_alphas(const void *left, const void *right) {
  double a = *(const double *)left;
  double b = *(const double *)right;
  return (a > b) - (a < b);
}

int sweep_make_points(struct sweep *sweep, struct error *error) {
  const struct options *options = sweep->rig->config.options;
  int most = options->alpha.n ? options->alpha.n : SWEEP_ALPHAS;
  size_t room = (size_t)(sweep->n_lengths * (1 + 2 * most));
  sweep->points = calloc(room, sizeof *sweep->points);
  if (!sweep->points) return error_set(error, -ENOMEM, "no memory for %zu points", room);
  for (int i = 0; i < sweep->n_lengths; i++) {
    const struct sweep_scout *scout = &sweep->scouts[i];
    double chosen[OPTIONS_LIST_MAX];
    int n = options->alpha.n;
    if (n > 0)
      memcpy(chosen, options->alpha.values, (size_t)n * sizeof *chosen);
    else
      n = sweep_choose_alphas(scout->alpha_star, scout->alpha_max, chosen);
    qsort(chosen, (size_t)n, sizeof *chosen, compare_alphas); /* the summary needs them ascending */
    add_point(sweep, scout->n_tokens, 0, POLICY_RECOMPUTE);
    for (int policy = POLICY_SERIAL; policy <= POLICY_OVERLAP; policy++)
      for (int k = 0; k < n && options->policies[policy]; k++)
        add_point(sweep, scout->n_tokens, chosen[k], (enum policy)policy);
  }
  return 0;
}

void sweep_free(struct sweep *sweep) {
  group_free(&sweep->group);
  free(sweep->points);
  *sweep = (struct sweep){0};
}

/* ---- order and end ---- */

double sweep_expected_s(const struct sweep *sweep, const struct point *point) {
  const struct sweep_scout *scout = &sweep->scouts[0];
  for (int i = 0; i < sweep->n_lengths; i++)
    if (sweep->scouts[i].n_tokens == point->n_tokens) scout = &sweep->scouts[i];
  double compute_s = scout->compute_s * (double)point->n_new / (double)point->n_tokens;
  if (point->policy == POLICY_RECOMPUTE) return compute_s;
  double read_s = scout->read_s_per_token * (double)point->n_past;
  double write_s = scout->write_s_per_token * (double)point->n_new;
  return 3 * (read_s + write_s) + 2 * compute_s; /* alone, together, overlapped, verified */
}

double sweep_round_bytes(const struct sweep *sweep) {
  const struct rig *rig = sweep->rig;
  double pages = 0;
  for (int i = 0; i < sweep->n_points && rig->sink; i++) {
    const struct point *point = &sweep->points[i];
    if (point->policy == POLICY_RECOMPUTE) continue;
    int legs = point->n_past > 0 ? 3 : 2; /* without past there is nothing to write beside */
    pages += (double)legs * (double)pipeline_pages(point->n_new, rig->page_tokens);
  }
  return pages * (double)rig->layers * (double)rig->page_stride_bytes;
}

void sweep_shuffle(int *order, int n, uint64_t seed, int round) {
  for (int i = 0; i < n; i++) order[i] = i;
  uint64_t stream = prng_stream(seed, (uint64_t)round);
  for (int i = n - 1; i > 0; i--) {
    int other = (int)prng_below(stream, (uint64_t)i, (uint64_t)i + 1);
    int kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
}

bool sweep_is_narrow(const struct sweep *sweep) {
  for (int i = 0; i < sweep->n_points; i++) {
    const struct samples *samples = &sweep->points[i].metrics[METRIC_FIRST_TOKEN];
    if (!(samples_relative_half_width(samples, 1) <= SWEEP_HALF_WIDTH)) return false;
  }
  return true;
}

bool sweep_wants_more(const struct sweep *sweep) {
  const struct options *options = sweep->rig->config.options;
  double elapsed_s = clock_now_s() - sweep->started_s;
  int done = sweep->groups_done;
  if (done == 0) return true;
  if (options->budget_s > 0 && elapsed_s + elapsed_s / done > options->budget_s) return false;
  if (options->repeat > 0) return done < options->repeat;
  if (done < SWEEP_GROUPS_MIN) return true;
  return done < SWEEP_GROUPS_MAX && !sweep_is_narrow(sweep);
}

/* ---- what it comes to ---- */

struct sweep_summary sweep_summarise(const struct sweep *sweep, int length) {
  struct sweep_summary summary = {.n_tokens = sweep->scouts[length].n_tokens,
                                  .e = NAN,
                                  .alpha_star_constant = NAN,
                                  .alpha_star = NAN,
                                  .recompute_s = NAN};
  double alpha[OPTIONS_LIST_MAX + 1] = {0};
  double read_s[OPTIONS_LIST_MAX + 1] = {0};
  double compute_s[OPTIONS_LIST_MAX + 1] = {0};
  int n = 0;
  double read_s_per_token = NAN;
  double best_s = INFINITY;
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *point = &sweep->points[i];
    if (point->n_tokens != summary.n_tokens || point->groups == 0) continue;
    double first_token_s = point_median(point, METRIC_FIRST_TOKEN);
    struct point_rates rates = point_rates(point);
    if (point->policy == POLICY_RECOMPUTE) {
      summary.recompute = point;
      summary.recompute_s = first_token_s;
      compute_s[n++] = point_median(point, METRIC_COMPUTE_ALONE);
    } else if (point->policy == POLICY_OVERLAP && point->n_past > 0 && n <= OPTIONS_LIST_MAX) {
      alpha[n] = point->alpha;
      read_s[n] = rates.read_s_per_token * (double)point->n_past;
      compute_s[n++] = point_median(point, METRIC_COMPUTE_ALONE);
      read_s_per_token = rates.read_s_per_token; /* of the longest prefix: points ascend */
      if (first_token_s < best_s) summary.best = point;
      best_s = fmin(best_s, first_token_s);
    }
  }
  if (n < 2 || !summary.recompute) return summary;
  summary.e = ttft_token_acceleration(compute_s[0] / (double)summary.n_tokens, read_s_per_token);
  summary.alpha_star_constant = ttft_alpha_star(summary.e);
  summary.alpha_star = ttft_alpha_star_measured(alpha, read_s, compute_s, n);
  return summary;
}
