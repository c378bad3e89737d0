/*
 * CLOCK_MONOTONIC as double, and waits that end when they should.
 *
 * A plain clock_nanosleep() ends late by the thread's timer slack (50 us by
 * default) and by the time to wake a core (another 5 to 50 us); a paced layer
 * of 300 us would be wrong by a quarter. So the timer covers the wait up to
 * its last stretch, and a spin covers that.
 */
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <sys/prctl.h>
#include <time.h>

/* Wake-ups on idle servers (C-states) stay below this; spinning longer only costs CPU. */
static const double SPIN_S = 60e-6;

static double read_clock_s(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double clock_now_s(void) {
  return read_clock_s(CLOCK_MONOTONIC);
}

double clock_thread_cpu_s(void) {
  return read_clock_s(CLOCK_THREAD_CPUTIME_ID);
}

double clock_process_cpu_s(void) {
  return read_clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static void pause_core(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

void clock_sleep_until_s(double deadline_s) {
  if (!(deadline_s > 0.0)) return;
  double whole_s = floor(deadline_s);
  struct timespec until = {.tv_sec = (time_t)whole_s,
                           .tv_nsec = (long)((deadline_s - whole_s) * 1e9)};
  /* Absolute, so that a signal does not lengthen the wait. */
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

void clock_wait_until_s(double deadline_s) {
  if (deadline_s - clock_now_s() > SPIN_S) {
    /* Set before each sleep: the slack belongs to the thread, and one system
     * call is nothing beside a sleep, so there is no state to keep. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    clock_sleep_until_s(deadline_s - SPIN_S);
  }
  while (clock_now_s() < deadline_s) pause_core();
}

double clock_resolution_s(void) {
  double smallest_s = INFINITY;
  for (int i = 0; i < 1000; i++) {
    double start_s = clock_now_s();
    double next_s = clock_now_s();
    while (next_s == start_s) next_s = clock_now_s();
    smallest_s = fmin(smallest_s, next_s - start_s);
  }
  return smallest_s;
}
