/*
 * A plan as tables, as JSON, and as an answer in two sentences.
 */
#ifndef REFILL_BENCH_PLAN_REPORT_H
#define REFILL_BENCH_PLAN_REPORT_H

#include <jansson.h>

#include "bench/options.h"
#include "bench/plan/from.h"
#include "bench/plan/outputs.h"
#include "bench/plan/vary.h"
#include "bench/present/table.h"

/* What plan knows at its end. */
struct plan {
  struct plan_inputs inputs;
  struct plan_outputs outputs;
  bool measured; /* from a result: source, uncertainty and the ends below hold */
  struct plan_source source;
  struct plan_uncertainty uncertainty;
  double low[PLAN_OUTPUTS_MAX], high[PLAN_OUTPUTS_MAX];
  bool shown[PLAN_SECTIONS];
  bool show_inputs;
  struct plan_range ranges[OPTIONS_LIST_MAX];
  int n_ranges;
  struct options_reals alphas;
};

/* Each may be NULL when memory is out, and is the caller's. */
struct table *plan_inputs_table(const struct plan *plan);
struct table *plan_section_table(const struct plan *plan, enum plan_section section);
struct table *plan_alpha_table(const struct plan *plan);
struct table *plan_turns_table(const struct plan *plan);
struct table *plan_influence_table(const struct plan *plan);
struct table *plan_vary_table(const struct plan *plan, const struct plan_range *range);

/* All tables that `plan` asks for, in order, into tables[max]; how many. */
int plan_tables(const struct plan *plan, struct table **tables, int max);

/* What is shown, in base units: for CSV and spreadsheets. */
struct table *plan_values_table(const struct plan *plan);

void plan_to_json(const struct plan *plan, json_t *result);

#define PLAN_ANSWER_BYTES 640
char *plan_answer(const struct plan *plan, char text[PLAN_ANSWER_BYTES]);

#endif
