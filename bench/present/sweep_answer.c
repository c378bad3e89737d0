/*
 * What a sweep says, in words; and what its samples give cause to warn of.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "bench/present/rig_report.h"
#include "bench/present/sweep_report.h"

#define ALPHA_ROUNDED 0.05 /* whole pages may move alpha this far without a word */
#define SAME_SHARE 0.05    /* a TTFT this close to recompute is no gain and no loss */

/* Appends to a text of ANSWER_BYTES; what does not fit is cut. */
static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char *text, const char *format, ...) {
  size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, ANSWER_BYTES - used, format, arguments);
  va_end(arguments);
}

static void answer_prefix(char *text, const struct break_even *break_even) {
  char tokens[UNITS_TEXT_BYTES];
  if (break_even->n_points == 0) {
    append(text, "Break-even was not measured");
    return;
  }
  const struct break_even_point *last = &break_even->points[break_even->n_points - 1];
  if (break_even->prefix_tokens == 0)
    append(text, "Recompute wins up to %s stored tokens, the longest prefix tried",
           units_format_count(tokens, (uint64_t)last->n_past));
  else
    append(text, "Reload wins from %s tokens up%s",
           units_format_count(tokens, (uint64_t)break_even->prefix_tokens),
           break_even->prefix_tokens == break_even->points[0].n_past ? " (the shortest tried)"
                                                                     : "");
}

static void answer_best(char *text, const struct sweep *sweep,
                        const struct sweep_summary *summary) {
  if (!summary->best) return;
  char tokens[UNITS_TEXT_BYTES];
  char with[UNITS_TEXT_BYTES];
  char without[UNITS_TEXT_BYTES];
  double reload_s = point_median(summary->best, METRIC_FIRST_TOKEN);
  double ratio = sweep_speedup(sweep, summary->best);
  double factor = ratio >= 1 ? ratio : 1 / ratio;
  append(text, "; at %s tokens and alpha %.3g, TTFT is ",
         units_format_count(tokens, (uint64_t)summary->n_tokens), summary->best->alpha);
  if (factor < 1 + SAME_SHARE)
    append(text, "about the same");
  else
    append(text, "%.*fx %s", factor < 10 ? 1 : 0, factor, ratio >= 1 ? "lower" : "higher");
  append(text, " (%s against %s)", units_format_seconds(with, reload_s),
         units_format_seconds(without, summary->recompute_s));
}

/* True for a point that says which stage binds. */
static bool tells_regime(const struct point *point, int64_t n_tokens) {
  return point->n_tokens == n_tokens && point->policy != POLICY_RECOMPUTE && point->groups > 0;
}

/* Where a stage binds among the alphas measured. */
struct binding {
  double low, high; /* lowest and highest alpha where it does; low > high: nowhere */
  bool from_first;  /* no lower alpha was measured */
  bool to_last;     /* no higher one */
  bool throughout;  /* nothing else binds in between */
};

static struct binding binding_of(const struct sweep *sweep, int64_t n_tokens,
                                 enum ttft_regime regime) {
  struct binding binding = {INFINITY, -INFINITY, true, true, true};
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *point = &sweep->points[i];
    if (!tells_regime(point, n_tokens) || point_regime(point) != regime) continue;
    binding.low = fmin(binding.low, point->alpha);
    binding.high = fmax(binding.high, point->alpha);
  }
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *point = &sweep->points[i];
    if (!tells_regime(point, n_tokens) || point_regime(point) == regime) continue;
    if (point->alpha <= binding.low) binding.from_first = false;
    if (point->alpha >= binding.high) binding.to_last = false;
    if (point->alpha >= binding.low && point->alpha <= binding.high) binding.throughout = false;
  }
  return binding;
}

/* Claims a range only where all alphas measured in it agree. */
static void answer_binding(char *text, const char *what, struct binding binding) {
  append(text, "; %s binds", what);
  if (!binding.throughout)
    append(text, " at some alphas from %.3g to %.3g", binding.low, binding.high);
  else if (binding.from_first && binding.to_last)
    append(text, " at every alpha measured");
  else if (binding.from_first)
    append(text, " up to alpha %.3g", binding.high);
  else if (binding.to_last)
    append(text, " from alpha %.3g on", binding.low);
  else
    append(text, " from alpha %.3g to %.3g", binding.low, binding.high);
}

static void answer_regimes(char *text, const struct sweep *sweep, int64_t n_tokens) {
  static const struct {
    enum ttft_regime regime;
    const char *what;
  } stages[] = {{REGIME_WRITE, "the write of new KV"},
                {REGIME_READ, "reading"},
                {REGIME_H2D, "the copy to the device"},
                {REGIME_D2H, "the copy from the device"}};
  bool any = false;
  for (unsigned i = 0; i < sizeof stages / sizeof *stages; i++) {
    struct binding binding = binding_of(sweep, n_tokens, stages[i].regime);
    if (binding.low > binding.high) continue;
    any = true;
    answer_binding(text, stages[i].what, binding);
  }
  struct binding compute = binding_of(sweep, n_tokens, REGIME_COMPUTE);
  if (!any && compute.low <= compute.high)
    append(text, "; compute binds at every alpha measured: storage is faster than this device "
                 "needs");
}

char *sweep_answer(const struct sweep *sweep, const struct break_even *break_even,
                   char text[ANSWER_BYTES]) {
  text[0] = '\0';
  int longest = 0;
  for (int i = 0; i < sweep->n_lengths; i++)
    if (sweep->scouts[i].n_tokens > sweep->scouts[longest].n_tokens) longest = i;
  struct sweep_summary summary = sweep_summarise(sweep, longest);
  answer_prefix(text, break_even);
  answer_best(text, sweep, &summary);
  answer_regimes(text, sweep, summary.n_tokens);
  const char *how = sweep->rig->device->info.played_back ? " (compute played back, not measured)"
                                                         : "";
  append(text, "%s%s.", how, sweep->rig->emulated ? " (drive emulated)" : "");
  return text;
}

void sweep_warn(const struct sweep *sweep, struct warnings *warnings) {
  char reason[WARNINGS_DETAIL_BYTES];
  bool io_bound = false;
  bool compute_bound = false;
  bool any = false;
  for (int i = 0; i < sweep->n_points; i++) {
    const struct point *point = &sweep->points[i];
    if (point->groups == 0) continue;
    const struct samples *samples = &point->metrics[METRIC_FIRST_TOKEN];
    int outliers = stats_outliers(samples);
    if (outliers > 0)
      warnings_add(warnings, WARNING_OUTLIERS, "alpha %.4g: %d of %d", point->alpha, outliers,
                   samples->n);
    if (point->policy == POLICY_RECOMPUTE) continue;
    any = true;
    enum ttft_regime regime = point_regime(point);
    io_bound = io_bound || regime == REGIME_READ || regime == REGIME_H2D;
    compute_bound = compute_bound || regime == REGIME_COMPUTE;
    enum point_deviation deviation = point_deviation(point);
    if (deviation != DEVIATION_NONE)
      warnings_add(warnings, WARNING_ERROR_SPREAD, "alpha %.4g: %+.0f%%, %s", point->alpha,
                   100 * point_median(point, METRIC_ERROR_PIPELINED),
                   point_deviation_name(deviation));
    if (point->cold_known && point->cold.verdict == COLD_NOT_PROVEN)
      warnings_add(warnings, WARNING_COLD_NOT_PROVEN, "%s",
                   cold_reason(point->cold.text, reason, sizeof reason));
    if (fabs(point->alpha - point->alpha_asked) > ALPHA_ROUNDED)
      warnings_add(warnings, WARNING_ALPHA_ROUNDED, "%.4g asked, %.4g measured", point->alpha_asked,
                   point->alpha);
  }
  if (any && !io_bound) warnings_add(warnings, WARNING_NO_IO_BOUND, "%s", "");
  if (any && !compute_bound) warnings_add(warnings, WARNING_NO_COMPUTE_BOUND, "%s", "");
  if (sweep->groups_done > 0 && !sweep_is_narrow(sweep))
    warnings_add(warnings, WARNING_INTERVAL, "%d group%s", sweep->groups_done,
                 sweep->groups_done > 1 ? "s" : "");
}
