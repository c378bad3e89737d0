/*
 * The baseline: a pool of threads, each with one pread() or pwrite() at a
 * time. What asynchronous I/O costs before io_uring, and what works in every
 * sandbox.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "io/engine_pool.h"

static int64_t move(void *context, int fd, const struct engine_transfer *transfer) {
  const struct io_request *request = &transfer->request;
  char *buffer = (char *)request->buffer + transfer->done;
  size_t bytes = request->bytes - transfer->done;
  off_t offset = (off_t)(request->offset_bytes + transfer->done);
  int64_t result = 0;
  (void)context;
  if (request->op == IO_READ) result = pread(fd, buffer, bytes, offset);
  if (request->op == IO_WRITE) result = pwrite(fd, buffer, bytes, offset);
  if (request->op == IO_SYNC) result = fdatasync(fd);
  return result < 0 ? -errno : result;
}

static int pread_open(struct io_engine **engine, const struct io_engine_config *config,
                      struct error *error) {
  const struct pool_calls calls = {.move = move};
  int code = engine_check_no_options(config, "pread", error);
  if (code == 0) code = engine_check_host_buffers(config, "pread", error);
  if (code == 0) code = pool_open(engine, &io_engine_pread, config, &calls, error);
  if (code < 0) return code;
  snprintf((*engine)->info.description, IO_TEXT_BYTES, "pread/pwrite: %d threads",
           pool_threads(*engine));
  return 0;
}

const struct io_engine_ops io_engine_pread = {
    .name = "pread",
    .open = pread_open,
    .close = pool_close,
    .submit = pool_submit,
    .reap = pool_reap,
};
