/*
 * What ThreadSanitizer may take for an order of things.
 *
 * Streams are threads here, and pass work through queues with locks: to ThreadSanitizer each lock
 * would order two streams that nothing orders on a GPU. So the virtual GPU's own locks are hidden
 * from it, and what CUDA promises is told instead: a stream's work comes after the call that
 * enqueued it; who waits for an event, or finds that it was reached, comes after the work before
 * it; who synchronises comes after all. Accesses to device memory it sees by themselves, since each
 * reads or sets the bytes of state in the arena by memchr() or memset().
 *
 * Its functions are found in the process at run time: the same libraries serve with it and without.
 */
#ifndef REFILL_TESTS_VGPU_ORDER_H
#define REFILL_TESTS_VGPU_ORDER_H

#include <pthread.h>

/* As those of pthread, and no order. */
void order_lock(pthread_mutex_t *lock);
void order_unlock(pthread_mutex_t *lock);
void order_wait(pthread_cond_t *condition, pthread_mutex_t *lock);

/* All before order_give() in its thread comes before all after order_take() of the same `token`,
 * any address, in another. */
void order_give(void *token);
void order_take(void *token);

#endif
