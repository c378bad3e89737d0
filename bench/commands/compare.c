/*
 * `refill compare A.json B.json`: what changed, and is it more than chance? With --fail-if it
 * guards a fleet: exit 1 and a sentence where a rule is broken.
 */
#include "bench/present/compare.h"

#include <errno.h>
#include <stdio.h>

#include "bench/commands/table.h"
#include "bench/present/leave.h"
#include "bench/present/result.h"

/* The first broken rule, told as the reason to fail. */
static int judge(const struct compare *compare, const struct compare_rule *rules, int n,
                 struct error *error) {
  for (int i = 0; i < n; i++) {
    const struct compare_row *row = compare_broken(compare, &rules[i]);
    if (!row) continue;
    const struct difference *d = &row->difference;
    return error_set(error, -EIO,
                     "--fail-if %s:%g%%: %s is %s at %s: %+.1f%% (95%%: %+.1f to %+.1f%%), %.4g "
                     "against %.4g",
                     rules[i].field, 100 * rules[i].share, row->field, compare_verdict(row),
                     row->key, 100 * d->change, 100 * d->low, 100 * d->high, d->median_b,
                     d->median_a);
  }
  return 0;
}

static int report(const struct options *options, const struct compare *compare,
                  const struct compare_rule *rules, int n_rules, struct error *error) {
  struct warnings warnings = {0};
  char answer[COMPARE_ANSWER_BYTES];
  compare_answer(compare, answer);
  struct error broken = {0};
  int verdict = judge(compare, rules, n_rules, &broken);
  json_t *result = result_new(options, NULL);
  json_object_set_new(result, "a", options_text_to_json(compare->a_path));
  json_object_set_new(result, "b", options_text_to_json(compare->b_path));
  compare_to_json(compare, result);
  json_object_set_new(result, "answer", json_string(answer));
  json_object_set_new(result, "broken_rule", options_text_to_json(broken.message));
  struct table *rows = compare_table(compare);
  struct table *differences = compare_differences_table(compare);
  struct table *left_out = compare_left_out_table(compare);
  const struct table *tables[3] = {rows};
  int n = 1;
  if (table_rows(differences) > 0) tables[n++] = differences;
  if (table_rows(left_out) > 0) tables[n++] = left_out;
  struct table *values = compare_values_table(compare);
  const struct table *const csv[] = {values};
  int code = leave_with(options, result, tables, n, csv, 1, &warnings, error);
  table_free(values);
  if (code == 0 && !options->json) printf("\n%s\n", answer);
  table_free(rows);
  table_free(differences);
  table_free(left_out);
  json_decref(result);
  return code == 0 && verdict < 0 ? error_set(error, verdict, "%s", broken.message) : code;
}

static int compare_files(const struct options *options, const json_t *a, const json_t *b,
                         struct error *error) {
  struct compare_rule rules[COMPARE_RULES_MAX];
  int n_rules = 0;
  if (options->fail_if) compare_rules_scan(options->fail_if, rules, &n_rules);
  struct compare compare;
  int code = compare_results(&compare, a, options->files[0], b, options->files[1], error);
  const char *unknown = code == 0 ? compare_unknown_field(&compare, rules, n_rules) : NULL;
  if (unknown)
    code = error_set(error, -EINVAL,
                     "--fail-if %s: no such quantity in these results; accepted: slower, faster "
                     "or a field such as %s",
                     unknown, compare.rows[0].field);
  if (code == 0) code = report(options, &compare, rules, n_rules, error);
  compare_free(&compare);
  return code;
}

static int compare_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  json_t *a = result_read(options->files[0], error);
  json_t *b = a ? result_read(options->files[1], error) : NULL;
  int code = a && b ? compare_files(options, a, b, error) : -EINVAL;
  json_decref(a);
  json_decref(b);
  return command_exit_code(code);
}

const struct command command_compare = {
    .name = "compare",
    .summary = "what changed between two results, with significance; a guard for CI",
    .examples =
        "  refill compare before.json after.json\n"
        "  refill compare xfs.json ext4.json --csv changes.csv   # of sweep, calibrate or storage\n"
        "  refill compare known-good.json today.json --fail-if slower:5%\n"
        "  refill compare a.json b.json --fail-if read_alone_s:10%,slower:3%",
    .run = compare_run,
    .no_threads = true,
};
