/*
 * `refill plan`: all models, on given numbers or on measured T, R, W. Arithmetic only: nothing of
 * this box is looked at, so that a plan for a GPU can be made on a laptop.
 *
 * What counts, in this order: the cost model's defaults, what --from and --model imply, what was
 * typed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/commands/table.h"
#include "bench/options_table.h"
#include "bench/plan/report.h"
#include "bench/present/leave.h"
#include "bench/present/result.h"
#include "model/capacity.h"

#define TABLES_MAX 64
#define WEIGHT_ELEMENT "bf16"

/* ---- inputs ------------------------------------------------------------------------ */

static void set_named(struct plan_inputs *inputs, const char *name, double value) {
  plan_input_set(inputs, plan_input_find(name, strlen(name)), value);
}

/* The cost model's options, where they were typed: --from and --model may have set them before. */
static void take_typed(const struct options *o, struct plan_inputs *inputs) {
  const struct {
    const char *name;
    double value;
  } typed[] = {
      {"context", (double)o->context_tokens},
      {"concurrency", (double)o->concurrency},
      {"hbm", (double)o->hbm_bytes},
      {"gpu-cost", o->gpu_usd_per_hour},
      {"tflops", o->tflops * 1e12},
      {"nvme-capacity", (double)o->nvme_bytes},
      {"nvme-bw", o->nvme_bytes_per_s},
      {"ext-bw", o->external_bytes_per_s},
      {"ext-cost", o->external_usd_per_gb_month},
      {"tp-base", (double)o->tp_base},
      {"params", o->params},
      {"weights", (double)o->weights_bytes},
      {"turns", (double)o->turns},
      {"prompt", (double)o->prompt_tokens},
      {"output", (double)o->output_tokens},
  };
  for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++)
    if (options_given(o, typed[i].name)) set_named(inputs, typed[i].name, typed[i].value);
  /* Other parameters at the same width, unless the weights were given too. */
  if (options_given(o, "params") && !options_given(o, "weights"))
    inputs->cost.weights_bytes = inputs->cost.params * capacity_dtype_bytes(o->dtype);
  for (int i = 0; i < o->set.n; i++) {
    const struct plan_input *input = NULL;
    double value = 0;
    if (!plan_setting_scan(o->set.values[i], &input, &value)) plan_input_set(inputs, input, value);
  }
}

static int take_from(const struct options *options, struct plan *plan, struct error *error) {
  json_t *result = result_read(options->from, error);
  if (!result) {
    error_prefix(error, "--from");
    return -EINVAL; /* whatever it is: what was typed does not serve */
  }
  double n = options_given(options, "context") ? (double)options->context_tokens : 0;
  int code = plan_take_result(&plan->inputs, &plan->uncertainty, &plan->source, result, n, error);
  json_decref(result);
  if (code < 0) error_prefix(error, "--from %s", options->from);
  plan->measured = code == 0;
  return code;
}

static int take_model(const struct options *options, struct plan *plan, struct error *error) {
  struct shape shape;
  if (plan->measured)
    return error_set(error, -EINVAL,
                     "--model %s: --from brings the model it was measured with; accepted: one of "
                     "the two",
                     options->model);
  int code = options_shape(options, &shape, error);
  if (code < 0) return code;
  plan_take_shape(&plan->inputs, &shape, capacity_dtype_bytes(options->dtype),
                  capacity_dtype_bytes(options->kv_dtype));
  return 0;
}

/* fp8 elements of the default model, which has no shape. */
static void take_elements(const struct options *options, struct plan_inputs *inputs) {
  double weights = capacity_dtype_bytes(options->dtype) / capacity_dtype_bytes(WEIGHT_ELEMENT);
  double kv = capacity_dtype_bytes(options->kv_dtype) / capacity_dtype_bytes(WEIGHT_ELEMENT);
  inputs->cost.weights_bytes *= weights;
  inputs->cost.kv_bytes_per_token *= kv;
}

static int take_inputs(const struct options *options, struct plan *plan, struct error *error) {
  int code = 0;
  plan_inputs_default(&plan->inputs);
  if (options->from) code = take_from(options, plan, error);
  if (code == 0 && options->model[0]) code = take_model(options, plan, error);
  if (code < 0) return code;
  if (!options->from && !options->model[0]) take_elements(options, &plan->inputs);
  take_typed(options, &plan->inputs);
  plan->alphas = options->alpha;
  if (options->alpha.n == 1) plan->inputs.alpha = options->alpha.values[0];
  for (int i = 0; i < options->vary.n; i++)
    plan_range_scan(options->vary.values[i], &plan->ranges[plan->n_ranges++]);
  plan_show_scan(options->show, plan->shown, &plan->show_inputs);
  bool talks = options_given(options, "turns") || options_given(options, "prompt");
  if (talks && !options_given(options, "show")) plan->shown[PLAN_TURNS] = true;
  return 0;
}

/* ---- the command ------------------------------------------------------------------------ */

static int report(const struct options *options, const struct plan *plan, struct warnings *warnings,
                  struct error *error) {
  char answer[PLAN_ANSWER_BYTES];
  plan_answer(plan, answer);
  json_t *result = result_new(options, NULL);
  bool wanted = options->json || options->output || options->jsonl;
  if (wanted) plan_to_json(plan, result);
  json_object_set_new(result, "answer", json_string(answer));
  struct table *tables[TABLES_MAX];
  int n = options->json ? 0 : plan_tables(plan, tables, TABLES_MAX);
  struct table *values = options->csv ? plan_values_table(plan) : NULL;
  const struct table *const csv[] = {values};
  int code =
      leave_with(options, result, (const struct table *const *)tables, n, csv, 1, warnings, error);
  if (code == 0 && !options->json && !plan->show_inputs) printf("\n%s\n", answer);
  for (int i = 0; i < n; i++) table_free(tables[i]);
  table_free(values);
  json_decref(result);
  return code;
}

static int plan_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct plan *plan = calloc(1, sizeof *plan);
  if (!plan) return command_exit_code(error_set(error, -ENOMEM, "no memory for the plan"));
  struct warnings warnings = {0};
  int code = take_inputs(options, plan, error);
  if (code == 0) {
    plan_evaluate(&plan->inputs, PLAN_SECTIONS, &plan->outputs);
    if (plan->measured)
      plan_intervals(&plan->inputs, &plan->uncertainty, PLAN_SECTIONS, plan->low, plan->high);
    if (plan->source.played_back)
      warnings_add(&warnings, WARNING_PLAYED_BACK, "%s", plan->source.device);
    if (plan->source.emulated) warnings_add(&warnings, WARNING_EMULATED_DRIVE, "%s", "");
    code = report(options, plan, &warnings, error);
  }
  free(plan);
  return command_exit_code(code);
}

const struct command command_plan = {
    .name = "plan",
    .summary = "the models on given or measured numbers: TTFT, GPUs, $ per hour, what-ifs",
    .examples = "  refill plan --context 128k --concurrency 400 --nvme-bw 56GB/s\n"
                "  refill plan --from calibrate.json --vary nvme-bw=1..56GB/s\n"
                "  refill plan --model llama-3-70b --kv-dtype fp8 --show batching,decode,capacity\n"
                "  refill plan --turns 15 --prompt 2200 --output 170 --json\n"
                "  refill plan --show inputs   # every input that --set and --vary take",
    .run = plan_run,
    .no_threads = true,
};
