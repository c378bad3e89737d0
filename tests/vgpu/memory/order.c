/*
 * ThreadSanitizer's annotations, where it is in the process.
 */
#include "tests/vgpu/memory/order.h"

/* Weak: null in a process without ThreadSanitizer. Its own names, whose header gcc lacks. */
extern void AnnotateIgnoreSyncBegin(const char *file, int line) __attribute__((weak));
extern void AnnotateIgnoreSyncEnd(const char *file, int line) __attribute__((weak));
extern void __tsan_acquire(void *token) __attribute__((weak));
extern void __tsan_release(void *token) __attribute__((weak));

static void hide(void) {
  if (AnnotateIgnoreSyncBegin) AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}

static void show(void) {
  if (AnnotateIgnoreSyncEnd) AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
}

void order_lock(pthread_mutex_t *lock) {
  hide();
  pthread_mutex_lock(lock);
  show();
}

void order_unlock(pthread_mutex_t *lock) {
  hide();
  pthread_mutex_unlock(lock);
  show();
}

void order_wait(pthread_cond_t *condition, pthread_mutex_t *lock) {
  hide();
  pthread_cond_wait(condition, lock);
  show();
}

void order_give(void *token) {
  if (__tsan_release) __tsan_release(token);
}

void order_take(void *token) {
  if (__tsan_acquire) __tsan_acquire(token);
}
