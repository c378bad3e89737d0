/*
 * The loop of reader and writer: submit what the gate allows, reap, report
 * finished layers in order.
 */
#include "bench/measure/layer_io.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define REAP_SLICE_S 0.1 /* how often a blocked reap looks whether another stage failed */

/* Where the loop stands. */
struct cursor {
  int layer;       /* the next request's layer */
  size_t at_bytes; /* and its first byte within the layer */
  int outstanding;
  int finished; /* layers reported */
  double last_progress_s;
};

/* A tag holds layer and byte offset, so that a failed request can be named. */
static uint64_t tag_of(int layer, size_t at_bytes) {
  return (uint64_t)layer << 48 | (uint64_t)at_bytes;
}

size_t layer_io_piece_bytes(size_t page_stride_bytes, size_t io_bytes, size_t alignment) {
  assert(page_stride_bytes > 0);
  if (page_stride_bytes <= io_bytes) return io_bytes / page_stride_bytes * page_stride_bytes;
  size_t piece = io_bytes / alignment * alignment;
  return piece > 0 ? piece : alignment;
}

static int pieces_per_layer(const struct layer_io *io) {
  return (int)((io->bytes_per_layer + io->piece_bytes - 1) / io->piece_bytes);
}

/* Starts the cursor's layer: its preparation, if the direction has one. */
static int begin_layer(struct layer_io *io, const struct cursor *cursor, struct error *error) {
  struct layer_progress *progress = &io->progress[cursor->layer];
  *progress = (struct layer_progress){.pieces_left = pieces_per_layer(io)};
  if (!io->hooks.prepare) return 0;
  return io->hooks.prepare(io->hooks.context, cursor->layer, error);
}

/* Fills `requests` with the pieces that gate and depth allow; moves `cursor` past them. */
static int gather(struct layer_io *io, struct cursor *cursor, struct error *error) {
  const struct layer_io_hooks *hooks = &io->hooks;
  int n = 0;
  while (cursor->outstanding + n < io->queue_depth && cursor->layer < io->n_layers) {
    int layer = cursor->layer;
    if (cursor->at_bytes == 0) {
      if (!hooks->may_start(hooks->context, layer)) break;
      int failed = begin_layer(io, cursor, error);
      if (failed) return failed;
    }
    size_t left = io->bytes_per_layer - cursor->at_bytes;
    size_t bytes = left < io->piece_bytes ? left : io->piece_bytes;
    io->requests[n++] = (struct io_request){
        .op = io->op,
        .file = io->file,
        .offset_bytes = hooks->offset_bytes(hooks->context, layer) + cursor->at_bytes,
        .buffer = (char *)hooks->address(hooks->context, layer) + cursor->at_bytes,
        .bytes = bytes,
        .tag = tag_of(layer, cursor->at_bytes),
    };
    cursor->at_bytes += bytes;
    if (cursor->at_bytes == io->bytes_per_layer) {
      cursor->layer++;
      cursor->at_bytes = 0;
    }
  }
  return n;
}

/* Hands n gathered requests to the engine, all of them: the queue has room by construction. */
static int submit_all(struct layer_io *io, struct cursor *cursor, int n, struct error *error) {
  double now_s = clock_now_s();
  for (int i = 0; i < n; i++) {
    struct layer_progress *progress = &io->progress[io->requests[i].tag >> 48];
    if (progress->first_submit_s == 0) progress->first_submit_s = now_s;
  }
  int done = 0;
  while (done < n) {
    int taken = io->engine->ops->submit(io->engine, io->requests + done, n - done, error);
    if (taken < 0) return taken;
    if (taken == 0)
      return error_set(error, -EIO, "%s: the %s engine takes no more at %d of %d requests",
                       io->file_name, io->engine->ops->name, cursor->outstanding, io->queue_depth);
    done += taken;
    cursor->outstanding += taken;
  }
  if (n > 0) cursor->last_progress_s = now_s;
  return 0;
}

static int request_failed(const struct layer_io *io, const struct io_completion *completion,
                          struct error *error) {
  int layer = (int)(completion->tag >> 48);
  uint64_t at_bytes = completion->tag & ((UINT64_C(1) << 48) - 1);
  uint64_t offset = io->hooks.offset_bytes(io->hooks.context, layer) + at_bytes;
  return error_set(error, completion->error, "%s %s at byte %llu (layer %d): %s",
                   io->op == IO_READ ? "reading" : "writing", io->file_name,
                   (unsigned long long)offset, layer, strerror(-completion->error));
}

/* Books completions and reports layers that are finished, in order. */
static int book(struct layer_io *io, struct cursor *cursor, int n, struct error *error) {
  int failed = 0;
  for (int i = 0; i < n; i++) {
    const struct io_completion *completion = &io->completions[i];
    struct layer_progress *progress = &io->progress[completion->tag >> 48];
    cursor->outstanding--;
    if (completion->error) {
      int code = request_failed(io, completion, error);
      if (!failed) failed = code;
      continue;
    }
    progress->pieces_left--;
    progress->last_complete_s = completion->complete_s;
  }
  if (failed) return failed;
  while (cursor->finished < io->n_layers) {
    int layer = cursor->finished;
    bool begun = layer < cursor->layer; /* all its pieces were submitted */
    if (!begun || io->progress[layer].pieces_left > 0) break;
    cursor->finished++;
    failed = io->hooks.finished(io->hooks.context, layer, &io->progress[layer], error);
    if (failed) return failed;
  }
  return 0;
}

/* The sentence names the first layer that is not done: one of its requests is unanswered. */
static int hangs(const struct layer_io *io, const struct cursor *cursor, struct error *error) {
  int layer = cursor->finished;
  return error_set(
      error, -ETIMEDOUT,
      "%s %s at byte %llu or after it (layer %d): no completion for %.3g s with %d requests under "
      "way; the drive hangs, or raise --io-timeout",
      io->op == IO_READ ? "reading" : "writing", io->file_name,
      (unsigned long long)io->hooks.offset_bytes(io->hooks.context, layer), layer, io->timeout_s,
      cursor->outstanding);
}

/* Waits for at least one completion, in slices, and books what came. */
static int reap_some(struct layer_io *io, struct cursor *cursor, struct error *error) {
  for (;;) {
    double slice_s = io->timeout_s < REAP_SLICE_S ? io->timeout_s : REAP_SLICE_S;
    int n = io->engine->ops->reap(io->engine, io->completions, io->queue_depth, 1, slice_s, error);
    if (n < 0) return n;
    double now_s = clock_now_s();
    if (n > 0) {
      cursor->last_progress_s = now_s;
      return book(io, cursor, n, error);
    }
    if (now_s - cursor->last_progress_s >= io->timeout_s) return hangs(io, cursor, error);
    if (io->hooks.failed(io->hooks.context)) return 0;
  }
}

/* After a failure: nothing may still write into memory that the caller is about to free. */
static void drain(struct layer_io *io, struct cursor *cursor) {
  double deadline_s = clock_now_s() + io->timeout_s;
  while (cursor->outstanding > 0 && clock_now_s() < deadline_s) {
    int n =
        io->engine->ops->reap(io->engine, io->completions, io->queue_depth, 1, REAP_SLICE_S, NULL);
    if (n < 0) return;
    cursor->outstanding -= n;
  }
}

static int run_layers(struct layer_io *io, struct cursor *cursor, struct error *error) {
  const struct layer_io_hooks *hooks = &io->hooks;
  while (cursor->finished < io->n_layers) {
    if (hooks->failed(hooks->context)) return -ECANCELED;
    int n = gather(io, cursor, error);
    if (n < 0) return n;
    int failed = submit_all(io, cursor, n, error);
    if (failed) return failed;
    if (cursor->outstanding > 0)
      failed = reap_some(io, cursor, error);
    else
      failed = hooks->wait_start(hooks->context, cursor->layer);
    if (failed) return failed;
  }
  return 0;
}

int layer_io_run(struct layer_io *io, struct error *error) {
  assert(io->queue_depth >= 1 && io->queue_depth <= LAYER_IO_DEPTH_MAX);
  assert(io->bytes_per_layer > 0 && io->piece_bytes > 0);
  struct cursor cursor = {.last_progress_s = clock_now_s()};
  int failed = run_layers(io, &cursor, error);
  if (failed && failed != -ETIMEDOUT) drain(io, &cursor);
  io->left_behind = cursor.outstanding;
  return failed;
}
