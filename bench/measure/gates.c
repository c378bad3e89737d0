/*
 * The counters that stages wait for. An advance takes the mutex, so that a
 * waiter cannot miss it between its check and its sleep.
 */
#include "bench/measure/gates.h"

#include <errno.h>

int gates_init(struct gates *gates) {
  int failed = pthread_mutex_init(&gates->mutex, NULL);
  for (int i = 0; i < GATES; i++) {
    if (!failed) failed = pthread_cond_init(&gates->changed[i], NULL);
    atomic_init(&gates->count[i], 0);
  }
  atomic_init(&gates->failed, false);
  error_clear(&gates->error);
  return -failed;
}

void gates_destroy(struct gates *gates) {
  for (int i = 0; i < GATES; i++) pthread_cond_destroy(&gates->changed[i]);
  pthread_mutex_destroy(&gates->mutex);
}

void gates_reset(struct gates *gates, int landed, int computed, int written) {
  atomic_store(&gates->count[GATE_LANDED], landed);
  atomic_store(&gates->count[GATE_COMPUTED], computed);
  atomic_store(&gates->count[GATE_WRITTEN], written);
  atomic_store(&gates->failed, false);
  error_clear(&gates->error);
}

void gates_advance(struct gates *gates, enum gate gate) {
  pthread_mutex_lock(&gates->mutex);
  atomic_fetch_add(&gates->count[gate], 1);
  pthread_mutex_unlock(&gates->mutex);
  pthread_cond_broadcast(&gates->changed[gate]);
}

bool gates_reached(struct gates *gates, enum gate gate, int layers) {
  return atomic_load(&gates->count[gate]) >= layers;
}

int gates_wait(struct gates *gates, enum gate gate, int layers) {
  if (gates_reached(gates, gate, layers)) return gates_failed(gates) ? -ECANCELED : 0;
  pthread_mutex_lock(&gates->mutex);
  while (!gates_reached(gates, gate, layers) && !gates_failed(gates))
    pthread_cond_wait(&gates->changed[gate], &gates->mutex);
  pthread_mutex_unlock(&gates->mutex);
  return gates_failed(gates) ? -ECANCELED : 0;
}

void gates_fail(struct gates *gates, const struct error *error) {
  pthread_mutex_lock(&gates->mutex);
  if (!gates_failed(gates)) gates->error = *error;
  atomic_store(&gates->failed, true);
  pthread_mutex_unlock(&gates->mutex);
  for (int i = 0; i < GATES; i++) pthread_cond_broadcast(&gates->changed[i]);
}

bool gates_failed(struct gates *gates) {
  return atomic_load(&gates->failed);
}
