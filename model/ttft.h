/*
 * Time to first token: the ideal, the pipelined and the contended model.
 * Units: seconds, tokens. No allocation: scratch arrays come from the caller.
 */
#ifndef REFILL_MODEL_TTFT_H
#define REFILL_MODEL_TTFT_H

#include <stdbool.h>

/* The term that wins in max(...). */
enum ttft_regime { REGIME_READ, REGIME_H2D, REGIME_WRITE, REGIME_D2H, REGIME_COMPUTE };

/* "read", "h2d", "write", "d2h", "compute". */
const char *ttft_regime_name(enum ttft_regime regime);

/* e = T/R and alpha* = e/(1+e). */
double ttft_token_acceleration(double compute_s_per_token, double read_s_per_token);
double ttft_alpha_star(double e);

/* Ideal TTFT = max(alpha N R, (1-alpha) N W, (1-alpha) N T); regime may be NULL;
 * of equal terms compute is named before read, read before write. */
double ttft_ideal_s(double alpha, double n_tokens, double compute_s_per_token,
                    double read_s_per_token, double write_s_per_token, enum ttft_regime *regime);

/* Policy `serial`, ideal: reload, then compute: alpha N R + (1-alpha) N T. */
double ttft_serial_s(double alpha, double n_tokens, double compute_s_per_token,
                     double read_s_per_token);

/* The slides' speedup x: 1/(1-alpha) below alpha*, e/alpha above. */
double ttft_ideal_speedup(double alpha, double e);

/* Per-layer durations of the five stages, seconds. */
struct ttft_layer {
  double read_s, h2d_s, compute_s, d2h_s, write_s;
};

/* How the pipeline is bounded. */
struct ttft_bounds {
  int window;       /* layers the reader may be ahead of compute, >= 1 */
  int write_window; /* leaving buffers, >= 1 */
  bool staged;      /* KV goes through landing buffers (GPU): a slot is free once landed */
};

struct ttft_prediction {
  double first_token_s; /* compute_done(L-1) */
  double durable_s;     /* max of it and write_done(L-1) */
};

/* One layer's completion times, the recurrence's working memory and a
 * timeline for reports. */
struct ttft_done {
  double read_s, landed_s, compute_s, left_s, write_s;
};

/* The recurrence of the design, over `n_layers` >= 1 layers; done[n_layers] is
 * scratch and result. */
struct ttft_prediction ttft_pipelined(const struct ttft_layer *layers, int n_layers,
                                      struct ttft_bounds bounds, struct ttft_done *done);

/* The busiest stage over all layers: the largest of the stages' sums, seconds,
 * and which stage it is (may be NULL; the earlier of equals in the order
 * compute, read, write, h2d, d2h). Over first_token_s it is the overlap
 * efficiency. */
double ttft_busiest_stage_s(const struct ttft_layer *layers, int n_layers,
                            enum ttft_regime *regime);

/* Slowdowns that stages cause each other, each >= 1 in practice, 1 = none. */
struct ttft_slowdown {
  double compute; /* of compute while any read or write is outstanding */
  double read;    /* of reads while compute or writes are outstanding */
  double write;   /* of writes while compute or reads are outstanding */
};

/* The same pipeline with stages that progress at 1/slowdown while others are
 * active: an event simulation, equal to ttft_pipelined() at slowdowns of 1.
 * Copies (h2d, d2h) neither slow nor are slowed. Slowdowns must be over 0. */
struct ttft_prediction ttft_contended(const struct ttft_layer *layers, int n_layers,
                                      struct ttft_bounds bounds, struct ttft_slowdown slowdown,
                                      struct ttft_done *done);

/* Smallest alpha in (0,1] at which reading alpha*N tokens takes as long as
 * computing the rest, both given as samples over alpha (ascending, n >= 1,
 * linearly interpolated); 1 where compute always takes longer, 0 where reading
 * does from the start. */
double ttft_alpha_star_measured(const double *alpha, const double *read_s, const double *compute_s,
                                int n);

/* Relative error, signed: (model - observed) / observed. */
double ttft_error(double model_s, double observed_s);

#endif
