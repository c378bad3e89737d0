/*
 * Files mapped into memory and copied from there, as caches do that leave I/O to page faults: what
 * that costs beside asking the drive directly. One thread faults, the kernel reads ahead as it
 * likes, and all of it goes through the page cache.
 *
 * A file that shrinks, or a drive that fails, under a copy raises SIGBUS in whoever maps it; sizes
 * are asked before each copy, which leaves that to the drive. Nothing can be caught here that a
 * server which maps its cache could catch either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/engine_blocking.h"

struct mapping {
  char *address; /* NULL: not mapped yet */
  size_t bytes;
  int access; /* O_RDONLY, O_WRONLY or O_RDWR */
};

struct mmap_engine {
  struct blocking_engine blocking;
  struct mapping *mappings; /* [n_files] */
};

/* Bytes of a file or a block device, or a negative errno. */
static int64_t size_of(int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  int64_t bytes = S_ISBLK(status.st_mode) ? lseek(fd, 0, SEEK_END) : status.st_size;
  return bytes < 0 ? -errno : bytes;
}

static void unmap(struct mapping *mapping) {
  if (mapping->address != NULL) munmap(mapping->address, mapping->bytes);
  mapping->address = NULL;
}

/* Maps the whole file, again where it has grown. */
static int map(struct mapping *mapping, int fd, size_t bytes) {
  if (mapping->address != NULL && bytes <= mapping->bytes) return 0;
  unmap(mapping);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  mapping->access = flags & O_ACCMODE;
  int protection = PROT_READ | (mapping->access == O_RDWR ? PROT_WRITE : 0);
  void *address = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return -errno;
  mapping->address = address;
  mapping->bytes = bytes;
  return 0;
}

static int64_t sync_mapping(const struct mapping *mapping, int fd) {
  if (mapping->address != NULL && msync(mapping->address, mapping->bytes, MS_SYNC) < 0)
    return -errno;
  return fdatasync(fd) < 0 ? -errno : 0;
}

static int64_t copy(struct blocking_engine *blocking, const struct engine_transfer *transfer) {
  struct mmap_engine *self = (struct mmap_engine *)blocking;
  const struct io_request *request = &transfer->request;
  struct mapping *mapping = &self->mappings[request->file];
  int fd = blocking->fds[request->file];
  if (request->op == IO_SYNC) return sync_mapping(mapping, fd);
  int64_t size = size_of(fd);
  if (size < 0) return size;
  uint64_t at = request->offset_bytes + transfer->done;
  if (at >= (uint64_t)size) return 0; /* the end; a mapping cannot grow its file either */
  int code = map(mapping, fd, (size_t)size);
  if (code < 0) return code;
  size_t bytes = request->bytes - transfer->done;
  if (bytes > (uint64_t)size - at) bytes = (size_t)((uint64_t)size - at);
  char *buffer = (char *)request->buffer + transfer->done;
  if (request->op == IO_READ)
    memcpy(buffer, mapping->address + at, bytes);
  else if (mapping->access == O_RDWR)
    memcpy(mapping->address + at, buffer, bytes);
  else
    return -EBADF;
  return (int64_t)bytes;
}

static void mmap_close(struct io_engine *engine) {
  struct mmap_engine *self = (struct mmap_engine *)engine;
  if (self == NULL) return;
  for (int i = 0; self->mappings != NULL && i < self->blocking.n_files; i++)
    unmap(&self->mappings[i]);
  free(self->mappings);
  blocking_free(&self->blocking);
  free(self);
}

static int mmap_open(struct io_engine **engine, const struct io_engine_config *config,
                     struct error *error) {
  int code = engine_check_no_options(config, "mmap", error);
  if (code == 0) code = engine_check_host_buffers(config, "mmap", error);
  if (code < 0) return code;
  struct mmap_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine mmap");
  self->blocking.core.public.ops = &io_engine_mmap;
  self->blocking.call = copy;
  code = blocking_init(&self->blocking, config, error);
  self->mappings = calloc((size_t)config->n_files + 1, sizeof *self->mappings);
  if (code == 0 && self->mappings == NULL)
    code = error_set(error, -ENOMEM, "no memory for %d mappings", config->n_files);
  if (code < 0) {
    mmap_close(&self->blocking.core.public);
    return code;
  }
  snprintf(self->blocking.core.public.info.description, IO_TEXT_BYTES,
           "mmap: page faults of one thread, through the page cache");
  *engine = &self->blocking.core.public;
  return 0;
}

const struct io_engine_ops io_engine_mmap = {
    .name = "mmap",
    .open = mmap_open,
    .close = mmap_close,
    .submit = blocking_submit,
    .reap = blocking_reap,
};
