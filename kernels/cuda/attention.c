/*
 * Choosing between cuDNN's attention and ours.
 */
#include "kernels/cuda/attention.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

static void refuse(struct attention *attention, const struct error *why) {
  if (!attention->refused[0])
    snprintf(attention->refused, sizeof attention->refused, "%.150s", why->message);
}

int attention_open(struct attention *attention, const struct attention_setup *setup,
                   struct error *error) {
  const struct shape *s = setup->shape;
  *attention = (struct attention){
      .launcher = setup->launcher,
      .q_heads = s->q_heads,
      .kv_heads = s->kv_heads,
      .head_dim = s->head_dim,
      .choice = setup->choice,
  };
  if (setup->choice == DEVICE_ATTENTION_BUILTIN) return 0;
  struct error why = {0};
  const struct sdpa_heads heads = {s->q_heads, s->kv_heads, s->head_dim};
  int failed = sdpa_open(&attention->sdpa, setup->gpu, heads, setup->directory, &why);
  attention->has_sdpa = failed == 0;
  if (!failed) return 0;
  sdpa_close(&attention->sdpa);
  refuse(attention, &why);
  if (setup->choice == DEVICE_ATTENTION_AUTO) return 0;
  return error_set(error, failed, "--attention cudnn: %s", why.message);
}

int attention_set_up(struct attention *attention, driver_stream stream, driver_pointer workspace,
                     size_t workspace_bytes, struct error *error) {
  attention->stream = stream;
  if (!attention->has_sdpa) return 0;
  return sdpa_set_up(&attention->sdpa, stream, workspace, workspace_bytes, error);
}

void attention_close(struct attention *attention) {
  if (attention->has_sdpa) sdpa_close(&attention->sdpa);
  attention->has_sdpa = false;
}

static int check(int64_t n_queries, int64_t n_keys, struct error *error) {
  /* cuDNN would take more queries than keys, and compute something else. */
  if (n_queries >= 1 && n_keys >= n_queries) return 0;
  return error_set(error, -EINVAL, "attention of %lld queries over %lld keys is not causal",
                   (long long)n_queries, (long long)n_keys);
}

int attention_prepare(struct attention *attention, int64_t n_queries, int64_t n_keys,
                      int64_t q_stride, struct error *error) {
  int failed = check(n_queries, n_keys, error);
  if (failed) return failed;
  if (attention->has_sdpa) {
    struct error why = {0};
    const struct sdpa_problem problem = {n_queries, n_keys, q_stride};
    failed = sdpa_prepare(&attention->sdpa, &problem, &why);
    if (!failed) {
      attention->sdpa_plans++;
      return 0;
    }
    refuse(attention, &why);
    if (attention->choice == DEVICE_ATTENTION_CUDNN)
      return error_set(error, failed, "--attention cudnn: %s", why.message);
  }
  attention->builtin_plans++;
  return 0;
}

void attention_give_up(struct attention *attention, const struct error *why) {
  refuse(attention, why);
  attention_close(attention);
  attention->sdpa_plans = 0;
}

int attention_run_builtin(const struct attention *attention,
                          const struct attention_operands *operands, struct error *error) {
  const struct kernel_attention arguments = {
      .q = operands->q,
      .k = operands->k,
      .v = operands->v,
      .out = operands->out,
      .n_queries = operands->n_queries,
      .n_keys = operands->n_keys,
      .q_stride = operands->q_stride,
      .q_heads = attention->q_heads,
      .kv_heads = attention->kv_heads,
      .scale_log2 = (float)(1.4426950408889634 / sqrt((double)attention->head_dim)),
  };
  const int64_t tiles = (operands->n_queries + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
  assert(attention->head_dim == 64 || attention->head_dim == 128);
  return launcher_run(attention->launcher,
                      attention->head_dim == 64 ? KERNEL_refill_attention_64
                                                : KERNEL_refill_attention_128,
                      tiles, attention->q_heads, &arguments, attention->stream, error);
}

int attention_run(struct attention *attention, const struct attention_operands *operands,
                  struct error *error) {
  int failed = check(operands->n_queries, operands->n_keys, error);
  if (failed) return failed;
  if (attention->has_sdpa) {
    const struct sdpa_problem problem = {operands->n_queries, operands->n_keys, operands->q_stride};
    const struct sdpa_tensors tensors = {operands->q, operands->k, operands->v, operands->out};
    if (sdpa_has_plan(&attention->sdpa, &problem)) {
      failed = sdpa_run(&attention->sdpa, &problem, &tensors, error);
      return failed ? failed : gpu_settle(attention->launcher->gpu, attention->stream, error);
    }
  }
  return attention_run_builtin(attention, operands, error);
}

void attention_describe(const struct attention *attention, char *text, size_t bytes) {
  if (attention->has_sdpa && attention->builtin_plans == 0) {
    sdpa_describe(&attention->sdpa, text, bytes);
    return;
  }
  const bool mixed = attention->has_sdpa && attention->sdpa_plans > 0;
  snprintf(text, bytes, "%sbuiltin, mma.sync bf16%s%.90s%s", mixed ? "cuDNN and " : "",
           attention->refused[0] ? " (no cuDNN: " : "", attention->refused,
           attention->refused[0] ? ")" : "");
}
