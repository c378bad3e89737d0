/*
 * GPUDirect Storage: the drive writes into GPU memory, by NVIDIA's libcufile. Loaded at run time
 * and declared here, so that nothing of CUDA is needed to build; the GPU memory is the caller's,
 * handed over as device buffers.
 *
 * One cuFileRead or cuFileWrite at a time, which is the library's plain interface; it cuts large
 * requests into pieces of its own. Where nvidia-fs is missing the library goes through host memory
 * by itself ("compatibility mode"): its cufile.log tells.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "io/engine_blocking.h"

#define CUFILE_OPAQUE_FD 1     /* CU_FILE_HANDLE_TYPE_OPAQUE_FD */
#define CUFILE_ERROR_BASE 5000 /* the library's own errors begin here */

/* The library's interface, as its documentation has it. */
struct cufile_status {
  int code, cuda_code;
};

struct cufile_descriptor {
  int type;
  union {
    int fd;
    void *handle;
  } handle;
  const void *filesystem_ops;
};

struct cufile_library {
  void *library;
  struct cufile_status (*driver_open)(void);
  struct cufile_status (*driver_close)(void);
  struct cufile_status (*handle_register)(void **handle, struct cufile_descriptor *descriptor);
  void (*handle_deregister)(void *handle);
  struct cufile_status (*buffer_register)(const void *address, size_t bytes, int flags);
  struct cufile_status (*buffer_deregister)(const void *address);
  ssize_t (*read)(void *handle, void *base, size_t bytes, off_t file_offset, off_t base_offset);
  ssize_t (*write)(void *handle, const void *base, size_t bytes, off_t file_offset,
                   off_t base_offset);
};

struct cufile_engine {
  struct blocking_engine blocking;
  struct cufile_library api;
  int driver_is_open;
  void **handles;            /* [n_files], NULL: could not be registered */
  struct io_buffer *buffers; /* the caller's, copied */
  int n_buffers, n_registered;
};

/* ---- loading ---------------------------------------------------------------------------- */

static int load(struct cufile_library *api, struct error *error) {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: no NVIDIA driver here (libcuda.so.1): use --engine uring");
  dlclose(driver);
  api->library = dlopen("libcufile.so.0", RTLD_NOW | RTLD_LOCAL);
  if (api->library == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: libcufile.so.0 is not here: install GPUDirect Storage "
                     "(nvidia-gds), or use --engine uring");
  const struct {
    const char *name;
    void *place;
  } symbols[] = {{"cuFileDriverOpen", &api->driver_open},
                 {"cuFileDriverClose", &api->driver_close},
                 {"cuFileHandleRegister", &api->handle_register},
                 {"cuFileHandleDeregister", &api->handle_deregister},
                 {"cuFileBufRegister", &api->buffer_register},
                 {"cuFileBufDeregister", &api->buffer_deregister},
                 {"cuFileRead", &api->read},
                 {"cuFileWrite", &api->write}};
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    void *symbol = dlsym(api->library, symbols[i].name);
    if (symbol == NULL)
      return error_set(error, -ENOTSUP, "engine cufile: libcufile.so.0 has no %s: it is too old",
                       symbols[i].name);
    memcpy(symbols[i].place, &symbol, sizeof symbol);
  }
  return 0;
}

/* ---- moving bytes ------------------------------------------------------------------------- */

/* The announced buffer that an address lies in, or NULL. */
static const struct io_buffer *buffer_of(const struct cufile_engine *self, const char *address) {
  for (int i = 0; i < self->n_buffers; i++) {
    const char *first = self->buffers[i].address;
    if (address >= first && address < first + self->buffers[i].bytes) return &self->buffers[i];
  }
  return NULL;
}

static int64_t move(struct blocking_engine *blocking, const struct engine_transfer *transfer) {
  struct cufile_engine *self = (struct cufile_engine *)blocking;
  const struct io_request *request = &transfer->request;
  if (request->op == IO_SYNC) return fdatasync(blocking->fds[request->file]) < 0 ? -errno : 0;
  void *handle = self->handles[request->file];
  if (handle == NULL) return -EBADF;
  char *address = (char *)request->buffer + transfer->done;
  const struct io_buffer *buffer = buffer_of(self, address);
  if (buffer == NULL) return -EFAULT;
  off_t inside = address - (char *)buffer->address;
  off_t at = (off_t)(request->offset_bytes + transfer->done);
  size_t bytes = request->bytes - transfer->done;
  ssize_t n = request->op == IO_READ ? self->api.read(handle, buffer->address, bytes, at, inside)
                                     : self->api.write(handle, buffer->address, bytes, at, inside);
  if (n >= 0) return n;
  return n == -1 ? -errno : -EIO; /* below -1: minus one of the library's own codes */
}

/* ---- opening and closing ---------------------------------------------------------------- */

static void cufile_close(struct io_engine *engine) {
  struct cufile_engine *self = (struct cufile_engine *)engine;
  if (self == NULL) return;
  for (int i = 0; i < self->n_registered; i++)
    self->api.buffer_deregister(self->buffers[i].address);
  for (int i = 0; self->handles != NULL && i < self->blocking.n_files; i++) {
    if (self->handles[i] != NULL) self->api.handle_deregister(self->handles[i]);
  }
  if (self->driver_is_open) self->api.driver_close();
  if (self->api.library != NULL) dlclose(self->api.library);
  free(self->handles);
  free(self->buffers);
  blocking_free(&self->blocking);
  free(self);
}

static int register_all(struct cufile_engine *self, struct error *error) {
  struct cufile_status status = self->api.driver_open();
  if (status.code != 0)
    return error_set(error, -ENOTSUP,
                     "engine cufile: the driver does not open (code %d): is nvidia-fs loaded?",
                     status.code);
  self->driver_is_open = 1;
  for (int i = 0; i < self->blocking.n_files; i++) {
    struct cufile_descriptor descriptor = {.type = CUFILE_OPAQUE_FD,
                                           .handle.fd = self->blocking.fds[i]};
    status = self->api.handle_register(&self->handles[i], &descriptor);
    if (status.code != 0)
      return error_set(error, -ENOTSUP,
                       "engine cufile: file %d is not accepted (code %d; %s): it needs O_DIRECT "
                       "on ext4 or XFS on a local NVMe drive",
                       i, status.code,
                       status.code >= CUFILE_ERROR_BASE ? "cuFile's" : strerror(status.code));
  }
  for (int i = 0; i < self->n_buffers; i++) {
    status = self->api.buffer_register(self->buffers[i].address, self->buffers[i].bytes, 0);
    if (status.code != 0)
      return error_set(error, -ENOTSUP,
                       "engine cufile: %zu bytes of GPU memory cannot be registered (code %d)",
                       self->buffers[i].bytes, status.code);
    self->n_registered++;
  }
  return 0;
}

static int copy_buffers(struct cufile_engine *self, const struct io_engine_config *config,
                        struct error *error) {
  self->handles = calloc((size_t)config->n_files + 1, sizeof *self->handles);
  self->buffers = calloc((size_t)config->n_buffers + 1, sizeof *self->buffers);
  if (self->handles == NULL || self->buffers == NULL)
    return error_set(error, -ENOMEM, "no memory for engine cufile");
  for (int i = 0; i < config->n_buffers; i++) self->buffers[i] = config->buffers[i];
  self->n_buffers = config->n_buffers;
  return 0;
}

static int check_buffers(const struct io_engine_config *config, struct error *error) {
  int code = 0;
  for (int i = 0; i < config->n_buffers && code == 0; i++) {
    if (config->buffers[i].kind != IO_BUFFER_DEVICE)
      code = error_set(error, -ENOTSUP,
                       "engine cufile moves bytes into GPU memory, and buffer %d is host memory: "
                       "use --engine uring here",
                       i);
  }
  return code;
}

static int cufile_open(struct io_engine **engine, const struct io_engine_config *config,
                       struct error *error) {
  struct cufile_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine cufile");
  self->blocking.core.public.ops = &io_engine_cufile;
  self->blocking.call = move;
  int code = engine_check_no_options(config, "cufile", error);
  if (code == 0) code = load(&self->api, error);
  if (code == 0) code = check_buffers(config, error);
  if (code == 0) code = blocking_init(&self->blocking, config, error);
  if (code == 0) code = copy_buffers(self, config, error);
  if (code == 0) code = register_all(self, error);
  if (code < 0) {
    cufile_close(&self->blocking.core.public);
    return code;
  }
  snprintf(self->blocking.core.public.info.description, IO_TEXT_BYTES,
           "cufile: GPUDirect Storage, %d buffers registered", self->n_registered);
  *engine = &self->blocking.core.public;
  return 0;
}

const struct io_engine_ops io_engine_cufile = {
    .name = "cufile",
    .open = cufile_open,
    .close = cufile_close,
    .submit = blocking_submit,
    .reap = blocking_reap,
};
