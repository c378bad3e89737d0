/*
 * Goodput: gates over requests, then ratios. All costs are in the numerator,
 * accepted results alone in the denominator; that is the whole point.
 */
#include "model/goodput.h"

#include <math.h>

struct goodput_result goodput_measure(const struct goodput_request *requests, int n,
                                      struct goodput_slo slo, double duration_s) {
  struct goodput_result r = {0};
  for (int i = 0; i < n; i++) {
    const struct goodput_request *request = &requests[i];
    /* Written so that a latency that is no number fails its gate. */
    bool ttft_ok = request->ttft_s <= slo.ttft_s;
    bool tpot_ok = request->tpot_s <= slo.tpot_s;
    bool end_ok = request->end_to_end_s <= slo.end_to_end_s;
    r.failed_ttft += !ttft_ok;
    r.failed_tpot += !tpot_ok;
    r.failed_end_to_end += !end_ok;
    r.failed_quality += !request->quality_ok;
    r.accepted += ttft_ok && tpot_ok && end_ok && request->quality_ok;
    r.cost_usd += request->cost_usd;
  }
  r.throughput_per_s = n / duration_s;
  r.goodput_per_s = r.accepted / duration_s;
  r.usd_per_accepted = goodput_usd_per_accepted(r.cost_usd, r.accepted);
  return r;
}

double goodput_usd_per_accepted(double total_usd, double accepted) {
  return accepted > 0.0 ? total_usd / accepted : INFINITY;
}

double goodput_usd_with_retries(double usd_per_attempt, double pass_rate) {
  return goodput_usd_per_accepted(usd_per_attempt, pass_rate);
}

int goodput_best(const struct goodput_result *results, int n) {
  int best = 0;
  for (int i = 1; i < n; i++) {
    double usd = results[i].usd_per_accepted, best_usd = results[best].usd_per_accepted;
    bool more = results[i].goodput_per_s > results[best].goodput_per_s;
    if (usd < best_usd || (usd == best_usd && more)) best = i;
  }
  return best;
}

double goodput_productive_share(double utilization, double retried_share, double recomputed_share,
                                double rejected_share, double pass_rate) {
  return utilization * (1.0 - retried_share) * (1.0 - recomputed_share) * (1.0 - rejected_share) *
         pass_rate;
}

double goodput_tokens_per_verification(double acceptance, double drafted) {
  if (acceptance >= 1.0) return drafted + 1.0;
  return (1.0 - pow(acceptance, drafted + 1.0)) / (1.0 - acceptance);
}

double goodput_speculative_speedup(double acceptance, double drafted, double draft_s,
                                   double verify_s, double step_s) {
  double round_s = drafted * draft_s + verify_s;
  return goodput_tokens_per_verification(acceptance, drafted) * step_s / round_s;
}

double goodput_breakeven_acceptance(double drafted, double draft_s, double verify_s,
                                    double step_s) {
  if (goodput_speculative_speedup(1.0, drafted, draft_s, verify_s, step_s) < 1.0) return 1.0;
  if (goodput_speculative_speedup(0.0, drafted, draft_s, verify_s, step_s) >= 1.0) return 0.0;
  double low = 0.0, high = 1.0;
  for (int i = 0; i < 50; i++) { /* the speed-up rises with acceptance; 2^-50 of the range */
    double middle = (low + high) / 2.0;
    if (goodput_speculative_speedup(middle, drafted, draft_s, verify_s, step_s) < 1.0) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return high;
}

double goodput_breakeven_pass_rate(double pass_rate, double speedup) {
  return pass_rate / speedup;
}
