/*
 * A storage engine to copy. It compiles with everything else, is in no table,
 * and says of each member what an engine must do. Then add one line to
 * ENGINES in engine.c; the contract tests in tests/io run over that table.
 *
 * This one refuses every request with -ENOTSUP, but does so correctly: each
 * completes exactly once, with its tag.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "io/engine_support.h"

/* An engine's struct begins with struct io_engine (or struct engine_core, which begins with it and
 * lets tests inject faults), so that a pointer to one is a pointer to the other. */
struct skeleton_engine {
  struct io_engine public;
  int queue_depth;
  int under_way;
  struct io_completion *finished; /* queue_depth */
};

/* Required. Ends all that is under way (waits for it, or cancels it: no byte may reach a buffer
 * after close), then frees everything. NULL is allowed, and so is an engine whose open() failed
 * half way, so that open() can use it to clean up. */
static void skeleton_close(struct io_engine *engine) {
  struct skeleton_engine *self = (struct skeleton_engine *)engine;
  if (self == NULL) return;
  free(self->finished);
  free(self);
}

/* Required. Allocates, registers and starts everything: nothing may be allocated later. `config`
 * was checked by io_engine_open(). Copy what you need of it: its lists may go away (the memory
 * behind config->buffers and the open files stay). Refuse unknown options with -EINVAL and the ones
 * that there are. Write into info.description what was obtained, and set info.emulated where no
 * real storage is behind the engine. -ENOTSUP where kernel or sandbox forbid the engine, with the
 * setting to change. *engine is written on success only. */
static int skeleton_open(struct io_engine **engine, const struct io_engine_config *config,
                         struct error *error) {
  int code = engine_check_no_options(config, "skeleton", error);
  if (code < 0) return code;
  struct skeleton_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine skeleton");
  self->public.ops = &io_engine_skeleton;
  self->queue_depth = config->queue_depth;
  self->finished = calloc((size_t)config->queue_depth, sizeof *self->finished);
  if (self->finished == NULL) {
    skeleton_close(&self->public);
    return error_set(error, -ENOMEM, "no memory for %d requests", config->queue_depth);
  }
  snprintf(self->public.info.description, IO_TEXT_BYTES, "skeleton: refuses every request");
  *engine = &self->public;
  return 0;
}

/* Required. Takes requests in order until queue_depth are under way (reaped ones no longer are) and
 * starts them in one batch. A bad request is taken too, and completes with its error: what is wrong
 * with one request is no failure of the engine. submit_s is one clock reading a batch. A negative
 * return means that the engine cannot go on. */
static int skeleton_submit(struct io_engine *engine, const struct io_request *requests, int n,
                           struct error *error) {
  struct skeleton_engine *self = (struct skeleton_engine *)engine;
  (void)error;
  double now_s = clock_now_s();
  int taken = 0;
  for (; taken < n && self->under_way < self->queue_depth; taken++)
    self->finished[self->under_way++] = (struct io_completion){
        .tag = requests[taken].tag, .error = -ENOTSUP, .submit_s = now_s, .complete_s = now_s};
  return taken;
}

/* Required. Gives up to `max` completions. Waits only while fewer than `min` are there, something
 * is under way and timeout_s has not passed. Continues short transfers (engine_transfer_step() has
 * the rule) and counts them. */
static int skeleton_reap(struct io_engine *engine, struct io_completion *completions, int max,
                         int min, double timeout_s, struct error *error) {
  struct skeleton_engine *self = (struct skeleton_engine *)engine;
  (void)timeout_s, (void)error;
  assert(max >= 0 && min <= max);
  int n = 0;
  while (n < max && self->under_way > 0) completions[n++] = self->finished[--self->under_way];
  return n;
}

const struct io_engine_ops io_engine_skeleton = {
    .name = "skeleton",        /* Required. As in --engine; no colon, no comma. */
    .open = skeleton_open,     /* Required. */
    .close = skeleton_close,   /* Required. */
    .submit = skeleton_submit, /* Required. */
    .reap = skeleton_reap,     /* Required. */
};
