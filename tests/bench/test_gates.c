/*
 * Gates: nobody passes early, nobody waits for ever.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "bench/measure/gates.h"

struct waiter {
  struct gates *gates;
  int layers;
  int result;
};

static void *wait_for(void *argument) {
  struct waiter *waiter = argument;
  waiter->result = gates_wait(waiter->gates, GATE_LANDED, waiter->layers);
  return NULL;
}

Test(gates, counts_start_where_they_are_set) {
  struct gates gates;
  cr_assert_eq(gates_init(&gates), 0);
  gates_reset(&gates, 0, 3, 1);
  cr_assert_not(gates_reached(&gates, GATE_LANDED, 1));
  cr_assert(gates_reached(&gates, GATE_COMPUTED, 3));
  cr_assert_not(gates_reached(&gates, GATE_WRITTEN, 2));
  gates_advance(&gates, GATE_WRITTEN);
  cr_assert(gates_reached(&gates, GATE_WRITTEN, 2));
  cr_assert_eq(gates_wait(&gates, GATE_WRITTEN, -3), 0, "a layer before the first is always done");
  gates_destroy(&gates);
}

Test(gates, wakes_when_enough_layers_came, .timeout = 60) {
  struct gates gates;
  gates_init(&gates);
  gates_reset(&gates, 0, 0, 0);
  struct waiter waiter = {.gates = &gates, .layers = 3, .result = 1};
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for, &waiter);
  for (int i = 0; i < 3; i++) {
    clock_sleep_until_s(clock_now_s() + 0.002);
    gates_advance(&gates, GATE_LANDED);
  }
  pthread_join(thread, NULL);
  cr_assert_eq(waiter.result, 0);
  gates_destroy(&gates);
}

Test(gates, failure_wakes_everyone_and_keeps_the_first_error, .timeout = 60) {
  struct gates gates;
  gates_init(&gates);
  gates_reset(&gates, 0, 0, 0);
  struct waiter waiter = {.gates = &gates, .layers = 1};
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for, &waiter);
  clock_sleep_until_s(clock_now_s() + 0.002);
  struct error first = {0};
  struct error second = {0};
  error_set(&first, -EIO, "the first");
  error_set(&second, -ENOSPC, "its consequence");
  gates_fail(&gates, &first);
  gates_fail(&gates, &second);
  pthread_join(thread, NULL);
  cr_assert_eq(waiter.result, -ECANCELED);
  cr_assert_eq(gates.error.code, -EIO);
  cr_assert_str_eq(gates.error.message, "the first");
  gates_reset(&gates, 0, 0, 0);
  cr_assert_not(gates_failed(&gates), "a new run starts without the old error");
  gates_destroy(&gates);
}
