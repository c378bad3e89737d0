/*
 * A plan as JSON: every answer at the top level under its name, in base units; null where it has
 * no meaning or no limit.
 */
#include <math.h>

#include "bench/plan/report.h"
#include "bench/present/result.h"
#include "model/disaggregation.h"
#include "model/turns.h"

#define INFLUENCES_MAX 128

static void set(json_t *object, const char *key, double value) {
  json_object_set_new(object, key, result_real(value));
}

static json_t *source_to_json(const struct plan *plan) {
  const struct plan_source *source = &plan->source;
  if (!plan->measured) return json_null();
  return json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:b}", "command", source->command, "device",
                   source->device, "model", source->model, "layers_run", source->layers_run,
                   "layers_model", source->layers_model, "emulated", source->emulated,
                   "played_back", source->played_back);
}

static json_t *inputs_to_json(const struct plan_inputs *inputs) {
  json_t *json = json_object();
  const struct plan_input *input;
  for (int i = 0; (input = plan_input_at(i)); i++)
    set(json, input->name, plan_input_get(inputs, input) / input->scale);
  return json;
}

static void outputs_to_json(const struct plan_outputs *outputs, json_t *json) {
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++)
    set(json, output->name, plan_output_get(outputs, output));
}

static void words_to_json(const struct plan *plan, json_t *json) {
  const struct plan_outputs *out = &plan->outputs;
  json_object_set_new(json, "external", json_boolean(out->external));
  json_object_set_new(json, "regime", json_string(out->regime));
  json_object_set_new(json, "zone", json_string(out->zone));
  json_object_set_new(json, "moe_bound", json_string(out->moe_bound));
  json_t *gates = json_array();
  for (int i = 0; i < N_GATES; i++)
    json_array_append_new(gates, json_pack("{s:s, s:b}", "gate",
                                           disaggregation_gate_name((enum disaggregation_gate)i),
                                           "passed", out->gates[i]));
  json_object_set_new(json, "gates", gates);
}

static json_t *intervals_to_json(const struct plan *plan) {
  if (!plan->measured) return json_null();
  json_t *json = json_object();
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    json_object_set_new(
        json, output->name,
        json_pack("{s:o, s:o, s:o}", "median", result_real(plan_output_get(&plan->outputs, output)),
                  "ci_low", result_real(plan->low[i]), "ci_high", result_real(plan->high[i])));
  }
  return json;
}

static json_t *quality_to_json(const struct fit_quality *quality, int n) {
  json_t *json = json_pack("{s:i}", "samples", n);
  set(json, "rms", quality->rms);
  set(json, "largest", quality->largest);
  set(json, "r_squared", quality->r_squared);
  return json;
}

static json_t *line_to_json(bool known, const struct fit_line *line,
                            const struct fit_quality *quality, int n) {
  if (!known) return json_null();
  json_t *json = quality_to_json(quality, n);
  set(json, "fixed_s", line->fixed_s);
  set(json, "s_per_byte", line->slope_s);
  return json;
}

static json_t *fit_to_json(const struct plan *plan) {
  const struct plan_fit *fit = &plan->inputs.fit;
  json_t *json = json_object();
  json_t *compute = json_null();
  if (fit->compute_known) {
    compute = quality_to_json(&fit->compute_quality, fit->compute_samples);
    set(compute, "fixed_s", fit->compute.fixed_s);
    set(compute, "floor_s", fit->compute.floor_s);
    set(compute, "s_per_token", fit->compute.s_per_token);
    set(compute, "s_per_pair", fit->compute.s_per_pair);
  }
  json_object_set_new(json, "compute", compute);
  json_object_set_new(
      json, "read",
      line_to_json(fit->read_known, &fit->read, &fit->read_quality, fit->read_samples));
  json_object_set_new(
      json, "write",
      line_to_json(fit->write_known, &fit->write, &fit->write_quality, fit->write_samples));
  return json;
}

static json_t *points_to_json(const struct plan *plan) {
  json_t *points = json_array();
  for (int i = 0; i < plan->alphas.n; i++) {
    struct plan_point p = plan_point_at(&plan->inputs, &plan->outputs, plan->alphas.values[i]);
    json_t *json = json_pack("{s:f, s:f, s:f, s:s, s:s}", "alpha", p.alpha, "n_past", p.n_past,
                             "n_new", p.n_new, "policy", "overlap", "regime", p.regime);
    set(json, "read_s", p.read_s);
    set(json, "compute_s", p.compute_s);
    set(json, "write_s", p.write_s);
    set(json, "model_ideal_s", p.ttft_s);
    set(json, "model_serial_s", p.serial_s);
    set(json, "recompute_s", p.recompute_s);
    set(json, "speedup", p.recompute_s / p.ttft_s);
    json_array_append_new(points, json);
  }
  return points;
}

static json_t *turns_to_json(const struct plan *plan) {
  json_t *array = json_array();
  struct turns turns = plan_turns(&plan->inputs, &plan->outputs);
  for (int turn = 1; turn <= (int)plan->inputs.turns; turn++) {
    struct turns_point p = turns_at(&turns, turn);
    json_t *json = json_pack("{s:i, s:f, s:f, s:f}", "turn", turn, "n_tokens", p.n_tokens, "n_past",
                             p.n_past, "n_new", p.n_new);
    set(json, "alpha", p.alpha);
    set(json, "recompute_s", p.recompute_s);
    set(json, "reload_s", p.reload_s);
    set(json, "speedup", p.speedup);
    set(json, "read_bytes", p.read_bytes);
    set(json, "write_bytes", p.write_bytes);
    json_array_append_new(array, json);
  }
  return array;
}

static json_t *influences_to_json(const struct plan *plan, const struct plan_output *output) {
  struct plan_influence influences[INFLUENCES_MAX];
  int n = plan_influences(&plan->inputs, output, influences, INFLUENCES_MAX);
  json_t *array = json_array();
  for (int i = 0; i < n; i++) {
    json_t *json = json_pack("{s:s}", "input", influences[i].input->name);
    set(json, "elasticity", influences[i].elasticity);
    set(json, "halved", influences[i].halved);
    set(json, "doubled", influences[i].doubled);
    json_array_append_new(array, json);
  }
  return array;
}

static json_t *sensitivity_to_json(const struct plan *plan) {
  json_t *json = json_object();
  for (int section = 0; section < PLAN_SECTIONS; section++) {
    const struct plan_output *output;
    for (int k = 0;
         plan->shown[section] && (output = plan_output_key((enum plan_section)section, k)); k++)
      json_object_set_new(json, output->name, influences_to_json(plan, output));
  }
  return json;
}

static json_t *vary_to_json(const struct plan *plan) {
  json_t *array = json_array();
  for (int r = 0; r < plan->n_ranges; r++) {
    const struct plan_range *range = &plan->ranges[r];
    for (int i = 0; i < range->steps; i++) {
      struct plan_inputs inputs = plan->inputs;
      struct plan_outputs outputs;
      json_t *json = json_pack("{s:s}", "input", range->input->name);
      double value = plan_range_at(range, i);
      set(json, "input_value", value / range->input->scale);
      plan_input_set(&inputs, range->input, value);
      plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
      outputs_to_json(&outputs, json);
      json_array_append_new(array, json);
    }
  }
  return array;
}

void plan_to_json(const struct plan *plan, json_t *result) {
  json_object_set_new(result, "source", source_to_json(plan));
  outputs_to_json(&plan->outputs, result);
  words_to_json(plan, result);
  json_object_set_new(result, "inputs", inputs_to_json(&plan->inputs));
  json_object_set_new(result, "intervals", intervals_to_json(plan));
  json_object_set_new(result, "fit", fit_to_json(plan));
  json_object_set_new(result, "points", points_to_json(plan));
  json_object_set_new(result, "turn_points", turns_to_json(plan));
  json_object_set_new(result, "sensitivity", sensitivity_to_json(plan));
  json_object_set_new(result, "vary", vary_to_json(plan));
}
