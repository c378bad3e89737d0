/*
 * Tickets as pairs of events, and device time on the host's clock.
 *
 * Events are made once. A run's tickets are numbered on from the last run's, so that an old or
 * invented number is recognised: waiting on an event that was never recorded succeeds at once
 * in CUDA, and would hide the error.
 *
 * Device times are distances from one event that is recorded at the start of each run, while the
 * GPU is idle, between two readings of the host clock: the mapping is known to half their distance
 * (`base_error_s`, some microseconds). An event's own resolution is about half a microsecond.
 */
#ifndef REFILL_KERNELS_CUDA_TICKETS_H
#define REFILL_KERNELS_CUDA_TICKETS_H

#include <stdatomic.h>

#include "kernels/cuda/gpu.h"
#include "kernels/device.h"

struct ticket_events {
  driver_event start, end;
  atomic_bool recorded;
};

struct tickets {
  struct gpu *gpu;
  struct ticket_events *events;
  int capacity;        /* tickets of one run */
  device_ticket first; /* of this run */
  _Atomic device_ticket next;
  driver_event base;
  double base_s, base_error_s;
};

int tickets_open(struct tickets *tickets, struct gpu *gpu, int capacity, struct error *error);
void tickets_close(struct tickets *tickets);

/* Forgets all tickets and maps the clocks; `stream` has nothing under way. */
int tickets_begin(struct tickets *tickets, driver_stream stream, struct error *error);

/* Work between these two, on one stream, is the ticket's. -ENOSPC when a run enqueues more than it
 * was opened for. */
int ticket_start(struct tickets *tickets, driver_stream stream, device_ticket *ticket,
                 struct error *error);
int ticket_end(struct tickets *tickets, driver_stream stream, device_ticket ticket,
               struct error *error);

/* Later work on `stream` starts after the ticket's. Ticket 0: at once. -EINVAL for one that was
 * not enqueued in this run. */
int ticket_order(struct tickets *tickets, driver_stream stream, device_ticket ticket,
                 struct error *error);

/* As device_ops.wait. The calling thread has entered the GPU's context. */
int ticket_wait(struct tickets *tickets, device_ticket ticket, double timeout_s,
                struct device_span *span, struct error *error);

#endif
