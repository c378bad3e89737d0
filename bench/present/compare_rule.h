/*
 * What `refill compare --fail-if` takes: "slower:5%", "faster:10%", or a field's name for a change
 * of that field either way; several separated by commas.
 */
#ifndef REFILL_BENCH_PRESENT_COMPARE_RULE_H
#define REFILL_BENCH_PRESENT_COMPARE_RULE_H

#include <stdbool.h>

#define COMPARE_RULES_MAX 16
#define COMPARE_FIELD_BYTES 48

enum compare_rule_kind { RULE_SLOWER, RULE_FASTER, RULE_FIELD };

struct compare_rule {
  enum compare_rule_kind kind;
  char field[COMPARE_FIELD_BYTES]; /* RULE_FIELD: "first_token_s" */
  double share;                    /* 0.05 for 5% */
};

/* Scans a list of rules: NULL, or what is wrong. `rules` (room for COMPARE_RULES_MAX) and `n` may
 * be NULL. */
const char *compare_rules_scan(const char *text, struct compare_rule *rules, int *n);

/* The same without the rules. */
const char *compare_rules_problem(const char *text);

#endif
