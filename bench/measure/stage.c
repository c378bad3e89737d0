/*
 * A stage's thread: opens its own engine (an io_uring belongs to the thread
 * that uses it), then runs once per `go`.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure/pipeline_internal.h"

#define SYNC_TAG UINT64_MAX

/* The regions that the stage's requests may point into, for registering: what a reader registered
 * of the writer's would be locked twice, and counts twice against the limit. Returns how many. */
static int buffers_of(const struct stage *stage, struct io_buffer buffers[DEVICE_REGIONS_MAX]) {
  const struct device *device = stage->pipeline->config.device;
  const enum device_region_use not_ours = stage->op == IO_READ ? DEVICE_REGION_LEAVING
                                                               : DEVICE_REGION_LANDING;
  int n = 0;
  for (int i = 0; i < device->n_regions; i++) {
    const struct device_region *region = &device->regions[i];
    if (region->use == not_ours) continue;
    buffers[n++] =
        (struct io_buffer){.address = region->address,
                           .bytes = region->bytes,
                           .kind = region->on_device ? IO_BUFFER_DEVICE : IO_BUFFER_HOST};
  }
  return n;
}

/* Registers the device's regions and the stage's file with an engine of its own. An engine that
 * reaches device memory needs a thread that the device knows, which any wait() makes this one. */
static int stage_open_engine(struct stage *stage) {
  const struct pipeline_config *config = &stage->pipeline->config;
  struct io_buffer buffers[DEVICE_REGIONS_MAX];
  config->device->ops->wait(config->device, 0, 0, NULL, NULL);
  int fd = stage->file ? kv_file_fd(stage->file) : -1; /* a null engine never looks */
  struct io_engine_config engine = {
      .queue_depth = config->queue_depth,
      .fds = &fd,
      .n_files = 1,
      .buffers = buffers,
      .n_buffers = buffers_of(stage, buffers),
      .placement = config->placement,
  };
  return io_engine_open(&stage->engine, config->engine, &engine, &stage->open_error);
}

/* fdatasync through the engine, after the last write: part of `durable`. */
static int stage_sync(struct stage *stage, struct error *error) {
  struct io_request request = {.op = IO_SYNC, .file = 0, .tag = SYNC_TAG};
  struct io_completion completion = {0};
  int taken = stage->engine->ops->submit(stage->engine, &request, 1, error);
  if (taken < 0) return taken;
  int n = stage->engine->ops->reap(stage->engine, &completion, 1, 1,
                                   stage->pipeline->config.io_timeout_s, error);
  if (n < 0) return n;
  if (n == 0) {
    stage->io.left_behind = 1;
    return error_set(
        error, -ETIMEDOUT,
        "fdatasync of %s: no answer for %.3g s; the drive hangs, or raise --io-timeout",
        stage->io.file_name, stage->io.timeout_s);
  }
  if (completion.error)
    return error_set(error, completion.error, "fdatasync of %s: %s", stage->io.file_name,
                     strerror(-completion.error));
  struct pipeline_run *run = stage->pipeline->run;
  run->layers[run->n_layers - 1].write.end_s = completion.complete_s - run->start_s;
  return 0;
}

static void stage_run(struct stage *stage) {
  struct error error = {0};
  int failed = layer_io_run(&stage->io, &error);
  if (!failed && stage->op == IO_WRITE && stage->pipeline->config.sync)
    failed = stage_sync(stage, &error);
  if (!failed || failed == -ECANCELED) return;
  if (!error.code) error_set(&error, failed, "%s: %s", stage->name, strerror(-failed));
  gates_fail(&stage->pipeline->gates, &error);
}

void *stage_main(void *argument) {
  struct stage *stage = argument;
  placement_bind_thread(stage->pipeline->config.placement);
  stage->open_result = stage_open_engine(stage);
  sem_post(&stage->done);
  while (stage->open_result == 0) {
    while (sem_wait(&stage->go) == -1 && errno == EINTR) {
    }
    if (stage->quit) break;
    stage_run(stage);
    sem_post(&stage->done);
  }
  if (stage->engine) stage->engine->ops->close(stage->engine);
  return NULL;
}
