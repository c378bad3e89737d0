/*
 * Tickets of a device whose work is complete when it is enqueued: a ring of
 * spans. Numbers go on over runs, so that a ticket of an earlier run is known
 * as such instead of naming other work.
 */
#include <errno.h>
#include <stdlib.h>

#include "kernels/cpu/cpu_state.h"

int tickets_open(struct tickets *tickets, int layers, struct error *error) {
  tickets->capacity = 2 * (uint64_t)layers +
                      16; /* one a layer and one for the head, and to spare */
  tickets->spans = calloc(tickets->capacity, sizeof *tickets->spans);
  if (!tickets->spans) return error_set(error, -ENOMEM, "no memory for %d tickets", layers);
  atomic_store(&tickets->first, 1);
  atomic_store(&tickets->next, 1);
  return 0;
}

void tickets_close(struct tickets *tickets) {
  free(tickets->spans);
}

void tickets_forget(struct tickets *tickets) {
  atomic_store(&tickets->first, atomic_load(&tickets->next));
}

int tickets_add(struct tickets *tickets, struct device_span span, device_ticket *ticket,
                struct error *error) {
  const uint64_t next = atomic_load(&tickets->next);
  if (next - atomic_load(&tickets->first) >= tickets->capacity)
    return error_set(error, -ENOSPC, "more than %llu pieces of work in one run: call begin() first",
                     (unsigned long long)tickets->capacity);
  tickets->spans[next % tickets->capacity] = span;
  atomic_store_explicit(&tickets->next, next + 1, memory_order_release);
  *ticket = next;
  return 0;
}

int tickets_find(struct tickets *tickets, device_ticket ticket, struct device_span *span,
                 struct error *error) {
  const uint64_t next = atomic_load_explicit(&tickets->next, memory_order_acquire);
  if (ticket < atomic_load(&tickets->first) || ticket >= next)
    return error_set(error, -EINVAL, "ticket %llu was never enqueued in this run",
                     (unsigned long long)ticket);
  if (span) *span = tickets->spans[ticket % tickets->capacity];
  return 0;
}
