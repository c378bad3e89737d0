/*
 * What engines share whose every transfer is one call that blocks, made by one of a pool of
 * threads: as many as the queue is deep, up to a cap beyond which threads only wait for each other.
 */
#ifndef REFILL_IO_ENGINE_POOL_H
#define REFILL_IO_ENGINE_POOL_H

#include "io/engine_support.h"

/* What such an engine does itself. `context` is its own, NULL where it needs none. */
struct pool_calls {
  /* Required. Moves what remains of a transfer: bytes or a negative errno. On any thread, several
   * at once. */
  int64_t (*move)(void *context, int fd, const struct engine_transfer *transfer);
  /* Optional (NULL: nothing). On each thread of the pool, before its first transfer. */
  void (*begin)(void *context);
  /* Optional (NULL: nothing). Frees the context once no thread will use it any more: in close(),
   * or where a drive has not answered by then, whenever it does. */
  void (*release)(void *context);
  void *context;
};

/* Makes an engine of `ops`, whose submit, reap and close are those below. The context is its own
 * from then on; on failure it stays the caller's. 0, -ENOMEM, or why a thread cannot be started. */
int pool_open(struct io_engine **engine, const struct io_engine_ops *ops,
              const struct io_engine_config *config, const struct pool_calls *calls,
              struct error *error);

/* How many threads there are. */
int pool_threads(const struct io_engine *engine);

int pool_submit(struct io_engine *engine, const struct io_request *requests, int n,
                struct error *error);
int pool_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
              double timeout_s, struct error *error);
void pool_close(struct io_engine *engine);

#endif
