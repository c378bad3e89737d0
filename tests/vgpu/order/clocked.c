/*
 * Two calls of glibc with a clock that ThreadSanitizer does not know, by their elder twins, which
 * it does: without this it misses that a wait ended, and what it ordered. To be preloaded.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

/* The same moment on the clock of the elder calls. */
static struct timespec on_wall_clock(clockid_t clock, const struct timespec *deadline) {
  struct timespec wall, now;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(clock, &now);
  long long ns = (deadline->tv_sec - now.tv_sec) * 1000000000LL + deadline->tv_nsec - now.tv_nsec;
  if (ns < 0) ns = 0;
  ns += wall.tv_nsec;
  wall.tv_sec += (time_t)(ns / 1000000000);
  wall.tv_nsec = (long)(ns % 1000000000);
  return wall;
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline) {
  const struct timespec wall = on_wall_clock(clock, deadline);
  return sem_timedwait(semaphore, &wall);
}

int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
                         const struct timespec *deadline) {
  const struct timespec wall = on_wall_clock(clock, deadline);
  return pthread_timedjoin_np(thread, result, &wall);
}
