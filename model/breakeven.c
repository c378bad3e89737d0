/*
 * Break-even prefix length, searched for rather than solved: with attention's
 * quadratic term, a floor on small prefills and overlap, the gain is piecewise
 * and need not be monotonic, and a search is right for all of it.
 */
#include "model/breakeven.h"

#include <math.h>

/* Up to here neighbouring whole numbers are distinct doubles, and bisection ends. */
#define TOKENS_MAX 1e15

double breakeven_constant_tokens(double fixed_s, double compute_s_per_token,
                                 double read_s_per_token) {
  double saved_s_per_token = compute_s_per_token - read_s_per_token;
  return saved_s_per_token > 0.0 ? fixed_s / saved_s_per_token : INFINITY;
}

double breakeven_recompute_s(const struct breakeven *b, double n_past) {
  return fit_compute_s(&b->compute, n_past + b->new_tokens, 0.0);
}

double breakeven_reload_s(const struct breakeven *b, double n_past) {
  double read_s = fit_line_s(&b->read, n_past * b->kv_bytes_per_token);
  double compute_s = fit_compute_s(&b->compute, b->new_tokens, n_past);
  return b->overlapped ? fmax(read_s, compute_s) : read_s + compute_s;
}

static bool reload_wins(const struct breakeven *b, double n_past) {
  return breakeven_reload_s(b, n_past) < breakeven_recompute_s(b, n_past);
}

/* The next point of the search grid: 8 an octave, and at least one token further. */
static double next_point(double tokens) {
  return fmax(tokens + 1.0, floor(tokens * 1.0905));
}

/* The first token count in (low, high] whose verdict differs from low's; high's does. */
static double first_change(const struct breakeven *b, double low, double high) {
  bool verdict = reload_wins(b, high);
  while (high - low > 1.0) {
    double middle = floor((low + high) / 2.0);
    if (reload_wins(b, middle) == verdict) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

struct breakeven_range breakeven_tokens(const struct breakeven *b, double max_tokens) {
  struct breakeven_range range = {INFINITY, INFINITY};
  double before = 0.0;
  bool won = false; /* without a prefix there is nothing to reload */
  double tokens = 0.0;
  double last = fmin(floor(max_tokens), TOKENS_MAX);
  while (tokens < last) {
    tokens = fmin(next_point(tokens), last); /* the last is tried whatever the grid */
    bool wins = reload_wins(b, tokens);
    if (wins && !won) range.from_tokens = first_change(b, before, tokens);
    if (!wins && won) {
      range.to_tokens = first_change(b, before, tokens) - 1.0;
      break;
    }
    won = wins;
    before = tokens;
  }
  return range;
}

double breakeven_bytes_per_s(const struct breakeven *b, double n_past) {
  double budget_s = breakeven_recompute_s(b, n_past) - b->read.fixed_s;
  double compute_s = fit_compute_s(&b->compute, b->new_tokens, n_past);
  if (!b->overlapped) budget_s -= compute_s;
  bool hopeless = b->overlapped && compute_s >= breakeven_recompute_s(b, n_past);
  if (hopeless || !(budget_s > 0.0)) return INFINITY;
  return n_past * b->kv_bytes_per_token / budget_s;
}
