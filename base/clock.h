/*
 * The one clock of Refill: CLOCK_MONOTONIC in seconds as double. A double
 * holds nanoseconds exactly enough for uptimes of years (steps of 4 ns at 200 days).
 * Monotonic rather than monotonic-raw because timed sleeps use the same clock.
 */
#ifndef REFILL_BASE_CLOCK_H
#define REFILL_BASE_CLOCK_H

/* Seconds since an arbitrary start; never goes back. */
double clock_now_s(void);

/* Sleeps until clock_now_s() reaches `deadline_s`: a timer for most of the
 * wait, then a spin over the last stretch, so that the end is met within a few
 * microseconds where a core is free. Returns at once when it has passed. Sets
 * the calling thread's timer slack to 1 ns, which stays. */
void clock_wait_until_s(double deadline_s);

/* Sleeps (no final spin) until about `deadline_s`. */
void clock_sleep_until_s(double deadline_s);

/* CPU seconds (user and system) that the calling thread / process has used. */
double clock_thread_cpu_s(void);
double clock_process_cpu_s(void);

/* Smallest step seen between two different readings, seconds. */
double clock_resolution_s(void);

#endif
