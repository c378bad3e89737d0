/*
 * Moves the pages of layer after layer between a file and memory, keeping the
 * queue full: the next layer's requests are submitted while the last ones of this layer
 * are still under way, so that the drive never idles at a layer boundary.
 *
 * Reader and writer of the pipeline are this one loop; they differ in direction and in what a
 * layer has to wait for, which are the hooks.
 */
#ifndef REFILL_BENCH_MEASURE_LAYER_IO_H
#define REFILL_BENCH_MEASURE_LAYER_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/engine.h"

#define LAYER_IO_DEPTH_MAX 4096

/* One layer's progress. */
struct layer_progress {
  int pieces_left;
  double first_submit_s, last_complete_s;
};

/* What a direction decides. `context` is the hooks' own. */
struct layer_io_hooks {
  void *context;
  /* May layer `layer` start? Never blocks. */
  bool (*may_start)(void *context, int layer);
  /* Blocks until may_start(layer) or the run failed (then a negative errno). Called only with
   * nothing under way. */
  int (*wait_start)(void *context, int layer);
  /* Prepares a layer that is about to start (brings new KV out); NULL: nothing to do. */
  int (*prepare)(void *context, int layer, struct error *error);
  /* Where its bytes are, in memory and in the file. */
  void *(*address)(void *context, int layer);
  uint64_t (*offset_bytes)(void *context, int layer);
  /* All bytes of `layer`, and of all layers before, are done. */
  int (*finished)(void *context, int layer, const struct layer_progress *progress,
                  struct error *error);
  /* True once another stage failed: stop submitting, drain, return. */
  bool (*failed)(void *context);
};

struct layer_io {
  struct io_engine *engine;
  enum io_op op; /* IO_READ or IO_WRITE */
  int file;      /* the engine's index */
  int queue_depth;
  int n_layers;
  size_t bytes_per_layer; /* > 0 */
  size_t piece_bytes;     /* of one request at most */
  double timeout_s;       /* without any completion: -ETIMEDOUT */
  const char *file_name;  /* for messages */
  struct layer_io_hooks hooks;
  struct layer_progress *progress;   /* [n_layers], the caller's */
  struct io_completion *completions; /* [queue_depth], the caller's */
  struct io_request *requests;       /* [queue_depth], the caller's */
  int left_behind;                   /* requests that the drive has not answered in time */
};

/* Runs all layers. On return nothing is under way, but `left_behind` requests after a failure: they
 * may still use their memory. Returns 0 or the first error, with file, offset and layer named.
 * Allocates nothing. */
int layer_io_run(struct layer_io *io, struct error *error);

/* The request size that merges whole pages up to io_bytes, or cuts a page larger than that:
 * a multiple of the page stride, or io_bytes rounded down to `alignment`. */
size_t layer_io_piece_bytes(size_t page_stride_bytes, size_t io_bytes, size_t alignment);

#endif
