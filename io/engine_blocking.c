/*
 * Requests carried out at once; their completions in a ring until they are collected.
 */
#include "io/engine_blocking.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

int blocking_init(struct blocking_engine *self, const struct io_engine_config *config,
                  struct error *error) {
  self->queue_depth = config->queue_depth;
  self->n_files = config->n_files;
  self->done = calloc((size_t)config->queue_depth, sizeof *self->done);
  self->fds = calloc((size_t)config->n_files + 1, sizeof *self->fds);
  if (self->done == NULL || self->fds == NULL)
    return error_set(error, -ENOMEM, "no memory for a queue of %d requests", config->queue_depth);
  for (int i = 0; i < config->n_files; i++) self->fds[i] = config->fds[i];
  return 0;
}

void blocking_free(struct blocking_engine *self) {
  free(self->done);
  free(self->fds);
}

/* Carries one request out; its error. */
static int run(struct blocking_engine *self, struct engine_transfer *transfer) {
  const struct engine_faults *faults = self->core.faults;
  int code = 0;
  if (!engine_request_is_valid(&transfer->request, self->n_files, &code)) return code;
  enum engine_step step = ENGINE_STEP_CONTINUE;
  while (step == ENGINE_STEP_CONTINUE) {
    int64_t result = self->call(self, transfer);
    if (faults != NULL && faults->result != NULL)
      result = faults->result(faults->context, &transfer->request, transfer->done, result);
    step = engine_transfer_step(transfer, result, &code);
  }
  return code;
}

int blocking_submit(struct io_engine *engine, const struct io_request *requests, int n,
                    struct error *error) {
  struct blocking_engine *self = (struct blocking_engine *)engine;
  (void)error;
  int taken = 0;
  for (; taken < n && self->waiting < self->queue_depth; taken++) {
    struct engine_transfer transfer = {.request = requests[taken], .submit_s = clock_now_s()};
    int code = run(self, &transfer);
    engine_count(&self->core.public.info, &transfer);
    self->done[(self->head + self->waiting++) % self->queue_depth] =
        (struct io_completion){.tag = requests[taken].tag,
                               .error = code,
                               .submit_s = transfer.submit_s,
                               .complete_s = clock_now_s()};
  }
  return taken;
}

int blocking_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
                  double timeout_s, struct error *error) {
  struct blocking_engine *self = (struct blocking_engine *)engine;
  assert(max >= 0 && min <= max);
  (void)min, (void)timeout_s, (void)error; /* nothing is ever under way */
  int n = 0;
  for (; n < max && self->waiting > 0; n++, self->waiting--) {
    completions[n] = self->done[self->head];
    self->head = (self->head + 1) % self->queue_depth;
  }
  return n;
}
