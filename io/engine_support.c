/*
 * Checks and rules that hold for every engine, written once so that engines
 * cannot differ in them: what may be asked, and when a transfer is finished.
 */
#include "io/engine_support.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"

/* Direct I/O moves whole blocks, and no drive's block is larger than a memory page in practice. */
#define BLOCK_BYTES 4096

void engine_inject_faults(struct io_engine *engine, const struct engine_faults *faults) {
  assert(engine != NULL);
  ((struct engine_core *)engine)->faults = faults;
}

int engine_check_config(const struct io_engine_config *config, struct error *error) {
  assert(config != NULL);
  if (config->queue_depth < 1 || config->queue_depth > ENGINE_QUEUE_DEPTH_MAX)
    return error_set(error, -EINVAL, "queue depth %d: 1 to %d are accepted", config->queue_depth,
                     ENGINE_QUEUE_DEPTH_MAX);
  if (config->n_files < 0 || (config->n_files > 0 && config->fds == NULL))
    return error_set(error, -EINVAL, "an engine needs its list of %d open files", config->n_files);
  if (config->n_buffers < 0 || (config->n_buffers > 0 && config->buffers == NULL))
    return error_set(error, -EINVAL, "an engine needs its list of %d buffers", config->n_buffers);
  for (int i = 0; i < config->n_buffers; i++) {
    if (config->buffers[i].address == NULL || config->buffers[i].bytes == 0)
      return error_set(error, -EINVAL, "buffer %d is empty: give its address and size", i);
  }
  return 0;
}

int engine_check_host_buffers(const struct io_engine_config *config, const char *engine_name,
                              struct error *error) {
  for (int i = 0; i < config->n_buffers; i++) {
    if (config->buffers[i].kind != IO_BUFFER_HOST)
      return error_set(error, -ENOTSUP,
                       "engine %s cannot reach device memory (buffer %d): read into host buffers",
                       engine_name, i);
  }
  return 0;
}

int engine_check_no_options(const struct io_engine_config *config, const char *engine_name,
                            struct error *error) {
  if (config->options == NULL || config->options[0] == '\0') return 0;
  return error_set(error, -EINVAL, "engine %s has no option '%s': it takes none", engine_name,
                   config->options);
}

bool engine_request_is_valid(const struct io_request *request, int n_files, int *error_code) {
  assert(request != NULL);
  if (request->file < 0 || request->file >= n_files) {
    *error_code = -EBADF;
    return false;
  }
  *error_code = -EINVAL;
  if (request->op == IO_SYNC) return true;
  if (request->op != IO_READ && request->op != IO_WRITE) return false;
  return request->buffer != NULL && request->bytes > 0 &&
         request->bytes <= ENGINE_REQUEST_BYTES_MAX;
}

/* A failed call: tried again where the kernel asks for it, up to a limit. */
static enum engine_step step_failed(struct engine_transfer *transfer, int64_t result,
                                    int *error_code) {
  *error_code = (int)result;
  if (result == -EAGAIN || result == -EINTR) {
    if (transfer->retries >= ENGINE_RETRIES_MAX) return ENGINE_STEP_DONE;
    transfer->retries++;
    transfer->n_retries++;
    return ENGINE_STEP_CONTINUE;
  }
  /* A direct read that ended inside a block was cut by the file's end: its continuation is
   * unaligned, and refused for that. */
  if (result == -EINVAL && transfer->is_read_at_end) *error_code = -ENODATA;
  return ENGINE_STEP_DONE;
}

enum engine_step engine_transfer_step(struct engine_transfer *transfer, int64_t result,
                                      int *error_code) {
  assert(transfer != NULL);
  const struct io_request *request = &transfer->request;
  if (result < 0) return step_failed(transfer, result, error_code);
  *error_code = 0;
  if (request->op == IO_SYNC) return ENGINE_STEP_DONE;
  if (result == 0) {
    /* Nothing moved: a read is past the end; a write that writes nothing never will. */
    *error_code = request->op == IO_READ ? -ENODATA : -EIO;
    return ENGINE_STEP_DONE;
  }
  assert((uint64_t)result <= request->bytes - transfer->done);
  transfer->done += (size_t)result;
  transfer->retries = 0;
  if (transfer->done == request->bytes) return ENGINE_STEP_DONE;
  transfer->n_short++;
  transfer->is_read_at_end = request->op == IO_READ && transfer->done % BLOCK_BYTES != 0;
  return ENGINE_STEP_CONTINUE;
}

void engine_count(struct io_engine_info *info, const struct engine_transfer *transfer) {
  info->short_count += transfer->n_short;
  info->retry_count += transfer->n_retries;
}

double engine_deadline_s(double timeout_s) {
  return clock_now_s() + (timeout_s > 0 ? timeout_s : 0);
}
