/*
 * `refill sweep`: observed TTFT over alpha and N, each point beside the models.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/commands/table.h"
#include "bench/measure/break_even.h"
#include "bench/measure/sweep_plan.h"
#include "bench/measure/trace.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/publish.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"
#include "bench/present/sweep_report.h"

#define BREAK_EVEN_BUDGET_S 20.0

/* All that the command holds, so that one place frees it. */
struct sweeping {
  const struct options *options;
  struct rig rig;
  struct sweep sweep;
  struct break_even break_even;
  struct warnings warnings;
  struct progress progress;
};

static int open_rig(struct sweeping *all, struct error *error) {
  int failed = rig_open_options(&all->rig, all->options, rig_announce, &all->warnings, error);
  if (!failed) failed = group_init(&all->sweep.group, &all->rig, error);
  all->sweep.rig = &all->rig;
  if (!failed) rig_tell(&all->rig);
  all->sweep.group.interrupted = command_interrupted;
  return failed;
}

/* Seconds that all groups still to run are expected to take. */
static double expected_round_s(const struct sweep *sweep) {
  double seconds = 0;
  for (int i = 0; i < sweep->n_points; i++) seconds += sweep_expected_s(sweep, &sweep->points[i]);
  return seconds;
}

/* The same for so many rounds, or what is left of --budget. */
static double expected_s(const struct sweeping *all, int64_t rounds) {
  double seconds = expected_round_s(&all->sweep) * (double)rounds;
  if (!(all->options->budget_s > 0)) return seconds;
  double left_s = all->sweep.started_s + all->options->budget_s - clock_now_s();
  return fmax(0, fmin(seconds, left_s));
}

/* One group of every point, in this round's order. A round that Ctrl-C cut short does not count. */
static int run_round(struct sweeping *all, const int *order, struct error *error) {
  struct sweep *sweep = &all->sweep;
  int round = sweep->groups_done;
  for (int i = 0; i < sweep->n_points; i++) {
    if (command_interrupted()) return -EINTR;
    struct point *point = &sweep->points[order[i]];
    progress_running(&all->progress, "round %d: %s, alpha %.3g of %lld tokens", round + 1,
                     policy_name(point->policy), point->alpha, (long long)point->n_tokens);
    int failed = group_measure(&sweep->group, point, round, round == 0, error);
    if (failed) return failed;
    progress_done(&all->progress, sweep_expected_s(sweep, point));
  }
  sweep->groups_done++;
  return 0;
}

static int run_rounds(struct sweeping *all, struct error *error) {
  struct sweep *sweep = &all->sweep;
  int *order = calloc((size_t)sweep->n_points, sizeof *order);
  if (!order) return error_set(error, -ENOMEM, "no memory for %d points", sweep->n_points);
  int64_t rounds = all->options->repeat ? all->options->repeat : SWEEP_GROUPS_MIN;
  rig_announce_rounds(&all->warnings, &all->rig.target, sweep_round_bytes(sweep), rounds);
  progress_begin(&all->progress, stderr, "sweep", expected_s(all, rounds));
  int failed = 0;
  while (!failed && sweep_wants_more(sweep)) {
    if (sweep->groups_done >= rounds) progress_expect(&all->progress, expected_round_s(sweep));
    sweep_shuffle(order, sweep->n_points, all->options->seed, sweep->groups_done);
    failed = run_round(all, order, error);
  }
  progress_end(&all->progress);
  free(order);
  return failed;
}

static int measure(struct sweeping *all, struct error *error) {
  struct sweep *sweep = &all->sweep;
  progress_begin(&all->progress, stderr, "a first look", 0);
  int failed = sweep_scout_all(sweep, error);
  progress_end(&all->progress);
  if (!failed) failed = sweep_make_points(sweep, error);
  if (!failed) failed = run_rounds(all, error);
  if (failed || command_interrupted() || !all->options->break_even) return failed;
  if (!all->options->policies[POLICY_OVERLAP]) return 0;
  progress_begin(&all->progress, stderr, "break-even prefix", 0);
  failed = break_even_measure(&sweep->group, all->rig.config.past_max, BREAK_EVEN_BUDGET_S,
                              &all->break_even, error);
  progress_end(&all->progress);
  return failed;
}

static int fail_on_wrong(int64_t wrong_pages, const char *see, struct error *error) {
  if (wrong_pages == 0) return 0;
  return error_set(error, -EBADMSG,
                   "%lld pages are wrong: the drive, the filesystem or the memory damages data; "
                   "see %s",
                   (long long)wrong_pages, see);
}

/* One more overlapped run of the best point, for its timeline; checked like every other. */
static int leave_trace(struct sweeping *all, struct error *error) {
  struct sweep *sweep = &all->sweep;
  struct sweep_summary summary = sweep_summarise(sweep, 0);
  if (!summary.best) {
    fprintf(stderr, "refill: --trace %s was not written: no overlapped point was measured\n",
            all->options->trace);
    return 0;
  }
  struct point point = *summary.best;
  int64_t wrong_before = sweep->group.wrong_pages;
  unsigned legs = LEG_READ | LEG_COMPUTE | (all->options->store ? LEG_WRITE : 0);
  sweep->group.deadline_s = 0; /* --budget may be over; this run was asked for all the same */
  int failed = group_leg(&sweep->group, &point, legs, error);
  struct publish publish;
  if (!failed)
    failed = publish_begin(&publish, "--trace", all->options->trace, PUBLISH_TRACE, error);
  if (failed) return failed;
  char title[256];
  snprintf(title, sizeof title, "%s on %s: alpha %.4g of %lld tokens", all->rig.shape.name,
           all->rig.device_name, point.alpha, (long long)point.n_tokens);
  trace_write(publish.stream, &sweep->group.run, title);
  failed = publish_commit(&publish, error);
  if (failed) return failed;
  return fail_on_wrong(sweep->group.wrong_pages - wrong_before, "the run of --trace", error);
}

/* Tables, sentence and files. What was complete before an interruption is left all the same. */
static int report(struct sweeping *all, struct error *error) {
  char answer[ANSWER_BYTES];
  json_t *result = result_new(all->options, host_report(&all->warnings));
  json_object_set_new(result, "rig", rig_to_json(&all->rig));
  sweep_to_json(&all->sweep, &all->break_even, result);
  sweep_answer(&all->sweep, &all->break_even, answer);
  json_object_set_new(result, "answer", json_string(answer));
  sweep_warn(&all->sweep, &all->warnings);
  rig_warn(&all->rig, &all->warnings);
  struct table *ttft = sweep_table(&all->sweep);
  struct table *layers = sweep_layer_table(&all->sweep);
  const struct table *const tables[] = {ttft, layers};
  int failed = leave(all->options, result, tables, 2, &all->warnings, error);
  if (!failed && !all->options->json) printf("\n%s\n", answer);
  table_free(ttft);
  table_free(layers);
  json_decref(result);
  if (failed) return failed;
  return fail_on_wrong(all->sweep.group.wrong_pages, "#wrong", error); /* of the first look too */
}

/* Ctrl-C or --budget ended the measuring: what is complete is reported, if anything is. */
static int cut_short(struct sweeping *all, int why, struct error *error) {
  int measured = 0;
  for (int i = 0; i < all->sweep.n_points; i++) measured += all->sweep.points[i].groups > 0;
  if (measured == 0)
    return error_set(error, why,
                     why == -EINTR ? "interrupted before anything was complete"
                                   : "--budget ended before one group was complete: raise it, or "
                                     "use fewer --tokens or --alpha");
  if (why == -EINTR)
    warnings_add(&all->warnings, WARNING_INTERRUPTED, "%d whole rounds", all->sweep.groups_done);
  all->sweep.group.interrupted = NULL; /* a trace may still be asked for */
  all->sweep.group.deadline_s = 0;
  return 0;
}

static int sweep_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct sweeping *all = calloc(1, sizeof *all);
  if (!all) return command_exit_code(error_set(error, -ENOMEM, "no memory for the sweep"));
  all->options = options;
  int failed = open_rig(all, error);
  if (!failed) failed = measure(all, error);
  if (failed == -EINTR || failed == -ETIME) failed = cut_short(all, failed, error);
  if (!failed && options->trace) failed = leave_trace(all, error);
  if (!failed) failed = report(all, error);
  sweep_free(&all->sweep);
  rig_close(&all->rig);
  free(all);
  if (!failed && command_interrupted()) return EXIT_MEASUREMENT;
  return command_exit_code(failed);
}

const struct command command_sweep = {
    .name = "sweep",
    .summary = "observed TTFT over alpha and prompt length, each beside the models",
    .examples =
        "  refill sweep --target /mnt/nvme --tokens 4096\n"
        "  refill sweep --device playback:h100-sxm-llama-3-70b --target /mnt/nvme -o r.json\n"
        "  refill sweep --alpha 0.5,0.9,0.99 --repeat 7 --trace trace.json\n"
        "  refill sweep --engine null:read=14GB/s,write=6GB/s   # an emulated drive",
    .run = sweep_run,
};
