/*
 * Prompt-cache economics. The document's break-even counts the write as if all
 * of it were extra; the strict form compares n calls with and without a cache.
 * Both are kept, since readers will compare with the document.
 */
#include "model/cache.h"

#include <math.h>

static double saved_per_read(const struct cache_prices *prices) {
  return prices->p_in - prices->p_read;
}

static double calls_to_recover(double price, double saved) {
  return saved > 0.0 ? price / saved : INFINITY;
}

double cache_breakeven_calls(const struct cache_prices *prices) {
  return calls_to_recover(prices->p_write, saved_per_read(prices));
}

double cache_breakeven_calls_strict(const struct cache_prices *prices) {
  return calls_to_recover(prices->p_write - prices->p_read, saved_per_read(prices));
}

double cache_breakeven_calls_rent(const struct cache_prices *prices, double rent_per_token_hour,
                                  double hours) {
  double extra = prices->p_write - prices->p_read + rent_per_token_hour * hours;
  return calls_to_recover(extra, saved_per_read(prices));
}

double cache_cost(const struct cache_prices *prices, double prefix_tokens, double calls) {
  if (calls <= 0.0) return 0.0;
  return prefix_tokens * (prices->p_write + (calls - 1.0) * prices->p_read);
}

double cache_cost_uncached(const struct cache_prices *prices, double prefix_tokens, double calls) {
  return prefix_tokens * calls * prices->p_in;
}

double cache_savings(const struct cache_prices *prices, double prefix_tokens, double calls) {
  return cache_cost_uncached(prices, prefix_tokens, calls) -
         cache_cost(prices, prefix_tokens, calls);
}

double cache_waste(const struct cache_prices *prices, double prefix_tokens) {
  return (prices->p_write - prices->p_in) * prefix_tokens;
}

double cache_cost_at_hit_rate(const struct cache_prices *prices, double prefix_tokens,
                              double hit_rate) {
  return prefix_tokens * (hit_rate * prices->p_read + (1.0 - hit_rate) * prices->p_write);
}

double cache_breakeven_hit_rate(const struct cache_prices *prices) {
  if (prices->p_write <= prices->p_in) return 0.0;
  return (prices->p_write - prices->p_in) / (prices->p_write - prices->p_read);
}

double cache_hit_rate_random(double ttl_s, double gap_s) {
  return -expm1(-ttl_s / gap_s);
}

double cache_hit_rate_regular(double ttl_s, double gap_s) {
  return gap_s <= ttl_s ? 1.0 : 0.0;
}

double cache_reuses_per_write(double hit_rate) {
  return hit_rate / (1.0 - hit_rate);
}

double cache_rent(double rent_per_token_hour, double prefix_tokens, double hours) {
  return rent_per_token_hour * prefix_tokens * hours;
}

struct cache_split cache_request_split(const struct cache_prices *prices, double uncached_tokens,
                                       double cached_tokens, double output_tokens) {
  struct cache_split s = {.uncached_cost = uncached_tokens * prices->p_in,
                          .cached_cost = cached_tokens * prices->p_read,
                          .output_cost = output_tokens * prices->p_out};
  double input_tokens = uncached_tokens + cached_tokens;
  s.total_cost = s.uncached_cost + s.cached_cost + s.output_cost;
  s.output_share = s.output_cost / s.total_cost;
  s.output_tokens_share = output_tokens / (input_tokens + output_tokens);
  s.cached_share = cached_tokens / input_tokens;
  s.cacheable_share = uncached_tokens * saved_per_read(prices) / s.total_cost;
  return s;
}

double cache_output_input_ratio(double decode_flops_per_token, double prefill_flops_per_token,
                                double batch_amortization) {
  return decode_flops_per_token / prefill_flops_per_token / batch_amortization;
}

double cache_bill_ratio(const struct cache_prices *prices, double prefix_tokens, double other_cost,
                        double earlier_hit_rate, double hit_rate) {
  double now = cache_cost_at_hit_rate(prices, prefix_tokens, hit_rate);
  double earlier = cache_cost_at_hit_rate(prices, prefix_tokens, earlier_hit_rate);
  return (now + other_cost) / (earlier + other_cost);
}
