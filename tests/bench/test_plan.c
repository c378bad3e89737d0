/*
 * The planner: all vectors of the models through its inputs and outputs, ranges, influences.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/plan/outputs.h"
#include "bench/plan/vary.h"
#include "bench_test.h"

#define VECTORS "tests/model/vectors.json"

static json_t *vectors(const char *key) {
  json_t *all = json_load_file(VECTORS, 0, NULL);
  cr_assert(all, "%s: run from the root of the repository", VECTORS);
  json_t *part = json_incref(json_object_get(all, key));
  json_decref(all);
  cr_assert_gt(json_array_size(part), 0, "%s", key);
  return part;
}

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  cr_assert(json_is_number(value), "%s", key);
  return json_number_value(value);
}

static void set(struct plan_inputs *inputs, const char *name, double value) {
  const struct plan_input *input = plan_input_find(name, strlen(name));
  cr_assert(input, "%s", name);
  plan_input_set(inputs, input, value);
}

static void expect(double found, double wanted, const char *what, size_t at) {
  cr_assert(fabs(found - wanted) <= 1e-9 * fabs(wanted), "%s of case %zu: %.12g, not %.12g", what,
            at, found, wanted);
}

static void expect_output(const struct plan_outputs *outputs, const char *name,
                          const json_t *vector, const char *key, size_t at) {
  const struct plan_output *output = plan_output_find(name);
  cr_assert(output, "%s", name);
  expect(plan_output_get(outputs, output), number(vector, key), name, at);
}

Test(plan, cost_vectors) {
  static const struct {
    const char *output, *key;
  } same[] = {{"kv_bytes_per_request", "kv_per_request"},
              {"kv_bytes_total", "kv_total"},
              {"gpus_offload", "gpus_offload"},
              {"gpus_cp", "gpus_cp"},
              {"ttft_cp_s", "ttft_cp"},
              {"ttft_min_gpu_s", "ttft_min"},
              {"ttft_offload_s", "ttft_offload"},
              {"cost_cp_usd_per_hour", "cost_cp"},
              {"cost_offload_usd_per_hour", "cost_offload"},
              {"overflow_requests", "overflow_requests"},
              {"servers_offload", "servers_offload"},
              {"servers_cp", "servers_cp"}};
  json_t *cases = vectors("cost");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    plan_inputs_default(&inputs);
    set(&inputs, "context", number(v, "context"));
    set(&inputs, "concurrency", number(v, "concurrency"));
    set(&inputs, "params", number(v, "params"));
    set(&inputs, "weights", number(v, "weights_bytes"));
    set(&inputs, "kv-bytes-per-token", number(v, "kv_bytes_per_token"));
    plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
    for (size_t k = 0; k < sizeof same / sizeof same[0]; k++)
      expect_output(&outputs, same[k].output, v, same[k].key, i);
  }
  json_decref(cases);
}

/* One GPU without limits, so that the vectors' TTFT(1) and KV(1) can be set. */
static void one_gpu(struct plan_inputs *inputs) {
  plan_inputs_default(inputs);
  set(inputs, "tp-base", 1);
  set(inputs, "hbm", 1e15);
  set(inputs, "context", 1000);
}

Test(plan, batching_vectors) {
  json_t *cases = vectors("batching");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    one_gpu(&inputs);
    set(&inputs, "compute-time", number(v, "ttft1_s") / 1000);
    set(&inputs, "kv-bytes-per-token", number(v, "kv1_bytes") / 1000);
    set(&inputs, "hbm-bw", number(v, "hbm_bytes_per_s"));
    set(&inputs, "tpot", number(v, "tpot1_s"));
    set(&inputs, "output", number(v, "n_out"));
    set(&inputs, "batch", number(v, "B"));
    set(&inputs, "sla-tpot", number(v, "sla_tpot_s"));
    /* A speedup of x: reads so fast that alpha = 1 - 1/x decides. */
    set(&inputs, "prefix-share", 1 - 1 / number(v, "x"));
    set(&inputs, "read-time", 1e-12);
    set(&inputs, "write-time", 1e-12);
    plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
    expect(outputs.speedup, number(v, "x"), "speedup", i);
    expect_output(&outputs, "expected_ttft_s", v, "expected_ttft_s", i);
    expect_output(&outputs, "expected_tpot_s", v, "expected_tpot_s", i);
    expect_output(&outputs, "max_batch", v, "max_batch", i);
    expect_output(&outputs, "batch_gain", v, "batch_gain", i);
    expect_output(&outputs, "tps_gain_bound", v, "tps_gain_bound", i);
  }
  json_decref(cases);
}

Test(plan, decode_vectors) {
  json_t *cases = vectors("decode");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    one_gpu(&inputs);
    set(&inputs, "weights", number(v, "w_active_bytes"));
    set(&inputs, "params", number(v, "ops_per_token") / 2);
    set(&inputs, "kv-bytes-per-token", number(v, "kv_bytes") / 1000);
    set(&inputs, "hbm-bw", number(v, "bw"));
    set(&inputs, "tflops", number(v, "flops"));
    set(&inputs, "batch", number(v, "B"));
    plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
    expect_output(&outputs, "step_s", v, "step_s", i);
  }
  json_decref(cases);
}

Test(plan, ttft_vectors) {
  json_t *cases = vectors("ttft");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    plan_inputs_default(&inputs);
    set(&inputs, "context", number(v, "n_tokens"));
    set(&inputs, "compute-time", number(v, "T"));
    set(&inputs, "read-time", number(v, "R"));
    set(&inputs, "write-time", number(v, "W"));
    set(&inputs, "prefix-share", number(v, "alpha"));
    plan_evaluate(&inputs, PLAN_TTFT, &outputs);
    expect(outputs.e, number(v, "e"), "e", i);
    expect(outputs.alpha_star_constant_t, number(v, "alpha_star"), "alpha_star_constant_t", i);
    expect(outputs.alpha_star, number(v, "alpha_star"), "alpha_star", i);
    expect(outputs.ttft_reload_s, number(v, "ttft_s"), "ttft_reload_s", i);
  }
  json_decref(cases);
}

Test(plan, capacity_and_cache_vectors) {
  json_t *cases = vectors("capacity");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    plan_inputs_default(&inputs);
    set(&inputs, "tp-base", 1);
    set(&inputs, "hbm", number(v, "hbm"));
    set(&inputs, "weights", number(v, "weights"));
    set(&inputs, "hbm-overhead", number(v, "overhead"));
    set(&inputs, "kv-bytes-per-token", number(v, "kv_bytes_per_token"));
    set(&inputs, "context", number(v, "context"));
    plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
    if (outputs.gpus_offload == 1) expect_output(&outputs, "max_sequences", v, "max_sequences", i);
  }
  json_decref(cases);
  cases = vectors("cache");
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *v = json_array_get(cases, i);
    struct plan_inputs inputs;
    struct plan_outputs outputs;
    plan_inputs_default(&inputs);
    set(&inputs, "price-in", number(v, "p_in"));
    set(&inputs, "price-write", number(v, "p_write"));
    set(&inputs, "price-read", number(v, "p_read"));
    plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
    expect_output(&outputs, "cache_breakeven_calls", v, "breakeven_calls_document", i);
    expect_output(&outputs, "cache_breakeven_calls_strict", v, "breakeven_calls_strict", i);
  }
  json_decref(cases);
}

Test(plan, names_are_unique_and_defaults_accepted) {
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    cr_assert_eq(plan_output_find(output->name), output, "%s twice", output->name);
    cr_assert_null(strchr(output->name, '-'), "%s", output->name);
  }
  const struct plan_input *input;
  struct plan_inputs inputs;
  plan_inputs_default(&inputs);
  for (int i = 0; (input = plan_input_at(i)); i++) {
    cr_assert_eq(plan_input_find(input->name, strlen(input->name)), input, "%s", input->name);
    double value = plan_input_get(&inputs, input);
    cr_assert(isnan(value) || value == 0 || (value >= input->min && value <= input->max), "%s",
              input->name);
  }
  for (int i = 0; i < PLAN_SECTIONS; i++)
    cr_assert(plan_output_key((enum plan_section)i, 0), "%s", plan_section_name(i));
}

Test(plan, every_answer_is_documented) {
  char *text = read_text("results", "README.md");
  cr_assert(text, "results/README.md: run from the root of the repository");
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    char name[80];
    snprintf(name, sizeof name, "`%s`", output->name);
    cr_assert(strstr(text, name), "results/README.md does not document %s", name);
  }
  free(text);
}

/* True where the input at `value` gives another answer than `before`. */
static bool moves(const struct plan_inputs *inputs, const struct plan_outputs *before,
                  const struct plan_input *input, double value) {
  if (value < input->min || value > input->max) return false;
  struct plan_inputs changed = *inputs;
  struct plan_outputs after;
  plan_input_set(&changed, input, value);
  plan_evaluate(&changed, PLAN_SECTIONS, &after);
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    double a = plan_output_get(before, output);
    double b = plan_output_get(&after, output);
    if (a != b && !(isnan(a) && isnan(b))) return true;
  }
  return false;
}

Test(plan, each_input_moves_something) {
  struct plan_inputs inputs;
  struct plan_outputs before;
  plan_inputs_default(&inputs);
  set(&inputs, "system", 500); /* routing has shared prefixes then */
  set(&inputs, "zipf", 0.5);
  set(&inputs, "hot-share", 0.6);
  set(&inputs, "nvme-bw", 1e9); /* R > T: what is new decides how long a prefix may be */
  plan_evaluate(&inputs, PLAN_SECTIONS, &before);
  const struct plan_input *input;
  for (int i = 0; (input = plan_input_at(i)); i++) {
    double value = plan_input_get(&inputs, input);
    const double tried[] = {value / 4, value * 4, 1e-5, 1, 5, 7e8};
    bool moved = false;
    for (size_t k = 0; k < sizeof tried / sizeof tried[0]; k++)
      moved = moved || moves(&inputs, &before, input, tried[k]);
    cr_assert(moved, "--set %s moves no answer", input->name);
  }
}

/* ---- ranges and influences ---- */

Test(plan, no_answer_has_an_exponent_where_people_count) {
  static const struct {
    enum plan_kind kind;
    double value;
    const char *text;
  } cases[] = {{PLAN_BYTES, 41.94e9, "41.94 GB"}, {PLAN_BYTES, 16.78e12, "16.78 TB"},
               {PLAN_BYTES, 29.2e15, "29.2 PB"},  {PLAN_BYTES, 2e9, "2 GB"},
               {PLAN_USD, 123456, "$123456"},     {PLAN_USD, 27.5, "$27.5"},
               {PLAN_REAL, 106751.2, "106751"},   {PLAN_REAL, 0.4357, "0.4357"},
               {PLAN_COUNT, INFINITY, "no limit"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[32];
    cr_expect_str_eq(plan_format(cases[i].kind, cases[i].value, text), cases[i].text, "%s, not %s",
                     text, cases[i].text);
  }
}

Test(plan, ranges_take_their_unit_from_the_high_end) {
  struct plan_range range;
  cr_assert_null(plan_range_scan("nvme-bw=1..56GB/s", &range));
  cr_assert_eq(range.low, 1e9);
  cr_assert_eq(range.high, 56e9);
  cr_assert_eq(range.steps, PLAN_STEPS);
  cr_assert_eq(plan_range_at(&range, 0), 1e9);
  cr_assert_eq(plan_range_at(&range, range.steps - 1), 56e9);
  cr_assert_null(plan_range_scan("tflops=100..900:5", &range));
  cr_assert_eq(range.low, 100e12);
  cr_assert_null(plan_range_scan("prefix-share=0.5..0.9:5", &range));
  cr_assert(fabs(plan_range_at(&range, 1) - 0.6) < 1e-12, "even where it spans less than 8x");
  cr_assert_null(plan_range_scan("sla-tpot=500us..40ms", &range));
  cr_assert(fabs(range.low - 500e-6) < 1e-12);
}

Test(plan, influences_are_those_of_the_formulas) {
  struct plan_inputs inputs;
  plan_inputs_default(&inputs);
  struct plan_influence influences[128];
  int n = plan_influences(&inputs, plan_output_find("ttft_offload_s"), influences, 128);
  cr_assert_eq(n, 3, "context, nvme-bw and kv-bytes-per-token, not %d", n);
  for (int i = 0; i < n; i++) {
    bool bandwidth = strcmp(influences[i].input->name, "nvme-bw") == 0;
    cr_assert(fabs(influences[i].elasticity - (bandwidth ? -1 : 1)) < 1e-9);
  }
}

Test(plan, latency_of_a_network_lengthens_a_step_with_experts) {
  struct plan_inputs inputs;
  struct plan_outputs outputs;
  plan_inputs_default(&inputs);
  plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
  cr_assert_eq(outputs.moe_latency_slowdown, 1.0, "without it");
  set(&inputs, "added-latency", 0.001);
  plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
  double wanted = 1 + 2 * inputs.moe_layers * 0.001 / outputs.moe_step_s;
  cr_assert(fabs(outputs.moe_latency_slowdown - wanted) < 1e-12 * wanted);
}

Test(plan, writes_are_no_faster_than_external_storage_in_use) {
  struct plan_inputs inputs;
  struct plan_outputs outputs;
  plan_inputs_default(&inputs);
  set(&inputs, "write-bw", 40e9);
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  cr_assert_eq(outputs.write_s_per_token, 327680 / 40e9);
  set(&inputs, "concurrency", 400);
  plan_evaluate(&inputs, PLAN_TTFT, &outputs);
  cr_assert(outputs.external);
  cr_assert_eq(outputs.write_s_per_token, 327680 / 10e9);
}
