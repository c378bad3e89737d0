/*
 * What has a lesser form is tried before it is relied on: FP8 GEMMs (bf16 instead) and cuDNN's
 * attention (the builtin kernel instead).
 *
 * Both are other people's work on hardware that our tests do not have: a plan may be refused, an
 * engine may compute another mask than the one that was described. So a device tries them once when
 * it opens, on a few rows of this model's own sizes and buffers: a second at most, nearly all of it
 * cuDNN compiling one more shape. What is refused or wrong is given up, and told.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/chunk.h"
#include "kernels/weights.h"

/* Streams of numbers that no weight has. */
enum { STREAM_X = 0x78, STREAM_Q, STREAM_K, STREAM_V };

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* (rows, columns) of uniform numbers in [-scale, scale). */
static struct weight_stream numbers(uint64_t stream, int64_t rows, int64_t columns, float scale) {
  return (struct weight_stream){.rows = rows, .columns = columns, .stream = stream, .scale = scale};
}

static int fill(struct cuda *cuda, enum kernel kernel, const struct weight_stream *w, float factor,
                driver_pointer out, struct error *error) {
  const struct kernel_weights arguments = {.out = out,
                                           .count = w->rows * w->columns,
                                           .stream = w->stream,
                                           .offset = w->offset,
                                           .scale = w->scale,
                                           .inverse_scale = factor};
  const int64_t per_block = KERNEL_THREADS * KERNEL_VECTOR;
  return launcher_run(&cuda->launcher, kernel, (arguments.count + per_block - 1) / per_block, 1,
                      &arguments, cuda->compute, error);
}

/* Brings bytes to the host through the small pinned memory, which is idle yet. */
static int fetch(struct cuda *cuda, void *target, driver_pointer source, size_t bytes,
                 struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const struct pinned *by = &cuda->small_memory;
  const size_t step = by->buffer_bytes < by->piece_bytes ? by->buffer_bytes : by->piece_bytes;
  for (size_t done = 0; done < bytes; done += step) {
    const size_t n = bytes - done < step ? bytes - done : step;
    int failed =
        gpu_check(gpu, gpu->driver.copy_out(by->memory.address, source + done, n, cuda->compute),
                  error, "cuMemcpyDtoHAsync(%zu bytes of a trial)", n);
    if (!failed)
      failed = gpu_check(gpu, gpu->driver.stream_synchronize(cuda->compute), error,
                         "cuStreamSynchronize(trial)");
    if (failed) return failed;
    memcpy((char *)target + done, by->memory.address, n);
  }
  return 0;
}

/* ---- FP8 ---- */

#define FP8_ROWS GEMM_ROWS_MULTIPLE
#define FP8_SPOTS 6
/* Hopper's FP8 tensor cores keep about 14 bits of a running sum: over 28672 products that is some
 * percent of a sum's usual size. A wrong scale, layout or format is off by all of it. */
#define FP8_ALLOWED 0.12

/* What the codes of one row are worth. */
static void row_of(const struct weight_stream *w, int64_t row, float factor, bf16 *bits,
                   double *values) {
  weights_fill(w, row * w->columns, w->columns, bits);
  for (int64_t i = 0; i < w->columns; i++)
    values[i] = (double)e4m3_to_float(e4m3_from_float(bf16_to_float(bits[i]) * factor)) /
                (double)factor;
}

static int compare_spots(const struct weight_stream *x, float x_factor,
                         const struct weight_stream *w, float w_factor, const bf16 *y,
                         struct error *error) {
  const size_t k = (size_t)w->columns;
  bf16 *bits = malloc(k * sizeof *bits);
  double *a = malloc(2 * k * sizeof *a);
  int failed = bits && a ? 0 : error_set(error, -ENOMEM, "no memory to try FP8");
  for (int64_t spot = 0; spot < FP8_SPOTS && !failed; spot++) {
    const int64_t row = spot * (FP8_ROWS - 1) / (FP8_SPOTS - 1);
    const int64_t column = spot * (w->rows - 1) / (FP8_SPOTS - 1);
    double sum = 0, squares = 0;
    row_of(x, row, x_factor, bits, a);
    row_of(w, column, w_factor, bits, a + k);
    for (size_t i = 0; i < k; i++) {
      sum += a[i] * a[k + i];
      squares += a[i] * a[k + i] * a[i] * a[k + i];
    }
    const double got = bf16_to_float(y[row * w->rows + column]);
    const double allowed = FP8_ALLOWED * sqrt(squares) + 0.01 * fabs(sum);
    if (!(fabs(got - sum) <= allowed))
      failed = error_set(error, -EBADMSG, "an FP8 GEMM gives %g where %g is right (within %.2g)",
                         got, sum, allowed);
  }
  free(bits);
  free(a);
  return failed;
}

static int try_kind(struct cuda *cuda, const struct chunk *chunk, enum gemm_kind kind, bf16 *y,
                    struct error *error) {
  static const enum weight_tensor tensors[GEMM_KINDS] = {WEIGHT_QKV, WEIGHT_OUT, WEIGHT_GATE_UP,
                                                         WEIGHT_DOWN};
  const struct gemm_operands operands = chunk_operands(cuda, chunk, kind);
  const struct weight_stream w =
      weight_stream(&cuda->config.shape, cuda->config.seed, 0, tensors[kind]);
  const struct weight_stream x = numbers(STREAM_X, FP8_ROWS, w.columns, 1);
  const float x_factor = (float)(1 / cuda->fp8_x_scale[kind]);
  const size_t y_bytes = (size_t)(FP8_ROWS * w.rows) * sizeof *y;
  struct gpu *gpu = &cuda->gpu;
  int failed = gemm_prepare(&cuda->gemm, kind, FP8_ROWS, &operands, error);
  if (!failed) failed = fill(cuda, KERNEL_refill_weights_fp8, &x, x_factor, operands.x, error);
  if (!failed) /* what is added to */
    failed = gpu_check(gpu, gpu->driver.fill(operands.y, 0, y_bytes, cuda->compute), error,
                       "cuMemsetD8Async(%zu bytes of a trial)", y_bytes);
  if (!failed) failed = gemm_run(&cuda->gemm, kind, FP8_ROWS, &operands, error);
  if (!failed) failed = fetch(cuda, y, operands.y, y_bytes, error);
  return failed ? failed : compare_spots(&x, x_factor, &w, cuda_fp8_factor(&w), y, error);
}

int cuda_trial_fp8(struct cuda *cuda, struct error *error) {
  const struct chunk chunk = chunk_at(cuda, 0, 0, 1, 0);
  int64_t widest = 0;
  for (int kind = 0; kind < GEMM_KINDS; kind++)
    if (cuda->gemm.linears[kind].n > widest) widest = cuda->gemm.linears[kind].n;
  bf16 *y = malloc((size_t)(FP8_ROWS * widest) * sizeof *y);
  int failed = y ? 0 : error_set(error, -ENOMEM, "no memory to try FP8");
  for (int kind = 0; kind < GEMM_KINDS && !failed; kind++)
    failed = try_kind(cuda, &chunk, (enum gemm_kind)kind, y, error);
  free(y);
  return failed;
}

/* ---- attention ---- */

#define ATTENTION_ROWS 33
#define ATTENTION_KEYS_TRIED 97
#define ATTENTION_ALLOWED                                                                          \
  0.02 /* of outputs within [-1, 1]: P and V in bf16, sums in another order */

static int fill_attention(struct cuda *cuda, const struct attention_operands *o,
                          struct error *error) {
  const int64_t row = chunk_kv_dim(cuda);
  const struct weight_stream q = numbers(STREAM_Q, o->n_queries, o->q_stride, 2);
  const struct weight_stream k = numbers(STREAM_K, o->n_keys, row, 2);
  const struct weight_stream v = numbers(STREAM_V, o->n_keys, row, 1);
  int failed = fill(cuda, KERNEL_refill_weights_bf16, &q, 1, o->q, error);
  if (!failed) failed = fill(cuda, KERNEL_refill_weights_bf16, &k, 1, o->k, error);
  if (!failed) failed = fill(cuda, KERNEL_refill_weights_bf16, &v, 1, o->v, error);
  return failed;
}

/* Both ways over the same operands; ours[n], theirs[n]. */
static int run_both(struct cuda *cuda, const struct attention_operands *o, size_t n, bf16 *ours,
                    bf16 *theirs, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const size_t bytes = n * sizeof *ours;
  int failed = fill_attention(cuda, o, error);
  if (!failed) failed = attention_run_builtin(&cuda->attention, o, error);
  if (!failed) failed = fetch(cuda, ours, o->out, bytes, error);
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.fill(o->out, 0xff, bytes, cuda->compute), error,
                       "cuMemsetD8Async(%zu bytes of a trial)", bytes);
  if (!failed) failed = attention_run(&cuda->attention, o, error);
  return failed ? failed : fetch(cuda, theirs, o->out, bytes, error);
}

static int compare_attention(const bf16 *ours, const bf16 *theirs, size_t n, struct error *error) {
  for (size_t i = 0; i < n; i++) {
    const double a = bf16_to_float(ours[i]), b = bf16_to_float(theirs[i]);
    if (fabs(a - b) <= ATTENTION_ALLOWED) continue; /* not-a-number is not */
    return error_set(error, -EBADMSG, "cuDNN's attention gives %g where the builtin one gives %g",
                     b, a);
  }
  return 0;
}

static int try_attention(struct cuda *cuda, struct error *error) {
  const int64_t rows = smaller(ATTENTION_ROWS, cuda->config.tokens_max);
  const int64_t keys = smaller(ATTENTION_KEYS_TRIED, cuda->config.tokens_max);
  const int64_t n_queries = smaller(rows, cuda->plan.chunk_tokens);
  const struct chunk chunk = chunk_at(cuda, 0, 0, n_queries, keys - n_queries);
  const struct attention_operands o = chunk_attention(cuda, &chunk);
  const size_t n = (size_t)(n_queries * chunk_q_dim(cuda));
  int failed = attention_prepare(&cuda->attention, o.n_queries, o.n_keys, o.q_stride, error);
  if (failed || cuda->attention.sdpa_plans == 0) return failed; /* the builtin one was prepared */
  bf16 *both = malloc(2 * n * sizeof *both);
  if (!both) return error_set(error, -ENOMEM, "no memory to try cuDNN");
  failed = run_both(cuda, &o, n, both, both + n, error);
  if (!failed) failed = compare_attention(both, both + n, n, error);
  free(both);
  return failed;
}

int cuda_trial_attention(struct cuda *cuda, struct error *error) {
  struct error why = {0};
  if (!cuda->attention.has_sdpa) return 0;
  int failed = try_attention(cuda, &why);
  if (!failed && cuda->attention.sdpa_plans > 0) return 0;
  if (!failed) { /* no plan for this one, and a second of compiling for each shape to come */
    attention_give_up(&cuda->attention, &why);
    return 0;
  }
  const bool must = cuda->attention.choice == DEVICE_ATTENTION_CUDNN;
  if (failed != -ENOMEM && !must && !gpu_is_broken(&cuda->gpu)) {
    attention_give_up(&cuda->attention, &why);
    return 0;
  }
  return error_set(error, failed, "%s: %s",
                   must ? "--attention cudnn"
                        : "trying cuDNN's attention (--attention builtin does without)",
                   why.message);
}
