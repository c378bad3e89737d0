/*
 * `refill storage`: drives and filesystems side by side, and what each would do to TTFT.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/commands/table.h"
#include "bench/measure/lab_compute.h"
#include "bench/measure/lab_whole.h"
#include "bench/measure/storage_lab.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/progress.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"
#include "bench/present/storage_report.h"

#define MODEL_DEFAULT "llama-3-70b"
#define CHECK_LEAST_S 1.0 /* that checking all data once may take, however short the run was */

struct storing {
  struct options options; /* as given */
  struct lab_compute compute;
  struct storage_lab lab;
  struct warnings warnings;
  struct progress progress;
  double row_s; /* that the row under way is expected to take */
};

/* The model: --model, else that of --compute, else the one that most figures are published of. */
static int choose_shape(struct storing *all, struct storage_lab_config *config,
                        struct error *error) {
  const struct lab_compute *compute = &all->compute;
  if (*all->options.model) {
    int failed = options_shape(&all->options, &config->shape, error);
    if (failed) return failed;
  } else if (compute->profile) {
    config->shape = compute->shape;
  } else {
    const char *name = compute->known ? compute->model : MODEL_DEFAULT;
    const struct shape *shape = shape_preset(name);
    if (!shape)
      return error_set(error, -EINVAL, "--compute %s is of %s, no model known here: give --model",
                       all->options.compute, name);
    config->shape = *shape;
  }
  config->layers = config->shape.layers;
  if (compute->known) config->layers = compute->layers;
  if (all->options.layers) config->layers = (int)all->options.layers;
  if (compute->known && config->layers != compute->layers)
    return error_set(error, -EINVAL, "--layers %d: --compute %s has times of %d layers",
                     config->layers, all->options.compute, compute->layers);
  if (config->layers > config->shape.layers)
    return error_set(error, -EINVAL, "--layers %d: %s has %d; accepted: 1 to %d", config->layers,
                     config->shape.name, config->shape.layers, config->shape.layers);
  return 0;
}

static int open_lab(struct storing *all, struct error *error) {
  const struct options *options = &all->options;
  struct storage_lab_config config = {.options = options,
                                      .announce = rig_announce,
                                      .context = &all->warnings,
                                      .write_bytes_per_s = NAN};
  int failed = lab_compute_load(&all->compute, options->compute, error);
  if (!failed) failed = choose_shape(all, &config, error);
  if (failed) return failed;
  bool fp8 = strcmp(options->kv_dtype, "fp8") == 0;
  config.kv_element = fp8 ? ELEMENT_FP8_E4M3 : ELEMENT_BF16;
  if (all->compute.known) {
    double n = (double)options->tokens.values[0];
    double bytes_per_token = shape_kv_bytes_per_token(&config.shape, fp8 ? 1 : 2) * config.layers /
                             config.shape.layers;
    config.write_bytes_per_s = n * bytes_per_token / lab_compute_s(&all->compute, n, 0);
  }
  return storage_lab_open(&all->lab, &config, error);
}

static void before_row(void *context, const struct lab_row *row) {
  struct storing *all = context;
  const struct lab_setting *setting = &row->setting;
  progress_done(&all->progress, all->row_s);
  all->row_s = storage_lab_row_s(&all->lab, row);
  progress_running(&all->progress, "%s %s of %zu bytes, %s, depth %d",
                   all->lab.targets[row->target].name, lab_rw_name(setting->rw),
                   setting->payload_bytes, setting->engine, setting->queue_depth);
}

static void before_check(void *context, const struct lab_row *row) {
  struct storing *all = context;
  progress_done(&all->progress, all->row_s);
  all->row_s = 0;
  progress_running(&all->progress, "%s: all of it is checked", all->lab.targets[row->target].name);
}

/* Checking all once may take as long as measuring did. */
static double check_limit_s(double measured_s) {
  return fmax(measured_s, CHECK_LEAST_S);
}

static bool wants_more(const struct storing *all, double started_s) {
  const struct options *options = &all->options;
  int done = all->lab.rounds;
  double elapsed_s = clock_now_s() - started_s;
  if (done == 0) return true;
  double check_s = fmin(lab_whole_s(&all->lab), check_limit_s(elapsed_s));
  double next_s = elapsed_s + elapsed_s / done + check_s;
  if (options->budget_s > 0 && next_s > options->budget_s) return false;
  return done < storage_lab_rounds(options);
}

static int measure(struct storing *all, struct error *error) {
  double started_s = clock_now_s();
  int failed = 0;
  progress_begin(&all->progress, stderr, "storage",
                 storage_lab_expected_s(&all->lab, storage_lab_rounds(&all->options)));
  while (!failed && wants_more(all, started_s))
    failed = storage_lab_round(&all->lab, command_interrupted, before_row, all, error);
  if (!failed)
    failed = lab_whole_check(&all->lab, check_limit_s(clock_now_s() - started_s),
                             command_interrupted, before_check, all, error);
  progress_end(&all->progress);
  return failed;
}

/* -EBADMSG with how many blocks were wrong and where the first of them is. */
static int judge_bytes(const struct storage_lab *lab, struct error *error) {
  int64_t wrong = 0;
  const char *where = NULL;
  for (int i = 0; i < lab->n_rows; i++) {
    wrong += lab->rows[i].wrong_blocks;
    if (!where && lab->rows[i].wrong_blocks) where = lab->rows[i].wrong_at;
  }
  if (wrong == 0) return 0;
  return error_set(error, -EBADMSG, "%lld blocks came back wrong, the first at %s; see #wrong",
                   (long long)wrong, where);
}

static void warn_nodes(struct storing *all) {
  struct host *host = malloc(sizeof *host);
  if (!host) return;
  host_read(host, "/");
  for (int i = 0; i < all->lab.n_targets; i++) {
    const struct lab_target *target = &all->lab.targets[i];
    for (int k = 0; k < target->n_members; k++)
      target_warn_node(&target->members[k].target, host, &all->warnings);
  }
  free(host);
}

static int report(struct storing *all, struct error *error) {
  const struct storage_lab *lab = &all->lab;
  const struct options *options = &all->options;
  double alpha = options->alpha.n ? options->alpha.values[0] : NAN;
  char answer[STORAGE_ANSWER_BYTES];
  json_t *result = result_new(options, host_report(&all->warnings));
  storage_to_json(lab, &all->compute, result);
  storage_answer(lab, &all->compute, alpha, answer);
  json_object_set_new(result, "answer", options_text_to_json(answer));
  storage_warn(lab, &all->compute, &all->warnings);
  warn_nodes(all);
  struct table *rows = storage_rows_table(lab);
  struct table *targets = storage_targets_table(lab, &all->compute, alpha);
  const struct table *const tables[] = {rows, targets};
  int n_rows = table_rows(rows);
  int failed = leave(options, result, tables, 2, &all->warnings, error);
  if (!failed && !options->json) printf("\n%s\n", answer);
  if (!failed && !options->json && options->fio_commands) {
    printf("\n");
    storage_print_fio(lab, stdout);
  }
  storage_tell_kept(lab, stderr);
  table_free(rows);
  table_free(targets);
  json_decref(result);
  if (!failed) failed = judge_bytes(lab, error);
  if (!failed && n_rows == 0 && lab->n_rows > 0)
    failed = error_set(error, -ENOTSUP, "nothing could be measured: %s", lab->rows[0].refused);
  return failed;
}

static bool has_measured(const struct storage_lab *lab) {
  for (int i = 0; i < lab->n_rows; i++) {
    if (lab->rows[i].cpu_s_per_gb.n > 0) return true;
  }
  return false;
}

static int store(struct storing *all, struct error *error) {
  int failed = open_lab(all, error);
  if (!failed) failed = measure(all, error);
  bool interrupted = failed == -EINTR && command_interrupted();
  if (interrupted && !has_measured(&all->lab))
    return error->message[0] ? failed
                             : error_set(error, failed, "interrupted before anything was measured");
  if (interrupted) {
    warnings_add(&all->warnings, WARNING_INTERRUPTED, "%d whole rounds", all->lab.rounds);
    failed = 0;
  }
  if (!failed) failed = report(all, error);
  return interrupted && !failed ? -EINTR : failed;
}

static int storage_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct storing *all = calloc(1, sizeof *all);
  if (!all) return command_exit_code(error_set(error, -ENOMEM, "no memory for the storage lab"));
  all->options = *options;
  int failed = store(all, error);
  /* Closing files on a drive that hangs may wait for it: not before that is said. */
  if (failed != -ETIMEDOUT) storage_lab_close(&all->lab);
  lab_compute_free(&all->compute);
  free(all);
  return command_exit_code(failed);
}

const struct command command_storage = {
    .name = "storage",
    .summary = "targets x engines x page sizes x depths, and the TTFT each would give",
    .examples =
        "  refill storage --target /mnt/nvme0 --target /mnt/nvme1 --target /mnt/nvme0,/mnt/nvme1\n"
        "  refill storage --page-size 128Ki,1Mi,4Mi --queue-depth 1,8,32 --check-with-fio\n"
        "  refill storage --engine uring,uring:sqpoll,pread --compute "
        "playback:h100-sxm-llama-3-70b\n"
        "  refill storage --target /dev/nvme3n1 --destroy-data-on /dev/nvme3n1",
    .run = storage_run,
};
