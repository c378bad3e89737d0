/*
 * The pipeline's life and its compute stage, which is the calling thread.
 */
#include "bench/measure/pipeline.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench/measure/pipeline_internal.h"

int64_t pipeline_pages(int64_t tokens, int64_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

int pipeline_run_init(struct pipeline_run *run, int n_layers) {
  *run = (struct pipeline_run){.n_layers = n_layers};
  run->layers = calloc((size_t)n_layers, sizeof *run->layers);
  return run->layers ? 0 : -ENOMEM;
}

void pipeline_run_free(struct pipeline_run *run) {
  free(run->layers);
  *run = (struct pipeline_run){0};
}

/* ---- opening and closing ---- */

static int stage_start(struct pipeline *pipeline, struct stage *stage, const char *name,
                       enum io_op op, struct kv_file *file, struct error *error) {
  const struct pipeline_config *config = &pipeline->config;
  size_t depth = (size_t)config->queue_depth;
  *stage = (struct stage){.pipeline = pipeline, .name = name, .op = op, .file = file};
  stage->progress = calloc((size_t)config->layers, sizeof *stage->progress);
  stage->completions = calloc(depth, sizeof *stage->completions);
  stage->requests = calloc(depth, sizeof *stage->requests);
  if (!stage->progress || !stage->completions || !stage->requests)
    return error_set(error, -ENOMEM, "no memory for a queue of %d", config->queue_depth);
  size_t alignment = file ? kv_file_alignment(file) : 4096;
  stage->io = (struct layer_io){
      .op = op,
      .queue_depth = config->queue_depth,
      .n_layers = config->layers,
      .piece_bytes = layer_io_piece_bytes(config->page_stride_bytes, config->io_bytes, alignment),
      .timeout_s = config->io_timeout_s,
      .file_name = file ? kv_file_title(file) : config->engine,
      .progress = stage->progress,
      .completions = stage->completions,
      .requests = stage->requests,
  };
  sem_init(&stage->go, 0, 0);
  sem_init(&stage->done, 0, 0);
  int failed = pthread_create(&stage->thread, NULL, stage_main, stage);
  if (failed) return error_set(error, -failed, "starting the %s: %s", name, strerror(failed));
  stage->started = true;
  while (sem_wait(&stage->done) == -1 && errno == EINTR) {
  }
  if (stage->open_result) {
    if (error) *error = stage->open_error;
    return stage->open_result;
  }
  stage->io.engine = stage->engine;
  return 0;
}

static void stage_stop(struct stage *stage) {
  if (stage->started) {
    stage->quit = true;
    sem_post(&stage->go);
    pthread_join(stage->thread, NULL);
    sem_destroy(&stage->go);
    sem_destroy(&stage->done);
  }
  bool *left_behind = stage->pipeline->config.left_behind;
  if (left_behind && stage->io.left_behind > 0) *left_behind = true;
  free(stage->progress);
  free(stage->completions);
  free(stage->requests);
}

/* Between the stages' engines and the device's copies: engines register its memory first and give
 * it up last, see device.h. */
static void pin(struct pipeline *pipeline, bool pinned) {
  struct device *device = pipeline->config.device;
  if (device->ops->pin) device->ops->pin(device, pinned);
}

/* Storage may be no further ahead than the device has buffers: it may have fewer than were asked
 * for, once it knows how many of them it can pin. */
static void keep_to_buffers(struct pipeline_config *config) {
  const struct device_info *info = &config->device->info;
  if (info->window > 0 && info->window < config->window) config->window = info->window;
  if (info->write_window > 0 && info->write_window < config->write_window)
    config->write_window = info->write_window;
}

static int allocate_tickets(struct pipeline *pipeline) {
  const struct pipeline_config *config = &pipeline->config;
  size_t layers = (size_t)config->layers;
  pipeline->landed = calloc(layers, sizeof *pipeline->landed);
  pipeline->computed = calloc(layers, sizeof *pipeline->computed);
  pipeline->left = calloc(layers, sizeof *pipeline->left);
  int64_t pages = config->source ? kv_file_pages_per_layer(config->source) : 1;
  int64_t pages_out = config->sink ? kv_file_pages_per_layer(config->sink) : 1;
  pipeline->crcs = calloc((size_t)pages, sizeof *pipeline->crcs);
  pipeline->crcs_out = calloc((size_t)pages_out, sizeof *pipeline->crcs_out);
  return pipeline->landed && pipeline->computed && pipeline->left && pipeline->crcs &&
                 pipeline->crcs_out
             ? 0
             : -ENOMEM;
}

int pipeline_open(struct pipeline **out, const struct pipeline_config *config,
                  struct error *error) {
  assert(config->layers >= 1 && config->window >= 1 && config->write_window >= 1);
  *out = NULL;
  struct pipeline *pipeline = calloc(1, sizeof *pipeline);
  if (!pipeline) return error_set(error, -ENOMEM, "no memory for the pipeline");
  pipeline->config = *config;
  int failed = gates_init(&pipeline->gates);
  if (!failed) failed = allocate_tickets(pipeline);
  if (failed) error_set(error, failed, "preparing the pipeline: %s", strerror(-failed));
  if (!failed)
    failed = stage_start(pipeline, &pipeline->reader, "reader", IO_READ, config->source, error);
  if (!failed)
    failed = stage_start(pipeline, &pipeline->writer, "writer", IO_WRITE, config->sink, error);
  if (failed) {
    pipeline_close(pipeline);
    return failed;
  }
  pin(pipeline, true);
  keep_to_buffers(&pipeline->config);
  *out = pipeline;
  return 0;
}

void pipeline_close(struct pipeline *pipeline) {
  if (!pipeline) return;
  pin(pipeline, false);
  if (pipeline->reader.pipeline) stage_stop(&pipeline->reader);
  if (pipeline->writer.pipeline) stage_stop(&pipeline->writer);
  gates_destroy(&pipeline->gates);
  free(pipeline->landed);
  free(pipeline->computed);
  free(pipeline->left);
  free(pipeline->crcs);
  free(pipeline->crcs_out);
  free(pipeline);
}

const struct io_engine_info *pipeline_reader_info(const struct pipeline *pipeline) {
  return &pipeline->reader.engine->info;
}

const struct io_engine_info *pipeline_writer_info(const struct pipeline *pipeline) {
  return &pipeline->writer.engine->info;
}

const struct pipeline_config *pipeline_config(const struct pipeline *pipeline) {
  return &pipeline->config;
}

/* ---- the compute stage ---- */

/* Waits for a ticket and turns "not yet" into an error. */
static int finish(struct device *device, device_ticket ticket, struct device_span *span,
                  struct error *error) {
  int failed = device->ops->wait(device, ticket, DEVICE_TIMEOUT_S, span, error);
  if (failed == -EAGAIN)
    return error_set(error, -ETIMEDOUT, "the device did not finish within %.0f s",
                     DEVICE_TIMEOUT_S);
  return failed;
}

/* Enqueues every layer, each when its KV has landed and a leaving buffer is free. */
static int compute_layers(struct pipeline *pipeline, struct error *error) {
  const struct pipeline_config *config = &pipeline->config;
  const struct device_sequence *sequence = &pipeline->request->sequence;
  struct device *device = config->device;
  if (pipeline->request->serial && gates_wait(&pipeline->gates, GATE_LANDED, config->layers))
    return -ECANCELED;
  for (int layer = 0; layer < config->layers; layer++) {
    if (gates_wait(&pipeline->gates, GATE_LANDED, layer + 1)) return -ECANCELED;
    if (gates_wait(&pipeline->gates, GATE_WRITTEN, layer - config->write_window + 1))
      return -ECANCELED;
    int failed = device->ops->forward_layer(device, layer, sequence, 1, &pipeline->landed[layer], 1,
                                            &pipeline->computed[layer], error);
    if (failed) return error_prefix(error, "computing layer %d", layer);
    gates_advance(&pipeline->gates, GATE_COMPUTED);
  }
  return 0;
}

/* Fetches the spans of the compute tickets; the head counts into the last layer. */
static int collect_compute_spans(struct pipeline *pipeline, device_ticket head,
                                 struct error *error) {
  struct pipeline_run *run = pipeline->run;
  struct device *device = pipeline->config.device;
  struct device_span span = {0};
  for (int layer = 0; layer < run->n_layers; layer++) {
    int failed = finish(device, pipeline->computed[layer], &span, error);
    if (failed) return failed;
    run->layers[layer].compute =
        (struct pipeline_span){span.start_s - run->start_s, span.end_s - run->start_s};
  }
  int failed = finish(device, head, &span, error);
  if (!failed) run->layers[run->n_layers - 1].compute.end_s = span.end_s - run->start_s;
  return failed;
}

static int compute_run(struct pipeline *pipeline, device_ticket *head, struct error *error) {
  struct device *device = pipeline->config.device;
  int failed = compute_layers(pipeline, error);
  if (failed) return failed;
  failed = device->ops->head(device, &pipeline->request->sequence, 1, head, error);
  if (!failed) failed = finish(device, *head, NULL, error);
  if (failed) return error_prefix(error, "computing the first token");
  pipeline->run->first_token_s = clock_now_s() - pipeline->run->start_s;
  struct device_output output;
  failed = device->ops->output(device, &output, error);
  if (!failed) pipeline->run->token = output.token;
  return failed;
}

/* ---- one run ---- */

static int check_request(const struct pipeline *pipeline, const struct pipeline_request *request,
                         struct error *error) {
  const struct pipeline_config *config = &pipeline->config;
  const struct device_sequence *sequence = &request->sequence;
  if (sequence->n_past % config->page_tokens != 0 || sequence->n_new < 1)
    return error_set(error, -EINVAL,
                     "a run of %lld past and %lld new tokens: the past must be whole "
                     "pages of %lld tokens, new tokens at least 1",
                     (long long)sequence->n_past, (long long)sequence->n_new,
                     (long long)config->page_tokens);
  if (request->serial && !config->device->info.kv_resident)
    return error_set(error, -ENOTSUP,
                     "--policy serial needs a KV cache that holds all %d layers; "
                     "this one holds %d: use fewer tokens or --policy overlap",
                     config->layers, config->device->info.kv_slots);
  if (config->source && pipeline->past_pages > kv_file_pages_per_layer(config->source))
    return error_set(error, -EINVAL, "the KV file holds %lld pages a layer, %lld are asked for",
                     (long long)kv_file_pages_per_layer(config->source),
                     (long long)pipeline->past_pages);
  return 0;
}

/* Which legs really run: reading nothing and computing nothing are no legs. */
static unsigned effective_legs(const struct pipeline *pipeline) {
  unsigned legs = pipeline->request->legs;
  if (pipeline->past_pages == 0) legs &= ~(unsigned)LEG_READ;
  return legs;
}

static void reset_run(struct pipeline *pipeline, unsigned legs) {
  struct pipeline_run *run = pipeline->run;
  int layers = pipeline->config.layers;
  memset(run->layers, 0, (size_t)run->n_layers * sizeof *run->layers);
  run->first_token_s = run->durable_s = NAN;
  run->token = -1;
  run->inline_wrong_pages = 0;
  size_t layer_bytes = (size_t)layers * pipeline->config.page_stride_bytes;
  run->read_bytes = legs & LEG_READ ? (uint64_t)pipeline->past_pages * layer_bytes : 0;
  run->write_bytes = legs & LEG_WRITE ? (uint64_t)pipeline->new_pages * layer_bytes : 0;
  memset(pipeline->landed, 0, (size_t)layers * sizeof *pipeline->landed);
  memset(pipeline->computed, 0, (size_t)layers * sizeof *pipeline->computed);
  memset(pipeline->left, 0, (size_t)layers * sizeof *pipeline->left);
  gates_reset(&pipeline->gates, legs & LEG_READ ? 0 : layers, legs & LEG_COMPUTE ? 0 : layers,
              legs & LEG_WRITE ? 0 : layers);
  if (legs & LEG_READ) reader_prepare(&pipeline->reader);
  if (legs & LEG_WRITE) writer_prepare(&pipeline->writer);
}

static void stage_join(struct stage *stage) {
  while (sem_wait(&stage->done) == -1 && errno == EINTR) {
  }
}

/* Spans of host-to-device copies, after all is done. */
static int collect_copy_spans(struct pipeline *pipeline, struct error *error) {
  struct device *device = pipeline->config.device;
  struct pipeline_run *run = pipeline->run;
  if (!device->info.staged) return 0;
  for (int layer = 0; layer < run->n_layers; layer++) {
    struct device_span span = {0};
    if (pipeline->landed[layer] == 0) continue;
    int failed = finish(device, pipeline->landed[layer], &span, error);
    if (failed) return failed;
    run->layers[layer].h2d =
        (struct pipeline_span){span.start_s - run->start_s, span.end_s - run->start_s};
  }
  return 0;
}

/* The last moment at which anything of the run ended. */
static double last_end_s(const struct pipeline_run *run) {
  double end_s = 0;
  for (int layer = 0; layer < run->n_layers; layer++) {
    const struct pipeline_layer *spans = &run->layers[layer];
    end_s = fmax(end_s, fmax(fmax(spans->read.end_s, spans->h2d.end_s),
                             fmax(spans->compute.end_s, spans->write.end_s)));
  }
  return isnan(run->first_token_s) ? end_s : fmax(end_s, run->first_token_s);
}

int pipeline_run(struct pipeline *pipeline, const struct pipeline_request *request,
                 struct pipeline_run *run, struct error *error) {
  struct device *device = pipeline->config.device;
  int64_t page_tokens = pipeline->config.page_tokens;
  assert(run->n_layers == pipeline->config.layers);
  pipeline->request = request;
  pipeline->run = run;
  pipeline->past_pages = request->sequence.n_past / page_tokens;
  pipeline->new_pages = pipeline_pages(request->sequence.n_new, page_tokens);
  int failed = check_request(pipeline, request, error);
  if (!failed) failed = device->ops->begin(device, &request->sequence, 1, error);
  if (failed) return failed;
  unsigned legs = effective_legs(pipeline);
  reset_run(pipeline, legs);
  struct error compute_error = {0};
  device_ticket head = 0;
  double cpu_before_s = clock_process_cpu_s();
  run->start_s = clock_now_s();
  if (legs & LEG_READ) sem_post(&pipeline->reader.go);
  if (legs & LEG_WRITE) sem_post(&pipeline->writer.go);
  if (legs & LEG_COMPUTE) {
    failed = compute_run(pipeline, &head, &compute_error);
    if (failed && failed != -ECANCELED) {
      if (!compute_error.code) error_set(&compute_error, failed, "compute failed");
      gates_fail(&pipeline->gates, &compute_error);
    }
  }
  if (legs & LEG_READ) stage_join(&pipeline->reader);
  if (legs & LEG_WRITE) stage_join(&pipeline->writer);
  run->cpu_s = clock_process_cpu_s() - cpu_before_s;
  if (gates_failed(&pipeline->gates)) {
    if (error) *error = pipeline->gates.error;
    return pipeline->gates.error.code;
  }
  if (legs & LEG_COMPUTE) failed = collect_compute_spans(pipeline, head, error);
  if (!failed) failed = collect_copy_spans(pipeline, error);
  run->durable_s = last_end_s(run);
  return failed;
}

/* ---- what a run says ---- */

static double span_s(struct pipeline_span span) {
  return span.end_s - span.start_s;
}

void pipeline_intervals(const struct pipeline_run *run, struct ttft_layer *layers) {
  for (int layer = 0; layer < run->n_layers; layer++) {
    const struct pipeline_layer *spans = &run->layers[layer];
    layers[layer] = (struct ttft_layer){
        .read_s = span_s(spans->read),
        .h2d_s = span_s(spans->h2d),
        .compute_s = span_s(spans->compute),
        .d2h_s = span_s(spans->d2h),
        .write_s = span_s(spans->write),
    };
  }
}

struct ttft_layer pipeline_wall(const struct pipeline_run *run) {
  const struct pipeline_layer *first = &run->layers[0];
  const struct pipeline_layer *last = &run->layers[run->n_layers - 1];
  return (struct ttft_layer){
      .read_s = last->read.end_s - first->read.start_s,
      .h2d_s = last->h2d.end_s - first->h2d.start_s,
      .compute_s = last->compute.end_s - first->compute.start_s,
      .d2h_s = last->d2h.end_s - first->d2h.start_s,
      .write_s = last->write.end_s - first->write.start_s,
  };
}

struct ttft_layer pipeline_totals(const struct ttft_layer *layers, int n_layers) {
  struct ttft_layer total = {0};
  for (int layer = 0; layer < n_layers; layer++) {
    total.read_s += layers[layer].read_s;
    total.h2d_s += layers[layer].h2d_s;
    total.compute_s += layers[layer].compute_s;
    total.d2h_s += layers[layer].d2h_s;
    total.write_s += layers[layer].write_s;
  }
  return total;
}
