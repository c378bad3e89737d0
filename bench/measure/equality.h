/*
 * Reload equals recompute: the same prompt computed whole, and with part of its KV reloaded,
 * must end in the same last hidden state.
 *
 * Bit for bit where the past ends on a chunk boundary, since then both computed the new tokens in
 * the same chunks. Elsewhere the GEMMs of the first chunk have another shape, may add in another
 * order, and bf16 rounds differently: then within EQUALITY_TOLERANCE.
 */
#ifndef REFILL_BENCH_MEASURE_EQUALITY_H
#define REFILL_BENCH_MEASURE_EQUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bench/measure/group.h"

/* Largest |difference| over the largest |recomputed value|. bf16 has 8 significant bits (0.4%);
 * what differs by rounding in each of some tens of layers stays well below this. */
#define EQUALITY_TOLERANCE 0.05

struct equality {
  int64_t n_past, n_new;
  enum policy policy;
  bool computed;     /* the device computes: hidden states were compared, not bytes alone */
  bool bitwise;      /* had to be equal bit for bit */
  double difference; /* largest |difference| / largest |value|; NaN where not computed */
  bool token_equal;
  int64_t wrong_pages, checked_pages;
  bool pass;
};

/* What a recompute of n_tokens ends with. */
struct equality_reference {
  int64_t n_tokens;
  int32_t token;
  int n_hidden;  /* 0: the device computes nothing */
  float *hidden; /* [n_hidden], freed by equality_reference_free() */
};

int equality_reference_make(struct group *group, int64_t n_tokens,
                            struct equality_reference *reference, struct error *error);
void equality_reference_free(struct equality_reference *reference);

/* Runs one reload and judges it. A difference is a verdict, not an error. */
int equality_check(struct group *group, const struct equality_reference *reference, int64_t n_past,
                   enum policy policy, struct equality *equality, struct error *error);

/* Largest |a - b| over the largest |a|; 0 for equal zeros; infinite where either has a NaN. */
double equality_difference(const float *a, const float *b, int n);

#endif
