/*
 * Parts timed alone, by events: what calibrate prints beside the layer.
 *
 * A part runs often enough between two events that their resolution (0.5 us) does not show; the
 * median of several such runs counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda_device.h"

#define RUNS 5
#define RUN_S 0.02 /* that one timed run should take at least */
#define REPEATS_MAX 1000

struct part {
  struct cuda *cuda;
  driver_stream stream;
  int64_t n_new, n_past;
  int (*enqueue)(const struct part *part, int repeat, struct error *error);
};

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of `repeats` executions, between two events. */
static int time_run(const struct part *part, int repeats, double *seconds, struct error *error) {
  struct cuda *cuda = part->cuda;
  device_ticket ticket = 0;
  struct device_span span = {0};
  int failed = tickets_begin(&cuda->tickets, part->stream, error);
  if (!failed) failed = ticket_start(&cuda->tickets, part->stream, &ticket, error);
  for (int i = 0; i < repeats && !failed; i++) failed = part->enqueue(part, i, error);
  if (!failed) failed = ticket_end(&cuda->tickets, part->stream, ticket, error);
  if (!failed) failed = ticket_wait(&cuda->tickets, ticket, 600, &span, error);
  *seconds = span.end_s - span.start_s;
  return failed == -EAGAIN ? error_set(error, -ETIMEDOUT, "a probe did not end") : failed;
}

/* Median seconds of one execution; the first run warms up and sizes the others. */
static int time_part(const struct part *part, double *seconds, struct error *error) {
  double once_s = 0, runs[RUNS];
  int failed = time_run(part, 1, &once_s, error);
  if (!failed) failed = time_run(part, 1, &once_s, error);
  int repeats = once_s > 0 ? (int)(RUN_S / once_s) + 1 : REPEATS_MAX;
  if (repeats > REPEATS_MAX) repeats = REPEATS_MAX;
  for (int i = 0; i < RUNS && !failed; i++) failed = time_run(part, repeats, &runs[i], error);
  if (failed) return failed;
  qsort(runs, RUNS, sizeof runs[0], compare);
  *seconds = runs[RUNS / 2] / repeats;
  return 0;
}

/* ---- the parts ---- */

/* Weight sets rotate, so that none is served from the L2 cache where there are several. */
static int enqueue_gemms(const struct part *part, int repeat, struct error *error) {
  return cuda_enqueue_gemms(part->cuda, repeat % part->cuda->plan.weight_sets, part->n_new, error);
}

static int enqueue_attention(const struct part *part, int repeat, struct error *error) {
  return cuda_enqueue_attention(part->cuda, repeat % part->cuda->plan.kv_slots, part->n_new,
                                part->n_past, error);
}

static int enqueue_within(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  (void)repeat;
  const driver_pointer slot = cuda->slots[0];
  const size_t half = cuda->plan.kv_half_bytes;
  return gpu_check(&cuda->gpu, cuda->gpu.driver.copy_within(slot + half, slot, half, part->stream),
                   error, "cuMemcpyDtoDAsync(%zu bytes)", half);
}

static int enqueue_in(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  return cuda_copy_pages(cuda, CUDA_TO_DEVICE, &cuda->landing, repeat % cuda->landing.n_buffers, 0,
                         cuda->slots[0], 0, cuda->plan.pages, part->stream, error);
}

static int enqueue_out(const struct part *part, int repeat, struct error *error) {
  struct cuda *cuda = part->cuda;
  return cuda_copy_pages(cuda, CUDA_TO_HOST, &cuda->leaving, repeat % cuda->leaving.n_buffers, 0,
                         cuda->slots[0], 0, cuda->plan.pages, part->stream, error);
}

static double gemm_flops(const struct shape *s, int64_t rows) {
  return shape_linear_flops_per_token(s) / s->layers * (double)rows;
}

static int check_tokens(const struct cuda *cuda, int64_t n_new, int64_t n_past,
                        struct error *error) {
  if (n_new >= 1 && n_past >= 0 && n_new + n_past <= cuda->config.tokens_max) return 0;
  return error_set(error, -EINVAL,
                   "a probe of %lld new and %lld past tokens: cuda is open for %lld",
                   (long long)n_new, (long long)n_past, (long long)cuda->config.tokens_max);
}

int cuda_probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
               struct device_rate *rate, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  const struct shape *s = &cuda->config.shape;
  const double page_bytes = 2.0 * (double)cuda->crc.half_bytes * (double)cuda->plan.pages;
  struct part part = {.cuda = cuda, .stream = cuda->compute, .n_new = n_new, .n_past = n_past};
  *rate = (struct device_rate){0};
  int failed = gpu_enter(&cuda->gpu, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  switch (what) {
  case PROBE_PEAK: /* the layer's own GEMMs over a full chunk are the largest that fit its buffers
                    */
    part.n_new = cuda->plan.chunk_tokens <= cuda->config.tokens_max ? cuda->plan.chunk_tokens
                                                                    : cuda->config.tokens_max;
    part.n_past = 0;
    /* fall through */
  case PROBE_LAYER_GEMMS:
    part.enqueue = enqueue_gemms;
    rate->flops = gemm_flops(s, part.n_new);
    break;
  case PROBE_ATTENTION:
    part.enqueue = enqueue_attention;
    rate->flops = shape_attention_flops(s, (double)n_past, (double)n_new) / s->layers;
    break;
  case PROBE_MEMORY_COPY:
    part.enqueue = enqueue_within;
    rate->bytes = 2.0 * (double)cuda->plan.kv_half_bytes;
    break;
  case PROBE_H2D:
    part.enqueue = enqueue_in;
    part.stream = cuda->in;
    rate->bytes = page_bytes;
    break;
  case PROBE_D2H:
    part.enqueue = enqueue_out;
    part.stream = cuda->out;
    rate->bytes = page_bytes;
    break;
  default:
    return error_set(error, -ENOTSUP, "cuda has no probe %d", (int)what);
  }
  const bool computes = what == PROBE_LAYER_GEMMS || what == PROBE_ATTENTION || what == PROBE_PEAK;
  if (!failed && computes) failed = check_tokens(cuda, part.n_new, part.n_past, error);
  if (!failed && computes) failed = cuda_prepare(cuda, part.n_new, part.n_past, error);
  if (!failed) failed = cuda_synchronise(cuda, error);
  return failed ? failed : time_part(&part, &rate->seconds, error);
}
