/*
 * Streams, each a thread that works through a queue with random pauses; and events.
 *
 * Under ThreadSanitizer nothing orders two threads but what CUDA promises (memory/order.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/vgpu/libcuda/state.h"
#include "tests/vgpu/memory/order.h"

struct work {
  struct work *next;
  void (*run)(void *argument);
  _Alignas(16) unsigned char argument[];
};

struct CUstream_st {
  unsigned alive;
  struct CUstream_st *next; /* of all streams */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t arrived, idle;
  struct work *first, *last;
  bool busy, ends;
  struct CUgraph_st *capture; /* of the thread that uses the stream meanwhile */
  uint64_t random;
};

struct CUevent_st {
  unsigned alive;
  bool timing;
  pthread_mutex_t lock;
  pthread_cond_t reached;
  uint64_t recorded, done; /* the latest record that was enqueued, that was reached */
  double at_s;
};

/* ---- streams ----------------------------------------------------------------------------- */

/* Most work starts at once, some a little later: an order that nobody promised changes. */
static void pause_a_little(struct CUstream_st *stream) {
  int most = vgpu()->settings.jitter_us;
  stream->random = stream->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
  uint64_t pick = stream->random >> 33;
  if (most > 0 && pick % 3 == 0) vgpu_pause((int)(pick / 3 % (uint64_t)most));
}

static void *work_through(void *argument) {
  struct CUstream_st *stream = argument;
  *vgpu_current() = &vgpu()->primary;
  order_lock(&stream->lock);
  for (;;) {
    stream->busy = false;
    if (!stream->first) pthread_cond_broadcast(&stream->idle);
    while (!stream->first && !stream->ends) order_wait(&stream->arrived, &stream->lock);
    struct work *work = stream->first;
    if (!work) break;
    stream->first = work->next;
    if (!stream->first) stream->last = NULL;
    stream->busy = true;
    order_unlock(&stream->lock);
    pause_a_little(stream);
    order_take(work);
    work->run(work->argument);
    free(work);
    order_give(stream);
    order_lock(&stream->lock);
  }
  order_unlock(&stream->lock);
  return NULL;
}

static void drain(struct CUstream_st *stream) {
  order_lock(&stream->lock);
  while (stream->first || stream->busy) order_wait(&stream->idle, &stream->lock);
  order_unlock(&stream->lock);
  order_take(stream);
}

void streams_drain(void) {
  order_lock(&vgpu()->lock);
  struct CUstream_st *stream = vgpu()->streams;
  order_unlock(&vgpu()->lock);
  for (; stream; stream = stream->next) drain(stream);
}

bool streams_capture(void) {
  order_lock(&vgpu()->lock);
  const struct CUstream_st *stream = vgpu()->streams;
  while (stream && !stream->capture) stream = stream->next;
  order_unlock(&vgpu()->lock);
  return stream != NULL;
}

bool stream_alive(driver_stream stream) {
  return stream && stream->alive == ALIVE_STREAM;
}

struct CUgraph_st *stream_capture(driver_stream stream) {
  return stream->capture;
}

void stream_set_capture(driver_stream stream, struct CUgraph_st *graph) {
  stream->capture = graph;
}

/* Stream 0 is the legacy stream, 1 and 2 its named forms: they order all others. */
static driver_result check_stream(driver_stream stream) {
  if ((uintptr_t)stream <= 2) {
    vgpu_finding("the legacy stream is used: everything waits for everything");
    return RESULT_INVALID_HANDLE;
  }
  return stream_alive(stream) ? RESULT_OK : RESULT_INVALID_HANDLE;
}

driver_result stream_enqueue(driver_stream stream, void (*run)(void *argument),
                             const void *argument, size_t bytes) {
  driver_result result = check_stream(stream);
  if (result != RESULT_OK) return result;
  if (stream->capture)
    return graph_add(stream->capture, run, argument, bytes) == 0 ? RESULT_OK : RESULT_OUT_OF_MEMORY;
  struct work *work = malloc(sizeof *work + bytes);
  if (!work) return RESULT_OUT_OF_MEMORY;
  work->next = NULL;
  work->run = run;
  memcpy(work->argument, argument, bytes);
  order_give(work);
  order_lock(&stream->lock);
  if (stream->last)
    stream->last->next = work;
  else
    stream->first = work;
  stream->last = work;
  pthread_cond_signal(&stream->arrived);
  order_unlock(&stream->lock);
  return RESULT_OK;
}

driver_result enter_stream_create(driver_stream *created, unsigned flags) {
  ENTER(stream_create, NEEDS_CONTEXT);
  if (flags != DRIVER_STREAM_NON_BLOCKING) {
    vgpu_finding("a stream that waits for the legacy stream is made");
    return RESULT_INVALID_VALUE;
  }
  struct CUstream_st *stream = calloc(1, sizeof *stream);
  if (!stream) return RESULT_OUT_OF_MEMORY;
  pthread_mutex_init(&stream->lock, NULL);
  pthread_cond_init(&stream->arrived, NULL);
  pthread_cond_init(&stream->idle, NULL);
  stream->alive = ALIVE_STREAM;
  stream->random = vgpu()->settings.seed * 977 + (uint64_t)(uintptr_t)stream;
  stream->busy = true;
  if (pthread_create(&stream->thread, NULL, work_through, stream) != 0) {
    free(stream);
    return RESULT_OUT_OF_MEMORY;
  }
  order_lock(&vgpu()->lock);
  stream->next = vgpu()->streams;
  vgpu()->streams = stream;
  order_unlock(&vgpu()->lock);
  *created = stream;
  return RESULT_OK;
}

driver_result enter_stream_destroy(driver_stream stream) {
  ENTER(stream_destroy, NEEDS_CONTEXT);
  driver_result result = check_stream(stream);
  if (result != RESULT_OK) return result;
  order_lock(&vgpu()->lock);
  struct CUstream_st **link = &vgpu()->streams;
  while (*link != stream) link = &(*link)->next;
  *link = stream->next;
  order_unlock(&vgpu()->lock);
  order_lock(&stream->lock);
  stream->ends = true;
  pthread_cond_signal(&stream->arrived);
  order_unlock(&stream->lock);
  pthread_join(stream->thread, NULL);
  stream->alive = 0;
  pthread_mutex_destroy(&stream->lock);
  pthread_cond_destroy(&stream->arrived);
  pthread_cond_destroy(&stream->idle);
  free(stream);
  return RESULT_OK;
}

driver_result enter_stream_synchronize(driver_stream stream) {
  ENTER(stream_synchronize, NEEDS_CONTEXT);
  driver_result result = check_stream(stream);
  if (result != RESULT_OK) return result;
  if (stream->capture) return RESULT_CAPTURE_UNSUPPORTED;
  drain(stream);
  return (driver_result)__atomic_load_n(&vgpu()->sticky, __ATOMIC_ACQUIRE);
}

/* ---- events ------------------------------------------------------------------------------ */

struct event_work {
  struct CUevent_st *event;
  uint64_t record;
};

static double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void run_record(void *argument) {
  const struct event_work *work = argument;
  order_give(work->event);
  order_lock(&work->event->lock);
  if (work->record > work->event->done) {
    work->event->done = work->record;
    work->event->at_s = now_s();
  }
  pthread_cond_broadcast(&work->event->reached);
  order_unlock(&work->event->lock);
}

static void wait_for(struct CUevent_st *event, uint64_t record) {
  order_lock(&event->lock);
  while (event->done < record) order_wait(&event->reached, &event->lock);
  order_unlock(&event->lock);
  order_take(event);
}

static void run_wait(void *argument) {
  const struct event_work *work = argument;
  wait_for(work->event, work->record);
}

static bool event_alive(driver_event event) {
  return event && event->alive == ALIVE_EVENT;
}

static uint64_t latest_record(driver_event event) {
  order_lock(&event->lock);
  uint64_t record = event->recorded;
  order_unlock(&event->lock);
  return record;
}

driver_result enter_event_create(driver_event *created, unsigned flags) {
  ENTER(event_create, NEEDS_CONTEXT);
  if (flags & ~(unsigned)(DRIVER_EVENT_DISABLE_TIMING | 1)) return RESULT_INVALID_VALUE;
  struct CUevent_st *event = calloc(1, sizeof *event);
  if (!event) return RESULT_OUT_OF_MEMORY;
  event->alive = ALIVE_EVENT;
  event->timing = !(flags & DRIVER_EVENT_DISABLE_TIMING);
  pthread_mutex_init(&event->lock, NULL);
  pthread_cond_init(&event->reached, NULL);
  __atomic_add_fetch(&vgpu()->n_events, 1, __ATOMIC_RELAXED);
  *created = event;
  return RESULT_OK;
}

/* Work that still refers to it comes first: the real driver keeps the event until then. */
driver_result enter_event_destroy(driver_event event) {
  ENTER(event_destroy, NEEDS_CONTEXT);
  if (!event_alive(event)) return RESULT_INVALID_HANDLE;
  streams_drain();
  event->alive = 0;
  pthread_mutex_destroy(&event->lock);
  pthread_cond_destroy(&event->reached);
  free(event);
  __atomic_sub_fetch(&vgpu()->n_events, 1, __ATOMIC_RELAXED);
  return RESULT_OK;
}

driver_result enter_event_record(driver_event event, driver_stream stream) {
  ENTER(event_record, NEEDS_CONTEXT);
  if (!event_alive(event)) return RESULT_INVALID_HANDLE;
  driver_result result = check_stream(stream);
  if (result != RESULT_OK) return result;
  if (stream->capture) return RESULT_CAPTURE_UNSUPPORTED;
  order_lock(&event->lock);
  struct event_work work = {event, ++event->recorded};
  order_unlock(&event->lock);
  return stream_enqueue(stream, run_record, &work, sizeof work);
}

driver_result enter_stream_wait_event(driver_stream stream, driver_event event, unsigned flags) {
  ENTER(stream_wait_event, NEEDS_CONTEXT);
  if (!event_alive(event)) return RESULT_INVALID_HANDLE;
  if (flags != 0) return RESULT_INVALID_VALUE;
  driver_result result = check_stream(stream);
  if (result != RESULT_OK) return result;
  if (stream->capture) return RESULT_CAPTURE_UNSUPPORTED;
  struct event_work work = {event, latest_record(event)};
  if (work.record == 0) {
    vgpu_finding("a stream waits for an event that was never recorded: it does not wait at all");
    return RESULT_INVALID_VALUE;
  }
  return stream_enqueue(stream, run_wait, &work, sizeof work);
}

driver_result enter_event_query(driver_event event) {
  ENTER(event_query, NEEDS_CONTEXT);
  if (!event_alive(event)) return RESULT_INVALID_HANDLE;
  order_lock(&event->lock);
  bool done = event->done >= event->recorded;
  order_unlock(&event->lock);
  if (done) order_take(event);
  return done ? RESULT_OK : RESULT_NOT_READY;
}

driver_result enter_event_synchronize(driver_event event) {
  ENTER(event_synchronize, NEEDS_CONTEXT);
  if (!event_alive(event)) return RESULT_INVALID_HANDLE;
  uint64_t record = latest_record(event);
  if (record == 0) {
    vgpu_finding("the host waits for an event that was never recorded: it does not wait at all");
    return RESULT_INVALID_VALUE;
  }
  wait_for(event, record);
  return (driver_result)__atomic_load_n(&vgpu()->sticky, __ATOMIC_ACQUIRE);
}

driver_result enter_event_elapsed(float *milliseconds, driver_event start, driver_event end) {
  ENTER(event_elapsed, NEEDS_CONTEXT);
  if (!event_alive(start) || !event_alive(end)) return RESULT_INVALID_HANDLE;
  if (!start->timing || !end->timing || !latest_record(start) || !latest_record(end))
    return RESULT_INVALID_HANDLE;
  driver_result result = enter_event_query(start);
  if (result == RESULT_OK) result = enter_event_query(end);
  if (result == RESULT_OK) *milliseconds = (float)((end->at_s - start->at_s) * 1e3);
  return result;
}
