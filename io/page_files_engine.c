/*
 * Pages as files, by threads: openat, pread or pwrite, close, as caches that keep a pool of I/O
 * workers do (LMCache's local disk backend, vLLM's offloading connectors for filesystems).
 */
#include "io/page_files_engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/engine_pool.h"

static const struct io_engine_ops threads_ops;

int page_files_flags(enum io_op op, bool direct) {
  int flags = op == IO_READ ? O_RDONLY : O_WRONLY | O_CREAT;
  return flags | (direct ? O_DIRECT : 0);
}

void page_files_place(const struct page_files_paths *paths, const struct engine_transfer *transfer,
                      char name[PAGE_FILES_NAME_BYTES], uint64_t *offset_bytes) {
  uint64_t at = transfer->request.offset_bytes + transfer->done;
  page_files_name(at / paths->page_bytes, name);
  *offset_bytes = at % paths->page_bytes;
}

/* ---- threads ---- */

static int64_t move(void *context, int directory_fd, const struct engine_transfer *transfer) {
  const struct page_files_paths *paths = context;
  const struct io_request *request = &transfer->request;
  char name[PAGE_FILES_NAME_BYTES];
  uint64_t offset_bytes = 0;
  if (request->op == IO_SYNC) return syncfs(directory_fd) < 0 ? -errno : 0;
  page_files_place(paths, transfer, name, &offset_bytes);
  int fd = openat(directory_fd, name, page_files_flags(request->op, paths->direct) | O_CLOEXEC,
                  PAGE_FILES_MODE);
  if (fd < 0) return -errno;
  char *buffer = (char *)request->buffer + transfer->done;
  size_t bytes = request->bytes - transfer->done;
  int64_t moved = request->op == IO_READ ? pread(fd, buffer, bytes, (off_t)offset_bytes)
                                         : pwrite(fd, buffer, bytes, (off_t)offset_bytes);
  if (moved < 0) moved = -errno;
  if (close(fd) < 0 && moved >= 0) moved = -errno;
  return moved;
}

static int open_threads(struct io_engine **engine, const struct io_engine_config *config,
                        const struct page_files_paths *paths, struct error *error) {
  int code = engine_check_no_options(config, "pread", error);
  struct page_files_paths *own = code ? NULL : malloc(sizeof *own);
  if (code == 0 && !own) code = error_set(error, -ENOMEM, "no memory for engine pread");
  if (code < 0) return code;
  *own = *paths;
  const struct pool_calls calls = {.move = move, .release = free, .context = own};
  code = pool_open(engine, &threads_ops, config, &calls, error);
  if (code < 0) {
    free(own);
    return code;
  }
  snprintf((*engine)->info.description, IO_TEXT_BYTES,
           "openat, pread/pwrite, close of each page: %d threads%s", pool_threads(*engine),
           paths->direct ? "" : ", through the page cache");
  return 0;
}

/* Without open: not in the table of engines, page_files_engine_open() is its only way in. */
static const struct io_engine_ops threads_ops = {
    .name = "pread",
    .close = pool_close,
    .submit = pool_submit,
    .reap = pool_reap,
};

/* ---- choosing ---- */

int page_files_engine_open(struct io_engine **engine, const char *name_and_options,
                           const struct io_engine_config *config, size_t page_bytes, bool direct,
                           struct error *error) {
  assert(page_bytes > 0);
  const struct page_files_paths paths = {.page_bytes = page_bytes, .direct = direct};
  const char *colon = strchr(name_and_options, ':');
  size_t length = colon ? (size_t)(colon - name_and_options) : strlen(name_and_options);
  struct io_engine_config with_options = *config;
  with_options.options = colon ? colon + 1 : NULL;
  *engine = NULL;
  int code = engine_check_config(config, error);
  if (code == 0) code = engine_check_host_buffers(config, "for page files", error);
  if (code < 0) return code;
  if (length == 5 && strncmp(name_and_options, "pread", length) == 0)
    return open_threads(engine, &with_options, &paths, error);
  if (length == 5 && strncmp(name_and_options, "uring", length) == 0)
    return page_files_uring_open(engine, &with_options, &paths, error);
  return error_set(error, -EINVAL,
                   "file-per-page: engine %s opens no files page by page: take uring or pread",
                   name_and_options);
}
