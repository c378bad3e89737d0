/*
 * The table of inputs, and values as they are typed.
 */
#include "bench/plan/inputs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define IN(name_, kind_, field_, scale_, initial_, min_, max_, help_)                              \
  { name_, PLAN_##kind_, offsetof(struct plan_inputs, field_), scale_, initial_, min_, max_, help_ }

/* The cost model's own (cost.*) have their defaults in model/cost.c. */
/* clang-format off */
static const struct plan_input inputs_table[] = {
    IN("context", COUNT, cost.context_tokens, 1, 0, 1, 1e+09,
       "prompt length N, tokens"),
    IN("concurrency", COUNT, cost.concurrency, 1, 0, 1, 1e+09,
       "requests whose KV must be at hand"),
    IN("hbm", BYTES, cost.hbm_bytes, 1, 0, 1e+06, 1e+15,
       "memory of one GPU"),
    IN("gpu-cost", USD, cost.gpu_usd_per_hour, 1, 0, 0, 1e+06,
       "of one GPU, an hour"),
    IN("tflops", REAL, cost.flops_per_s, 1e+12, 0, 1e+06, 1e+21,
       "of one GPU in prefill, TFLOPS"),
    IN("nvme-capacity", BYTES, cost.nvme_bytes, 1, 0, 1, 1e+18,
       "local drives of one server"),
    IN("nvme-bw", RATE, cost.nvme_bytes_per_s, 1, 0, 1, 1e+15,
       "reads of one server's drives"),
    IN("ext-bw", RATE, cost.external_bytes_per_s, 1, 0, 1, 1e+15,
       "reads of external storage"),
    IN("ext-cost", USD, cost.external_usd_per_gb_month, 1, 0, 0, 1e+06,
       "of a GB and month of external storage"),
    IN("tp-base", COUNT, cost.tp_base, 1, 0, 1, 1024,
       "GPUs of a server"),
    IN("params", REAL, cost.params, 1, 0, 1, 1e+15,
       "parameters of the model"),
    IN("weights", BYTES, cost.weights_bytes, 1, 0, 1, 1e+18,
       "bytes of the weights"),
    IN("kv-bytes-per-token", BYTES, cost.kv_bytes_per_token, 1, 0, 1, 1e+12,
       "KV of one token, all layers"),
    IN("compute-time", SECONDS, compute_s_per_token, 1, NAN, 1e-12, 1e+06,
       "T, to compute one token's KV; by TFLOPS where not measured"),
    IN("read-time", SECONDS, read_s_per_token, 1, NAN, 1e-12, 1e+06,
       "R, to read it; by bandwidth where not measured"),
    IN("write-time", SECONDS, write_s_per_token, 1, NAN, 1e-12, 1e+06,
       "W, to write it; by bandwidth where not measured"),
    IN("write-bw", RATE, write_bytes_per_s, 1, 0, 0, 1e+15,
       "writes of one server's drives; 0: as reads"),
    IN("prefix-share", RATIO, alpha, 1, 0.9, 0, 1,
       "alpha, share of the prompt whose KV is in storage"),
    IN("new-tokens", COUNT, new_tokens, 1, 1, 1, 1e+09,
       "computed in any case, for the break-even prefix"),
    IN("turns", COUNT, turns, 1, 15, 1, 10000,
       "of a conversation"),
    IN("prompt", COUNT, prompt_tokens, 1, 2200, 1, 1e+09,
       "tokens of the user in each turn"),
    IN("output", COUNT, output_tokens, 1, 170, 1, 1e+09,
       "N_out, tokens of an answer"),
    IN("system", COUNT, system_tokens, 1, 0, 0, 1e+09,
       "tokens before the first turn, not stored at first"),
    IN("hbm-bw", RATE, hbm_bytes_per_s, 1, 3.35e+12, 1, 1e+15,
       "memory bandwidth of one GPU"),
    IN("tpot", SECONDS, tpot_s, 1, 0, 0, 1000,
       "TPOT of one request alone; 0: by the decode roofline"),
    IN("sla-ttft", SECONDS, sla_ttft_s, 1, 0.4, 1e-06, 1e+06,
       "TTFT promised"),
    IN("sla-tpot", SECONDS, sla_tpot_s, 1, 0.04, 1e-06, 1e+06,
       "TPOT promised"),
    IN("batch", COUNT, batch, 1, 32, 1, 1e+06,
       "B, requests decoded together"),
    IN("requests-per-s", REAL, requests_per_s, 1, 1, 1e-09, 1e+09,
       "traffic"),
    IN("pass-rate", RATIO, pass_rate, 1, 0.9, 1e-06, 1,
       "share of results that are accepted"),
    IN("utilization", RATIO, utilization, 1, 0.7, 0.01, 0.99,
       "of a pool or a replica"),
    IN("hbm-overhead", BYTES, overhead_bytes, 1, 4e+09, 0, 1e+15,
       "of one GPU: activations, graphs, buffers"),
    IN("page-tokens", COUNT, page_tokens, 1, 64, 1, 65536,
       "of a KV page in HBM"),
    IN("reserved", COUNT, reserved_tokens, 1, 4096, 1, 1e+09,
       "answer tokens reserved without paging"),
    IN("attention-flops", REAL, attention_flops_per_pair, 1, 2621440, 0, 1e+15,
       "of one new token against one earlier, 4 L Hq D"),
    IN("base-context", COUNT, base_tokens, 1, 8192, 1, 1e+09,
       "short context to hold the long one against"),
    IN("chunks", COUNT, chunks, 1, 8, 1, 1e+06,
       "requests that one long context is cut into"),
    IN("price-in", USD, price_in, 1, 3, 1e-09, 1e+06,
       "of a million input tokens"),
    IN("price-write", USD, price_write, 1, 3.75, 0, 1e+06,
       "of a million input tokens written to the cache"),
    IN("price-read", USD, price_read, 1, 0.3, 0, 1e+06,
       "of a million input tokens read from the cache"),
    IN("price-out", USD, price_out, 1, 15, 0, 1e+06,
       "of a million output tokens"),
    IN("calls", COUNT, calls, 1, 10, 1, 1e+09,
       "with the same prefix, within the TTL"),
    IN("hit-rate", RATIO, hit_rate, 1, 0.8, 0, 1,
       "of the prompt cache"),
    IN("ttl", SECONDS, ttl_s, 1, 300, 0, 1e+09,
       "after which unused KV is gone"),
    IN("gap", SECONDS, gap_s, 1, 60, 1e-06, 1e+09,
       "between uses of a prefix, mean"),
    IN("rent", USD, rent, 1, 0, 0, 1e+06,
       "of a million cached tokens, an hour"),
    IN("replicas", COUNT, replicas, 1, 8, 1, 1e+06,
       "of the server"),
    IN("prefixes", COUNT, prefixes, 1, 1000, 1, 1e+12,
       "distinct prefixes that come back"),
    IN("zipf", RATIO, zipf, 1, 0, 0, 10,
       "exponent of their popularity"),
    IN("locality", RATIO, locality, 1, 1, 0, 1,
       "share of requests that return to their replica"),
    IN("dram", BYTES, dram_bytes, 1, 1e+12, 1, 1e+18,
       "of one server, for KV"),
    IN("dram-bw", RATE, dram_bytes_per_s, 1, 5e+10, 1, 1e+15,
       "from DRAM to the GPUs"),
    IN("hbm-cost", USD, hbm_usd, 1, 0, 0, 1e+06,
       "of a GB and month of HBM beyond the GPU's own price"),
    IN("dram-cost", USD, dram_usd, 1, 0, 0, 1e+06,
       "of a GB and month of DRAM"),
    IN("nvme-cost", USD, nvme_usd, 1, 0, 0, 1e+06,
       "of a GB and month of local drives"),
    IN("sessions", COUNT, sessions, 1, 1000, 1, 1e+12,
       "concurrent conversations"),
    IN("hot-share", RATIO, hot_share, 1, 0.01, 0, 1,
       "of requests with the most popular prefix"),
    IN("params-active", REAL, params_active, 1, 3.7e+10, 1, 1e+15,
       "parameters that compute a token"),
    IN("experts", COUNT, experts, 1, 256, 1, 1e+06,
       "routed experts of a layer"),
    IN("experts-active", COUNT, experts_active, 1, 8, 1, 1e+06,
       "of them, for each token"),
    IN("moe-layers", COUNT, moe_layers, 1, 58, 1, 10000,
       "layers with experts"),
    IN("hidden", COUNT, hidden, 1, 7168, 1, 1e+06,
       "elements of an activation"),
    IN("link-bw", RATE, link_bytes_per_s, 1, 5e+10, 1, 1e+15,
       "of one GPU to others, or from prefill to decode"),
    IN("link-latency", SECONDS, link_latency_s, 1, 1e-05, 0, 1000,
       "of one exchange"),
    IN("added-latency", SECONDS, added_latency_s, 1, 0, 0, 1000,
       "that a network adds to each exchange between experts"),
    IN("tpot-burst", SECONDS, tpot_burst_s, 1, 0, 0, 1000,
       "TPOT beside prefill bursts; 0: as batching expects it"),
    IN("autoscaling", RATIO, autoscaling, 1, 0, 0, 1,
       "1: pools scale independently"),
    IN("debugging", RATIO, debugging, 1, 0, 0, 1,
       "1: failures of a stage can be diagnosed"),
    IN("acceptance", RATIO, acceptance, 1, 0.7, 0, 1,
       "of a drafted token"),
    IN("drafted", COUNT, drafted, 1, 4, 1, 64,
       "tokens drafted at once"),
    IN("draft-share", RATIO, draft_share, 1, 0.1, 0, 1,
       "of a decode step, to draft one token"),
    IN("drive-cost", USD, drive_usd, 1, 2000, 0, 1e+09,
       "of all local drives of one server"),
    IN("writes-per-day", REAL, writes_per_day, 1, 1, 1e-06, 1000,
       "DWPD that the drives are rated for"),
    IN("warranty", REAL, warranty_years, 1, 5, 0.1, 100,
       "years of that rating"),
    IN("write-amplification", REAL, write_amplification, 1, 1, 1, 1000,
       "bytes to flash for each byte written"),
};
/* clang-format on */

enum { N_INPUTS = sizeof inputs_table / sizeof inputs_table[0] };

const struct plan_input *plan_input_at(int index) {
  return index >= 0 && index < N_INPUTS ? &inputs_table[index] : NULL;
}

const struct plan_input *plan_input_find(const char *name, size_t n) {
  for (int i = 0; i < N_INPUTS; i++) {
    const char *known = inputs_table[i].name;
    if (strlen(known) == n && memcmp(known, name, n) == 0) return &inputs_table[i];
  }
  return NULL;
}

static bool of_cost(const struct plan_input *input) {
  return input->offset < sizeof(struct cost_input);
}

void plan_inputs_default(struct plan_inputs *inputs) {
  memset(inputs, 0, sizeof *inputs);
  inputs->cost = cost_default_input();
  for (int i = 0; i < N_INPUTS; i++) {
    if (of_cost(&inputs_table[i])) continue;
    *(double *)((char *)inputs + inputs_table[i].offset) = inputs_table[i].initial;
  }
}

double plan_input_get(const struct plan_inputs *inputs, const struct plan_input *input) {
  return *(const double *)((const char *)inputs + input->offset);
}

void plan_input_set(struct plan_inputs *inputs, const struct plan_input *input, double value) {
  double *field = (double *)((char *)inputs + input->offset);
  *field = value;
  if (field == &inputs->cost.flops_per_s) inputs->compute_s_per_token = NAN;
  if (field == &inputs->cost.nvme_bytes_per_s) {
    inputs->read_s_per_token = NAN;
    if (inputs->write_bytes_per_s == 0) inputs->write_s_per_token = NAN;
  }
  if (field == &inputs->write_bytes_per_s) inputs->write_s_per_token = NAN;
}

/* ---- values as typed ------------------------------------------------------------- */

static int scan_number(const char *text, double *value) {
  uint64_t whole = 0;
  if (units_scan_count(text, &whole) < 0) return units_scan_real(text, value);
  *value = (double)whole;
  return 0;
}

static int scan_kind(enum plan_kind kind, const char *text, double *value) {
  uint64_t whole = 0;
  int code;
  switch (kind) {
  case PLAN_COUNT:
    code = units_scan_count(text, &whole);
    if (code == 0) *value = (double)whole;
    return code;
  case PLAN_BYTES:
    code = units_scan_bytes(text, &whole);
    if (code == 0) *value = (double)whole;
    return code;
  case PLAN_RATE:
    return units_scan_rate(text, value);
  case PLAN_SECONDS:
    return units_scan_seconds(text, value);
  default:
    return scan_number(text, value);
  }
}

static const char *expected(enum plan_kind kind) {
  switch (kind) {
  case PLAN_COUNT:
    return "not a whole number";
  case PLAN_BYTES:
    return "not a size, such as 80GB";
  case PLAN_RATE:
    return "not a rate, such as 56GB/s";
  case PLAN_SECONDS:
    return "not a time with its unit, such as 40ms";
  default:
    return "not a number";
  }
}

const char *plan_input_scan(const struct plan_input *input, const char *text, double *value) {
  double typed = 0;
  if (scan_kind(input->kind, text, &typed) < 0) return expected(input->kind);
  typed *= input->scale;
  if (typed < input->min) return "too small";
  if (typed > input->max) return "too large";
  *value = typed;
  return NULL;
}

const char *plan_setting_scan(const char *text, const struct plan_input **input, double *value) {
  const char *equals = strchr(text, '=');
  if (!equals) return "not NAME=VALUE";
  const struct plan_input *found = plan_input_find(text, (size_t)(equals - text));
  if (!found) return "no such input";
  double scanned = 0;
  const char *problem = plan_input_scan(found, equals + 1, &scanned);
  if (problem) return problem;
  if (input) *input = found;
  if (value) *value = scanned;
  return NULL;
}

/* Four digits, or all before the point: never an exponent where a person counts. */
static char *format_real(char *text, size_t n, double value) {
  bool large = fabs(value) >= 1e4 && fabs(value) < 1e15;
  snprintf(text, n, large ? "%.0f" : "%.4g", value);
  return text;
}

static char *format_large_bytes(char text[32], double bytes) {
  static const struct {
    double size;
    const char *name;
  } units[] = {{1e15, "PB"}, {1e12, "TB"}, {1e9, "GB"}};
  int i = 0;
  while (i < 2 && bytes < units[i].size) i++;
  char number[32];
  snprintf(text, 32, "%.20s %s", format_real(number, sizeof number, bytes / units[i].size),
           units[i].name);
  return text;
}

char *plan_format(enum plan_kind kind, double value, char text[32]) {
  _Static_assert(UNITS_TEXT_BYTES == 32, "one buffer serves both");
  if (!isfinite(value)) {
    snprintf(text, 32, "%s", value > 0 ? "no limit" : "-");
    return text;
  }
  switch (kind) {
  case PLAN_BYTES:
    return value >= 1e9 ? format_large_bytes(text, value) : units_format_bytes(text, value);
  case PLAN_RATE:
    return units_format_rate(text, value);
  case PLAN_SECONDS:
    return units_format_seconds(text, value);
  case PLAN_COUNT:
    if (value >= 0 && value < 1e15 && floor(value) == value)
      return units_format_count(text, (uint64_t)value);
    break;
  case PLAN_USD:
    format_real(text + 1, 31, value);
    text[0] = '$';
    return text;
  default:
    break;
  }
  return format_real(text, 32, value);
}
