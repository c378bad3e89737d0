/*
 * What a longer context multiplies: KV, prefill, decode step, cost of a
 * request; and what chunking would save. Source: "serving physics", chapter 6,
 * long context and the memory wall.
 */
#ifndef REFILL_MODEL_LONGCONTEXT_H
#define REFILL_MODEL_LONGCONTEXT_H

/* One replica that serves requests of one context length back to back. */
struct longcontext {
  double pool_bytes; /* for KV: capacity_pool_bytes() */
  double kv_bytes_per_token;
  double linear_flops_per_token;
  double attention_flops_per_pair; /* 4 L Hq D */
  double flops_per_s;
  double weights_bytes; /* read at each decode step */
  double hbm_bytes_per_s;
  double n_out_tokens;
  double usd_per_hour; /* of the replica */
  double utilization;  /* share of the hour at work, 0.65 to 0.80 for bursty long contexts */
};

struct longcontext_point {
  double kv_bytes;      /* of one request at full context */
  double max_sequences; /* floor(pool / kv) */
  double prefill_s;     /* of one request alone */
  double step_s;        /* decode step with max_sequences resident: its TPOT */
  double gpu_s;         /* GPU time of a request: prefill + N_out step / max_sequences */
  double request_s;     /* in residence: decode steps wait for the prefills of the others */
  double requests_per_hour;
  double usd_per_request; /* INFINITY where not even one sequence fits */
};
struct longcontext_point longcontext_at(const struct longcontext *longcontext,
                                        double context_tokens);

/* One context length against another, each as a factor. */
struct longcontext_multipliers {
  double kv, concurrency, prefill, step, usd_per_request;
};
struct longcontext_multipliers longcontext_multipliers(const struct longcontext *longcontext,
                                                       double base_tokens, double context_tokens);

/* The document's arithmetic: requests/hour = concurrent x 3600 / duration x utilization, and the
 * cost of each. */
double longcontext_requests_per_hour(double concurrent, double duration_s, double utilization);
double longcontext_usd_per_request(double usd_per_hour, double requests_per_hour);

/* One request of `context_tokens` over `chunks` requests of context/chunks: cost of the one over
 * cost of all chunks; and prefill FLOPs alike, above 1 by attention alone. */
double longcontext_chunking_cost_ratio(const struct longcontext *longcontext, double context_tokens,
                                       double chunks);
double longcontext_chunking_flops_ratio(const struct longcontext *longcontext,
                                        double context_tokens, double chunks);

#endif
