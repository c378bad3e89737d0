/* Time that is spent on purpose: precise, without drift, and never before it was asked for. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "kernels/playback/schedule.h"

enum { ATTEMPTS = 60 }; /* a shared machine may take the core away for milliseconds */

static void open_schedule(struct schedule *schedule, int spans_max) {
  *schedule = (struct schedule){0};
  cr_assert_eq(schedule_open(schedule, spans_max, NULL), 0);
  schedule_begin(schedule);
}

/* Wall time of `layers` pieces of `seconds` each, back to back. */
static double back_to_back_s(struct schedule *schedule, int layers, double seconds) {
  schedule_begin(schedule);
  double start_s = clock_now_s();
  for (int i = 0; i < layers; i++) {
    device_ticket ticket;
    cr_assert_eq(schedule_spend(schedule, seconds, NULL, NULL, &ticket, NULL), 0);
  }
  return clock_now_s() - start_s;
}

/* The last layer's end is where it should be, however late the machine wakes us in between; and on
 * the wall's clock it is late by no more than the last wake-up. */
Test(playback_schedule, eighty_layers_do_not_drift) {
  struct schedule schedule;
  open_schedule(&schedule, 80);
  const double layers_s[] = {0.0006, 0.002};
  for (int i = 0; i < 2; i++) {
    const double wanted_s = 80 * layers_s[i];
    double best_s = INFINITY, best_late_s = INFINITY;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      double start_s = clock_now_s();
      double late_s = back_to_back_s(&schedule, 80, layers_s[i]) - wanted_s;
      cr_expect_geq(late_s, -1e-6, "80 layers of %g s end %g s early", layers_s[i], -late_s);
      best_late_s = fmin(best_late_s, late_s);
      best_s = fmin(best_s, fabs(schedule.busy_until_s - start_s - wanted_s));
      if (best_s <= 100e-6 && best_late_s <= 0.05 * wanted_s) break;
    }
    cr_expect_leq(best_s, 100e-6, "80 layers of %g s are off by %g s", layers_s[i], best_s);
    cr_expect_leq(best_late_s, 0.05 * wanted_s, "80 layers of %g s are late by %g s", layers_s[i],
                  best_late_s);
  }
  schedule_close(&schedule);
}

Test(playback_schedule, late_wake_ups_are_caught_up) {
  struct schedule schedule;
  open_schedule(&schedule, 8);
  device_ticket ticket;
  schedule_spend(&schedule, 1e-3, NULL, NULL, &ticket, NULL);
  double ended_s = schedule.busy_until_s;
  schedule.returned_s = clock_now_s(); /* as if it woke up only now, */
  schedule.busy_until_s -= 0.4e-3;     /* 0.4 ms late */
  schedule_spend(&schedule, 1e-3, NULL, NULL, &ticket, NULL);
  cr_expect_float_eq(schedule.busy_until_s - ended_s, 0.6e-3, 30e-6, "ended %g s later",
                     schedule.busy_until_s - ended_s);
  schedule_close(&schedule);
}

Test(playback_schedule, waiting_before_a_layer_is_not_credited) {
  struct schedule schedule;
  open_schedule(&schedule, 8);
  device_ticket ticket;
  struct device_span span;
  schedule_spend(&schedule, 1e-4, NULL, NULL, &ticket, NULL);
  clock_wait_until_s(clock_now_s() + 2e-3); /* its KV had not landed */
  double called_s = clock_now_s();
  schedule_spend(&schedule, 1e-3, NULL, NULL, &ticket, NULL);
  cr_assert_eq(schedule_span(&schedule, ticket, &span, NULL), 0);
  cr_expect_geq(span.start_s, called_s, "it starts when it is called");
  cr_expect_float_eq(span.end_s - span.start_s, 1e-3, 1e-9);
  cr_expect_geq(clock_now_s(), span.end_s, "it occupies the caller until its end");
  schedule_close(&schedule);
}

static void take_3_ms(void *argument) {
  *(int *)argument += 1;
  clock_wait_until_s(clock_now_s() + 3e-3);
}

Test(playback_schedule, work_within_the_time_lengthens_it_only_where_longer) {
  struct schedule schedule;
  open_schedule(&schedule, 8);
  device_ticket ticket;
  struct device_span span;
  int calls = 0;
  schedule_spend(&schedule, 0.5, take_3_ms, &calls, &ticket, NULL); /* room for a busy machine */
  schedule_span(&schedule, ticket, &span, NULL);
  cr_expect_float_eq(span.end_s - span.start_s, 0.5, 1e-9);
  schedule_spend(&schedule, 1e-3, take_3_ms, &calls, &ticket, NULL);
  schedule_span(&schedule, ticket, &span, NULL);
  cr_expect_geq(span.end_s - span.start_s, 3e-3 - 30e-6);
  cr_expect_eq(calls, 2);
  schedule_close(&schedule);
}

Test(playback_schedule, a_run_has_room_for_so_much) {
  struct schedule schedule;
  open_schedule(&schedule, 2);
  device_ticket first, second, third = 77;
  cr_assert_eq(schedule_spend(&schedule, 0.0, NULL, NULL, &first, NULL), 0);
  cr_assert_eq(schedule_spend(&schedule, 0.0, NULL, NULL, &second, NULL), 0);
  cr_assert_eq(schedule_spend(&schedule, 0.0, NULL, NULL, &third, NULL), -ENOSPC);
  cr_expect_eq(third, 77, "nothing was enqueued");
  cr_expect_neq(first, second);
  schedule_begin(&schedule);
  cr_expect_eq(schedule_span(&schedule, second, NULL, NULL), -EINVAL);
  cr_expect_eq(schedule_spend(&schedule, 0.0, NULL, NULL, &third, NULL), 0);
  schedule_close(&schedule);
  schedule_close(&schedule);
}
