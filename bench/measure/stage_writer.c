/*
 * The writer's side of the pipeline: a layer's new KV leaves once it is
 * computed, in whole pages, the last one zero-padded.
 */
#include <errno.h>

#include "bench/measure/pipeline_internal.h"
#include "bench/measure/verification.h"

static struct pipeline *pipeline_of(void *context) {
  return ((struct stage *)context)->pipeline;
}

/* Compute leaves a layer only when one of the `write_window` buffers is free. A run without compute
 * has to keep that bound here: else layers would share buffers, and writes alone would be deeper
 * than any that a pipeline can make. */
static int buffers_bound(const struct pipeline *pipeline, int layer) {
  return pipeline->request->legs & LEG_COMPUTE ? 0 : layer + 1 - pipeline->config.write_window;
}

static bool writer_may_start(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  return gates_reached(&pipeline->gates, GATE_COMPUTED, layer + 1) &&
         gates_reached(&pipeline->gates, GATE_WRITTEN, buffers_bound(pipeline, layer));
}

static int writer_wait_start(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  int failed = gates_wait(&pipeline->gates, GATE_COMPUTED, layer + 1);
  return failed ? failed
                : gates_wait(&pipeline->gates, GATE_WRITTEN, buffers_bound(pipeline, layer));
}

/* Brings the layer's new KV to its leaving buffer. Waits for it: a write may only start from there.
 */
static int writer_bring_out(void *context, int layer, struct error *error) {
  struct pipeline *pipeline = pipeline_of(context);
  struct device *device = pipeline->config.device;
  device_ticket *ticket = &pipeline->left[layer];
  int failed = device->ops->kv_out(device, layer, pipeline->new_pages, pipeline->computed[layer],
                                   ticket, error);
  if (failed) return failed;
  struct device_span span = {0};
  /* The ticket ends after the layer's compute, which --io-timeout has no say in. */
  failed = device->ops->wait(device, *ticket, DEVICE_TIMEOUT_S, &span, error);
  if (failed == -EAGAIN)
    return error_set(error, -ETIMEDOUT, "new KV of layer %d did not leave the device in time",
                     layer);
  if (failed) return failed;
  if (pipeline->config.record_inline && pipeline->config.sink) {
    failed = verify_record_layer(device, pipeline->config.sink, layer, pipeline->past_pages,
                                 pipeline->new_pages, pipeline->crcs_out, error);
    if (failed) return failed;
  }
  if (*ticket && device->info.staged)
    pipeline->run->layers[layer].d2h = (struct pipeline_span){span.start_s - pipeline->run->start_s,
                                                              span.end_s - pipeline->run->start_s};
  return 0;
}

static void *writer_address(void *context, int layer) {
  struct device *device = pipeline_of(context)->config.device;
  return device->ops->buffer(device, layer, DEVICE_LEAVING);
}

static uint64_t writer_offset(void *context, int layer) {
  struct pipeline *pipeline = pipeline_of(context);
  if (pipeline->config.sink)
    return kv_file_page_offset(pipeline->config.sink, layer, pipeline->past_pages);
  return (uint64_t)layer * (uint64_t)pipeline->new_pages * pipeline->config.page_stride_bytes;
}

static int writer_finished(void *context, int layer, const struct layer_progress *progress,
                           struct error *error) {
  (void)error;
  struct pipeline *pipeline = pipeline_of(context);
  struct pipeline_run *run = pipeline->run;
  double previous_s = layer > 0 ? run->layers[layer - 1].write.end_s : 0;
  double first_s = progress->first_submit_s - run->start_s;
  double last_s = progress->last_complete_s - run->start_s;
  double start_s = first_s > previous_s ? first_s : previous_s;
  run->layers[layer].write =
      (struct pipeline_span){.start_s = start_s, .end_s = last_s > start_s ? last_s : start_s};
  gates_advance(&pipeline->gates, GATE_WRITTEN);
  return 0;
}

static bool writer_failed(void *context) {
  return gates_failed(&pipeline_of(context)->gates);
}

void writer_prepare(struct stage *stage) {
  struct pipeline *pipeline = stage->pipeline;
  stage->io.bytes_per_layer = (size_t)pipeline->new_pages * pipeline->config.page_stride_bytes;
  stage->io.hooks = (struct layer_io_hooks){
      .context = stage,
      .may_start = writer_may_start,
      .wait_start = writer_wait_start,
      .prepare = writer_bring_out,
      .address = writer_address,
      .offset_bytes = writer_offset,
      .finished = writer_finished,
      .failed = writer_failed,
  };
}
