/*
 * T, R, W and the model out of a result of sweep or calibrate, as inputs of the models.
 *
 * A run of K layers is extrapolated to all layers of the model here, and only here: times and bytes
 * are multiplied by layers_model / layers_run.
 */
#ifndef REFILL_BENCH_PLAN_FROM_H
#define REFILL_BENCH_PLAN_FROM_H

#include <jansson.h>

#include "base/error.h"
#include "bench/plan/inputs.h"
#include "bench/plan/vary.h"
#include "model/shape.h"

/* Weights, parameters and KV bytes of a model whose elements take so many bytes. */
void plan_take_shape(struct plan_inputs *inputs, const struct shape *shape, double weight_bytes,
                     double kv_bytes);

/* Where the inputs came from, for the answer. */
struct plan_source {
  char command[16], device[96], model[SHAPE_NAME_BYTES];
  int layers_run, layers_model;
  bool emulated, played_back;
};

/* Takes the summary of the length nearest to `n_tokens` (0: the longest) into inputs and
 * uncertainty, and fits T and R where there are points enough. Fields are read by name, never by
 * place. Returns 0 or -EINVAL with the field that is missing or makes no sense. */
int plan_take_result(struct plan_inputs *inputs, struct plan_uncertainty *uncertainty,
                     struct plan_source *source, const json_t *result, double n_tokens,
                     struct error *error);

#endif
