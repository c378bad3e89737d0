/*
 * `refill verify`: reload equals recompute, on this device and target.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/commands/check_gpu.h"
#include "bench/commands/table.h"
#include "bench/measure/equality.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"

#define CHECKS_MAX 64

struct verifying {
  const struct options *options;
  struct rig rig;
  struct group group;
  struct equality checks[CHECKS_MAX];
  int n_checks;
  struct warnings warnings;
};

static int open_rig(struct verifying *all, struct error *error) {
  int failed = rig_open_options(&all->rig, all->options, rig_announce, &all->warnings, error);
  if (!failed && all->rig.emulated)
    failed =
        error_set(error, -ENOTSUP,
                  "--engine %s: it returns no bytes that could be verified; use uring or pread",
                  all->options->engine);
  if (!failed) failed = group_init(&all->group, &all->rig, error);
  return failed;
}

/* Whether --budget is spent; one check is made in any case. */
static bool is_over(const struct verifying *all, double started_s) {
  const double budget_s = all->options->budget_s;
  return budget_s > 0 && all->n_checks > 0 && clock_now_s() - started_s > budget_s;
}

/* Prefix lengths worth checking: one page, whole chunks, between chunks, the longest; with --all
 * every doubling too. Returns how many, ascending, without duplicates. */
static int choose_pasts(const struct verifying *all, int64_t *pasts) {
  int64_t page = all->rig.page_tokens;
  int64_t chunk = all->rig.device->info.chunk_tokens;
  int64_t longest = all->rig.config.past_max;
  int n = 0;
  for (int64_t past = page; past <= longest; past += page) {
    bool doubling = (past / page & (past / page - 1)) == 0;
    bool ends_chunk = chunk > 0 && past % chunk == 0 &&
                      (past / chunk == 1 || past + chunk > longest);
    bool half = past == longest / 2 / page * page;
    if (past != page && past != longest && !ends_chunk && !half && !(all->options->all && doubling))
      continue;
    if (n < CHECKS_MAX / 2) pasts[n++] = past;
  }
  return n;
}

static int check_all(struct verifying *all, struct error *error) {
  int64_t pasts[CHECKS_MAX];
  int n = choose_pasts(all, pasts);
  struct progress progress;
  progress_begin(&progress, stderr, "verify", 0);
  double started_s = clock_now_s();
  struct equality_reference reference = {0};
  progress_running(&progress, "recompute of %lld tokens",
                   (long long)all->options->tokens.values[0]);
  int failed =
      equality_reference_make(&all->group, all->options->tokens.values[0], &reference, error);
  double each_s = clock_now_s() - started_s; /* a check takes no longer than the recompute */
  progress_expect(&progress, n * each_s);
  for (int i = 0; i < n && !failed; i++) {
    for (int policy = POLICY_SERIAL; policy <= POLICY_OVERLAP && !failed; policy++) {
      bool wanted = policy == POLICY_OVERLAP ||
                    (all->options->all && all->rig.device->info.kv_resident);
      if (!wanted || all->n_checks == CHECKS_MAX || is_over(all, started_s)) continue;
      if (command_interrupted())
        failed = -EINTR;
      else
        failed = equality_check(&all->group, &reference, pasts[i], (enum policy)policy,
                                &all->checks[all->n_checks], error);
      if (!failed) all->n_checks++;
    }
    progress_done(&progress, each_s);
  }
  progress_end(&progress);
  equality_reference_free(&reference);
  return failed;
}

static const struct table_column columns[] = {
    {.title = "stored", .name = "n_past", .unit = "tokens", .kind = TABLE_COUNT},
    {.title = "new", .name = "n_new", .unit = "tokens", .kind = TABLE_COUNT},
    {.title = "policy", .name = "policy", .kind = TABLE_TEXT},
    {.title = "pages checked", .name = "checked_pages", .kind = TABLE_COUNT},
    {.title = "#wrong", .name = "wrong_pages", .unit = "pages", .kind = TABLE_COUNT},
    {.title = "hidden state", .name = "demanded", .kind = TABLE_TEXT},
    {.title = "difference", .name = "difference", .kind = TABLE_PERCENT, .digits = 4},
    {.title = "token", .name = "token", .kind = TABLE_TEXT},
    {.title = "verdict", .name = "verdict", .kind = TABLE_TEXT},
};

static const char *demanded(const struct equality *check) {
  if (!check->computed) return "not computed";
  return check->bitwise ? "bit for bit" : "within 5%";
}

static const char *token_text(const struct equality *check) {
  if (!check->computed) return "not computed";
  return check->token_equal ? "equal" : "differs";
}

static void add_check(struct table *table, json_t *checks, const struct equality *check) {
  const char *verdict = check->pass ? "pass" : "FAIL";
  table_row(table);
  table_count(table, check->n_past);
  table_count(table, check->n_new);
  table_text(table, policy_name(check->policy));
  table_count(table, check->checked_pages);
  table_count(table, check->wrong_pages);
  table_text(table, demanded(check));
  table_real(table, check->difference);
  table_text(table, token_text(check));
  table_text(table, verdict);
  json_t *json = json_pack(
      "{s:I, s:I, s:s, s:I, s:I, s:s, s:b, s:b}", "n_past", (json_int_t)check->n_past, "n_new",
      (json_int_t)check->n_new, "policy", policy_name(check->policy), "checked_pages",
      (json_int_t)check->checked_pages, "wrong_pages", (json_int_t)check->wrong_pages, "demanded",
      demanded(check), "token_equal", check->token_equal, "pass", check->pass);
  json_object_set_new(json, "difference", result_real(check->difference));
  json_array_append_new(checks, json);
}

static int report(struct verifying *all, struct error *error) {
  struct table *table = table_new(columns, sizeof columns / sizeof *columns);
  json_t *checks = json_array();
  int failures = 0;
  for (int i = 0; i < all->n_checks; i++) {
    add_check(table, checks, &all->checks[i]);
    failures += !all->checks[i].pass;
  }
  json_t *result = result_new(all->options, host_report(&all->warnings));
  json_object_set_new(result, "rig", rig_to_json(&all->rig));
  json_object_set_new(result, "checks", checks);
  json_object_set_new(result, "pass", json_boolean(failures == 0 && all->n_checks > 0));
  rig_warn(&all->rig, &all->warnings);
  const struct table *const tables[] = {table};
  int failed = leave(all->options, result, tables, 1, &all->warnings, error);
  json_decref(result);
  table_free(table);
  if (failed) return failed;
  if (failures > 0)
    return error_set(error, -EBADMSG,
                     "%d of %d checks failed: reload does not equal recompute here", failures,
                     all->n_checks);
  if (all->n_checks == 0) return 0; /* interrupted: nothing is known */
  if (!all->options->json)
    printf("\n%d checks passed: %s on %s.\n", all->n_checks,
           all->checks[0].computed ? "reload equals recompute"
                                   : "every byte came back right (nothing is computed)",
           all->rig.device_name);
  return 0;
}

/* What `--all` and `--step` mean on a GPU; false where this is no GPU. */
static bool is_cuda(const struct options *options, struct error *error) {
  char device[64];
  return rig_device_name(options, device, sizeof device, error) == 0 &&
         strncmp(device, "cuda", 4) == 0;
}

static int verify_run(const struct options *options, struct error *error) {
  if ((options->step || options->all) && is_cuda(options, error))
    return options->step ? check_gpu_step(options, error) : check_gpu(options, error);
  if (options->step)
    return command_exit_code(
        error_set(error, -EINVAL, "--step %s: only --device cuda has such steps", options->step));
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct verifying *all = calloc(1, sizeof *all);
  if (!all) return command_exit_code(error_set(error, -ENOMEM, "no memory for the checks"));
  all->options = options;
  int failed = open_rig(all, error);
  if (!failed) failed = check_all(all, error);
  bool interrupted = failed == -EINTR && command_interrupted();
  if (interrupted) {
    warnings_add(&all->warnings, WARNING_INTERRUPTED, "%d checks", all->n_checks);
    failed = 0;
  }
  if (!failed) failed = report(all, error);
  group_free(&all->group);
  rig_close(&all->rig);
  free(all);
  return interrupted && !failed ? EXIT_MEASUREMENT : command_exit_code(failed);
}

const struct command command_verify = {
    .name = "verify",
    .summary = "reload equals recompute, on this device and target",
    .examples = "  refill verify --target /mnt/nvme --tokens 2048\n"
                "  refill verify --all --model llama-3.2-1b --layers 4\n"
                "  refill verify --device playback:h100-sxm-llama-3-70b   # bytes only",
    .run = verify_run,
};
