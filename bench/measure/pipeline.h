/*
 * The pipeline: one request's prefill with its stored prefix streamed in and its
 * new KV streamed out, layer by layer (design section 4).
 *
 *   reader   layer l's pages from storage, at most `window` layers ahead of compute
 *   compute  layer l once its KV has landed and a leaving buffer is free (the calling thread)
 *   writer   layer l's new KV to storage while layer l+1 computes
 *
 * The same machine measures each stage alone: a run names the legs that take part.
 * Threads, engines, queues and registered buffers are made by pipeline_open(); a run allocates
 * nothing. The device pins its memory for as long as a pipeline is open over it (device.h), so one
 * that pins any has one pipeline at a time.
 */
#ifndef REFILL_BENCH_MEASURE_PIPELINE_H
#define REFILL_BENCH_MEASURE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/placement.h"
#include "io/engine.h"
#include "io/kv_file.h"
#include "kernels/device.h"
#include "model/ttft.h"

/* Stages that take part in a run. */
enum { LEG_READ = 1, LEG_COMPUTE = 2, LEG_WRITE = 4, LEG_ALL = 7 };

struct pipeline_config {
  struct device *device;  /* open; the caller's */
  const char *engine;     /* "uring", "null:read=2GB/s", ... */
  struct kv_file *source; /* stored KV to read; NULL: none (runs without past, or a null engine) */
  struct kv_file
      *sink; /* where new KV goes; NULL: none (runs that store nothing, or a null engine) */
  int layers;
  int64_t page_tokens;
  size_t page_stride_bytes;
  int window, write_window, queue_depth;
  size_t io_bytes; /* adjacent pages are merged up to this */
  double io_timeout_s;
  bool sync;                         /* durable means fdatasync too */
  bool verify_inline;                /* check each layer's CRCs as it lands (KV not resident) */
  bool record_inline;                /* set the sink's CRCs as KV leaves (KV not resident) */
  const struct placement *placement; /* of reader and writer; or NULL */
  bool *left_behind; /* or NULL; set by pipeline_close() where the drive has left requests
                        unanswered: the device's memory and the files must then stay */
};

struct pipeline;

struct pipeline_request {
  struct device_sequence sequence;
  unsigned legs;
  bool serial; /* compute starts when all KV has landed */
};

/* A stage's work on one layer, seconds from the run's start; start == end: did not run. */
struct pipeline_span {
  double start_s, end_s;
};

struct pipeline_layer {
  struct pipeline_span read, h2d, compute, d2h, write;
};

struct pipeline_run {
  double start_s;       /* clock_now_s() at the start */
  double first_token_s; /* from the start; NaN without LEG_COMPUTE */
  double durable_s;     /* the last of first token and last write; of the last stage that ran */
  int32_t token;
  uint64_t read_bytes, write_bytes; /* asked of storage */
  int64_t inline_wrong_pages;       /* found by verify_inline */
  double cpu_s;                     /* of the process during the run */
  double clock_error_s; /* of the device's spans on the host's clock, at most: as the device says
                           after the run; 0: one clock, or not asked */
  int n_layers;
  struct pipeline_layer *layers; /* [n_layers], made by pipeline_run_init() */
};

/* Makes room for the spans of `n_layers`; 0 or -ENOMEM. Free with pipeline_run_free(). */
int pipeline_run_init(struct pipeline_run *run, int n_layers);
void pipeline_run_free(struct pipeline_run *run);

/* Opens engines, threads and queues. Returns 0 or a negative errno with a message. */
int pipeline_open(struct pipeline **pipeline, const struct pipeline_config *config,
                  struct error *error);

/* Ends the threads, within seconds even where a drive hangs; NULL is allowed. */
void pipeline_close(struct pipeline *pipeline);

/* Runs one request. Whatever fails in whichever stage ends the run, and the first error is told;
 * nothing is under way on return, but what a drive has not answered within io_timeout_s. begin() of
 * the device is called before the clock starts. */
int pipeline_run(struct pipeline *pipeline, const struct pipeline_request *request,
                 struct pipeline_run *run, struct error *error);

/* What the engines obtained and counted: of the reader and of the writer. */
const struct io_engine_info *pipeline_reader_info(const struct pipeline *pipeline);
const struct io_engine_info *pipeline_writer_info(const struct pipeline *pipeline);
const struct pipeline_config *pipeline_config(const struct pipeline *pipeline);

/* Pages of a token count: the past's whole pages, the new tokens' pages (last may be partial). */
int64_t pipeline_pages(int64_t tokens, int64_t page_tokens);

/* Per-layer durations by the interval definitions of design section 2. layers[n_layers]. */
void pipeline_intervals(const struct pipeline_run *run, struct ttft_layer *layers);

/* Each stage by the wall: from its first start to its last end; 0 where it did not run. */
struct ttft_layer pipeline_wall(const struct pipeline_run *run);

/* Sums of the durations over layers. */
struct ttft_layer pipeline_totals(const struct ttft_layer *layers, int n_layers);

#endif
