/*
 * The histogram: part i of octave 0 holds i ns; part i of octave k > 0 holds
 * [2^(k+4) (1 + i/32), ...) as a floating-point number would.
 */
#include "bench/measure/latency.h"

#include <math.h>

enum { PART_BITS = 5, PARTS_ALL = LATENCY_PARTS * LATENCY_OCTAVES };
_Static_assert(1 << PART_BITS == LATENCY_PARTS, "an octave's parts are a power of two");

static int part_of(uint64_t ns) {
  if (ns < LATENCY_PARTS) return (int)ns;
  int octave = 63 - __builtin_clzll(ns) - PART_BITS; /* 0 for [32, 64) */
  int part = (octave + 1) * LATENCY_PARTS + (int)((ns >> octave) & (LATENCY_PARTS - 1));
  return part < PARTS_ALL ? part : PARTS_ALL - 1;
}

static double middle_s(int part) {
  if (part < LATENCY_PARTS) return part * 1e-9;
  int octave = part / LATENCY_PARTS - 1;
  double first = ldexp(LATENCY_PARTS + part % LATENCY_PARTS, octave);
  return (first + ldexp(0.5, octave)) * 1e-9;
}

void latency_add(struct latency *latency, double seconds) {
  uint64_t ns = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
  latency->counts[part_of(ns)]++;
  latency->count++;
}

void latency_merge(struct latency *to, const struct latency *from) {
  for (int i = 0; i < PARTS_ALL; i++) to->counts[i] += from->counts[i];
  to->count += from->count;
}

double latency_quantile_s(const struct latency *latency, double q) {
  if (latency->count == 0) return (double)NAN;
  double wanted = q * (double)(latency->count - 1);
  uint64_t below = 0;
  for (int i = 0; i < PARTS_ALL; i++) {
    below += latency->counts[i];
    if ((double)below > wanted) return middle_s(i);
  }
  return middle_s(PARTS_ALL - 1);
}
