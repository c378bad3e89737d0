/*
 * The oracle: every operation of a decoder layer in plain float C, one function
 * each, readable before fast. Every device is tested against these. Nothing is
 * rounded to bf16 in between; a device's rounding is what tolerances are for. An FP8 cache's
 * rounding is 30 times coarser, and part of what is asked for: that is done.
 *
 * Arrays are row major; shapes stand beside the pointers. d hidden, D head_dim,
 * F ffn, V vocabulary. Inputs and outputs may only alias where that is said.
 */
#ifndef REFILL_KERNELS_REFERENCE_H
#define REFILL_KERNELS_REFERENCE_H

#include <stdint.h>

#include "base/error.h"
#include "kernels/weights.h"
#include "model/shape.h"

/* out[i] = table[tokens[i]]. */
void reference_embedding(int64_t n_tokens, int64_t d, const int32_t *tokens, /* (n_tokens) */
                         const float *table,                                 /* (V, d) */
                         float *out);                                        /* (n_tokens, d) */

/* out = x / sqrt(mean(x^2) + eps) * weight, over each row (Zhang and Sennrich, 2019). */
void reference_rmsnorm(int64_t n_tokens, int64_t d, double eps, const float *x, /* (n_tokens, d) */
                       const float *weight,                                     /* (d) */
                       float *out);                                             /* (n_tokens, d) */

/* y = x W^T, plus y where `accumulate`. */
void reference_linear(int64_t n_tokens, int64_t n_in, int64_t n_out, int accumulate,
                      const float *x, /* (n_tokens, n_in) */
                      const float *w, /* (n_out, n_in) */
                      float *y);      /* (n_tokens, n_out) */

/* Rotary embedding in place, half-split as in Llama (Hugging Face): element j < D/2 pairs with
 * j + D/2 and turns by position * theta^(-2 j / D). Row i stands at first_position + i. */
void reference_rope(int64_t n_tokens, int heads, int head_dim, int64_t row_stride, double theta,
                    int64_t first_position, float *x); /* (n_tokens, row_stride), heads * D used */

/* Causal grouped-query attention of new tokens over past and new keys: query head h reads KV head
 * h / (q_heads / kv_heads); new token i sees keys [0, n_past + i]. Softmax of q.k / sqrt(D). */
void reference_attention(int64_t n_new, int64_t n_past, int q_heads, int kv_heads, int head_dim,
                         const float *q, /* (n_new, q_heads, D) */
                         const float *k, /* (n_past + n_new, kv_heads, D) */
                         const float *v, /* (n_past + n_new, kv_heads, D) */
                         float *out);    /* (n_new, q_heads, D) */

/* out = silu(gate) * up; silu(z) = z / (1 + exp(-z)). */
void reference_swiglu(int64_t n_tokens, int64_t ffn, const float *gate_up, /* (n_tokens, 2, F) */
                      float *out);                                         /* (n_tokens, F) */

/* Index of the largest logit, the lowest where several are equal. */
int32_t reference_argmax(int64_t n, const float *logits); /* (n) */

/* ---- the whole model -------------------------------------------------------------------- */

/* One weight set in float, as the bf16 values of weights.h. */
struct reference_layer {
  float *qkv;            /* ((Hq + 2 Hkv) D, d) */
  float *out;            /* (d, Hq D) */
  float *gate_up;        /* (2 F, d) */
  float *down;           /* (d, F) */
  float *norm_attention; /* (d) */
  float *norm_ffn;       /* (d) */
};

struct reference_model {
  struct shape shape;
  enum element kv_element; /* of the cache; bf16: K and V are kept as they are. The caller's */
  int weight_sets;
  struct reference_layer *layers; /* (weight_sets) */
  float *embedding;               /* (V, d) */
  float *head;                    /* (V, d) */
  float *norm_final;              /* (d) */
};

/* Makes the weights that a device makes from the same seed and number of sets. The caller owns
 * the model until reference_model_close(). Returns 0 or -ENOMEM. */
int reference_model_open(struct reference_model *model, const struct shape *shape, int weight_sets,
                         uint64_t seed, struct error *error);
void reference_model_close(struct reference_model *model);

/* One decoder layer in place on x; appends K (after RoPE) and V of the new tokens at row n_past,
 * rounded to what an FP8 cache holds of them where model->kv_element says so.
 * Returns 0 or -ENOMEM. */
int reference_forward_layer(const struct reference_model *model, int layer, int64_t n_new,
                            int64_t n_past, float *x, /* (n_new, d) */
                            float *k,                 /* (n_past + n_new, kv_heads, D) */
                            float *v,                 /* (n_past + n_new, kv_heads, D) */
                            struct error *error);

/* Final norm of the last of n_new rows, then the LM head. Returns argmax of the logits. */
int32_t reference_head(const struct reference_model *model, const float *last, /* (d) */
                       float *hidden,                                          /* (d) */
                       float *logits);                                         /* (V) */

#endif
