/*
 * The schedule that schedule.h explains.
 */
#include "kernels/playback/schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

int schedule_open(struct schedule *schedule, int spans_max, struct error *error) {
  assert(spans_max > 0);
  schedule->spans_max = spans_max;
  schedule->first_ticket = 1; /* 0 names nothing */
  atomic_init(&schedule->next_ticket, 1);
  schedule->spans = calloc((size_t)spans_max, sizeof *schedule->spans);
  if (schedule->spans != NULL) return 0;
  return error_set(error, -ENOMEM, "playback: no memory for %d spans", spans_max);
}

void schedule_close(struct schedule *schedule) {
  free(schedule->spans);
  schedule->spans = NULL;
}

void schedule_begin(struct schedule *schedule) {
  schedule->first_ticket = atomic_load(&schedule->next_ticket);
  schedule->busy_until_s = 0.0;
  schedule->returned_s = 0.0; /* so that the first work starts when it is called */
}

int schedule_spend(struct schedule *schedule, double seconds, schedule_meanwhile *meanwhile,
                   void *argument, device_ticket *ticket, struct error *error) {
  assert(seconds >= 0.0);
  device_ticket next = atomic_load_explicit(&schedule->next_ticket, memory_order_relaxed);
  device_ticket index = next - schedule->first_ticket;
  if (index >= (device_ticket)schedule->spans_max) {
    return error_set(error, -ENOSPC, "a run has at most %d pieces of work; begin() a new one",
                     schedule->spans_max);
  }
  double start_s = clock_now_s();
  double gap_s = start_s - schedule->returned_s;
  if (gap_s <= SCHEDULE_RESUME_S) start_s = schedule->busy_until_s + gap_s;
  double end_s = start_s + seconds;
  if (meanwhile != NULL) {
    meanwhile(argument);
    double done_s = clock_now_s();
    if (done_s > end_s) end_s = done_s;
  }
  clock_wait_until_s(end_s);
  schedule->spans[index] = (struct device_span){start_s, end_s};
  atomic_store_explicit(&schedule->next_ticket, next + 1, memory_order_release);
  schedule->busy_until_s = end_s;
  schedule->returned_s = clock_now_s();
  *ticket = next;
  return 0;
}

int schedule_span(struct schedule *schedule, device_ticket ticket, struct device_span *span,
                  struct error *error) {
  device_ticket next = atomic_load_explicit(&schedule->next_ticket, memory_order_acquire);
  if (ticket != 0 && (ticket < schedule->first_ticket || ticket >= next)) {
    return error_set(error, -EINVAL, "ticket %llu was not enqueued in this run",
                     (unsigned long long)ticket);
  }
  if (span == NULL) return 0;
  *span = (struct device_span){0.0, 0.0};
  if (ticket != 0) *span = schedule->spans[ticket - schedule->first_ticket];
  return 0;
}
