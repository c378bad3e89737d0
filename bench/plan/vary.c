/*
 * The models over ranges of their inputs.
 */
#include "bench/plan/vary.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define TEXT_BYTES 64
#define GEOMETRIC_FROM 8.0
#define STEP 1.01
#define STRENGTH_MIN 1e-6

/* ---- ranges -------------------------------------------------------------------- */

/* Where the unit of a number begins: past digits, point and exponent. */
static const char *unit_of(const char *text) {
  const char *at = text + strspn(text, "0123456789.");
  if ((*at == 'e' || *at == 'E') && (isdigit((unsigned char)at[1]) || at[1] == '-'))
    at += 2 + strspn(at + 2, "0123456789");
  return at;
}

/* Splits LOW..HIGH[:STEPS]; false where it is something else. */
static bool split(const char *text, char low[TEXT_BYTES], char high[TEXT_BYTES],
                  const char **steps) {
  const char *dots = strstr(text, "..");
  if (!dots || dots == text) return false;
  const char *rest = dots + 2;
  size_t n = strcspn(rest, ":");
  if (n == 0 || n >= TEXT_BYTES || dots - text >= TEXT_BYTES) return false;
  snprintf(low, TEXT_BYTES, "%.*s", (int)(dots - text), text);
  snprintf(high, TEXT_BYTES, "%.*s", (int)n, rest);
  *steps = rest[n] == ':' ? rest + n + 1 : NULL;
  return true;
}

static const char *scan_steps(const char *text, int *steps) {
  uint64_t count = PLAN_STEPS;
  if (text && units_scan_count(text, &count) < 0) return "its steps are not a whole number";
  if (count < 2 || count > PLAN_STEPS_MAX) return "steps from 2 to 200";
  *steps = (int)count;
  return NULL;
}

const char *plan_range_scan(const char *text, struct plan_range *range) {
  const char *equals = strchr(text, '=');
  if (!equals) return "not NAME=LOW..HIGH";
  struct plan_range scanned = {.input = plan_input_find(text, (size_t)(equals - text))};
  if (!scanned.input) return "no such input";
  char low[TEXT_BYTES], high[TEXT_BYTES];
  const char *steps = NULL;
  if (!split(equals + 1, low, high, &steps)) return "not NAME=LOW..HIGH[:STEPS]";
  char with_unit[2 * TEXT_BYTES];
  bool bare = *unit_of(low) == '\0';
  snprintf(with_unit, sizeof with_unit, "%s%s", low, bare ? unit_of(high) : "");
  const char *problem = plan_input_scan(scanned.input, with_unit, &scanned.low);
  if (!problem) problem = plan_input_scan(scanned.input, high, &scanned.high);
  if (!problem) problem = scan_steps(steps, &scanned.steps);
  if (!problem && scanned.high <= scanned.low) problem = "LOW is not below HIGH";
  if (!problem && range) *range = scanned;
  return problem;
}

double plan_range_at(const struct plan_range *range, int i) {
  if (i == 0) return range->low;
  if (i == range->steps - 1) return range->high;
  double share = (double)i / (range->steps - 1);
  bool geometric = range->low > 0 && range->high >= GEOMETRIC_FROM * range->low;
  double value = geometric ? range->low * pow(range->high / range->low, share)
                           : range->low + share * (range->high - range->low);
  return range->input->kind == PLAN_COUNT ? round(value) : value;
}

/* ---- influence ------------------------------------------------------------------- */

static double answer_at(const struct plan_inputs *inputs, const struct plan_input *input,
                        double value, const struct plan_output *output) {
  if (!(value >= input->min && value <= input->max)) return NAN;
  struct plan_inputs changed = *inputs;
  struct plan_outputs outputs;
  plan_input_set(&changed, input, value);
  plan_evaluate(&changed, output->section, &outputs);
  return plan_output_get(&outputs, output);
}

/* Inputs that stand for others: a measured T hides TFLOPS, a bandwidth set hides R. */
static bool applies(const struct plan_inputs *inputs, const struct plan_input *input) {
  const double *field = (const double *)((const char *)inputs + input->offset);
  if (field == &inputs->cost.flops_per_s) return !isfinite(inputs->compute_s_per_token);
  if (field == &inputs->cost.nvme_bytes_per_s) return !isfinite(inputs->read_s_per_token);
  return isfinite(*field) && *field > 0;
}

static double strength(const struct plan_influence *influence) {
  double swing = 0.5 * log2(influence->doubled / influence->halved);
  double step = fabs(influence->elasticity);
  return fmax(isfinite(step) ? step : 0, isfinite(swing) ? fabs(swing) : 0);
}

static int stronger(const void *left, const void *right) {
  double a = strength(left);
  double b = strength(right);
  return (a < b) - (a > b);
}

int plan_influences(const struct plan_inputs *inputs, const struct plan_output *output,
                    struct plan_influence *influences, int max) {
  const struct plan_input *input;
  struct plan_outputs outputs;
  plan_evaluate(inputs, output->section, &outputs);
  double now = plan_output_get(&outputs, output);
  int n = 0;
  for (int i = 0; n < max && (input = plan_input_at(i)); i++) {
    if (!applies(inputs, input)) continue;
    double value = plan_input_get(inputs, input);
    struct plan_influence influence = {.input = input,
                                       .halved = answer_at(inputs, input, value / 2, output),
                                       .doubled = answer_at(inputs, input, value * 2, output)};
    if (influence.halved == now && influence.doubled == now) continue;
    double up = answer_at(inputs, input, value * STEP, output);
    double down = answer_at(inputs, input, value / STEP, output);
    influence.elasticity = log(up / down) / (2 * log(STEP));
    if (strength(&influence) > STRENGTH_MIN) influences[n++] = influence;
  }
  qsort(influences, (size_t)n, sizeof *influences, stronger);
  return n;
}

/* ---- intervals ------------------------------------------------------------------- */

static void widen(const struct plan_outputs *outputs, double low[PLAN_OUTPUTS_MAX],
                  double high[PLAN_OUTPUTS_MAX]) {
  const struct plan_output *output;
  for (int i = 0; (output = plan_output_at(i)); i++) {
    double value = plan_output_get(outputs, output);
    low[i] = fmin(low[i], value); /* fmin and fmax pass over NaN */
    high[i] = fmax(high[i], value);
  }
}

void plan_intervals(const struct plan_inputs *inputs, const struct plan_uncertainty *uncertainty,
                    enum plan_section last, double low[PLAN_OUTPUTS_MAX],
                    double high[PLAN_OUTPUTS_MAX]) {
  const struct plan_uncertainty *u = uncertainty;
  struct plan_outputs outputs;
  for (int i = 0; i < PLAN_OUTPUTS_MAX; i++) low[i] = high[i] = NAN;
  plan_evaluate(inputs, last, &outputs);
  widen(&outputs, low, high);
  for (int corner = 0; corner < 8; corner++) {
    struct plan_inputs at = *inputs;
    if (isfinite(at.compute_s_per_token))
      at.compute_s_per_token = corner & 1 ? u->compute_high : u->compute_low;
    if (isfinite(at.read_s_per_token))
      at.read_s_per_token = corner & 2 ? u->read_high : u->read_low;
    if (isfinite(at.write_s_per_token))
      at.write_s_per_token = corner & 4 ? u->write_high : u->write_low;
    plan_evaluate(&at, last, &outputs);
    widen(&outputs, low, high);
  }
}
