/*
 * A histogram of latencies that takes millions of them without memory of its own: octaves of
 * nanoseconds cut into 32 parts each, so that a quantile is known to about 3%.
 */
#ifndef REFILL_BENCH_MEASURE_LATENCY_H
#define REFILL_BENCH_MEASURE_LATENCY_H

#include <stdint.h>

#define LATENCY_PARTS 32   /* of an octave */
#define LATENCY_OCTAVES 36 /* up to 2^41 ns, half an hour */

struct latency {
  uint64_t count;
  uint64_t counts[LATENCY_PARTS * LATENCY_OCTAVES];
};

void latency_add(struct latency *latency, double seconds);
void latency_merge(struct latency *to, const struct latency *from);

/* The q-quantile, seconds: the middle of the part that it falls into; NaN where there are none. */
double latency_quantile_s(const struct latency *latency, double q);

#endif
