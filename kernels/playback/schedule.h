/*
 * Playing back time: work that occupies the calling thread for a given time,
 * and the tickets that name it.
 *
 * Waking up is late by microseconds, at times by a scheduler tick; were each
 * piece of work to start when it is called, the lateness of all would add up over
 * a model's layers. So work that is called at once (within SCHEDULE_RESUME_S) after
 * the piece before it starts when that one should have ended plus the caller's
 * own time in between: late wake-ups are caught up, the caller's time is not
 * hidden. Called later, the caller was waiting for something, and the work starts now.
 * What this cannot tell: KV that landed during a late wake-up counts as if it had landed in time.
 */
#ifndef REFILL_KERNELS_PLAYBACK_SCHEDULE_H
#define REFILL_KERNELS_PLAYBACK_SCHEDULE_H

#include <stdatomic.h>

#include "kernels/device.h"

#define SCHEDULE_RESUME_S 20e-6

struct schedule {
  double busy_until_s; /* when the last work should have ended */
  double returned_s;   /* when the call that waited for it returned */
  /* Tickets of this run: first_ticket .. next_ticket - 1. A span is written before its ticket
   * can be seen in next_ticket, since schedule_span() is called from any thread. */
  device_ticket first_ticket;
  _Atomic device_ticket next_ticket;
  int spans_max;
  struct device_span *spans; /* (spans_max) */
};

/* What is done within the time of a piece of work; the work ends later where this takes longer. */
typedef void schedule_meanwhile(void *argument);

/* Room for spans_max pieces of work in a run. 0 or -ENOMEM. */
int schedule_open(struct schedule *schedule, int spans_max, struct error *error);

/* Safe on a zeroed struct, and twice. */
void schedule_close(struct schedule *schedule);

/* Starts a run: forgets earlier tickets. */
void schedule_begin(struct schedule *schedule);

/* Occupies the calling thread for `seconds`, doing `meanwhile` (may be NULL) first. Always from
 * one thread. 0, or -ENOSPC when the run's spans are used up. */
int schedule_spend(struct schedule *schedule, double seconds, schedule_meanwhile *meanwhile,
                   void *argument, device_ticket *ticket, struct error *error);

/* Any thread: 0 and the span (may be NULL; zeros for ticket 0) of complete work, -EINVAL for a
 * ticket that is not of this run. */
int schedule_span(struct schedule *schedule, device_ticket ticket, struct device_span *span,
                  struct error *error);

#endif
