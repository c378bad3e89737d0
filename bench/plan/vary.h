/*
 * The models over ranges: what-if sweeps of one input, which input moves an answer most, and
 * intervals of the measured inputs carried through to intervals of the answers.
 */
#ifndef REFILL_BENCH_PLAN_VARY_H
#define REFILL_BENCH_PLAN_VARY_H

#include "bench/plan/inputs.h"
#include "bench/plan/outputs.h"

#define PLAN_STEPS_MAX 200
#define PLAN_STEPS 8

/* LOW to HIGH in `steps` values: evenly, or by equal factors where HIGH is 8 times LOW or more. */
struct plan_range {
  const struct plan_input *input;
  double low, high;
  int steps;
};

/* "NAME=LOW..HIGH" or "NAME=LOW..HIGH:STEPS"; a bare LOW takes HIGH's unit ("1..56GB/s"). NULL, or
 * what is wrong. `range` may be NULL. */
const char *plan_range_scan(const char *text, struct plan_range *range);

/* The i-th value, 0 <= i < steps; whole where the input is a count. */
double plan_range_at(const struct plan_range *range, int i);

/* How an input moves an answer. */
struct plan_influence {
  const struct plan_input *input;
  double elasticity;      /* d ln answer / d ln input, by a step of 1% either way */
  double halved, doubled; /* the answer at half and at twice the input, NaN out of range */
};

/* Influences of all inputs that move `output` at all, the strongest first; how many (at most
 * `max`). Strength is the elasticity or, where steps hide it (GPUs come by the server), half of
 * log2 of doubled over halved. */
int plan_influences(const struct plan_inputs *inputs, const struct plan_output *output,
                    struct plan_influence *influences, int max);

/* Measured intervals of T, R and W, seconds a token; low == high where there is none. */
struct plan_uncertainty {
  double compute_low, compute_high, read_low, read_high, write_low, write_high;
};

/* The lowest and highest of each output over all corners of the intervals: wider than 95% where
 * errors are independent, and never narrower where the models are monotone, which they are. */
void plan_intervals(const struct plan_inputs *inputs, const struct plan_uncertainty *uncertainty,
                    enum plan_section last, double low[PLAN_OUTPUTS_MAX],
                    double high[PLAN_OUTPUTS_MAX]);

#endif
