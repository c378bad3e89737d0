/*
 * Values that name something of bench/plan or of compare: settings, ranges, sections, rules. What
 * there is comes from their tables.
 */
#include <stdio.h>
#include <string.h>

#include "bench/options_table.h"
#include "bench/plan/vary.h"
#include "bench/present/compare_rule.h"

const char *options_problem_plan(enum options_kind kind, const char *value) {
  switch (kind) {
  case OPTIONS_SETTINGS:
    return plan_setting_scan(value, NULL, NULL);
  case OPTIONS_RANGES:
    return plan_range_scan(value, NULL);
  case OPTIONS_SECTIONS:
    return plan_show_scan(value, NULL, NULL);
  default: /* OPTIONS_RULES */
    return compare_rules_problem(value);
  }
}

char *options_accepts_plan(enum options_kind kind, char *text, size_t n) {
  switch (kind) {
  case OPTIONS_SETTINGS:
    snprintf(text, n, "NAME=VALUE, such as hbm-bw=4.8TB/s; refill plan --show=inputs lists names");
    break;
  case OPTIONS_RANGES:
    snprintf(text, n,
             "NAME=LOW..HIGH[:STEPS], such as nvme-bw=1..56GB/s; refill plan --show=inputs lists "
             "names");
    break;
  case OPTIONS_SECTIONS:
    snprintf(text, n, "inputs, all");
    for (int i = 0; i < PLAN_SECTIONS; i++) {
      size_t used = strlen(text);
      snprintf(text + used, n - used, ", %s", plan_section_name((enum plan_section)i));
    }
    break;
  default: /* OPTIONS_RULES */
    snprintf(text, n,
             "slower:PERCENT, faster:PERCENT or FIELD:PERCENT, such as slower:5%%, separated by "
             "commas");
  }
  return text;
}
