/*
 * Running a group's legs and comparing the models with what was observed.
 */
#include "bench/measure/group.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure/verification.h"

#define SLOWDOWN_SHARE_MIN 0.1 /* less of a stage beside others says nothing about a slowdown */

int group_init(struct group *group, struct rig *rig, struct error *error) {
  size_t layers = (size_t)rig->layers;
  *group = (struct group){.rig = rig};
  group->alone = calloc(layers, sizeof *group->alone);
  group->overlapped = calloc(layers, sizeof *group->overlapped);
  group->scratch = calloc(layers, sizeof *group->scratch);
  group->done = calloc(layers, sizeof *group->done);
  if (pipeline_run_init(&group->run, rig->layers) || !group->alone || !group->overlapped ||
      !group->scratch || !group->done) {
    group_free(group);
    return error_set(error, -ENOMEM, "no memory for the intervals of %zu layers", layers);
  }
  return 0;
}

void group_free(struct group *group) {
  pipeline_run_free(&group->run);
  free(group->alone);
  free(group->overlapped);
  free(group->scratch);
  free(group->done);
  *group = (struct group){0};
}

/* ---- one leg ---- */

/* Counts what a run that read left wrong in the KV cache. */
static int check_landed(struct group *group, struct point *point, struct error *error) {
  struct rig *rig = group->rig;
  if (!rig->source || point->n_past == 0) return 0;
  int64_t pages = point->n_past / rig->page_tokens;
  int64_t wrong_pages = group->run.inline_wrong_pages;
  int failed = 0;
  if (rig->device->info.kv_resident)
    failed = verify_landed(rig->device, rig->source, rig->layers, pages, &wrong_pages, error);
  point->checked = true;
  point->checked_pages += pages * rig->layers;
  point->wrong_pages += wrong_pages;
  group->wrong_pages += wrong_pages;
  return failed;
}

/* Keeps the worst verdict of a point's cold proofs. */
static void merge_cold(struct point *point, const struct cold_result *cold) {
  if (!point->cold_known || cold->verdict == COLD_NOT_PROVEN) point->cold = *cold;
  point->cold_known = true;
}

/* Asks the device how it stands; counts into the rig's condition. Returns whether it is held down.
 */
static bool ask(struct rig *rig) {
  struct rig_condition *all = &rig->condition;
  struct device_condition *now = &all->last;
  if (!rig->device->ops->condition) return false;
  rig->device->ops->condition(rig->device, now);
  rig_see_link(all, &now->link);
  all->clock_error_s = fmax(all->clock_error_s, now->clock_error_s);
  all->held_down_known |= now->held_down_known;
  if (now->sm_hz > 0 && (all->sm_hz_low <= 0 || now->sm_hz < all->sm_hz_low))
    all->sm_hz_low = now->sm_hz;
  if (!now->held_down[0]) return false;
  memcpy(all->held_down, now->held_down, sizeof all->held_down);
  return true;
}

/* One run, with the device's condition before and after where it computes. */
static int run(struct group *group, struct point *point, const struct pipeline_request *request,
               struct error *error) {
  struct rig *rig = group->rig;
  const bool computes = request->legs & LEG_COMPUTE;
  bool held_down = computes && ask(rig);
  int failed = pipeline_run(rig->pipeline, request, &group->run, error);
  if (failed || !computes) return failed;
  if (ask(rig)) held_down = true;
  group->run.clock_error_s = rig->condition.last.clock_error_s;
  rig->condition.runs += rig->device->ops->condition != NULL;
  rig->condition.graph_runs += rig->condition.last.graphs;
  rig->condition.held_down_runs += held_down;
  point->held_down += held_down;
  return 0;
}

int group_leg(struct group *group, struct point *point, unsigned legs, struct error *error) {
  if (group->interrupted && group->interrupted()) return -EINTR;
  if (group->deadline_s > 0 && clock_now_s() > group->deadline_s) return -ETIME;
  struct rig *rig = group->rig;
  struct pipeline_request request = {
      .sequence = rig_sequence(rig, point->n_tokens, point->n_past),
      .legs = legs,
      .serial = point->policy == POLICY_SERIAL,
  };
  bool reads = (legs & LEG_READ) && point->n_past > 0;
  struct cold_probe probe;
  if (reads && rig->source) cold_begin(&probe, &rig->target, kv_file_fd(rig->source));
  int failed = run(group, point, &request, error);
  if (failed) return failed;
  if (reads && rig->source) {
    struct cold_result cold;
    cold_end(&probe, group->run.read_bytes, &cold);
    merge_cold(point, &cold);
  }
  return reads ? check_landed(group, point, error) : 0;
}

static void add(struct point *point, enum metric metric, double value) {
  samples_add(&point->metrics[metric], value);
}

/* Puts the durations of a leg alone, of the stages it ran, beside those of the others. */
static void take_alone(struct group *group, unsigned legs) {
  pipeline_intervals(&group->run, group->scratch);
  for (int layer = 0; layer < group->run.n_layers; layer++) {
    struct ttft_layer *alone = &group->alone[layer];
    const struct ttft_layer *leg = &group->scratch[layer];
    if (legs & LEG_READ) {
      alone->read_s = leg->read_s;
      alone->h2d_s = leg->h2d_s;
    }
    if (legs & LEG_COMPUTE) alone->compute_s = leg->compute_s;
    if (legs & LEG_WRITE) {
      alone->d2h_s = leg->d2h_s;
      alone->write_s = leg->write_s;
    }
  }
}

static int measure_alone(struct group *group, struct point *point, unsigned leg,
                         struct error *error) {
  if (leg == LEG_READ && point->n_past == 0) return 0;
  int failed = group_leg(group, point, leg, error);
  if (failed) return failed;
  take_alone(group, leg);
  struct ttft_layer wall = pipeline_wall(&group->run);
  if (leg == LEG_READ) group->read_wall_s = wall.read_s;
  if (leg == LEG_WRITE) group->write_wall_s = wall.write_s;
  return 0;
}

static int measure_together(struct group *group, struct point *point, struct error *error) {
  if (point->n_past == 0) return 0;
  int failed = group_leg(group, point, LEG_READ | LEG_WRITE, error);
  if (failed) return failed;
  struct ttft_layer wall = pipeline_wall(&group->run);
  add(point, METRIC_READ_TOGETHER, wall.read_s);
  add(point, METRIC_WRITE_TOGETHER, wall.write_s);
  return 0;
}

/* ---- slowdowns ---- */

static double intersection_s(struct pipeline_span a, struct pipeline_span b) {
  double start_s = fmax(a.start_s, b.start_s);
  double end_s = fmin(a.end_s, b.end_s);
  return end_s > start_s ? end_s - start_s : 0;
}

/* Which spans count as "another stage". */
enum beside { BESIDE_READ = 1, BESIDE_COMPUTE = 2, BESIDE_WRITE = 4 };

/* Seconds of `span` that lay beside the given stages' work: of the stage that covers most of it. */
static double beside_s(const struct pipeline_run *run, struct pipeline_span span, unsigned stages) {
  double read_s = 0;
  double compute_s = 0;
  double write_s = 0;
  for (int layer = 0; layer < run->n_layers; layer++) {
    const struct pipeline_layer *other = &run->layers[layer];
    if (stages & BESIDE_READ) read_s += intersection_s(span, other->read);
    if (stages & BESIDE_COMPUTE) compute_s += intersection_s(span, other->compute);
    if (stages & BESIDE_WRITE) write_s += intersection_s(span, other->write);
  }
  return fmax(read_s, fmax(compute_s, write_s));
}

/* A stage took `total_s`, of which `beside` beside others, for work that takes `alone_s` alone.
 * What it did while alone went at full speed, so the rest was done in `beside` seconds: that is the
 * slowdown. */
static double slowdown_of(double total_s, double beside, double alone_s) {
  if (alone_s <= 0 || beside < SLOWDOWN_SHARE_MIN * total_s) return 1;
  double work_beside_s = alone_s - (total_s - beside);
  return work_beside_s > 0.1 * alone_s ? beside / work_beside_s : total_s / alone_s;
}

struct ttft_slowdown group_slowdown(const struct pipeline_run *run, const struct ttft_layer *alone,
                                    const struct ttft_layer *overlapped) {
  struct ttft_layer beside = {0};
  for (int layer = 0; layer < run->n_layers; layer++) {
    const struct pipeline_layer *spans = &run->layers[layer];
    beside.compute_s += beside_s(run, spans->compute, BESIDE_READ | BESIDE_WRITE);
    beside.read_s += beside_s(run, spans->read, BESIDE_COMPUTE | BESIDE_WRITE);
    beside.write_s += beside_s(run, spans->write, BESIDE_COMPUTE | BESIDE_READ);
  }
  struct ttft_layer own = pipeline_totals(overlapped, run->n_layers);
  struct ttft_layer apart = pipeline_totals(alone, run->n_layers);
  return (struct ttft_slowdown){
      .compute = slowdown_of(own.compute_s, beside.compute_s, apart.compute_s),
      .read = slowdown_of(own.read_s, beside.read_s, apart.read_s),
      .write = slowdown_of(own.write_s, beside.write_s, apart.write_s)};
}

/* ---- models against what was observed ---- */

/* A serial run reads everything first; only then does the recurrence run, without reads. */
static struct ttft_prediction predict(struct group *group, const struct point *point,
                                      const struct ttft_layer *layers,
                                      const struct ttft_slowdown *slowdown) {
  struct rig *rig = group->rig;
  const struct pipeline_config *config = pipeline_config(rig->pipeline);
  const struct device_info *info = &rig->device->info;
  struct ttft_bounds bounds = {.window = config->window,
                               .write_window = config->write_window,
                               .staged = info->staged && info->kv_resident};
  struct ttft_prediction read_first = {0};
  memcpy(group->scratch, layers, (size_t)rig->layers * sizeof *layers);
  if (point->policy == POLICY_SERIAL) {
    for (int layer = 0; layer < rig->layers; layer++)
      group->scratch[layer].compute_s = group->scratch[layer].write_s =
          group->scratch[layer].d2h_s = 0;
    read_first = ttft_pipelined(group->scratch, rig->layers, bounds, group->done);
    memcpy(group->scratch, layers, (size_t)rig->layers * sizeof *layers);
    for (int layer = 0; layer < rig->layers; layer++)
      group->scratch[layer].read_s = group->scratch[layer].h2d_s = 0;
  }
  struct ttft_prediction rest =
      slowdown ? ttft_contended(group->scratch, rig->layers, bounds, *slowdown, group->done)
               : ttft_pipelined(group->scratch, rig->layers, bounds, group->done);
  rest.first_token_s += read_first.first_token_s;
  rest.durable_s += read_first.first_token_s;
  return rest;
}

static double ideal_s(const struct point *point, struct ttft_layer alone) {
  double in_s = fmax(alone.read_s, alone.h2d_s);
  double out_s = fmax(alone.d2h_s, alone.write_s);
  if (point->policy == POLICY_SERIAL) return in_s + fmax(out_s, alone.compute_s);
  return fmax(in_s, fmax(out_s, alone.compute_s));
}

/* What each stage took alone; storage by the wall, since a gap between two layers' completions is
 * part of what retrieving costs and of no layer's interval. */
static struct ttft_layer alone_totals(const struct group *group) {
  struct ttft_layer total = pipeline_totals(group->alone, group->rig->layers);
  total.read_s = group->read_wall_s;
  total.write_s = group->write_wall_s;
  return total;
}

static double largest_s(struct ttft_layer total) {
  return fmax(fmax(total.read_s, total.h2d_s),
              fmax(total.compute_s, fmax(total.d2h_s, total.write_s)));
}

static void compare_models(struct group *group, struct point *point) {
  int layers = group->rig->layers;
  double observed_s = group->run.first_token_s;
  pipeline_intervals(&group->run, group->overlapped);
  struct ttft_slowdown slowdown = group_slowdown(&group->run, group->alone, group->overlapped);
  struct ttft_layer alone = alone_totals(group);
  struct ttft_layer own = pipeline_totals(group->overlapped, layers);
  struct ttft_prediction pipelined = predict(group, point, group->alone, NULL);
  struct ttft_prediction contended = predict(group, point, group->alone, &slowdown);
  struct ttft_prediction fed_own = predict(group, point, group->overlapped, NULL);
  double ideal = ideal_s(point, alone);
  add(point, METRIC_IDEAL, ideal);
  add(point, METRIC_PIPELINED, pipelined.first_token_s);
  add(point, METRIC_CONTENDED, contended.first_token_s);
  add(point, METRIC_OWN, fed_own.first_token_s);
  add(point, METRIC_ERROR_IDEAL, ttft_error(ideal, observed_s));
  add(point, METRIC_ERROR_PIPELINED, ttft_error(pipelined.first_token_s, observed_s));
  add(point, METRIC_ERROR_CONTENDED, ttft_error(contended.first_token_s, observed_s));
  add(point, METRIC_ERROR_OWN, ttft_error(fed_own.first_token_s, observed_s));
  add(point, METRIC_ERROR_DURABLE, ttft_error(pipelined.durable_s, group->run.durable_s));
  add(point, METRIC_SLOWDOWN_COMPUTE, slowdown.compute);
  add(point, METRIC_SLOWDOWN_READ, slowdown.read);
  add(point, METRIC_SLOWDOWN_WRITE, slowdown.write);
  add(point, METRIC_EFFICIENCY, largest_s(own) / observed_s);
  add(point, METRIC_EFFICIENCY_DURABLE, largest_s(own) / group->run.durable_s);
  /* Layers that were reaped together leave no interval to the later ones: then the mean. */
  double middle_s = group->overlapped[layers / 2].read_s;
  add(point, METRIC_MIDDLE_READ, middle_s > 0 ? middle_s : own.read_s / layers);
  add(point, METRIC_MIDDLE_COMPUTE, group->overlapped[layers / 2].compute_s);
}

static void add_alone(struct group *group, struct point *point) {
  struct ttft_layer total = alone_totals(group);
  bool stores = group->rig->config.options->store;
  if (point->n_past > 0) add(point, METRIC_READ_ALONE, total.read_s);
  if (group->rig->device->info.staged && point->n_past > 0)
    add(point, METRIC_H2D_ALONE, total.h2d_s);
  add(point, METRIC_COMPUTE_ALONE, total.compute_s);
  if (group->rig->device->info.staged && stores) add(point, METRIC_D2H_ALONE, total.d2h_s);
  if (stores) add(point, METRIC_WRITE_ALONE, total.write_s);
}

/* The legs before have put the same bytes into the sink: spoil them, so that an overlapped run that
 * wrote nothing cannot pass for one that did. */
static int spoil_sink(struct group *group, const struct point *point, struct error *error) {
  struct rig *rig = group->rig;
  if (!rig->sink || !rig->device->info.kv_resident) return 0;
  return verify_spoil(rig->sink, rig->layers, point->n_past / rig->page_tokens,
                      pipeline_pages(point->n_new, rig->page_tokens), error);
}

/* New KV as it stands in the sink after the overlapped run. */
static int check_sink(struct group *group, struct point *point, struct error *error) {
  struct rig *rig = group->rig;
  if (!rig->sink || !rig->device->info.kv_resident) return 0;
  int64_t pages = pipeline_pages(point->n_new, rig->page_tokens);
  int64_t wrong_pages = 0;
  int failed = verify_written(rig->device, rig->sink, rig->layers, point->n_past / rig->page_tokens,
                              pages, rig->config.options->io_timeout_s, &wrong_pages, error);
  point->checked = true;
  point->checked_pages += pages * rig->layers;
  point->wrong_pages += wrong_pages;
  group->wrong_pages += wrong_pages;
  return failed;
}

/* Recompute has one leg: what is observed is what the model would be fed with. */
static int measure_recompute(struct group *group, struct point *point, struct error *error) {
  int failed = group_leg(group, point, LEG_COMPUTE, error);
  if (failed) return failed;
  take_alone(group, LEG_COMPUTE);
  struct ttft_layer total = pipeline_totals(group->alone, group->rig->layers);
  add(point, METRIC_FIRST_TOKEN, group->run.first_token_s);
  add(point, METRIC_DURABLE, group->run.durable_s);
  add(point, METRIC_COMPUTE_ALONE, total.compute_s);
  point->token = group->run.token;
  point->groups++;
  return 0;
}

int group_measure(struct group *group, struct point *point, int index, bool verify_sink,
                  struct error *error) {
  if (point->policy == POLICY_RECOMPUTE) return measure_recompute(group, point, error);
  unsigned write_leg = group->rig->config.options->store ? LEG_WRITE : 0;
  unsigned legs[3] = {LEG_READ, write_leg, LEG_COMPUTE};
  memset(group->alone, 0, (size_t)group->rig->layers * sizeof *group->alone);
  group->read_wall_s = group->write_wall_s = 0;
  int failed = 0;
  for (int i = 0; i < 3 && !failed; i++) {
    unsigned leg = legs[index % 2 ? 2 - i : i];
    if (leg) failed = measure_alone(group, point, leg, error);
    if (!failed && i == 1 && write_leg) failed = measure_together(group, point, error);
  }
  if (!failed && verify_sink && write_leg) failed = spoil_sink(group, point, error);
  if (!failed) failed = group_leg(group, point, LEG_READ | LEG_COMPUTE | write_leg, error);
  if (failed) return failed;
  add(point, METRIC_FIRST_TOKEN, group->run.first_token_s);
  add(point, METRIC_DURABLE, group->run.durable_s);
  add_alone(group, point);
  compare_models(group, point);
  point->token = group->run.token;
  point->groups++;
  return verify_sink && write_leg ? check_sink(group, point, error) : 0;
}
