/*
 * Where a request goes decides whether its KV is there: hit rate, TTFT and cost
 * by routing policy. Sources: "serving physics", chapter 9; "slides", KV-aware
 * against KV-oblivious routing with a shared store.
 */
#ifndef REFILL_MODEL_ROUTING_H
#define REFILL_MODEL_ROUTING_H

enum routing_policy {
  ROUTE_ROUND_ROBIN,  /* any replica in turn; least-request behaves alike */
  ROUTE_PREFIX_AWARE, /* the replica that a hash of the prefix names */
  ROUTE_STICKY,       /* the replica that served this session before */
  ROUTE_SHARED_STORE, /* any replica: KV is in a store that all can read */
  ROUTE_POLICIES
};

/* "round-robin", "prefix-aware", "sticky", "shared-store". */
const char *routing_policy_name(enum routing_policy policy);

/*
 * Two kinds of KV can be reused: a prefix that many sessions share (system
 * prompt, tools), and a session's own history, which is only where its last
 * turn ran.
 */
struct routing_workload {
  double n_replicas;
  double n_prefixes;     /* distinct shared prefixes, alike in popularity */
  double n_sessions;     /* concurrent sessions */
  double shared_tokens;  /* of a shared prefix */
  double history_tokens; /* of a session's earlier turns, on average */
  double new_tokens;     /* new in each request */
  double requests_per_s; /* of all sessions */
  double ttl_s;          /* after which unused KV is gone */
  double kv_bytes_per_token;
  double cache_bytes; /* KV cache of one replica; of the store: n_replicas times as much */
  double hot_share;   /* share of requests with the most popular prefix, >= 1/n_prefixes */
  double replica_requests_per_s; /* one replica's capacity; INFINITY to leave saturation out */
  double spill_at;               /* utilisation from which requests are sent elsewhere, e.g. 0.9 */
};

struct routing_result {
  double shared_hit_rate;     /* of requests whose shared prefix is found */
  double history_hit_rate;    /* of requests whose history is found */
  double hit_rate;            /* of reusable tokens */
  double alpha;               /* of all input tokens */
  double spill_rate;          /* of requests sent to another than the wanted replica */
  double hottest_utilization; /* of the busiest replica, before spilling */
  double resident_bytes;      /* KV that each replica (or the store) wants to keep */
};
struct routing_result routing_evaluate(enum routing_policy policy,
                                       const struct routing_workload *workload);

/* Chance that a replica picked at random holds what one replica holds: 1 / n (the document's 12%
 * of 8 replicas). */
double routing_random_hit_rate(double n_replicas);

/* Mean TTFT = hit TTFT_hit + (1 - hit) TTFT_miss, seconds; and the two inverted: TTFT of a hit and
 * of a miss from the means at two hit rates, as a measurement of two policies gives them. */
double routing_ttft_s(double hit_rate, double ttft_hit_s, double ttft_miss_s);
double routing_ttft_hit_s(double hit_a, double mean_a_s, double hit_b, double mean_b_s);
double routing_ttft_miss_s(double hit_a, double mean_a_s, double hit_b, double mean_b_s);

/* Input cost at a hit rate relative to no cache: 1 - h (1 - read_price), read_price = p_read /
 * p_in. And the saving of one hit rate against a baseline's: 1 - cost / baseline cost. */
double routing_input_cost(double hit_rate, double read_price);
double routing_savings(double hit_rate, double baseline_hit_rate, double read_price);

/* The hit rate of prefix-aware routing with a saturation threshold: requests over what the hot
 * replica takes go to random ones. (1 - spill) hit + spill hit / n. */
double routing_spilled_hit_rate(double hit_rate, double spill_rate, double n_replicas);

/* The fewest replicas whose busiest one stays under `spill_at` for a policy: total rate over
 * capacity for even policies, and enough for the hot prefix where one replica gets all of it
 * (INFINITY when that alone is too much, whatever the number). */
double routing_min_replicas(enum routing_policy policy, const struct routing_workload *workload);

#endif
