/*
 * Threads that each carry out one call at a time.
 *
 * One mutex guards two queues of slot numbers, waiting and done; transfers run
 * outside it. Counts of retries stay in the slots until the caller's thread
 * collects them, so `info` is only ever touched by the caller.
 */
#include "io/engine_pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define THREADS_MAX 64
#define TIMEOUT_S_MAX 1e6   /* 11 days; pthread takes no infinity */
#define CLOSE_TIMEOUT_S 2.0 /* for threads in the kernel; a drive that hangs longer is given up */

/* A queue of slot numbers; each is in one queue at most, so that depth entries suffice. */
struct queue {
  int *slots;
  int head, count;
};

struct pool_slot {
  struct engine_transfer transfer;
  int error;
  double complete_s;
};

struct pool_engine {
  struct engine_core core;
  struct pool_calls calls;
  pthread_mutex_t mutex;
  pthread_cond_t work_came; /* for threads */
  pthread_cond_t work_done; /* for the caller; on CLOCK_MONOTONIC */
  bool is_closing;
  bool is_abandoned; /* the last of the threads frees it */
  int queue_depth, under_way;
  int wanted; /* completions that the caller waits for, so that it is not woken for each */
  struct queue waiting, done, unused;
  struct pool_slot *slots;
  int *fds; /* the caller's, copied */
  int n_files;
  struct placement placement;
  pthread_t threads[THREADS_MAX];
  int n_threads, n_running;
};

static void push(struct queue *queue, int depth, int slot) {
  assert(queue->count < depth);
  queue->slots[(queue->head + queue->count++) % depth] = slot;
}

static int pop(struct queue *queue, int depth) {
  assert(queue->count > 0);
  int slot = queue->slots[queue->head];
  queue->head = (queue->head + 1) % depth;
  queue->count--;
  return slot;
}

static void free_all(struct pool_engine *self) {
  if (self->calls.release != NULL) self->calls.release(self->calls.context);
  pthread_cond_destroy(&self->work_came);
  pthread_cond_destroy(&self->work_done);
  pthread_mutex_destroy(&self->mutex);
  free(self->waiting.slots);
  free(self->done.slots);
  free(self->unused.slots);
  free(self->slots);
  free(self->fds);
  free(self);
}

/* ---- the threads ------------------------------------------------------------------------ */

static void run_transfer(const struct pool_engine *self, struct pool_slot *slot) {
  const struct engine_faults *faults = self->core.faults;
  struct engine_transfer *transfer = &slot->transfer;
  enum engine_step step = ENGINE_STEP_DONE;
  if (engine_request_is_valid(&transfer->request, self->n_files, &slot->error)) {
    do {
      int fd = self->fds[transfer->request.file];
      int64_t result = self->calls.move(self->calls.context, fd, transfer);
      if (faults != NULL && faults->result != NULL)
        result = faults->result(faults->context, &transfer->request, transfer->done, result);
      step = engine_transfer_step(transfer, result, &slot->error);
    } while (step == ENGINE_STEP_CONTINUE);
  }
  slot->complete_s = clock_now_s();
}

static void *run_thread(void *argument) {
  struct pool_engine *self = argument;
  placement_bind_thread(&self->placement); /* a hint: without it the thread still works */
  if (self->calls.begin != NULL) self->calls.begin(self->calls.context);
  pthread_mutex_lock(&self->mutex);
  for (;;) {
    while (self->waiting.count == 0 && !self->is_closing)
      pthread_cond_wait(&self->work_came, &self->mutex);
    if (self->waiting.count == 0) break;
    int index = pop(&self->waiting, self->queue_depth);
    pthread_mutex_unlock(&self->mutex);
    run_transfer(self, &self->slots[index]);
    pthread_mutex_lock(&self->mutex);
    push(&self->done, self->queue_depth, index);
    if (self->done.count >= self->wanted) pthread_cond_signal(&self->work_done);
  }
  bool is_last = --self->n_running == 0 && self->is_abandoned;
  if (self->n_running == 0) pthread_cond_signal(&self->work_done);
  pthread_mutex_unlock(&self->mutex);
  if (is_last) free_all(self);
  return NULL;
}

/* ---- the caller ------------------------------------------------------------------------- */

int pool_submit(struct io_engine *engine, const struct io_request *requests, int n,
                struct error *error) {
  struct pool_engine *self = (struct pool_engine *)engine;
  (void)error;
  double now_s = clock_now_s();
  int taken = 0;
  pthread_mutex_lock(&self->mutex);
  for (; taken < n && self->unused.count > 0; taken++) {
    int index = pop(&self->unused, self->queue_depth);
    struct pool_slot *slot = &self->slots[index];
    memset(slot, 0, sizeof *slot);
    slot->transfer.request = requests[taken];
    slot->transfer.submit_s = now_s;
    push(&self->waiting, self->queue_depth, index);
    self->under_way++;
  }
  pthread_mutex_unlock(&self->mutex);
  for (int i = 0; i < taken && i < self->n_threads; i++) pthread_cond_signal(&self->work_came);
  return taken;
}

static struct timespec timespec_of(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  return time;
}

/* Waits, mutex held, until `wanted` completions are there or the time is over. */
static void wait_for_done(struct pool_engine *self, int wanted, double timeout_s) {
  if (!(timeout_s > 0) || self->done.count >= wanted) return;
  double deadline_s = engine_deadline_s(timeout_s < TIMEOUT_S_MAX ? timeout_s : TIMEOUT_S_MAX);
  struct timespec deadline = timespec_of(deadline_s);
  self->wanted = wanted;
  while (self->done.count < wanted) {
    if (pthread_cond_timedwait(&self->work_done, &self->mutex, &deadline) == ETIMEDOUT) break;
  }
}

int pool_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
              double timeout_s, struct error *error) {
  struct pool_engine *self = (struct pool_engine *)engine;
  (void)error;
  assert(max >= 0 && min <= max);
  int n = 0;
  pthread_mutex_lock(&self->mutex);
  wait_for_done(self, min < self->under_way ? min : self->under_way, timeout_s);
  for (; n < max && self->done.count > 0; n++) {
    int index = pop(&self->done, self->queue_depth);
    const struct pool_slot *slot = &self->slots[index];
    completions[n] = (struct io_completion){.tag = slot->transfer.request.tag,
                                            .error = slot->error,
                                            .submit_s = slot->transfer.submit_s,
                                            .complete_s = slot->complete_s};
    engine_count(&self->core.public.info, &slot->transfer);
    push(&self->unused, self->queue_depth, index);
    self->under_way--;
  }
  pthread_mutex_unlock(&self->mutex);
  return n;
}

/* ---- opening and closing ---------------------------------------------------------------- */

/* Waits for the threads to end, until a time; true when they have. */
static bool join_threads(struct pool_engine *self) {
  double deadline_s = engine_deadline_s(CLOSE_TIMEOUT_S);
  struct timespec deadline = timespec_of(deadline_s);
  pthread_mutex_lock(&self->mutex);
  self->is_closing = true;
  pthread_cond_broadcast(&self->work_came);
  while (self->n_running > 0) {
    if (pthread_cond_timedwait(&self->work_done, &self->mutex, &deadline) == ETIMEDOUT) break;
  }
  self->is_abandoned = self->n_running > 0;
  bool has_ended = !self->is_abandoned;
  pthread_t threads[THREADS_MAX]; /* whoever is left behind may free the engine from here on */
  int n_threads = self->n_threads;
  memcpy(threads, self->threads, sizeof threads);
  pthread_mutex_unlock(&self->mutex);
  for (int i = 0; i < n_threads; i++) {
    if (has_ended)
      pthread_join(threads[i], NULL);
    else
      pthread_detach(threads[i]);
  }
  return has_ended;
}

/* Threads finish what was submitted, then end. Those that a drive never answers are left behind,
 * with the engine that they will look at if it ever does. */
void pool_close(struct io_engine *engine) {
  struct pool_engine *self = (struct pool_engine *)engine;
  if (self != NULL && join_threads(self)) free_all(self);
}

static int allocate(struct pool_engine *self, const struct io_engine_config *config) {
  size_t depth = (size_t)config->queue_depth;
  self->queue_depth = config->queue_depth;
  self->n_files = config->n_files;
  self->placement = config->placement != NULL ? *config->placement : PLACEMENT_ANY;
  self->waiting.slots = calloc(depth, sizeof(int));
  self->done.slots = calloc(depth, sizeof(int));
  self->unused.slots = calloc(depth, sizeof(int));
  self->slots = calloc(depth, sizeof *self->slots);
  self->fds = calloc((size_t)config->n_files + 1, sizeof *self->fds);
  if (self->waiting.slots == NULL || self->done.slots == NULL || self->unused.slots == NULL ||
      self->slots == NULL || self->fds == NULL)
    return -ENOMEM;
  for (int i = 0; i < config->queue_depth; i++) push(&self->unused, self->queue_depth, i);
  for (int i = 0; i < config->n_files; i++) self->fds[i] = config->fds[i];
  return 0;
}

static void init_locks(struct pool_engine *self) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->work_came, NULL);
  pthread_cond_init(&self->work_done, &attributes);
  pthread_condattr_destroy(&attributes);
}

static int start_threads(struct pool_engine *self, struct error *error) {
  int wanted = self->queue_depth < THREADS_MAX ? self->queue_depth : THREADS_MAX;
  for (; self->n_threads < wanted; self->n_threads++) {
    pthread_mutex_lock(&self->mutex); /* a thread may count itself out at once */
    int code = -pthread_create(&self->threads[self->n_threads], NULL, run_thread, self);
    if (code == 0) self->n_running++;
    pthread_mutex_unlock(&self->mutex);
    if (code < 0)
      return error_set(error, code, "starting thread %d of %d for engine %s: %s (see ulimit -u)",
                       self->n_threads + 1, wanted, self->core.public.ops->name, strerror(-code));
  }
  return 0;
}

int pool_open(struct io_engine **engine, const struct io_engine_ops *ops,
              const struct io_engine_config *config, const struct pool_calls *calls,
              struct error *error) {
  struct pool_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine %s", ops->name);
  self->core.public.ops = ops;
  self->calls = *calls;
  self->calls.release = NULL; /* until all is well, what it frees is the caller's */
  init_locks(self);
  int code = allocate(self, config);
  if (code < 0)
    error_set(error, code, "no memory for a queue of %d requests", config->queue_depth);
  else
    code = start_threads(self, error);
  if (code < 0) {
    pool_close(&self->core.public);
    return code;
  }
  self->calls.release = calls->release;
  *engine = &self->core.public;
  return 0;
}

int pool_threads(const struct io_engine *engine) {
  return ((const struct pool_engine *)engine)->n_threads;
}
