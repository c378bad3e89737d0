/*
 * Two results of one command held side by side: rows of equal configuration are matched, every
 * quantity that both have samples of is compared, and so are T, R and W.
 *
 * What makes results incomparable (another command, model, number of layers, element types, store
 * or sync) is refused by name; what may differ because it is what one compares (device, drive,
 * filesystem, depth, version) is listed. Alphas are chosen around a crossover that was measured, so
 * that two sweeps seldom hold the very same ones: points within one page of each other match. Rows
 * of one result alone are named, never silently dropped.
 *
 * compare.c judges whether, compare_rows.c matches and compares rows, compare_rates.c T, R and W.
 */
#ifndef REFILL_BENCH_PRESENT_COMPARE_H
#define REFILL_BENCH_PRESENT_COMPARE_H

#include <jansson.h>

#include "base/error.h"
#include "bench/measure/difference.h"
#include "bench/present/compare_rule.h"
#include "bench/present/table.h"

#define COMPARE_KEY_BYTES 192

/* Which way a quantity is better. */
enum compare_sense { SENSE_NEUTRAL, SENSE_LOWER, SENSE_HIGHER };

struct compare_row {
  const char *array;           /* "points", or "summary" of T, R, W; lives as long as the program */
  char key[COMPARE_KEY_BYTES]; /* "n_tokens 4096, policy overlap, alpha 0.5" */
  char field[COMPARE_FIELD_BYTES];
  enum compare_sense sense;
  bool main;   /* what slower: and faster: look at; the table shows it, and the summary */
  bool tested; /* there are samples; else one number a side, of which nothing can be proven */
  struct difference difference;
};

/* One result, or of `storage` only what was measured on one of its targets. */
struct compare_side {
  const json_t *result;
  const char *path; /* as errors name it; kept */
  int target;       /* place in targets[], or COMPARE_TARGETS: all, matched by their place */
};
#define COMPARE_TARGETS (-1)

struct compare {
  const char *a_path, *b_path;
  const char *command;
  struct compare_row *rows;
  int n_rows, rows_max;
  int matched, only_a, only_b; /* rows of the results, by configuration */
  bool brief;                  /* set before: only main quantities, and T, R, W */
  json_t *left_out;            /* [{"of": "a", "array", "key"}]: rows of one result alone */
  json_t *differences;         /* [{"field", "a", "b"}] of configuration, rig and version */
};

/* Compares whole results; a_path and b_path (kept) name the files in errors. Returns 0, -EINVAL
 * with the field that differs or is missing, or -ENOMEM. */
int compare_results(struct compare *compare, const json_t *a, const char *a_path, const json_t *b,
                    const char *b_path, struct error *error);

/* The same of any two sides, also of one result's targets; a zeroed `compare` may be brief. */
int compare_sides(struct compare *compare, const struct compare_side *a,
                  const struct compare_side *b, struct error *error);
void compare_free(struct compare *compare);

/* "slower", "faster", "more", "less", "no significant change", "too few samples", "not tested". */
const char *compare_verdict(const struct compare_row *row);

/* The first row that breaks a rule, by the largest change; NULL where none does. */
const struct compare_row *compare_broken(const struct compare *compare,
                                         const struct compare_rule *rule);

/* A rule may only name a field that was compared: NULL, or the first field that was not. */
const char *compare_unknown_field(const struct compare *compare, const struct compare_rule *rules,
                                  int n);

/* compare_report.c: the caller owns the tables. */
struct table *compare_table(const struct compare *compare);
struct table *compare_values_table(const struct compare *compare); /* base units, every quantity */
struct table *compare_differences_table(const struct compare *compare);
struct table *compare_left_out_table(const struct compare *compare);
void compare_to_json(const struct compare *compare, json_t *result);

#define COMPARE_ANSWER_BYTES 512
char *compare_answer(const struct compare *compare, char text[COMPARE_ANSWER_BYTES]);

#endif
