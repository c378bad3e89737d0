/*
 * What the planner takes out of results: T, R, W of all layers, intervals; and what it refuses.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "bench/plan/from.h"
#include "bench/plan/outputs.h"
#include "bench/plan/vary.h"

static void set(struct plan_inputs *inputs, const char *name, double value) {
  const struct plan_input *input = plan_input_find(name, strlen(name));
  cr_assert(input, "%s", name);
  plan_input_set(inputs, input, value);
}

static void expect(double found, double wanted, const char *what) {
  cr_assert(fabs(found - wanted) <= 1e-9 * fabs(wanted), "%s: %.12g, not %.12g", what, found,
            wanted);
}

#define SWEEP                                                                                      \
  "{'schema':'refill/1','command':'sweep','rig':{'model':'llama-3-70b','layers_run':40,"           \
  "'layers_model':80,'dtype':'bf16','kv_dtype':'bf16','page_tokens':64,"                           \
  "'page_payload_bytes':262144,'device':{'name':'cpu'}},"                                          \
  "'summary':[{'n_tokens':4096,'compute_s_per_token':0.0004,'read_s_per_token':0.0001,"            \
  "'write_s_per_token':0.0002,'best_alpha':0.5}],'points':["                                       \
  "{'n_tokens':4096,'policy':'recompute','alpha':0,'n_new':4096,'n_past':0,"                       \
  "'compute_alone_s':{'median':1.6,'ci_low':1.52,'ci_high':1.76}},"                                \
  "{'n_tokens':4096,'policy':'overlap','alpha':0.5,'n_new':2048,'n_past':2048,"                    \
  "'read_alone_s':{'median':0.2,'ci_low':0.18,'ci_high':0.22}}]}"

/* JSON with single quotes. */
static json_t *result_of(const char *text) {
  char copy[4096];
  snprintf(copy, sizeof copy, "%s", text);
  for (char *at = copy; *at; at++)
    if (*at == '\'') *at = '"';
  json_error_t wrong;
  json_t *json = json_loads(copy, 0, &wrong);
  cr_assert(json, "%s", wrong.text);
  return json;
}

static int take(json_t *result, struct plan_inputs *inputs, struct plan_uncertainty *uncertainty,
                double n, struct error *error) {
  struct plan_source source;
  plan_inputs_default(inputs);
  return plan_take_result(inputs, uncertainty, &source, result, n, error);
}

Test(plan_from, a_result_brings_times_of_all_layers_and_intervals) {
  json_t *result = result_of(SWEEP);
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct error error = {0};
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0, "%s", error.message);
  expect(inputs.compute_s_per_token, 0.0008, "T of 80 layers");
  expect(inputs.cost.context_tokens, 4096, "context");
  expect(inputs.cost.kv_bytes_per_token, 327680, "KV");
  expect(inputs.cost.params, 70553706496, "params");
  expect(u.compute_low, 0.0008 * 0.95, "T low");
  expect(u.read_high, 0.0002 * 1.1, "R high");
  double low[PLAN_OUTPUTS_MAX], high[PLAN_OUTPUTS_MAX];
  plan_intervals(&inputs, &u, PLAN_TTFT, low, high);
  struct plan_outputs outputs;
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    if (strcmp(output->name, "e") != 0) continue;
    expect(outputs.e, 4, "e");
    expect(low[i], 4 * 0.95 / 1.1, "e low");
    expect(high[i], 4 * 1.1 / 0.9, "e high");
  }
  json_decref(result);
}

Test(plan_from, what_a_result_lacks_is_named) {
  static const struct {
    const char *key, *sub, *must;
  } cases[] = {{"rig", "layers_run", "layers_run"},
               {"summary", "compute_s_per_token", "compute_s_per_token"},
               {"summary", "n_tokens", "n_tokens"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int null = 0; null < 2; null++) {
      json_t *result = result_of(SWEEP);
      json_t *part = json_object_get(result, cases[i].key);
      if (json_is_array(part)) part = json_array_get(part, 0);
      if (null)
        json_object_set_new(part, cases[i].sub, json_null());
      else
        json_object_del(part, cases[i].sub);
      struct plan_inputs inputs;
      struct plan_uncertainty u;
      struct error error = {0};
      cr_assert_eq(take(result, &inputs, &u, 0, &error), -EINVAL, "%s", cases[i].sub);
      cr_assert(strstr(error.message, cases[i].must), "%s", error.message);
      cr_assert(strstr(error.message, "accepted"), "%s", error.message);
      json_decref(result);
    }
  }
}

Test(plan_from, hostile_numbers_and_texts_do_no_harm) {
  static const char *const numbers[] = {"1e300", "-1", "0", "4.5e9", "\"many\"", "[1]", "{}"};
  static const char *const keys[] = {"layers_run", "layers_model"};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    for (int k = 0; k < 3; k++) {
      json_t *result = result_of(SWEEP);
      json_t *part = k < 2 ? json_object_get(result, "rig")
                           : json_array_get(json_object_get(result, "summary"), 0);
      json_object_set_new(part, k < 2 ? keys[k] : "n_tokens",
                          json_loads(numbers[i], JSON_DECODE_ANY, NULL));
      struct plan_inputs inputs;
      struct plan_uncertainty u;
      struct error error = {0};
      cr_assert_eq(take(result, &inputs, &u, 0, &error), -EINVAL, "%s %d", numbers[i], k);
      json_decref(result);
    }
  }
  json_t *result = result_of(SWEEP);
  json_object_set_new(json_object_get(json_object_get(result, "rig"), "device"), "name",
                      json_string("cpu\x1b[31m\n"));
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct plan_source source;
  struct error error = {0};
  plan_inputs_default(&inputs);
  cr_assert_eq(plan_take_result(&inputs, &u, &source, result, 0, &error), 0);
  cr_assert_str_eq(source.device, "cpu?[31m?");
  json_decref(result);
}

Test(plan_from, results_without_times_are_refused) {
  json_t *result = result_of("{'command':'doctor'}");
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct error error = {0};
  cr_assert_eq(take(result, &inputs, &u, 0, &error), -EINVAL);
  cr_assert(strstr(error.message, "doctor"), "%s", error.message);
  json_decref(result);
}

Test(plan_from, what_is_typed_replaces_what_was_measured) {
  json_t *result = result_of(SWEEP);
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct plan_outputs outputs;
  struct error error = {0};
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0);
  set(&inputs, "nvme-bw", 327680 / 0.0004);
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  expect(outputs.read_s_per_token, 0.0004, "R by the bandwidth typed");
  expect(outputs.compute_s_per_token, 0.0008, "T as measured");
  json_decref(result);
}

Test(plan_from, another_model_brings_its_parameters) {
  json_t *result = result_of(SWEEP);
  json_t *rig = json_object_get(result, "rig");
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct error error = {0};
  json_object_set_new(rig, "model", json_string("ours"));
  json_object_set_new(rig, "params", json_real(12e9));
  json_object_set_new(rig, "attention_flops_per_pair", json_real(1e6));
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0, "%s", error.message);
  expect(inputs.cost.params, 12e9, "params");
  expect(inputs.cost.weights_bytes, 24e9, "weights");
  expect(inputs.attention_flops_per_pair, 1e6, "attention");
  expect(inputs.cost.kv_bytes_per_token, 262144.0 / 64 * 80, "KV, from its pages");
  json_object_set_new(rig, "params", json_real(-3));
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0);
  expect(inputs.cost.params, 70e9, "what makes no sense leaves the default");
  json_decref(result);
}

Test(plan_from, writes_are_fitted_and_carried_to_other_lengths) {
  json_t *result = result_of(SWEEP);
  json_t *points = json_object_get(result, "points");
  /* 5 ms fixed and 0.1 ms a token, of 40 layers; the model has 80. */
  for (int i = 1; i <= 4; i++)
    json_array_append_new(points, json_pack("{s:i, s:s, s:f, s:i, s:i, s:{s:f}}", "n_tokens", 4096,
                                            "policy", "overlap", "alpha", 0.1 * i, "n_new", 512 * i,
                                            "n_past", 4096 - 512 * i, "write_alone_s", "median",
                                            0.005 + 1e-4 * 512 * i));
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct error error = {0};
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0, "%s", error.message);
  cr_assert(inputs.fit.write_known && inputs.fit.write_samples == 4);
  cr_assert(fabs(inputs.fit.write.fixed_s - 0.01) < 1e-5, "%g", inputs.fit.write.fixed_s);
  struct plan_outputs outputs;
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  double kv_bytes = inputs.cost.kv_bytes_per_token;
  expect(fit_line_s(&outputs.write, 2048 * kv_bytes), 2048 * 2 * 0.0002, "W where it was measured");
  cr_assert(outputs.write.fixed_s > 0);
  inputs.write_s_per_token = NAN;
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  expect(outputs.write.fixed_s, 0, "a bandwidth that was typed has no fixed part");
  json_decref(result);
}

Test(plan_from, observed_first_tokens_are_held_against_the_sla) {
  json_t *result = result_of(SWEEP);
  json_t *point = json_array_get(json_object_get(result, "points"), 1);
  json_object_set_new(point, "first_token_s",
                      json_pack("{s:[f, f, f, f, n]}", "samples", 0.1, 0.15, 0.3, 0.1));
  struct plan_inputs inputs;
  struct plan_uncertainty u;
  struct plan_outputs outputs;
  struct error error = {0};
  cr_assert_eq(take(result, &inputs, &u, 0, &error), 0, "%s", error.message);
  cr_assert_eq(inputs.requests.n, 4);
  expect(inputs.requests.ttft_s[1], 0.3, "of 80 layers");
  inputs.sla_tpot_s = 10;
  plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
  expect(outputs.goodput_share, 0.75, "0.6 s is over the 0.4 s promised");
  inputs.sla_tpot_s = 1e-6;
  plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
  cr_assert_eq(outputs.goodput_share, 0.0);
  plan_inputs_default(&inputs);
  plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
  cr_assert(isnan(outputs.goodput_share), "nothing was observed");
  json_decref(result);
}
