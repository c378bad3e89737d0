/*
 * The inputs of all models, one table: name, unit, default, range. `refill plan` sets, varies and
 * differentiates them by name, so that a new input of a model is one field and one line here.
 *
 * T, R and W are inputs only where they were measured (or set): NaN means that they follow from the
 * cost model's TFLOPS and bandwidths.
 */
#ifndef REFILL_BENCH_PLAN_INPUTS_H
#define REFILL_BENCH_PLAN_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/cost.h"
#include "model/fit.h"

/* First tokens as a sweep observed them, at the alpha that suited it best: requests of a run. */
#define PLAN_REQUESTS_MAX 64
struct plan_requests {
  int n; /* 0 where none were observed */
  double ttft_s[PLAN_REQUESTS_MAX];
};

/* T(n_new, n_past), R(bytes), W(bytes) fitted to a measurement, all layers of the model. */
struct plan_fit {
  bool compute_known, read_known, write_known;
  struct fit_compute compute;
  struct fit_line read, write;
  struct fit_quality compute_quality, read_quality, write_quality;
  int compute_samples, read_samples, write_samples;
  double n_tokens;                /* N at which T was measured */
  double read_bytes, write_bytes; /* that R and W were measured over */
};

struct plan_inputs {
  struct cost_input cost;
  double compute_s_per_token, read_s_per_token, write_s_per_token; /* measured T, R, W, or NaN */
  double write_bytes_per_s;                                        /* 0: as reads */
  double alpha, new_tokens;
  /* conversations */
  double turns, prompt_tokens, output_tokens, system_tokens;
  /* serving */
  double hbm_bytes_per_s, tpot_s, sla_ttft_s, sla_tpot_s, batch, requests_per_s, pass_rate;
  double utilization;
  /* capacity */
  double overhead_bytes, page_tokens, reserved_tokens, attention_flops_per_pair;
  double base_tokens, chunks;
  /* prompt caches, prices per million tokens */
  double price_in, price_write, price_read, price_out, calls, hit_rate, ttl_s, gap_s, rent;
  /* tiers and routing */
  double replicas, prefixes, zipf, locality, dram_bytes, dram_bytes_per_s, hbm_usd, dram_usd,
      nvme_usd, sessions, hot_share;
  /* mixture of experts, disaggregation */
  double params_active, experts, experts_active, moe_layers, hidden, link_bytes_per_s,
      link_latency_s, added_latency_s;
  double tpot_burst_s, autoscaling, debugging;
  /* speculative decoding, wear */
  double acceptance, drafted, draft_share;
  double drive_usd, writes_per_day, warranty_years, write_amplification;
  struct plan_fit fit;
  struct plan_requests requests;
};

enum plan_kind {
  PLAN_COUNT,
  PLAN_REAL,
  PLAN_RATIO,
  PLAN_BYTES,
  PLAN_RATE,    /* bytes/s */
  PLAN_SECONDS, /* typed with its unit */
  PLAN_USD
};

struct plan_input {
  const char *name; /* as typed: "nvme-bw" */
  enum plan_kind kind;
  size_t offset;   /* of the field in struct plan_inputs */
  double scale;    /* value = typed x scale ("tflops": 1e12) */
  double initial;  /* in base units; NaN: derived */
  double min, max; /* accepted, in base units */
  const char *help;
};

/* The i-th input, NULL past the last; the input called name[n], or NULL. */
const struct plan_input *plan_input_at(int index);
const struct plan_input *plan_input_find(const char *name, size_t n);

/* All defaults: the cost model's and the table's. */
void plan_inputs_default(struct plan_inputs *inputs);

double plan_input_get(const struct plan_inputs *inputs, const struct plan_input *input);

/* Sets a value in base units. What was measured no longer holds once the bandwidth or the speed
 * that it implies is set: tflops replaces a measured T, nvme-bw a measured R (and W where it came
 * with it), and the reverse. */
void plan_input_set(struct plan_inputs *inputs, const struct plan_input *input, double value);

/* Scans a value as typed: NULL, or what is wrong with it. */
const char *plan_input_scan(const struct plan_input *input, const char *text, double *value);

/* "NAME=VALUE": NULL, or what is wrong. `input` and `value` may be NULL. */
const char *plan_setting_scan(const char *text, const struct plan_input **input, double *value);

/* The value with its unit, at most 32 bytes. */
char *plan_format(enum plan_kind kind, double value, char text[32]);

#endif
