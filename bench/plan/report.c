/*
 * Tables and the answer of a plan.
 */
#include "bench/plan/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "model/turns.h"

#define INFLUENCES_MAX 128
#define INFLUENCES_SHOWN 4

static void formatted(struct table *table, enum plan_kind kind, double value) {
  char text[32];
  if (isnan(value))
    table_missing(table);
  else
    table_text(table, plan_format(kind, value, text));
}

struct table *plan_inputs_table(const struct plan *plan) {
  static const struct table_column columns[] = {
      {.title = "input", .name = "input", .kind = TABLE_TEXT},
      {.title = "value", .name = "value", .kind = TABLE_TEXT},
      {.title = "meaning", .name = "meaning", .kind = TABLE_TEXT}};
  struct table *table = table_new(columns, 3);
  const struct plan_input *input;
  for (int i = 0; (input = plan_input_at(i)); i++) {
    table_row(table);
    table_text(table, input->name);
    formatted(table, input->kind, plan_input_get(&plan->inputs, input) / input->scale);
    table_text(table, input->help);
  }
  return table;
}

struct table *plan_section_table(const struct plan *plan, enum plan_section section) {
  const struct table_column columns[] = {
      {.title = plan_section_name(section), .name = "output", .kind = TABLE_TEXT},
      {.title = "value", .name = "value", .kind = TABLE_TEXT},
      {.title = plan->measured ? "low" : "meaning", .name = "low", .kind = TABLE_TEXT},
      {.title = "high", .name = "high", .kind = TABLE_TEXT},
      {.title = "meaning", .name = "meaning", .kind = TABLE_TEXT}};
  struct table *table = table_new(columns, plan->measured ? 5 : 3);
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    if (output->section != section) continue;
    table_row(table);
    table_text(table, output->name);
    formatted(table, output->kind, plan_output_get(&plan->outputs, output));
    if (plan->measured) {
      formatted(table, output->kind, plan->low[i]);
      formatted(table, output->kind, plan->high[i]);
    }
    table_text(table, output->title);
  }
  return table;
}

struct table *plan_alpha_table(const struct plan *plan) {
  static const struct table_column columns[] = {
      {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 4},
      {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT, .unit = "tokens"},
      {.title = "read", .name = "read_s", .kind = TABLE_SECONDS},
      {.title = "compute", .name = "compute_s", .kind = TABLE_SECONDS},
      {.title = "write", .name = "write_s", .kind = TABLE_SECONDS},
      {.title = "TTFT", .name = "model_ideal_s", .kind = TABLE_SECONDS},
      {.title = "serial", .name = "model_serial_s", .kind = TABLE_SECONDS},
      {.title = "recompute", .name = "recompute_s", .kind = TABLE_SECONDS},
      {.title = "speedup", .name = "speedup", .unit = "x", .kind = TABLE_REAL, .digits = 2},
      {.title = "regime", .name = "regime", .kind = TABLE_TEXT}};
  struct table *table = TABLE_OF(columns);
  for (int i = 0; i < plan->alphas.n; i++) {
    struct plan_point p = plan_point_at(&plan->inputs, &plan->outputs, plan->alphas.values[i]);
    table_row(table);
    table_real(table, p.alpha);
    table_count(table, (int64_t)llround(p.n_new));
    const double values[] = {p.read_s,
                             p.compute_s,
                             p.write_s,
                             p.ttft_s,
                             p.serial_s,
                             p.recompute_s,
                             p.recompute_s / p.ttft_s};
    table_reals(table, 7, values);
    table_text(table, p.regime);
  }
  return table;
}

struct table *plan_turns_table(const struct plan *plan) {
  static const struct table_column columns[] = {
      {.title = "turn", .name = "turn", .kind = TABLE_COUNT},
      {.title = "prompt", .name = "n_tokens", .kind = TABLE_COUNT, .unit = "tokens"},
      {.title = "n_new", .name = "n_new", .kind = TABLE_COUNT, .unit = "tokens"},
      {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 3},
      {.title = "recompute", .name = "recompute_s", .kind = TABLE_SECONDS},
      {.title = "reload", .name = "reload_s", .kind = TABLE_SECONDS},
      {.title = "speedup", .name = "speedup", .unit = "x", .kind = TABLE_REAL, .digits = 2}};
  struct table *table = TABLE_OF(columns);
  struct turns turns = plan_turns(&plan->inputs, &plan->outputs);
  for (int turn = 1; turn <= (int)plan->inputs.turns; turn++) {
    struct turns_point point = turns_at(&turns, turn);
    table_row(table);
    table_count(table, turn);
    table_count(table, (int64_t)point.n_tokens);
    table_count(table, (int64_t)point.n_new);
    const double values[] = {point.alpha, point.recompute_s, point.reload_s, point.speedup};
    table_reals(table, 4, values);
  }
  return table;
}

static void influence_row(struct table *table, const struct plan *plan,
                          const struct plan_output *output,
                          const struct plan_influence *influence) {
  double value = plan_input_get(&plan->inputs, influence->input) / influence->input->scale;
  table_row(table);
  table_text(table, output->name);
  table_text(table, influence->input->name);
  formatted(table, influence->input->kind, value);
  table_real(table, influence->elasticity);
  formatted(table, output->kind, influence->halved);
  formatted(table, output->kind, influence->doubled);
}

struct table *plan_influence_table(const struct plan *plan) {
  static const struct table_column columns[] = {
      {.title = "what moves it", .name = "output", .kind = TABLE_TEXT},
      {.title = "input", .name = "input", .kind = TABLE_TEXT},
      {.title = "now", .name = "input_value", .kind = TABLE_TEXT},
      {.title = "elasticity", .name = "elasticity", .kind = TABLE_REAL, .digits = 2},
      {.title = "at half", .name = "halved", .kind = TABLE_TEXT},
      {.title = "at twice", .name = "doubled", .kind = TABLE_TEXT}};
  struct table *table = TABLE_OF(columns);
  for (int section = 0; section < PLAN_SECTIONS; section++) {
    const struct plan_output *output;
    for (int k = 0;
         plan->shown[section] && (output = plan_output_key((enum plan_section)section, k)); k++) {
      struct plan_influence influences[INFLUENCES_MAX];
      int n = plan_influences(&plan->inputs, output, influences, INFLUENCES_MAX);
      for (int i = 0; i < n && i < INFLUENCES_SHOWN; i++)
        influence_row(table, plan, output, &influences[i]);
    }
  }
  return table;
}

/* The key answers of what is shown. */
static int keys_shown(const struct plan *plan, const struct plan_output **keys, int max) {
  int n = 0;
  for (int section = 0; section < PLAN_SECTIONS; section++) {
    const struct plan_output *output;
    for (int k = 0; plan->shown[section] && n < max &&
                    (output = plan_output_key((enum plan_section)section, k));
         k++)
      keys[n++] = output;
  }
  return n;
}

struct table *plan_vary_table(const struct plan *plan, const struct plan_range *range) {
  struct table_column columns[TABLE_COLUMNS_MAX] = {
      {.title = range->input->name, .name = "value", .kind = TABLE_TEXT}};
  const struct plan_output *keys[TABLE_COLUMNS_MAX - 1];
  int n = keys_shown(plan, keys, TABLE_COLUMNS_MAX - 1);
  for (int k = 0; k < n; k++)
    columns[k + 1] =
        (struct table_column){.title = keys[k]->name, .name = keys[k]->name, .kind = TABLE_TEXT};
  struct table *table = table_new(columns, n + 1);
  for (int i = 0; i < range->steps; i++) {
    struct plan_inputs inputs = plan->inputs;
    struct plan_outputs outputs;
    plan_input_set(&inputs, range->input, plan_range_at(range, i));
    plan_evaluate(&inputs, n > 0 ? keys[n - 1]->section : PLAN_COST, &outputs);
    table_row(table);
    formatted(table, range->input->kind, plan_range_at(range, i) / range->input->scale);
    for (int k = 0; k < n; k++) formatted(table, keys[k]->kind, plan_output_get(&outputs, keys[k]));
  }
  return table;
}

int plan_tables(const struct plan *plan, struct table **tables, int max) {
  int n = 0;
  if (plan->show_inputs) tables[n++] = plan_inputs_table(plan);
  for (int i = 0; i < PLAN_SECTIONS && n < max; i++)
    if (plan->shown[i]) tables[n++] = plan_section_table(plan, (enum plan_section)i);
  if (plan->alphas.n > 1 && n < max) tables[n++] = plan_alpha_table(plan);
  if (plan->shown[PLAN_TURNS] && n < max) tables[n++] = plan_turns_table(plan);
  for (int i = 0; i < plan->n_ranges && n < max; i++)
    tables[n++] = plan_vary_table(plan, &plan->ranges[i]);
  if (!plan->show_inputs && n < max) tables[n++] = plan_influence_table(plan);
  return n;
}

struct table *plan_values_table(const struct plan *plan) {
  static const struct table_column columns[] = {
      {.title = "section", .name = "section", .kind = TABLE_TEXT},
      {.title = "output", .name = "output_name", .kind = TABLE_TEXT},
      {.title = "varied", .name = "varied_input", .kind = TABLE_TEXT},
      {.title = "at", .name = "input_value", .kind = TABLE_REAL},
      {.title = "value", .name = "value", .kind = TABLE_REAL},
      {.title = "low", .name = "ci_low", .kind = TABLE_REAL},
      {.title = "high", .name = "ci_high", .kind = TABLE_REAL}};
  struct table *table = TABLE_OF(columns);
  for (int r = -1; r < plan->n_ranges; r++) {
    const struct plan_range *range = r < 0 ? NULL : &plan->ranges[r];
    for (int step = 0; step < (range ? range->steps : 1); step++) {
      struct plan_inputs inputs = plan->inputs;
      struct plan_outputs outputs;
      double value = range ? plan_range_at(range, step) : NAN;
      if (range) plan_input_set(&inputs, range->input, value);
      plan_evaluate(&inputs, PLAN_SECTIONS, &outputs);
      const struct plan_output *output;
      for (int i = 0; (output = plan_output_at(i)); i++) {
        if (!plan->shown[output->section]) continue;
        table_row(table);
        table_text(table, plan_section_name(output->section));
        table_text(table, output->name);
        table_text(table, range ? range->input->name : "");
        const double values[] = {range ? value / range->input->scale : NAN,
                                 plan_output_get(&outputs, output),
                                 plan->measured && !range ? plan->low[i] : NAN,
                                 plan->measured && !range ? plan->high[i] : NAN};
        table_reals(table, 4, values);
      }
    }
  }
  return table;
}

/* ---- the answer ------------------------------------------------------------------------- */

char *plan_answer(const struct plan *plan, char text[PLAN_ANSWER_BYTES]) {
  const struct plan_outputs *out = &plan->outputs;
  char a[32], b[32], c[32], d[32], e[32], f[32];
  int n = 0;
  if (plan->measured)
    n = snprintf(text, PLAN_ANSWER_BYTES,
                 "By the %s of %s on %s: T %s, R %s a token, so e = %.3g; compute-bound up to "
                 "alpha* = %.3g, I/O-bound beyond.\n",
                 plan->source.command, plan->source.model, plan->source.device,
                 plan_format(PLAN_SECONDS, out->compute_s_per_token, a),
                 plan_format(PLAN_SECONDS, out->read_s_per_token, b), out->e, out->alpha_star);
  snprintf(text + n, PLAN_ANSWER_BYTES - (size_t)n,
           "%.0f requests of %.0f tokens: KV offload answers in %s (%s) for %s an hour; context "
           "parallelism in %s for %s; recomputing on the fewest GPUs takes %s. Local drives "
           "hold %s requests.",
           plan->inputs.cost.concurrency, plan->inputs.cost.context_tokens,
           plan_format(PLAN_SECONDS, out->ttft_offload_s, a),
           out->external ? "from external storage" : "from local drives",
           plan_format(PLAN_USD, out->cost_offload_usd_per_hour, e),
           plan_format(PLAN_SECONDS, out->ttft_cp_s, b),
           plan_format(PLAN_USD, out->cost_cp_usd_per_hour, f),
           plan_format(PLAN_SECONDS, out->ttft_min_gpu_s, c),
           plan_format(PLAN_COUNT, out->overflow_requests, d));
  return text;
}
