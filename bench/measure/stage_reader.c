/*
 * The reader's side of the pipeline: when a layer's pages may be read, where
 * they land, and what happens when they have.
 */
#include <errno.h>

#include "bench/measure/pipeline_internal.h"
#include "bench/measure/verification.h"

static struct pipeline *pipeline_of(void *context) {
  return ((struct stage *)context)->pipeline;
}

/* A serial run with every layer resident has nothing to wait for: its buffers are all its own. */
static bool unbounded(const struct pipeline *pipeline) {
  return pipeline->request->serial && !pipeline->config.device->info.staged;
}

static bool ticket_complete(struct pipeline *pipeline, device_ticket ticket) {
  struct device *device = pipeline->config.device;
  return device->ops->wait(device, ticket, 0, NULL, NULL) != -EAGAIN;
}

/* What frees a layer's buffer: the end of its copy where KV is staged, of its compute where it
 * lands in place (or is staged into a KV cache whose slots later layers use again); its landing
 * where nothing is computed (compute of no length). */
static bool freed_by_landing(const struct pipeline *pipeline) {
  const struct device_info *info = &pipeline->config.device->info;
  return (info->staged && info->kv_resident) || !(pipeline->request->legs & LEG_COMPUTE);
}

static bool reader_may_start(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  int blocker = layer - pipeline->config.window;
  if (blocker < 0 || unbounded(pipeline)) return true;
  if (freed_by_landing(pipeline))
    return gates_reached(&pipeline->gates, GATE_LANDED, blocker + 1) &&
           ticket_complete(pipeline, pipeline->landed[blocker]);
  return gates_reached(&pipeline->gates, GATE_COMPUTED, blocker + 1) &&
         ticket_complete(pipeline, pipeline->computed[blocker]);
}

static int reader_wait_start(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  struct device *device = pipeline->config.device;
  bool landing = freed_by_landing(pipeline);
  int blocker = layer - pipeline->config.window;
  if (blocker < 0 || unbounded(pipeline)) return 0;
  int failed = gates_wait(&pipeline->gates, landing ? GATE_LANDED : GATE_COMPUTED, blocker + 1);
  if (failed) return failed;
  device_ticket ticket = landing ? pipeline->landed[blocker] : pipeline->computed[blocker];
  failed = device->ops->wait(device, ticket, DEVICE_TIMEOUT_S, NULL, NULL);
  return failed == -EAGAIN ? -ETIMEDOUT : failed;
}

static void *reader_address(void *context, int layer) {
  struct device *device = pipeline_of(context)->config.device;
  return device->ops->buffer(device, layer, DEVICE_LANDING);
}

/* Without a file (a null engine) the offsets only need to differ. */
static uint64_t reader_offset(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  if (pipeline->config.source) return kv_file_page_offset(pipeline->config.source, layer, 0);
  return (uint64_t)layer * (uint64_t)pipeline->past_pages * pipeline->config.page_stride_bytes;
}

/* KV that will not stay is checked here, before compute may use it. */
static int check_inline(struct pipeline *pipeline, int layer, struct error *error) {
  struct device *device = pipeline->config.device;
  int failed = device->ops->wait(device, pipeline->landed[layer], DEVICE_TIMEOUT_S, NULL, error);
  if (failed == -EAGAIN)
    return error_set(error, -ETIMEDOUT, "KV of layer %d did not reach the KV cache in time", layer);
  if (failed) return failed;
  return verify_landed_layer(device, pipeline->config.source, layer, pipeline->past_pages,
                             pipeline->crcs, &pipeline->run->inline_wrong_pages, error);
}

static int reader_finished(void *context, int layer, const struct layer_progress *progress,
                           struct error *error) {
  struct pipeline *pipeline = pipeline_of(context);
  struct pipeline_run *run = pipeline->run;
  struct device *device = pipeline->config.device;
  double previous_s = layer > 0 ? run->layers[layer - 1].read.end_s : 0;
  double first_s = progress->first_submit_s - run->start_s;
  double last_s = progress->last_complete_s - run->start_s;
  double start_s = first_s > previous_s ? first_s : previous_s;
  run->layers[layer].read =
      (struct pipeline_span){.start_s = start_s, .end_s = last_s > start_s ? last_s : start_s};
  int failed =
      device->ops->kv_in(device, layer, 0, pipeline->past_pages, &pipeline->landed[layer], error);
  if (failed) return failed;
  if (pipeline->config.verify_inline && pipeline->config.source) {
    failed = check_inline(pipeline, layer, error);
    if (failed) return failed;
  }
  gates_advance(&pipeline->gates, GATE_LANDED);
  return 0;
}

static bool reader_failed(void *context) {
  return gates_failed(&pipeline_of(context)->gates);
}

void reader_prepare(struct stage *stage) {
  struct pipeline *pipeline = stage->pipeline;
  stage->io.bytes_per_layer = (size_t)pipeline->past_pages * pipeline->config.page_stride_bytes;
  stage->io.hooks = (struct layer_io_hooks){
      .context = stage,
      .may_start = reader_may_start,
      .wait_start = reader_wait_start,
      .address = reader_address,
      .offset_bytes = reader_offset,
      .finished = reader_finished,
      .failed = reader_failed,
  };
}
