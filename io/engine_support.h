/*
 * What the engines share and callers do not see: the checks of a configuration
 * and a request, the rule for a transfer that came back short, and a seam
 * through which tests let transfers fail.
 */
#ifndef REFILL_IO_ENGINE_SUPPORT_H
#define REFILL_IO_ENGINE_SUPPORT_H

#include "io/engine.h"

#define ENGINE_QUEUE_DEPTH_MAX 4096
#define ENGINE_REQUEST_BYTES_MAX (UINT64_C(1) << 30)
#define ENGINE_RETRIES_MAX 1000 /* of one transfer without progress: then it is an error */

extern const struct io_engine_ops io_engine_uring;
extern const struct io_engine_ops io_engine_pread;
extern const struct io_engine_ops io_engine_null;
extern const struct io_engine_ops io_engine_mmap;
extern const struct io_engine_ops io_engine_cufile;
extern const struct io_engine_ops io_engine_skeleton; /* compiled, not in the table */

/* Lets tests stand between an engine and the kernel. Either member may be NULL. */
struct engine_faults {
  void *context;
  /* Called with each transfer's result (bytes or a negative errno) when `done` bytes of `request`
   * had been moved before it; what it returns is believed instead. */
  int64_t (*result)(void *context, const struct io_request *request, size_t done, int64_t result);
  /* Called before a batch is handed to the kernel; a negative errno is taken as the kernel's. */
  int (*enter)(void *context);
};

/* How uring's and pread's own structs begin. */
struct engine_core {
  struct io_engine public;
  const struct engine_faults *faults; /* NULL but in tests */
};

/* For tests, on engines that begin with an engine_core, before the first submit. */
void engine_inject_faults(struct io_engine *engine, const struct engine_faults *faults);

/* Checks queue depth, file and buffer lists; -EINVAL names the member and what is accepted. */
int engine_check_config(const struct io_engine_config *config, struct error *error);

/* Refuses device buffers for an engine that reaches host memory alone: -ENOTSUP. */
int engine_check_host_buffers(const struct io_engine_config *config, const char *engine_name,
                              struct error *error);

/* Refuses any options for an engine that has none: -EINVAL. */
int engine_check_no_options(const struct io_engine_config *config, const char *engine_name,
                            struct error *error);

/* True for an operation, file index, size and buffer that can be handed to the kernel. A request
 * that is not completes with -EINVAL (-EBADF for the file index): *error_code. */
bool engine_request_is_valid(const struct io_request *request, int n_files, int *error_code);

/* One request on its way. */
struct engine_transfer {
  struct io_request request;
  size_t done;         /* bytes moved so far */
  double submit_s;     /* when it was handed over */
  uint32_t retries;    /* since the last progress */
  uint32_t n_retries;  /* in all */
  uint32_t n_short;    /* short transfers continued */
  bool is_read_at_end; /* last continued inside a block: only the file's end stops a direct read so
                        */
};

enum engine_step { ENGINE_STEP_DONE, ENGINE_STEP_CONTINUE };

/* Takes one system call's result (bytes moved, or a negative errno) into account. CONTINUE: issue
 * the rest, from offset + done. DONE: *error_code holds 0 or the request's error. */
enum engine_step engine_transfer_step(struct engine_transfer *transfer, int64_t result,
                                      int *error_code);

/* Adds a finished transfer's counts to the engine's. */
void engine_count(struct io_engine_info *info, const struct engine_transfer *transfer);

/* The time until which a reap may wait: now + timeout_s, a negative timeout being 0. */
double engine_deadline_s(double timeout_s);

#endif
