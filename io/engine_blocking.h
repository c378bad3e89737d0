/*
 * What engines share whose every transfer is one call that blocks: a request is carried out when
 * it is submitted, and waits to be collected. Their queue depth says how many may wait, nothing
 * more.
 */
#ifndef REFILL_IO_ENGINE_BLOCKING_H
#define REFILL_IO_ENGINE_BLOCKING_H

#include "io/engine_support.h"

/* How such an engine's own struct begins. */
struct blocking_engine {
  struct engine_core core;
  /* Moves what remains of a transfer: bytes or a negative errno. */
  int64_t (*call)(struct blocking_engine *self, const struct engine_transfer *transfer);
  int queue_depth;
  int head, waiting; /* completions in `done`, a ring */
  struct io_completion *done;
  int n_files;
  int *fds; /* the caller's, copied */
};

/* Fills in all of it but `core.public.ops` and `call`. -ENOMEM. */
int blocking_init(struct blocking_engine *self, const struct io_engine_config *config,
                  struct error *error);
void blocking_free(struct blocking_engine *self); /* its members; not itself */

int blocking_submit(struct io_engine *engine, const struct io_request *requests, int n,
                    struct error *error);
int blocking_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
                  double timeout_s, struct error *error);

#endif
