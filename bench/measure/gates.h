/*
 * What the stages of a run wait for: three counters of layers, each with its
 * own condition, so that an advance wakes only those who wait for it (on two cores a
 * spurious wake-up takes time from compute).
 *
 *   LANDED    layers whose stored KV was handed to the device   compute waits for it
 *   COMPUTED  layers that compute has enqueued                  reader and writer wait
 *   WRITTEN   layers whose new KV has left its buffer           compute waits
 *
 * A stage that fails closes the gates: every wait ends with -ECANCELED, and the first error stays.
 */
#ifndef REFILL_BENCH_MEASURE_GATES_H
#define REFILL_BENCH_MEASURE_GATES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

enum gate { GATE_LANDED, GATE_COMPUTED, GATE_WRITTEN, GATES };

struct gates {
  pthread_mutex_t mutex;
  pthread_cond_t changed[GATES];
  atomic_int count[GATES];
  atomic_bool failed;
  struct error error;
};

/* Returns 0 or a negative errno of pthread. */
int gates_init(struct gates *gates);
void gates_destroy(struct gates *gates);

/* Sets all counters before a run; nobody may be waiting. */
void gates_reset(struct gates *gates, int landed, int computed, int written);

/* Adds one layer and wakes who waits for this counter. */
void gates_advance(struct gates *gates, enum gate gate);

/* True once the counter is at least `layers`. */
bool gates_reached(struct gates *gates, enum gate gate, int layers);

/* Blocks until the counter is at least `layers` (0) or a stage failed (-ECANCELED). */
int gates_wait(struct gates *gates, enum gate gate, int layers);

/* Records the first error and wakes everyone. */
void gates_fail(struct gates *gates, const struct error *error);

bool gates_failed(struct gates *gates);

#endif
