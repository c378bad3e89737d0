/* base/clock.c. Bounds are loose: the machine under test may be busy. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <sys/time.h>

#include "base/clock.h"

Test(clock, never_goes_back) {
  double last_s = clock_now_s();
  for (int i = 0; i < 100000; i++) {
    double now_s = clock_now_s();
    cr_assert(now_s >= last_s);
    last_s = now_s;
  }
}

Test(clock, resolution_is_below_a_microsecond_or_told) {
  double resolution_s = clock_resolution_s();
  cr_assert(resolution_s > 0.0 && resolution_s < 20e-6, "%g", resolution_s);
}

/* Never early; the best of many is close, whatever else runs on the machine. */
static double best_lateness_s(void (*wait)(double), double wait_s, int n) {
  double best_s = INFINITY;
  for (int i = 0; i < n; i++) {
    double deadline_s = clock_now_s() + wait_s;
    wait(deadline_s);
    double late_s = clock_now_s() - deadline_s;
    cr_assert(late_s >= 0.0, "early by %g s", -late_s);
    best_s = fmin(best_s, late_s);
  }
  return best_s;
}

Test(clock, wait_is_precise) {
  double late_s = best_lateness_s(clock_wait_until_s, 2e-3, 50);
  cr_assert(late_s < 20e-6, "at best %g s late", late_s);
}

Test(clock, short_wait_is_precise) {
  double late_s = best_lateness_s(clock_wait_until_s, 30e-6, 50);
  cr_assert(late_s < 20e-6, "at best %g s late", late_s);
}

static void sleep_nearly(double deadline_s) {
  clock_sleep_until_s(deadline_s);
  cr_assert(clock_now_s() > deadline_s - 1e-6, "woke early");
  clock_wait_until_s(deadline_s);
}

Test(clock, sleep_ends_after_its_deadline) {
  double late_s = best_lateness_s(sleep_nearly, 1e-3, 20);
  cr_assert(late_s < 2e-3, "at best %g s late", late_s);
}

Test(clock, past_deadlines_return_at_once) {
  double best_s = INFINITY;
  for (int i = 0; i < 20; i++) {
    double start_s = clock_now_s();
    clock_wait_until_s(start_s - 1.0);
    clock_wait_until_s(0.0);
    clock_wait_until_s(-5.0);
    clock_sleep_until_s(start_s - 1.0);
    clock_sleep_until_s(-5.0);
    best_s = fmin(best_s, clock_now_s() - start_s);
  }
  cr_assert(best_s < 1e-3, "%g", best_s);
}

static void on_alarm(int signal_number) {
  (void)signal_number;
}

/* Signals every millisecond must not end a wait early. */
Test(clock, signals_do_not_shorten_a_wait) {
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every_ms = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
  setitimer(ITIMER_REAL, &every_ms, NULL);
  double deadline_s = clock_now_s() + 20e-3;
  clock_sleep_until_s(deadline_s);
  double now_s = clock_now_s();
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  cr_assert(now_s > deadline_s - 1e-6);
}

Test(clock, sleeping_costs_no_cpu_and_spinning_does) {
  double thread_s = clock_thread_cpu_s();
  clock_sleep_until_s(clock_now_s() + 50e-3);
  double slept_s = clock_thread_cpu_s() - thread_s;
  cr_assert(slept_s < 10e-3, "sleeping used %g s", slept_s);

  double process_s = clock_process_cpu_s();
  thread_s = clock_thread_cpu_s();
  while (clock_thread_cpu_s() - thread_s < 20e-3) continue;
  cr_assert(clock_process_cpu_s() - process_s > 19e-3);
}
