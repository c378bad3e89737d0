/*
 * Events behind tickets.
 */
#include "kernels/cuda/tickets.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"

#define SPIN_S 100e-6      /* of polling before a waiting thread sleeps */
#define SLEEP_S 20e-6      /* between polls afterwards */
#define CLOCK_TRIES 16     /* of mapping the clocks, to find one about as narrow as the narrowest */
#define CLOCK_TRIES_MAX 64 /* where the host is so busy that few are */

static int make_event(struct gpu *gpu, driver_event *event, struct error *error) {
  return gpu_check(gpu, gpu->driver.event_create(event, DRIVER_EVENT_DEFAULT), error,
                   "cuEventCreate(timing)");
}

int tickets_open(struct tickets *tickets, struct gpu *gpu, int capacity, struct error *error) {
  *tickets = (struct tickets){.gpu = gpu, .capacity = capacity, .first = 1};
  atomic_init(&tickets->next, 1);
  tickets->events = calloc((size_t)capacity, sizeof *tickets->events);
  if (!tickets->events) return error_set(error, -ENOMEM, "no memory for %d tickets", capacity);
  int failed = make_event(gpu, &tickets->base, error);
  for (int i = 0; i < capacity && !failed; i++) {
    failed = make_event(gpu, &tickets->events[i].start, error);
    if (!failed) failed = make_event(gpu, &tickets->events[i].end, error);
  }
  return failed;
}

static void destroy(struct gpu *gpu, driver_event event) {
  if (event) (void)gpu->driver.event_destroy(event);
}

void tickets_close(struct tickets *tickets) {
  for (int i = 0; tickets->events && i < tickets->capacity; i++) {
    destroy(tickets->gpu, tickets->events[i].start);
    destroy(tickets->gpu, tickets->events[i].end);
  }
  if (tickets->gpu) destroy(tickets->gpu, tickets->base);
  free(tickets->events);
  tickets->events = NULL;
  tickets->gpu = NULL;
}

/* One reading: the event lies between two moments of the host's clock. */
static int read_base(struct tickets *tickets, driver_stream stream, double *middle_s,
                     double *error_s, struct error *error) {
  struct gpu *gpu = tickets->gpu;
  const double before_s = clock_now_s();
  int failed =
      gpu_check(gpu, gpu->driver.event_record(tickets->base, stream), error, "cuEventRecord(base)");
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.event_synchronize(tickets->base), error,
                       "cuEventSynchronize(base)");
  const double after_s = clock_now_s();
  *middle_s = 0.5 * (before_s + after_s);
  *error_s = 0.5 * (after_s - before_s);
  return failed;
}

/* The event holds its last recording only, so a good one ends the search: what is good enough is
 * relaxed with time, long before whatever comes last is taken. */
static int map_clocks(struct tickets *tickets, driver_stream stream, struct error *error) {
  double best_s = 1e9;
  for (int i = 0; i < CLOCK_TRIES_MAX; i++) {
    int failed = read_base(tickets, stream, &tickets->base_s, &tickets->base_error_s, error);
    if (failed) return failed;
    const double allowed = i < CLOCK_TRIES ? 1.1 : 2;
    if (i >= CLOCK_TRIES / 2 && tickets->base_error_s <= allowed * best_s) return 0;
    if (tickets->base_error_s < best_s) best_s = tickets->base_error_s;
  }
  return 0;
}

int tickets_begin(struct tickets *tickets, driver_stream stream, struct error *error) {
  device_ticket next = atomic_load(&tickets->next);
  for (device_ticket i = tickets->first; i < next; i++)
    atomic_store(&tickets->events[i - tickets->first].recorded, false);
  tickets->first = next;
  return map_clocks(tickets, stream, error);
}

/* The events of a ticket of this run that is wholly enqueued, or NULL. */
static struct ticket_events *find(struct tickets *tickets, device_ticket ticket) {
  if (ticket < tickets->first || ticket >= atomic_load(&tickets->next)) return NULL;
  struct ticket_events *events = &tickets->events[ticket - tickets->first];
  return atomic_load(&events->recorded) ? events : NULL;
}

static int unknown(device_ticket ticket, struct error *error) {
  return error_set(error, -EINVAL, "ticket %llu was not enqueued in this run",
                   (unsigned long long)ticket);
}

int ticket_start(struct tickets *tickets, driver_stream stream, device_ticket *ticket,
                 struct error *error) {
  struct gpu *gpu = tickets->gpu;
  const device_ticket mine = atomic_fetch_add(&tickets->next, 1);
  const device_ticket index = mine - tickets->first;
  *ticket = 0;
  if (index >= (device_ticket)tickets->capacity) {
    atomic_fetch_sub(&tickets->next, 1);
    return error_set(error, -ENOSPC, "a run enqueues more than the %d pieces that cuda is open for",
                     tickets->capacity);
  }
  int failed = gpu_check(gpu, gpu->driver.event_record(tickets->events[index].start, stream), error,
                         "cuEventRecord(start of ticket %llu)", (unsigned long long)mine);
  if (!failed) *ticket = mine;
  return failed;
}

int ticket_end(struct tickets *tickets, driver_stream stream, device_ticket ticket,
               struct error *error) {
  assert(ticket >= tickets->first);
  struct gpu *gpu = tickets->gpu;
  struct ticket_events *events = &tickets->events[ticket - tickets->first];
  int failed = gpu_check(gpu, gpu->driver.event_record(events->end, stream), error,
                         "cuEventRecord(end of ticket %llu)", (unsigned long long)ticket);
  if (!failed) atomic_store(&events->recorded, true);
  return failed;
}

int ticket_order(struct tickets *tickets, driver_stream stream, device_ticket ticket,
                 struct error *error) {
  if (ticket == 0) return 0;
  struct ticket_events *events = find(tickets, ticket);
  if (!events) return unknown(ticket, error);
  struct gpu *gpu = tickets->gpu;
  return gpu_check(gpu, gpu->driver.stream_wait_event(stream, events->end, 0), error,
                   "cuStreamWaitEvent(ticket %llu)", (unsigned long long)ticket);
}

static int span_of(struct tickets *tickets, const struct ticket_events *events,
                   struct device_span *span, struct error *error) {
  struct gpu *gpu = tickets->gpu;
  float start_ms = 0, end_ms = 0;
  int failed = gpu_check(gpu, gpu->driver.event_elapsed(&start_ms, tickets->base, events->start),
                         error, "cuEventElapsedTime(start)");
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.event_elapsed(&end_ms, tickets->base, events->end), error,
                       "cuEventElapsedTime(end)");
  if (failed) return failed;
  span->start_s = tickets->base_s + (double)start_ms * 1e-3;
  span->end_s = tickets->base_s + (double)end_ms * 1e-3;
  return 0;
}

/* Polls rather than cuEventSynchronize, which has no timeout: a hung GPU must become an error. */
static int poll_until(struct tickets *tickets, driver_event event, double timeout_s,
                      device_ticket ticket, struct error *error) {
  struct gpu *gpu = tickets->gpu;
  const double start_s = clock_now_s();
  for (;;) {
    driver_result result = gpu->driver.event_query(event);
    if (result == DRIVER_SUCCESS) return 0;
    if (result != DRIVER_NOT_READY)
      return gpu_check(gpu, result, error, "cuEventQuery(ticket %llu)", (unsigned long long)ticket);
    const double now_s = clock_now_s();
    if (now_s - start_s >= timeout_s) return -EAGAIN;
    if (now_s - start_s < SPIN_S)
      sched_yield();
    else
      clock_sleep_until_s(now_s + SLEEP_S);
  }
}

int ticket_wait(struct tickets *tickets, device_ticket ticket, double timeout_s,
                struct device_span *span, struct error *error) {
  if (ticket == 0) {
    const double now_s = clock_now_s();
    if (span) *span = (struct device_span){now_s, now_s};
    return 0;
  }
  struct ticket_events *events = find(tickets, ticket);
  if (!events) return unknown(ticket, error);
  int failed = poll_until(tickets, events->end, timeout_s, ticket, error);
  if (failed || !span) return failed;
  return span_of(tickets, events, span, error);
}
