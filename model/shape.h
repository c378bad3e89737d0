/*
 * The shape of a decoder-only transformer, and what follows from it: weights,
 * FLOPs, KV bytes. All formulas: design section "The models".
 */
#ifndef REFILL_MODEL_SHAPE_H
#define REFILL_MODEL_SHAPE_H

#include <stdbool.h>

#define SHAPE_NAME_BYTES 64

struct shape {
  char name[SHAPE_NAME_BYTES];
  int layers;     /* L */
  int hidden;     /* d */
  int q_heads;    /* H_q */
  int kv_heads;   /* H_kv; divides q_heads */
  int head_dim;   /* D, even */
  int ffn;        /* F, SwiGLU: three matrices of d x F */
  int vocabulary; /* V */
  bool tied;      /* input and output embedding share weights */
  double rope_theta;
  double norm_eps;
};

/* The preset called `name`, or NULL. Presets live for the program's life. */
const struct shape *shape_preset(const char *name);

/* The i-th preset's name, NULL past the last: for help texts. */
const char *shape_preset_name(int index);

/* NULL when the shape is usable, else a constant text that names the field and
 * what is accepted. */
const char *shape_problem(const struct shape *shape);

/* Parameters, count: L(d Hq D + 2 d Hkv D + Hq D d + 3 d F + 2d) + d + V d (1 if tied else 2). */
double shape_params(const struct shape *shape);

/* Bytes of one token's K and V in ONE layer: 2 Hkv D E; E = bytes per element. */
double shape_kv_bytes_per_token_layer(const struct shape *shape, double bytes_per_element);

/* Bytes of one token's KV over all layers: 2 L Hkv D E. */
double shape_kv_bytes_per_token(const struct shape *shape, double bytes_per_element);

/* GEMM FLOPs per token over all layers (no embedding, no LM head): 2 L (...). */
double shape_linear_flops_per_token(const struct shape *shape);

/* Attention FLOPs of one new token against one earlier, over all layers: 4 L Hq D. */
double shape_attention_flops_per_pair(const struct shape *shape);

/* Causal attention FLOPs over all layers, both products:
 * 4 L Hq D (n_new n_past + n_new (n_new + 1) / 2). */
double shape_attention_flops(const struct shape *shape, double n_past, double n_new);

/* T, analytic, s/token: (linear + attention / n_new) / flops_per_s. */
double shape_compute_s_per_token(const struct shape *shape, double n_past, double n_new,
                                 double flops_per_s);

#endif
