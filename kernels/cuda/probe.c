/*
 * Parts timed alone, by events: what calibrate prints beside the layer.
 *
 * A part runs often enough between two events that their resolution (0.5 us) does not show; the
 * median of several such runs counts. GEMMs are also timed with the L2 cache flushed before each:
 * one by one, so a microsecond or two of launching is in those.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/chunk.h"
#include "kernels/cuda/scratch.h"

#define RUNS 5
#define RUN_S 0.02 /* that one timed run should take at least */
#define REPEATS_MAX 1000
#define TIMEOUT_S 600

struct part {
  struct cuda *cuda;
  driver_stream stream;
  int64_t n_new, n_past;
  int (*enqueue)(const struct part *part, int repeat, struct error *error);
  enum chunk_step step;          /* of enqueue_step() */
  const struct part *besides;    /* runs on its own stream at the same time; or NULL */
  const struct scratch *scratch; /* of those that ask for it */
};

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, RUNS, sizeof values[0], compare);
  return values[RUNS / 2];
}

static int wait_for(const struct part *part, device_ticket ticket, struct device_span *span,
                    struct error *error) {
  int failed = ticket_wait(&part->cuda->tickets, ticket, TIMEOUT_S, span, error);
  return failed == -EAGAIN ? error_set(error, -ETIMEDOUT, "a probe did not end") : failed;
}

/* Seconds of `repeats` executions, between events; of two parts until both are through. */
static int time_run(const struct part *part, int repeats, double *seconds, struct error *error) {
  struct tickets *tickets = &part->cuda->tickets;
  const struct part *all[] = {part, part->besides};
  const int n = part->besides ? 2 : 1;
  device_ticket ticket[2] = {0};
  struct device_span span[2] = {0};
  int failed = tickets_begin(tickets, part->stream, error);
  for (int p = 0; p < n && !failed; p++)
    failed = ticket_start(tickets, all[p]->stream, &ticket[p], error);
  for (int i = 0; i < repeats * n && !failed; i++)
    failed = all[i % n]->enqueue(all[i % n], i / n, error);
  for (int p = 0; p < n && !failed; p++)
    failed = ticket_end(tickets, all[p]->stream, ticket[p], error);
  for (int p = 0; p < n && !failed; p++) failed = wait_for(part, ticket[p], &span[p], error);
  if (n == 1) span[1] = span[0];
  const double start_s = span[0].start_s < span[1].start_s ? span[0].start_s : span[1].start_s;
  *seconds = (span[0].end_s > span[1].end_s ? span[0].end_s : span[1].end_s) - start_s;
  return failed;
}

/* Median seconds of one execution; the first run warms up and sizes the others. */
static int time_part(const struct part *part, double *seconds, struct error *error) {
  double once_s = 0, runs[RUNS];
  int failed = time_run(part, 1, &once_s, error);
  if (!failed) failed = time_run(part, 1, &once_s, error);
  int repeats = once_s > 0 ? (int)(RUN_S / once_s) + 1 : REPEATS_MAX;
  if (repeats > REPEATS_MAX) repeats = REPEATS_MAX;
  for (int i = 0; i < RUNS && !failed; i++) failed = time_run(part, repeats, &runs[i], error);
  if (!failed) *seconds = median(runs) / repeats;
  return failed;
}

static int time_cold(const struct part *part, double *seconds, struct error *error) {
  struct tickets *tickets = &part->cuda->tickets;
  device_ticket all[RUNS] = {0};
  double runs[RUNS];
  int failed = tickets_begin(tickets, part->stream, error);
  for (int i = 0; i < RUNS && !failed; i++) {
    failed = scratch_flush_l2(part->scratch, part->stream, error);
    if (!failed) failed = ticket_start(tickets, part->stream, &all[i], error);
    if (!failed) failed = part->enqueue(part, i, error);
    if (!failed) failed = ticket_end(tickets, part->stream, all[i], error);
  }
  for (int i = 0; i < RUNS && !failed; i++) {
    struct device_span span = {0};
    failed = wait_for(part, all[i], &span, error);
    runs[i] = span.end_s - span.start_s;
  }
  if (!failed) *seconds = median(runs);
  return failed;
}

/* ---- the parts ---- */

/* Layers rotate, and weight sets with them, so that none is served from the L2 cache where there
 * are several: as in a run. */
static int enqueue_step(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  const int layer = repeat % cuda->config.layers;
  int failed = 0;
  for (int64_t at = 0; at < part->n_new && !failed; at += cuda->plan.chunk_tokens) {
    const struct chunk c = chunk_at(cuda, layer, at, part->n_new, part->n_past);
    failed = chunk_step(cuda, &c, part->step, error);
  }
  return failed;
}

static int enqueue_gemms(const struct part *part, int repeat, struct error *error) {
  static const enum chunk_step steps[] = {CHUNK_QKV, CHUNK_OUT, CHUNK_GATE_UP, CHUNK_DOWN};
  struct part one = *part;
  int failed = 0;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !failed; i++) {
    one.step = steps[i];
    failed = enqueue_step(&one, repeat, error);
  }
  return failed;
}

static int enqueue_layer(const struct part *part, int repeat, struct error *error) {
  return cuda_run_chunks(part->cuda, repeat % part->cuda->config.layers, part->n_new, part->n_past,
                         error);
}

static int enqueue_dequantise(const struct part *part, int repeat, struct error *error) {
  return chunk_dequantise_past(part->cuda, repeat % part->cuda->config.layers, part->n_past, error);
}

static int enqueue_embed(const struct part *part, int repeat, struct error *error) {
  (void)repeat;
  return chunk_embed(part->cuda, part->n_new, error);
}

static int enqueue_head(const struct part *part, int repeat, struct error *error) {
  (void)repeat;
  return cuda_run_head(part->cuda, 1, error);
}

static int enqueue_within(const struct part *part, int repeat, struct error *error) {
  (void)repeat;
  return scratch_copy(part->scratch, part->stream, error);
}

static int enqueue_in(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  return cuda_copy_pages(cuda, CUDA_TO_DEVICE, &cuda->landing, repeat % cuda->landing.n_buffers, 0,
                         cuda->slots[0], 0, cuda->plan.pages, part->stream, error);
}

/* From another slot than copies go to at the same time, where there is one. */
static int enqueue_out(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  return cuda_copy_pages(cuda, CUDA_TO_HOST, &cuda->leaving, repeat % cuda->leaving.n_buffers, 0,
                         cuda->slots[cuda->plan.kv_slots - 1], 0, cuda->plan.pages, part->stream,
                         error);
}

/* ---- which part ---- */

static double layer_flops(const struct cuda *cuda, int64_t n_new, int64_t n_past, bool attention) {
  const struct shape *s = &cuda->config.shape;
  const double gemms = shape_linear_flops_per_token(s) * (double)n_new;
  const double heads = shape_attention_flops(s, (double)n_past, (double)n_new);
  return (gemms + (attention ? heads : 0)) / s->layers;
}

static int step_of(enum device_probe what) {
  switch (what) {
  case PROBE_QKV:
    return CHUNK_QKV;
  case PROBE_OUT:
    return CHUNK_OUT;
  case PROBE_GATE_UP:
    return CHUNK_GATE_UP;
  case PROBE_DOWN:
    return CHUNK_DOWN;
  case PROBE_NORM:
    return CHUNK_NORM_ATTENTION;
  case PROBE_ROPE:
    return CHUNK_ROPE;
  case PROBE_SWIGLU:
    return CHUNK_SWIGLU;
  case PROBE_QUANTISE:
    return CHUNK_QUANTISE;
  case PROBE_ATTENTION:
    return CHUNK_ATTENTION;
  default:
    return -1;
  }
}

static int choose_step(struct part *part, enum device_probe what, struct device_rate *rate,
                       struct error *error) {
  const struct cuda *cuda = part->cuda;
  const int step = step_of(what);
  if (step < 0) return error_set(error, -ENOTSUP, "cuda has no probe %d", (int)what);
  part->enqueue = enqueue_step;
  part->step = (enum chunk_step)step;
  rate->flops = chunk_step_flops(cuda, part->step) * (double)part->n_new;
  rate->bytes = chunk_step_bytes(&cuda->config, part->step, part->n_new);
  if (what == PROBE_ATTENTION)
    rate->flops = layer_flops(cuda, part->n_new, part->n_past, true) -
                  layer_flops(cuda, part->n_new, part->n_past, false);
  if (rate->flops > 0 || rate->bytes > 0) return 0;
  return error_set(error, -ENOTSUP, "nothing is quantised apart in bf16");
}

/* Copies, none of which computes. False for another part. */
static bool choose_copy(struct part *part, enum device_probe what, struct device_rate *rate) {
  const struct cuda *cuda = part->cuda;
  const double page_bytes = 2.0 * (double)cuda->crc.half_bytes * (double)cuda->plan.pages;
  part->stream = what == PROBE_MEMORY_COPY ? cuda->compute
                 : what == PROBE_D2H       ? cuda->out
                                           : cuda->in;
  part->enqueue = what == PROBE_MEMORY_COPY ? enqueue_within
                  : what == PROBE_D2H       ? enqueue_out
                                            : enqueue_in;
  rate->bytes = what == PROBE_BOTH_WAYS ? 2 * page_bytes : page_bytes; /* a copy within: later */
  return what == PROBE_MEMORY_COPY || what == PROBE_H2D || what == PROBE_D2H ||
         what == PROBE_BOTH_WAYS;
}

static int choose_compute(struct part *part, enum device_probe what, struct device_rate *rate,
                          struct error *error) {
  const struct cuda *cuda = part->cuda;
  const struct shape *s = &cuda->config.shape;
  *rate = (struct device_rate){0};
  part->stream = cuda->compute;
  switch (what) {
  case PROBE_PEAK: /* a layer's own GEMMs over a full chunk are the largest that fit its buffers */
    part->n_new = cuda->plan.chunk_tokens <= cuda->config.tokens_max ? cuda->plan.chunk_tokens
                                                                     : cuda->config.tokens_max;
    part->n_past = 0;
    /* fall through */
  case PROBE_LAYER_GEMMS:
    part->enqueue = enqueue_gemms;
    rate->flops = layer_flops(cuda, part->n_new, 0, false);
    return 0;
  case PROBE_LAYER:
    part->enqueue = enqueue_layer;
    rate->flops = layer_flops(cuda, part->n_new, part->n_past, true);
    return 0;
  case PROBE_DEQUANTISE:
    part->enqueue = enqueue_dequantise;
    rate->bytes = 6.0 * (double)(part->n_past * chunk_kv_dim(cuda));
    if (cuda->plan.plain_kv_bytes > 0 && part->n_past > 0) return 0;
    return error_set(error, -ENOTSUP, "there is no past of an FP8 cache to decode");
  case PROBE_EMBED:
    part->enqueue = enqueue_embed;
    rate->bytes = 4.0 * s->hidden * (double)part->n_new;
    return 0;
  case PROBE_HEAD:
    part->enqueue = enqueue_head;
    rate->bytes = 2.0 * s->hidden * s->vocabulary;
    return 0;
  default:
    return choose_step(part, what, rate, error);
  }
}

static int check_tokens(const struct cuda *cuda, int64_t n_new, int64_t n_past,
                        struct error *error) {
  if (n_new >= 1 && n_past >= 0 && n_new + n_past <= cuda->config.tokens_max) return 0;
  return error_set(error, -EINVAL,
                   "a probe of %lld new and %lld past tokens: cuda is open for %lld",
                   (long long)n_new, (long long)n_past, (long long)cuda->config.tokens_max);
}

/* Memory beyond the L2 cache for a probe that needs it. Without it there is no rate of copying
 * device memory, and GEMMs are not timed cold: the device says so. */
static int get_scratch(struct part *part, struct scratch *scratch, bool to_copy,
                       struct device_rate *rate, struct error *error) {
  struct error why = {0};
  if (scratch_open(scratch, part->cuda, to_copy, &why) == 0) {
    part->scratch = scratch;
    if (to_copy) rate->bytes = 2.0 * (double)scratch->bytes;
    return 0;
  }
  cuda_degrade(part->cuda, "no memory beyond the L2 cache to time copies and cold GEMMs: %.100s",
               why.message);
  return to_copy ? error_set(error, -ENOTSUP, "%s", why.message) : 0;
}

int cuda_probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
               struct device_rate *rate, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  struct part part = {.cuda = cuda, .n_new = n_new, .n_past = n_past}, besides = {.cuda = cuda};
  struct device_rate unused;
  struct scratch scratch = {0};
  *rate = (struct device_rate){0};
  const bool copies = choose_copy(&part, what, rate);
  int failed = copies ? 0 : choose_compute(&part, what, rate, error);
  if (!failed) failed = gpu_enter(&cuda->gpu, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  if (!failed && !copies) failed = check_tokens(cuda, part.n_new, part.n_past, error);
  if (!failed && !copies) failed = cuda_prepare(cuda, part.n_new, part.n_past, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  if (what == PROBE_BOTH_WAYS && choose_copy(&besides, PROBE_D2H, &unused)) part.besides = &besides;
  const bool gemm = !copies && rate->flops > 0 && what != PROBE_LAYER && what != PROBE_ATTENTION;
  if (!failed && (gemm || what == PROBE_MEMORY_COPY))
    failed = get_scratch(&part, &scratch, what == PROBE_MEMORY_COPY, rate, error);
  if (!failed) failed = time_part(&part, &rate->seconds, error);
  if (!failed && gemm && part.scratch) failed = time_cold(&part, &rate->cold_s, error);
  scratch_close(&scratch);
  return failed;
}
