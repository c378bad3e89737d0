/*
 * One thread a call, and who frees what when the thread comes too late.
 */
#include "bench/measure/bounded_file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define TIMEOUT_S_MAX 1e6

struct bounded_buffer {
  struct memory memory;
};

/* A call and all that it may touch, on the heap: it may outlive the run. */
struct call {
  int (*work)(struct call *call);
  sem_t done;
  atomic_bool parted; /* by the first of caller and thread that has no more use for it */
  int result;
  struct error error;
  /* arguments and results */
  struct kv_file *file;
  int read_fd;
  char directory[PATH_MAX];
  struct kv_identity identity;
  struct target target;
  struct bounded_buffer *buffer;
  uint64_t offset_bytes;
  size_t bytes;
};

static int work_describe(struct call *call) {
  return target_describe(&call->target, call->directory, &call->error);
}

static int work_sweep(struct call *call) {
  return kv_file_sweep_partial(call->directory, &call->error);
}

static int work_open(struct call *call) {
  return kv_file_open(&call->file, call->directory, &call->identity, &call->error);
}

static int work_create(struct call *call) {
  return kv_file_create(&call->file, call->directory, &call->identity, &call->error);
}

static int work_publish(struct call *call) {
  return kv_file_publish(call->file, &call->error);
}

static int work_close(struct call *call) {
  kv_file_close(call->file);
  return 0;
}

static void call_free(struct call *call) {
  sem_destroy(&call->done);
  free(call);
}

/* Frees what a call that came too late got and used, since its caller has gone. A file that is new
 * or was opened is nobody else's; one that was to be published or closed may still be the run's. */
static void call_free_late(struct call *call) {
  if (call->work == work_open || call->work == work_create) kv_file_close(call->file);
  if (call->buffer) memory_unmap(&call->buffer->memory);
  free(call->buffer);
  call_free(call);
}

static void *call_main(void *argument) {
  struct call *call = argument;
  call->result = call->work(call);
  if (atomic_exchange(&call->parted, true))
    call_free_late(call);
  else
    sem_post(&call->done);
  return NULL;
}

static struct call *call_new(int (*work)(struct call *call), struct error *error) {
  struct call *call = calloc(1, sizeof *call);
  if (!call) {
    error_set(error, -ENOMEM, "no memory for a call");
    return NULL;
  }
  call->work = work;
  sem_init(&call->done, 0, 0);
  return call;
}

static struct timespec deadline_of(double timeout_s) {
  struct timespec deadline;
  double seconds = timeout_s < TIMEOUT_S_MAX ? timeout_s : TIMEOUT_S_MAX;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += (time_t)seconds;
  deadline.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (deadline.tv_nsec >= 1000000000) {
    deadline.tv_sec++;
    deadline.tv_nsec -= 1000000000;
  }
  return deadline;
}

/* Runs the call. False where it did not return in time: then it is the thread's, and whatever it
 * points to must stay. */
static bool returns_in_time(struct call *call, double timeout_s) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, call_main, call) != 0) {
    call_main(call); /* no thread to be had: without a limit, then */
    return true;
  }
  pthread_detach(thread);
  struct timespec deadline = deadline_of(timeout_s);
  int failed;
  do {
    failed = sem_clockwait(&call->done, CLOCK_MONOTONIC, &deadline);
  } while (failed == -1 && errno == EINTR);
  if (failed == 0 || !atomic_exchange(&call->parted, true)) return failed == 0;
  do { /* it returned just now */
    failed = sem_wait(&call->done);
  } while (failed == -1 && errno == EINTR);
  return true;
}

static int timed_out(struct error *error, const char *what, const char *where, double timeout_s) {
  return error_set(error, -ETIMEDOUT,
                   "%s %s: no answer for %.3g s; the drive hangs, or raise --io-timeout", what,
                   where, timeout_s);
}

/* Runs the call and gives its file and target back; frees it where it returned. */
static int run(struct call *call, struct kv_file **file, struct target *target, const char *what,
               const char *where, double timeout_s, struct error *error) {
  if (!returns_in_time(call, timeout_s)) {
    if (file) *file = NULL;
    return timed_out(error, what, where, timeout_s);
  }
  int result = call->result;
  if (result < 0 && error && !error->code) *error = call->error;
  if (file) *file = call->file;
  if (target) *target = call->target;
  call_free(call);
  return result;
}

/* ---- the calls ---- */

int bounded_target_describe(struct target *target, const char *directory, double timeout_s,
                            struct error *error) {
  struct call *call = call_new(work_describe, error);
  if (!call) return -ENOMEM;
  snprintf(call->directory, sizeof call->directory, "%s", directory);
  call->target = *target;
  return run(call, NULL, target, "looking at", directory, timeout_s, error);
}

int bounded_file_sweep(const char *directory, double timeout_s, struct error *error) {
  struct call *call = call_new(work_sweep, error);
  if (!call) return -ENOMEM;
  snprintf(call->directory, sizeof call->directory, "%s", directory);
  return run(call, NULL, NULL, "looking for files of killed runs in", directory, timeout_s, error);
}

static int open_or_create(int (*work)(struct call *call), struct kv_file **file,
                          const char *directory, const struct kv_identity *identity,
                          const char *what, double timeout_s, struct error *error) {
  struct call *call = call_new(work, error);
  *file = NULL;
  if (!call) return -ENOMEM;
  snprintf(call->directory, sizeof call->directory, "%s", directory);
  call->identity = *identity;
  return run(call, file, NULL, what, directory, timeout_s, error);
}

int bounded_file_open(struct kv_file **file, const char *directory,
                      const struct kv_identity *identity, double timeout_s, struct error *error) {
  return open_or_create(work_open, file, directory, identity, "opening the KV file in", timeout_s,
                        error);
}

int bounded_file_create(struct kv_file **file, const char *directory,
                        const struct kv_identity *identity, double timeout_s, struct error *error) {
  return open_or_create(work_create, file, directory, identity, "making a KV file in", timeout_s,
                        error);
}

int bounded_file_publish(struct kv_file **file, double timeout_s, struct error *error) {
  struct call *call = call_new(work_publish, error);
  if (!call) return -ENOMEM;
  call->file = *file;
  return run(call, file, NULL, "writing header and table of, syncing and naming", "a KV file",
             timeout_s, error);
}

void bounded_file_close(struct kv_file *file, double timeout_s) {
  if (!file) return;
  struct call *call = call_new(work_close, NULL);
  if (!call) {
    kv_file_close(file);
    return;
  }
  call->file = file;
  run(call, NULL, NULL, "closing", "a KV file", timeout_s, NULL);
}

/* ---- reading back ---- */

static int work_read(struct call *call) {
  char *buffer = call->buffer->memory.address;
  size_t done = 0;
  while (done < call->bytes) {
    uint64_t offset = call->offset_bytes + done;
    ssize_t got = pread(call->read_fd, buffer + done, call->bytes - done, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return error_set(&call->error, got < 0 ? -errno : -ENODATA, "at byte %llu: %s",
                       (unsigned long long)offset,
                       got < 0 ? strerror(errno) : "the file ends there");
    done += (size_t)got;
  }
  return 0;
}

/* A buffer of at least `bytes`. */
static int make_room(struct bounded_reader *reader, size_t bytes, struct error *error) {
  if (reader->buffer && reader->buffer->memory.bytes >= bytes) return 0;
  bounded_reader_free(reader);
  reader->buffer = calloc(1, sizeof *reader->buffer);
  if (!reader->buffer) return error_set(error, -ENOMEM, "no memory to read back");
  return memory_map(&reader->buffer->memory, bytes, NULL, 1, error);
}

int bounded_file_read(struct bounded_reader *reader, const struct kv_file *file,
                      uint64_t offset_bytes, size_t bytes, const void **data, double timeout_s,
                      struct error *error) {
  int failed = make_room(reader, bytes, error);
  struct call *call = failed ? NULL : call_new(work_read, error);
  if (!call) return failed ? failed : -ENOMEM;
  call->read_fd = kv_file_fd(file); /* the file may be closed before a late thread looks again */
  call->buffer = reader->buffer;
  call->offset_bytes = offset_bytes;
  call->bytes = bytes;
  *data = reader->buffer->memory.address;
  failed = run(call, NULL, NULL, "reading back", "new KV", timeout_s, error);
  if (failed == -ETIMEDOUT) reader->buffer = NULL; /* the thread may still write into it */
  return failed;
}

void bounded_reader_free(struct bounded_reader *reader) {
  if (reader->buffer) memory_unmap(&reader->buffer->memory);
  free(reader->buffer);
  reader->buffer = NULL;
}
