/*
 * The steps of a GPU's check, in order of rising risk. Each is this program started anew with
 * --step, or a command as a user would type it, so that an error which sticks to the process ends
 * one step only; what depends on a step that failed is skipped, with the reason; and what has a
 * fallback goes on with it and says so.
 */
#include "bench/commands/check_gpu.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/command.h"
#include "bench/measure/child.h"
#include "bench/measure/rig.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/result.h"
#include "kernels/cuda/loader.h"

#define STEP_TIMEOUT_S 60.0
#define COMMAND_TIMEOUT_S 90.0
#define BUDGET_S 175.0 /* no step starts later; all are done in a fraction of it on a sound box */
#define STEP_MIN_S 1.0 /* what a step gets at least, however little of --budget is left */
#define ARGUMENTS_MAX 32
#define FOUND_BYTES 320
#define DEGRADED_MAX 6

enum { STEP_PIPELINE = CUDA_STEPS_N, STEP_RELOAD, STEPS_N };

enum verdict { PASS, FAIL, SKIPPED };
static const char *const verdict_names[] = {"pass", "FAIL", "skipped"};

static const struct {
  const char *name, *what;
  int needs;
} steps[STEPS_N] = {
#define STEP_ENTRY(id, name, what, needs) [CUDA_STEP_##id] = {name, what, CUDA_STEP_##needs},
    CUDA_STEPS(STEP_ENTRY)
#undef STEP_ENTRY
        [STEP_PIPELINE] = {"pipeline", "storage, copies and layers overlapped, all pages verified",
                           CUDA_STEP_LAYER},
    [STEP_RELOAD] = {"reload", "reload equals recompute", CUDA_STEP_LAYER},
};

struct checking {
  const struct options *options;
  char device[64];
  const char *attention, *graphs; /* of the steps to come */
  struct {
    enum verdict verdict;
    double seconds;
    int exit_code, signal;
    char found[FOUND_BYTES];
    char *output; /* of a step that did not pass; NULL else */
  } done[STEPS_N];
  int n_done, n_failed, n_degraded;
  char degraded[DEGRADED_MAX][FOUND_BYTES];
  struct warnings warnings;
};

/* ---- one step ---- */

int check_gpu_step(const struct options *options, struct error *error) {
  const char *colon = strchr(options->device, ':');
  const struct selftest test = {
      .index = colon ? colon + 1 : NULL,
      .directory = options->cuda_libdir,
      .attention = strcmp(options->attention, "cudnn") == 0     ? DEVICE_ATTENTION_CUDNN
                   : strcmp(options->attention, "builtin") == 0 ? DEVICE_ATTENTION_BUILTIN
                                                                : DEVICE_ATTENTION_AUTO,
  };
  char found[FOUND_BYTES] = "";
  int step = 0;
  while (step < CUDA_STEPS_N && strcmp(steps[step].name, options->step) != 0) step++;
  int failed = loader_selftest(&test, (enum cuda_step)step, found, sizeof found, error);
  if (!failed) printf("%s\n", found[0] ? found : "as it should be");
  return command_exit_code(failed);
}

struct arguments {
  const char *all[ARGUMENTS_MAX];
  int n;
  char numbers[4][24];
  int n_numbers;
};

static void add(struct arguments *arguments, const char *name, const char *value) {
  if (!value || !*value || arguments->n + 3 > ARGUMENTS_MAX) return;
  arguments->all[arguments->n++] = name;
  arguments->all[arguments->n++] = value;
}

static void add_number(struct arguments *arguments, const char *name, int64_t value) {
  char *text = arguments->numbers[arguments->n_numbers++];
  snprintf(text, sizeof arguments->numbers[0], "%lld", (long long)value);
  add(arguments, name, text);
}

/* What a user would type for this step. Without --model, 8 layers of a model whose heads every
 * kernel takes: real sizes, and little to write. */
static void command_of(const struct checking *all, int step, struct arguments *arguments) {
  const struct options *options = all->options;
  *arguments = (struct arguments){.all = {"refill"}, .n = 1};
  arguments->all[arguments->n++] = step == STEP_PIPELINE ? "sweep" : "verify";
  add(arguments, "--device", all->device);
  add(arguments, "--cuda-libdir", options->cuda_libdir);
  add(arguments, "--attention", all->attention);
  add(arguments, "--cuda-graphs", all->graphs);
  if (step < CUDA_STEPS_N) {
    add(arguments, "--step", steps[step].name);
    return;
  }
  const bool own = *options->model != '\0';
  add(arguments, "--model", own ? options->model : "llama-3-8b");
  if (!own || options->layers) add_number(arguments, "--layers", own ? options->layers : 8);
  add_number(arguments, "--tokens", options->tokens.values[0]);
  add_number(arguments, "--page-tokens", options->page_tokens.values[0]);
  for (int i = 0; i < options->n_targets; i++) add(arguments, "--target", options->targets[i]);
  if (step == STEP_PIPELINE) {
    add(arguments, "--alpha", "0,0.5");
    add(arguments, "--repeat", "1");
  }
}

static const char *signal_text(int signal_number, bool timed_out) {
  if (timed_out) return "it hung, and was ended";
  const char *name = strsignal(signal_number);
  return name ? name : "an unknown signal";
}

static void judge(struct checking *all, int step, const struct child *child) {
  char *found = all->done[step].found;
  const bool crashed = child->signal || child->timed_out;
  child_last_line(child, found, FOUND_BYTES);
  if (crashed) snprintf(found, FOUND_BYTES, "%s", signal_text(child->signal, child->timed_out));
  all->done[step].verdict = child->exit_code == EXIT_GOOD          ? PASS
                            : child->exit_code == EXIT_UNSUPPORTED ? SKIPPED
                                                                   : FAIL;
  all->done[step].exit_code = child->exit_code;
  all->done[step].signal = child->signal;
  if (all->done[step].verdict != PASS) all->done[step].output = strdup(child->output);
}

/* Why a step is not even tried; NULL where it is. `left_s` of the budget. */
static const char *obstacle(const struct checking *all, int step, double left_s, char *text,
                            size_t bytes) {
  const int needs = steps[step].needs;
  if (needs != CUDA_STEP_NONE && all->done[needs].verdict != PASS) {
    snprintf(text, bytes, "needs %s, which %s", steps[needs].name,
             all->done[needs].verdict == FAIL ? "failed" : "was skipped");
    return text;
  }
  if (left_s > 0) return NULL;
  return all->options->budget_s > 0 ? "the --budget is over" : "three minutes are over";
}

/* A step that hangs may take all that is left, and no more. */
static double limit_s(int step, double left_s) {
  const double usual_s = step < CUDA_STEPS_N ? STEP_TIMEOUT_S : COMMAND_TIMEOUT_S;
  return fmax(STEP_MIN_S, fmin(usual_s, left_s));
}

static void degrade(struct checking *all, const char *what, const char *why) {
  if (all->n_degraded == DEGRADED_MAX) return;
  snprintf(all->degraded[all->n_degraded++], FOUND_BYTES, "%.120s: %.180s", what, why);
}

/* What goes on in a lesser way after this step. */
static void fall_back(struct checking *all, int step) {
  const char *found = all->done[step].found;
  const bool passed = all->done[step].verdict == PASS;
  if (step == CUDA_STEP_CUDNN && !passed && strcmp(all->options->attention, "auto") == 0) {
    all->attention = "builtin";
    degrade(all, "attention is builtin, not cuDNN (--attention builtin)", found);
  }
  if (step == CUDA_STEP_GRAPHS && !passed) {
    all->graphs = "off";
    degrade(all, "layers are launched kernel by kernel (--cuda-graphs off)", found);
  }
  if (step == CUDA_STEP_GEMM_FP8 && !passed) degrade(all, "bf16 only (--dtype bf16)", found);
  if (step == CUDA_STEP_COPIES && strstr(found, "can NOT be pinned"))
    degrade(all, "copies from plain memory, at half the rate", found);
  if (step == CUDA_STEP_DRIVER && strstr(found, "refused"))
    degrade(all, "kernels from a lesser image", found);
}

static int run_steps(struct checking *all, struct error *error) {
  struct progress progress;
  const double budget_s = all->options->budget_s > 0 ? all->options->budget_s : BUDGET_S;
  const double end_s = clock_now_s() + budget_s;
  int failed = 0;
  progress_begin(&progress, stderr, "check", STEPS_N);
  for (int step = 0; step < STEPS_N && !failed && !command_interrupted(); step++) {
    char text[64];
    const double left_s = end_s - clock_now_s();
    const char *why = obstacle(all, step, left_s, text, sizeof text);
    progress_running(&progress, "%s", steps[step].what);
    if (why) {
      all->done[step].verdict = SKIPPED;
      snprintf(all->done[step].found, FOUND_BYTES, "%s", why);
    } else {
      struct arguments arguments;
      struct child child;
      command_of(all, step, &arguments);
      failed = child_run(&child, arguments.all, limit_s(step, left_s), error);
      all->done[step].seconds = child.seconds;
      if (!failed) judge(all, step, &child);
    }
    all->n_failed += all->done[step].verdict == FAIL;
    all->n_done += !failed;
    fall_back(all, step);
    progress_done(&progress, 1);
  }
  progress_end(&progress);
  return failed;
}

/* ---- the report ---- */

static const struct table_column columns[] = {
    {.title = "step", .name = "step", .kind = TABLE_TEXT},
    {.title = "what", .name = "what", .kind = TABLE_TEXT},
    {.title = "verdict", .name = "verdict", .kind = TABLE_TEXT},
    {.title = "time", .name = "seconds", .kind = TABLE_SECONDS},
    {.title = "found", .name = "found", .kind = TABLE_TEXT},
};

static json_t *step_to_json(const struct checking *all, int step) {
  const char *output = all->done[step].output;
  json_t *json = json_pack("{s:s, s:s, s:s, s:f, s:i, s:i}", "step", steps[step].name, "what",
                           steps[step].what, "verdict", verdict_names[all->done[step].verdict],
                           "seconds", all->done[step].seconds, "exit_code",
                           all->done[step].exit_code, "signal", all->done[step].signal);
  json_object_set_new(json, "found", options_text_to_json(all->done[step].found));
  json_object_set_new(json, "output", options_text_to_json(output));
  return json;
}

static int report(struct checking *all, struct error *error) {
  struct table *table = table_new(columns, sizeof columns / sizeof *columns);
  json_t *list = json_array(), *degraded = json_array();
  for (int step = 0; step < all->n_done; step++) {
    table_row(table);
    table_text(table, steps[step].name);
    table_text(table, steps[step].what);
    table_text(table, verdict_names[all->done[step].verdict]);
    table_real(table, all->done[step].seconds);
    table_text(table, all->done[step].found);
    json_array_append_new(list, step_to_json(all, step));
  }
  for (int i = 0; i < all->n_degraded; i++)
    json_array_append_new(degraded, options_text_to_json(all->degraded[i]));
  json_t *result = result_new(all->options, host_report(&all->warnings));
  json_object_set_new(result, "device", json_string(all->device));
  json_object_set_new(result, "steps", list);
  json_object_set_new(result, "degraded", degraded);
  json_object_set_new(result, "pass", json_boolean(all->n_failed == 0 && all->n_done == STEPS_N));
  const struct table *const tables[] = {table};
  int failed = leave(all->options, result, tables, 1, &all->warnings, error);
  json_decref(result);
  table_free(table);
  for (int i = 0; i < all->n_degraded && !all->options->json; i++)
    printf("%s%s\n", i ? "" : "\nWhat goes on in a lesser way:\n", all->degraded[i]);
  return failed;
}

static int conclude(const struct checking *all, struct error *error) {
  const bool file = all->options->output != NULL;
  if (all->done[CUDA_STEP_DRIVER].verdict == SKIPPED)
    return error_set(error, -ENOTSUP, "%s", all->done[CUDA_STEP_DRIVER].found);
  if (all->n_failed)
    return error_set(error, -EBADMSG, "%d of %d steps failed; send back %s", all->n_failed, STEPS_N,
                     file ? all->options->output : "the file that -o FILE writes");
  if (all->n_done < STEPS_N) return -EINTR;
  return 0;
}

int check_gpu(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct checking *all = calloc(1, sizeof *all);
  if (!all) return command_exit_code(error_set(error, -ENOMEM, "no memory for the checks"));
  all->options = options;
  all->attention = options->attention;
  all->graphs = options->cuda_graphs;
  int failed = rig_device_name(options, all->device, sizeof all->device, error);
  if (!failed) failed = run_steps(all, error);
  if (!failed) failed = report(all, error);
  if (!failed) failed = conclude(all, error);
  for (int step = 0; step < STEPS_N; step++) free(all->done[step].output);
  free(all);
  return command_exit_code(failed);
}
