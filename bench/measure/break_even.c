/*
 * Prefixes of doubling length, recompute and reload in turn.
 */
#include "bench/measure/break_even.h"

#include <errno.h>

#include "base/clock.h"

int64_t break_even_prefix(const struct break_even_point *points, int n) {
  int64_t prefix_tokens = 0;
  for (int i = n - 1; i >= 0; i--) {
    if (points[i].reload_s >= points[i].recompute_s) break;
    prefix_tokens = points[i].n_past;
  }
  return prefix_tokens;
}

/* One prefix: recompute and reload alternate, so that a drift meets both. */
static int measure_prefix(struct group *group, int64_t n_past, int64_t n_new,
                          struct break_even *result, struct error *error) {
  struct point reload = {
      .n_tokens = n_past + n_new, .n_past = n_past, .n_new = n_new, .policy = POLICY_OVERLAP};
  struct point recompute = {
      .n_tokens = n_past + n_new, .n_new = n_past + n_new, .policy = POLICY_RECOMPUTE};
  unsigned write_leg = group->rig->config.options->store ? LEG_WRITE : 0;
  double reload_s[BREAK_EVEN_REPEATS];
  double recompute_s[BREAK_EVEN_REPEATS];
  for (int i = -1; i < BREAK_EVEN_REPEATS; i++) { /* -1: warm-up, plans for these lengths */
    int failed = group_leg(group, &recompute, LEG_COMPUTE, error);
    if (failed) return failed;
    if (i >= 0) recompute_s[i] = group->run.first_token_s;
    failed = group_leg(group, &reload, LEG_READ | LEG_COMPUTE | write_leg, error);
    if (failed) return failed;
    if (i >= 0) reload_s[i] = group->run.first_token_s;
  }
  result->wrong_pages += reload.wrong_pages;
  result->points[result->n_points++] =
      (struct break_even_point){.n_past = n_past,
                                .recompute_s = stats_median(recompute_s, BREAK_EVEN_REPEATS),
                                .reload_s = stats_median(reload_s, BREAK_EVEN_REPEATS)};
  return 0;
}

int64_t break_even_next(int64_t n_past, int64_t last) {
  if (n_past >= last) return 0;
  return 2 * n_past < last ? 2 * n_past : last;
}

int break_even_measure(struct group *group, int64_t past_max, double budget_s,
                       struct break_even *result, struct error *error) {
  int64_t page_tokens = group->rig->page_tokens;
  *result = (struct break_even){.n_new = page_tokens};
  double deadline_s = clock_now_s() + budget_s;
  double longest_s = 0;
  int64_t room = (group->rig->config.tokens_max / page_tokens - 1) * page_tokens;
  int64_t last = past_max < room ? past_max : room;
  for (int64_t n_past = page_tokens; n_past > 0 && result->n_points < BREAK_EVEN_POINTS_MAX;
       n_past = break_even_next(n_past, last)) {
    if (n_past > last) break;
    double start_s = clock_now_s();
    if (start_s + 2 * longest_s > deadline_s) break; /* the next one takes about twice as long */
    int failed = measure_prefix(group, n_past, page_tokens, result, error);
    if (failed == -ETIME) break; /* --budget: what was measured stands */
    if (failed) return failed;
    longest_s = clock_now_s() - start_s;
  }
  result->prefix_tokens = break_even_prefix(result->points, result->n_points);
  return 0;
}
