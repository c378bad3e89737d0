/*
 * The synthetic weights, defined once for every device, so that a CPU and a GPU
 * compute the same model and a run needs no checkpoint.
 *
 * Element i of tensor t of weight set s (layer l uses set l % weight_sets):
 *
 *   bits   = prng_bits(prng_stream(seed, 16 * s + t), i / 4)
 *   u      = (int16_t)(bits >> 16 * (i % 4)) / 32768          uniform in [-1, 1)
 *   weight = bf16(offset(t) + scale(t) * u)                   product, then sum, in float
 *
 * Scales keep activations sane through many layers, also where the same set is
 * used again and its contributions line up: a projection has variance 1/fan-in,
 * and the two that write to the residual stream another 1/(2 L).
 *
 *   tensor            rows (out) x columns (in), row major     offset  standard deviation
 *   WEIGHT_QKV        (Hq + 2 Hkv) D x d: Q, K, V heads        0       1/sqrt(d)
 *   WEIGHT_OUT        d x Hq D                                 0       1/sqrt(Hq D 2 L)
 *   WEIGHT_GATE_UP    2 F x d: gate, then up                   0       1/sqrt(d)
 *   WEIGHT_DOWN       d x F                                    0       1/sqrt(F 2 L)
 *   WEIGHT_NORM_*     1 x d                                    1       0.1/sqrt(3)
 *   WEIGHT_EMBEDDING  V x d (set 0)                            0       1
 *   WEIGHT_HEAD       V x d (set 0; the embedding where tied)  0       1/sqrt(d)
 */
#ifndef REFILL_KERNELS_WEIGHTS_H
#define REFILL_KERNELS_WEIGHTS_H

#include <stdint.h>

#include "kernels/element.h"
#include "model/shape.h"

enum weight_tensor {
  WEIGHT_QKV,
  WEIGHT_OUT,
  WEIGHT_GATE_UP,
  WEIGHT_DOWN,
  WEIGHT_NORM_ATTENTION, /* before attention */
  WEIGHT_NORM_FFN,       /* before the feed-forward part */
  WEIGHT_EMBEDDING,
  WEIGHT_NORM_FINAL,
  WEIGHT_HEAD,
  WEIGHT_TENSORS
};

/* One tensor of one set: its size and the formula's constants. */
struct weight_stream {
  int64_t rows, columns; /* (out, in), row major */
  uint64_t stream;       /* seed of its own generator stream */
  float offset, scale;   /* scale = sqrt(3) * standard deviation: u is uniform */
};

/* The tensor `tensor` of weight set `set` under `seed`. Pure arithmetic, cannot fail. */
struct weight_stream weight_stream(const struct shape *shape, uint64_t seed, int set,
                                   enum weight_tensor tensor);

/* Writes elements [first, first + count) of the tensor; `first` a multiple of 4, so that
 * threads can share a tensor. 0.7 GB/s on a core of a shared 2 GHz Xeon. */
void weights_fill(const struct weight_stream *weights, int64_t first, int64_t count, bf16 *out);

#endif
