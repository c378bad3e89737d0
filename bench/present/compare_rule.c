/*
 * Rules of compare, from text.
 */
#include "bench/present/compare_rule.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

/* "5%" or "5": a share of more than nothing, of less than a thousandfold. */
static const char *scan_share(const char *text, size_t n, double *share) {
  char number[32];
  if (n > 0 && text[n - 1] == '%') n--;
  if (n == 0 || n >= sizeof number) return "not RULE:PERCENT";
  snprintf(number, sizeof number, "%.*s", (int)n, text);
  double percent = 0;
  if (units_scan_real(number, &percent) < 0) return "its percentage is not a number";
  if (percent > 1e5) return "its percentage is too large";
  *share = percent / 100;
  return NULL;
}

static const char *scan_rule(const char *text, size_t n, struct compare_rule *rule) {
  const char *colon = memchr(text, ':', n);
  if (!colon) return "not RULE:PERCENT";
  size_t length = (size_t)(colon - text);
  if (length == 0 || length >= sizeof rule->field) return "not a rule";
  if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != length) return "not a rule";
  snprintf(rule->field, sizeof rule->field, "%.*s", (int)length, text);
  rule->kind = RULE_FIELD;
  if (strcmp(rule->field, "slower") == 0) rule->kind = RULE_SLOWER;
  if (strcmp(rule->field, "faster") == 0) rule->kind = RULE_FASTER;
  return scan_share(colon + 1, n - length - 1, &rule->share);
}

const char *compare_rules_scan(const char *text, struct compare_rule *rules, int *n) {
  int count = 0;
  for (const char *at = text; at;) {
    size_t length = strcspn(at, ",");
    struct compare_rule rule;
    if (count == COMPARE_RULES_MAX) return "more than 16 rules";
    const char *problem = scan_rule(at, length, &rule);
    if (problem) return problem;
    if (rules) rules[count] = rule;
    count++;
    at = at[length] == ',' ? at + length + 1 : NULL;
  }
  if (n) *n = count;
  return NULL;
}

const char *compare_rules_problem(const char *text) {
  return compare_rules_scan(text, NULL, NULL);
}
