/*
 * Calls on files that a drive may never answer, with a limit of time.
 *
 * Timed transfers go through engines, whose reap has a limit. What surrounds them (looking at a
 * target, opening, syncing, naming and reading back a KV file) are plain system calls, which
 * nothing can take back. Each is made on a thread of its own; where the time is over before it
 * returns, the thread is left behind, to free what it uses if it ever does, and the run ends with
 * -ETIMEDOUT.
 */
#ifndef REFILL_BENCH_MEASURE_BOUNDED_FILE_H
#define REFILL_BENCH_MEASURE_BOUNDED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/kv_file.h"
#include "io/target.h"

/* target_describe() */
int bounded_target_describe(struct target *target, const char *directory, double timeout_s,
                            struct error *error);

/* kv_file_sweep_partial(), kv_file_open() and kv_file_create(). */
int bounded_file_sweep(const char *directory, double timeout_s, struct error *error);
int bounded_file_open(struct kv_file **file, const char *directory,
                      const struct kv_identity *identity, double timeout_s, struct error *error);
int bounded_file_create(struct kv_file **file, const char *directory,
                        const struct kv_identity *identity, double timeout_s, struct error *error);

/* kv_file_publish(). After -ETIMEDOUT of the drive's making *file is NULL: it is lost, and a
 * partial name that it had is removed by the next run on that directory. */
int bounded_file_publish(struct kv_file **file, double timeout_s, struct error *error);

/* kv_file_close(); waits at most timeout_s. */
void bounded_file_close(struct kv_file *file, double timeout_s);

/* Reads [offset, offset + bytes) of the file into a buffer of its own, aligned for direct I/O: a
 * read that ends too late must find its memory there. `reader` holds the buffer between calls;
 * begin with a zeroed one. */
struct bounded_reader {
  struct bounded_buffer *buffer;
};
int bounded_file_read(struct bounded_reader *reader, const struct kv_file *file,
                      uint64_t offset_bytes, size_t bytes, const void **data, double timeout_s,
                      struct error *error);
void bounded_reader_free(struct bounded_reader *reader);

#endif
