/*
 * What pipeline.c shares with its stages, and with nobody else.
 */
#ifndef REFILL_BENCH_MEASURE_PIPELINE_INTERNAL_H
#define REFILL_BENCH_MEASURE_PIPELINE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>

#include "bench/measure/gates.h"
#include "bench/measure/layer_io.h"
#include "bench/measure/pipeline.h"

#define DEVICE_TIMEOUT_S 3600.0 /* of one layer: a hung device must not hang the run for ever */

struct pipeline;

/* Reader or writer: a thread with an engine and queues of its own. */
struct stage {
  struct pipeline *pipeline;
  const char *name;
  enum io_op op;
  struct kv_file *file; /* NULL with a null engine */
  pthread_t thread;
  bool started;   /* the thread exists */
  sem_t go, done; /* one run each */
  bool quit;
  int open_result; /* of the engine, told through `done` once */
  struct error open_error;
  struct io_engine *engine;
  struct layer_io io;
  struct layer_progress *progress;   /* [layers] */
  struct io_completion *completions; /* [queue_depth] */
  struct io_request *requests;       /* [queue_depth] */
};

struct pipeline {
  struct pipeline_config config;
  struct gates gates;
  struct stage reader, writer;
  device_ticket *landed;   /* [layers] tickets of kv_in */
  device_ticket *computed; /* [layers] tickets of forward_layer */
  device_ticket *left;     /* [layers] tickets of kv_out */
  uint32_t *crcs;          /* [the source's pages of a layer] for verify_inline */
  uint32_t *crcs_out;      /* [the sink's] for record_inline */
  /* the run under way */
  const struct pipeline_request *request;
  struct pipeline_run *run;
  int64_t past_pages, new_pages;
};

/* The hooks of each direction. */
void reader_prepare(struct stage *stage);
void writer_prepare(struct stage *stage);

/* Thread body of a stage; `argument` is its struct stage. */
void *stage_main(void *argument);

#endif
