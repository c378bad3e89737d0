/*
 * A stand-in for libcufile.so.0: moves bytes between files and the virtual GPU's memory, and
 * enforces the order of calls and the rules that the real library states: driver first, files with
 * O_DIRECT, registered device memory, whole blocks, a thread with a context. What the real one
 * would take by a slower path (unaligned, not registered) is a finding: Refill never means it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/vgpu/libcuda/hooks.h"

#define BLOCK_BYTES 4096
#define BUFFERS_MAX 64

enum {
  CUFILE_OK = 0,
  CUFILE_DRIVER_NOT_INITIALIZED = 5001,
  CUFILE_MEMORY_TYPE_INVALID = 5013,
  CUFILE_CONTEXT_MISMATCH = 5015,
  CUFILE_INVALID_FILE_OPEN_FLAG = 5019,
  CUFILE_INVALID_VALUE = 5022,
  CUFILE_MEMORY_ALREADY_REGISTERED = 5023,
  CUFILE_MEMORY_NOT_REGISTERED = 5024,
  CUFILE_INTERNAL = 5030
};

typedef struct {
  int code, cuda_code;
} status;

typedef struct {
  int type;
  union {
    int fd;
    void *handle;
  } handle;
  const void *filesystem_ops;
} descriptor;

struct file {
  int fd;
};

/* One of the process, as the real library's. */
static struct {
  pthread_mutex_t lock;
  int opened, n_buffers;
  struct {
    uint64_t start;
    size_t bytes;
  } buffers[BUFFERS_MAX];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

#pragma GCC visibility push(default)
status cuFileDriverOpen(void);
status cuFileHandleRegister(void **handle, descriptor *described);
void cuFileHandleDeregister(void *handle);
status cuFileBufRegister(const void *address, size_t bytes, int flags);
status cuFileBufDeregister(const void *address);
ssize_t cuFileRead(void *handle, void *base, size_t bytes, off_t at, off_t inside);
ssize_t cuFileWrite(void *handle, const void *base, size_t bytes, off_t at, off_t inside);
#pragma GCC visibility pop

static status result(int code) {
  return (status){.code = code};
}

/* Whether a call may be made at all: 0 or the library's error. */
static int enter(const char *name) {
  int code = 0;
  if (vgpu_fails(name, &code)) return code >= 5000 ? code : CUFILE_INTERNAL;
  if (state.opened == 0) {
    vgpu_finding("%s before cuFileDriverOpen", name);
    return CUFILE_DRIVER_NOT_INITIALIZED;
  }
  if (vgpu_has_context()) return 0;
  vgpu_finding("%s on a thread without a context", name);
  return CUFILE_CONTEXT_MISMATCH;
}

status cuFileDriverOpen(void) {
  int code = 0;
  if (vgpu_fails("cuFileDriverOpen", &code)) return result(code >= 5000 ? code : CUFILE_INTERNAL);
  __atomic_fetch_add(&state.opened, 1, __ATOMIC_SEQ_CST);
  return result(CUFILE_OK);
}

status cuFileHandleRegister(void **handle, descriptor *described) {
  int code = enter("cuFileHandleRegister");
  if (code) return result(code);
  if (!handle || !described || described->type != 1) return result(CUFILE_INVALID_VALUE);
  int flags = fcntl(described->handle.fd, F_GETFL);
  if (flags < 0 || !(flags & O_DIRECT)) return result(CUFILE_INVALID_FILE_OPEN_FLAG);
  struct file *file = malloc(sizeof *file);
  if (!file) return result(CUFILE_INTERNAL);
  file->fd = described->handle.fd;
  *handle = file;
  return result(CUFILE_OK);
}

void cuFileHandleDeregister(void *handle) {
  free(handle);
}

/* ---- buffers ---- */

/* The same memory is taken once, whoever announces it again. */
status cuFileBufRegister(const void *address, size_t bytes, int flags) {
  int code = enter("cuFileBufRegister");
  uint64_t start = (uint64_t)(uintptr_t)address;
  if (code) return result(code);
  if (flags != 0 || bytes == 0) return result(CUFILE_INVALID_VALUE);
  if (!vgpu_is_device(start, bytes)) return result(CUFILE_MEMORY_TYPE_INVALID);
  pthread_mutex_lock(&state.lock);
  for (int i = 0; i < state.n_buffers && !code; i++)
    if (state.buffers[i].start == start) code = CUFILE_MEMORY_ALREADY_REGISTERED;
  if (!code && state.n_buffers == BUFFERS_MAX) code = CUFILE_INTERNAL;
  if (!code) {
    state.buffers[state.n_buffers].start = start;
    state.buffers[state.n_buffers++].bytes = bytes;
  }
  pthread_mutex_unlock(&state.lock);
  return result(code);
}

status cuFileBufDeregister(const void *address) {
  int code = CUFILE_MEMORY_NOT_REGISTERED;
  pthread_mutex_lock(&state.lock);
  for (int i = 0; i < state.n_buffers && code; i++) {
    if (state.buffers[i].start != (uint64_t)(uintptr_t)address) continue;
    state.buffers[i] = state.buffers[--state.n_buffers];
    code = CUFILE_OK;
  }
  pthread_mutex_unlock(&state.lock);
  return result(code);
}

static bool is_registered(uint64_t base, size_t inside, size_t bytes) {
  bool found = false;
  pthread_mutex_lock(&state.lock);
  for (int i = 0; i < state.n_buffers && !found; i++)
    found = state.buffers[i].start == base && inside + bytes <= state.buffers[i].bytes;
  pthread_mutex_unlock(&state.lock);
  return found;
}

/* ---- transfers ---- */

/* 0, or minus the library's error; blocks for the bytes in *block. */
static int enter_transfer(const char *name, const void *base, size_t bytes, off_t at, off_t inside,
                          void **block) {
  int code = enter(name);
  if (code) return -code;
  if ((size_t)at % BLOCK_BYTES || (size_t)inside % BLOCK_BYTES || bytes % BLOCK_BYTES)
    vgpu_finding("%s of %zu bytes at %lld into %lld: not whole blocks, a slow path", name, bytes,
                 (long long)at, (long long)inside);
  if (!is_registered((uint64_t)(uintptr_t)base, (size_t)inside, bytes)) {
    vgpu_finding("%s: %zu bytes at %lld are not in a registered buffer", name, bytes,
                 (long long)inside);
    return -CUFILE_MEMORY_NOT_REGISTERED;
  }
  *block = aligned_alloc(BLOCK_BYTES, (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
  return *block ? 0 : -CUFILE_INTERNAL;
}

ssize_t cuFileRead(void *handle, void *base, size_t bytes, off_t at, off_t inside) {
  void *block = NULL;
  uint64_t target = (uint64_t)(uintptr_t)base + (uint64_t)inside;
  int code = enter_transfer("cuFileRead", base, bytes, at, inside, &block);
  if (code) return code;
  ssize_t n = pread(((struct file *)handle)->fd, block, bytes, at);
  int saved = errno;
  if (n > 0) {
    vgpu_mark(target, (size_t)n, true);
    memcpy(vgpu_bytes(target), block, (size_t)n);
  }
  free(block);
  errno = saved;
  return n;
}

ssize_t cuFileWrite(void *handle, const void *base, size_t bytes, off_t at, off_t inside) {
  void *block = NULL;
  uint64_t source = (uint64_t)(uintptr_t)base + (uint64_t)inside;
  int code = enter_transfer("cuFileWrite", base, bytes, at, inside, &block);
  if (code) return code;
  if (!vgpu_written(source, bytes))
    vgpu_finding("cuFileWrite reads %zu bytes of device memory that nobody wrote", bytes);
  memcpy(block, vgpu_bytes(source), bytes);
  ssize_t n = pwrite(((struct file *)handle)->fd, block, bytes, at);
  int saved = errno;
  free(block);
  errno = saved;
  return n;
}
