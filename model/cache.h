/*
 * Prompt caching as a price list: break-even, TTL, storage rent, waste, and how
 * a request's cost splits. Source: "serving physics", chapters 5 and 7. Prices
 * are per token in any unit; relative to p_in (p_in = 1) works as well.
 */
#ifndef REFILL_MODEL_CACHE_H
#define REFILL_MODEL_CACHE_H

struct cache_prices {
  double p_in;    /* uncached input */
  double p_write; /* input that is written to the cache; may exceed p_in */
  double p_read;  /* input read from the cache */
  double p_out;   /* output */
};

/* Calls from which caching pays, as the document has it: p_write / (p_in - p_read). And strict,
 * from p_write + (n-1) p_read = n p_in: (p_write - p_read) / (p_in - p_read). INFINITY where a
 * read costs as much as plain input. The document's is larger by p_read / (p_in - p_read). */
double cache_breakeven_calls(const struct cache_prices *prices);
double cache_breakeven_calls_strict(const struct cache_prices *prices);

/* Cost of `calls` with the same prefix, all within the TTL: one write, the rest reads; and without
 * a cache. Savings are the difference; before break-even they are negative. */
double cache_cost(const struct cache_prices *prices, double prefix_tokens, double calls);
double cache_cost_uncached(const struct cache_prices *prices, double prefix_tokens, double calls);
double cache_savings(const struct cache_prices *prices, double prefix_tokens, double calls);

/* What a write that nobody reads wastes: (p_write - p_in) prefix_tokens. */
double cache_waste(const struct cache_prices *prices, double prefix_tokens);

/* Mean input cost of one call at a hit rate, h p_read + (1-h) p_write per prefix token, and the hit
 * rate at which that equals p_in (0 where a write costs no more than plain input). */
double cache_cost_at_hit_rate(const struct cache_prices *prices, double prefix_tokens,
                              double hit_rate);
double cache_breakeven_hit_rate(const struct cache_prices *prices);

/* Share of requests that find the prefix within the TTL, each use renewing it: 1 - exp(-ttl/gap)
 * for random (Poisson) arrivals of mean gap `gap_s`; for regular ones 1 or 0. */
double cache_hit_rate_random(double ttl_s, double gap_s);
double cache_hit_rate_regular(double ttl_s, double gap_s);

/* Reads that follow a write before the entry lapses: h / (1-h). */
double cache_reuses_per_write(double hit_rate);

/* Storage rent of explicit caches, a price per token-hour: rent of a prefix over `hours`, and the
 * calls in that time from which the savings exceed write and rent (strict break-even with rent):
 * (p_write - p_read + rent_per_token_hour hours) / (p_in - p_read). */
double cache_rent(double rent_per_token_hour, double prefix_tokens, double hours);
double cache_breakeven_calls_rent(const struct cache_prices *prices, double rent_per_token_hour,
                                  double hours);

/* One request's cost and how it splits. */
struct cache_split {
  double uncached_cost, cached_cost, output_cost; /* of the three kinds of token */
  double total_cost;
  double output_share;        /* of the cost */
  double output_tokens_share; /* of the tokens */
  double cached_share;        /* of the input tokens */
  double cacheable_share;     /* of the cost: what caching the uncached input too would save; beside
                                 output_share it says which lever is the longer */
};
struct cache_split cache_request_split(const struct cache_prices *prices, double uncached_tokens,
                                       double cached_tokens, double output_tokens);

/* Structural price ratio, as the document has it: (FLOPs per decode token / FLOPs per prefill
 * token) / batch_amortization. Read here as the share of the compute floor that decode reaches at
 * its batch, B O_tok / F / T_step(B), 0 to 1: with that it is the ratio of GPU times (roofline.h).
 */
double cache_output_input_ratio(double decode_flops_per_token, double prefill_flops_per_token,
                                double batch_amortization);

/* What a fallen hit rate does to the bill: cost at `hit_rate` over cost at `earlier_hit_rate`, the
 * prefix and other costs (uncached input, output) together. */
double cache_bill_ratio(const struct cache_prices *prices, double prefix_tokens, double other_cost,
                        double earlier_hit_rate, double hit_rate);

#endif
