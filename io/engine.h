/*
 * A storage engine: asynchronous reads and writes of open files, one instance
 * a thread. engine_skeleton.c is compiled, documents each member and is
 * there to be copied; a new engine is one new file and one line in engine.c's
 * table.
 *
 * An engine finishes what it was asked for or says why not: short reads and
 * writes are continued, EAGAIN and EINTR retried; each is counted in `info`.
 * A read past the end of the file is -ENODATA.
 */
#ifndef REFILL_IO_ENGINE_H
#define REFILL_IO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/placement.h"

#define IO_TEXT_BYTES 192

enum io_op { IO_READ, IO_WRITE, IO_SYNC /* fdatasync: of writes that were complete before */ };

enum io_buffer_kind { IO_BUFFER_HOST, IO_BUFFER_DEVICE };

/* Memory that requests will use, to be registered where the engine can. */
struct io_buffer {
  void *address;
  size_t bytes;
  enum io_buffer_kind kind;
};

struct io_request {
  enum io_op op;
  int file;              /* index into io_engine_config.fds */
  uint64_t offset_bytes; /* aligned as the file's O_DIRECT needs */
  void *buffer;          /* likewise */
  size_t bytes;          /* likewise, > 0 but for IO_SYNC; at most 1 GiB */
  uint64_t tag;          /* the caller's, given back */
};

struct io_completion {
  uint64_t tag;
  int error;         /* 0: all bytes; else a negative errno */
  double submit_s;   /* when the request was handed to the engine, clock_now_s() */
  double complete_s; /* when its completion was seen */
};

struct io_engine_config {
  int queue_depth; /* requests under way at most, 1..4096 */
  const int *fds;  /* open files, the caller's; stay open until close() */
  int n_files;
  const struct io_buffer *buffers; /* or NULL; the memory stays mapped until close() */
  int n_buffers;
  const char *options;               /* what follows "NAME:" in --engine, or NULL */
  const struct placement *placement; /* or NULL: for threads of the engine's own */
};

/* What was obtained and what happened. */
struct io_engine_info {
  char description[IO_TEXT_BYTES]; /* "io_uring: defer-taskrun, files registered, buffers
                                      registered" */
  bool emulated;                   /* no real storage behind it: label every figure */
  uint64_t short_count;            /* short transfers continued */
  uint64_t retry_count;            /* EAGAIN and EINTR retried */
  uint64_t unregistered_count;     /* requests whose buffer was not a registered one */
};

/* What every engine's own struct begins with. */
struct io_engine {
  const struct io_engine_ops *ops;
  struct io_engine_info info;
};

struct io_engine_ops {
  const char *name; /* as in --engine; "NAME:options" selects it with options */

  enum io_buffer_kind moves; /* the memory that its buffers are of; 0 is the host's */

  /* Required. Everything is allocated and registered here. Returns 0, -ENOTSUP where the kernel or
   * a sandbox forbids the engine (message says which setting), -EINVAL for bad options. */
  int (*open)(struct io_engine **engine, const struct io_engine_config *config,
              struct error *error);

  /* Required. Waits for what is under way, 2 s at most, frees everything. NULL is allowed. Requests
   * that a drive has not answered by then may still use their memory and their files afterwards:
   * who closes with requests under way leaves both as they are until the process ends. */
  void (*close)(struct io_engine *engine);

  /* Required. Takes up to n requests, in order, and starts them in one batch. Returns how many were
   * taken (fewer when queue_depth requests are under way, 0 included) or a negative errno. */
  int (*submit)(struct io_engine *engine, const struct io_request *requests, int n,
                struct error *error);

  /* Required. Collects up to `max` completions; waits until at least `min` (0: polls) are there or
   * timeout_s has passed. Returns how many, possibly fewer than min after the timeout, or a
   * negative errno. With nothing under way it returns 0 at once. min <= max; timeout_s may be
   * INFINITY, and is 0 where negative. All submits and reaps are one thread's; open() and, with
   * nothing under way, close() may be another's. */
  int (*reap)(struct io_engine *engine, struct io_completion *completions, int max, int min,
              double timeout_s, struct error *error);
};

/* The engine called `name` ("uring", "pread", "null"), or NULL. */
const struct io_engine_ops *io_engine_find(const char *name);

/* The memory that "NAME" or "NAME:options" moves; the host's where there is no such engine. */
enum io_buffer_kind io_engine_moves(const char *name_and_options);

/* The i-th engine, NULL past the last. */
const struct io_engine_ops *io_engine_at(int index);

/* Opens "NAME" or "NAME:options" as given to --engine; config->options is ignored. */
int io_engine_open(struct io_engine **engine, const char *name_and_options,
                   const struct io_engine_config *config, struct error *error);

#endif
