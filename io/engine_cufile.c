/*
 * GPUDirect Storage: the drive writes into GPU memory, by NVIDIA's libcufile. Loaded at run time
 * and declared here, so that nothing of CUDA is needed to build; the GPU memory is the caller's,
 * handed over as device buffers.
 *
 * Each thread of a pool has one cuFileRead or cuFileWrite under way, as gdsio's threads do: that
 * interface is the oldest and the same in all versions, where batches and streams are not. Threads
 * get the CUDA context of the one that opened the engine. Where neither nvidia-fs nor the kernel
 * can do peer-to-peer transfers the library goes through host memory by itself ("compatibility
 * mode"): its cufile.log tells.
 *
 * No hardware has run this yet; declarations follow the library's own header (CUDA 13.0), and a
 * stand-in of it runs with the virtual GPU.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "io/engine_pool.h"

#define LIBRARY "libcufile.so.0"
#define CUFILE_OPAQUE_FD 1     /* CU_FILE_HANDLE_TYPE_OPAQUE_FD */
#define CUFILE_ERROR_BASE 5000 /* the library's own errors begin here */
#define CUFILE_MEMORY_ALREADY_REGISTERED 5023
#define CUFILE_DRIVER_ALREADY_OPEN 5026
#define DRIVER_API_VERSION 12000

/* The library's interface, as its header has it. */
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

/* Never unloaded: it has threads of its own, other engines may be using it, and it closes its
 * driver when the process ends. */
struct cufile_library {
  void *library, *driver;
  struct cufile_status (*driver_open)(void);
  struct cufile_status (*handle_register)(void **handle, struct cufile_descriptor *descriptor);
  void (*handle_deregister)(void *handle);
  struct cufile_status (*buffer_register)(const void *address, size_t bytes, int flags);
  struct cufile_status (*buffer_deregister)(const void *address);
  ssize_t (*read)(void *handle, void *base, size_t bytes, off_t file_offset, off_t base_offset);
  ssize_t (*write)(void *handle, const void *base, size_t bytes, off_t file_offset,
                   off_t base_offset);
  int (*context_get)(void **context);
  int (*context_set)(void *context);
};

struct cufile {
  struct cufile_library api;
  void *cuda_context;
  int n_files;
  void **handles;            /* [n_files], NULL: not registered */
  struct io_buffer *buffers; /* the caller's, copied */
  bool *is_mine;             /* [n_buffers] registered by this engine, not by another before it */
  int n_buffers, n_registered;
};

/* ---- loading ---------------------------------------------------------------------------- */

static int load_library(struct cufile_library *api, struct error *error) {
  api->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (api->library == NULL)
    api->library = dlopen("/usr/local/cuda/lib64/" LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (api->library == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: " LIBRARY " is not here: install GPUDirect Storage "
                     "(nvidia-gds), or use --engine uring");
  const struct {
    const char *name;
    void *place;
  } symbols[] = {{"cuFileDriverOpen", &api->driver_open},
                 {"cuFileHandleRegister", &api->handle_register},
                 {"cuFileHandleDeregister", &api->handle_deregister},
                 {"cuFileBufRegister", &api->buffer_register},
                 {"cuFileBufDeregister", &api->buffer_deregister},
                 {"cuFileRead", &api->read},
                 {"cuFileWrite", &api->write}};
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    void *symbol = dlsym(api->library, symbols[i].name);
    if (symbol == NULL)
      return error_set(error, -ENOTSUP, "engine cufile: " LIBRARY " has no %s: it is too old",
                       symbols[i].name);
    memcpy(symbols[i].place, &symbol, sizeof symbol);
  }
  return 0;
}

/* The driver's two functions that bring a context to another thread. */
static int load_driver(struct cufile_library *api, struct error *error) {
  api->driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (api->driver == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: no NVIDIA driver here (libcuda.so.1): use --engine uring");
  int (*find)(const char *, void **, int, uint64_t, unsigned *) = NULL;
  void *symbol = dlsym(api->driver, "cuGetProcAddress_v2");
  memcpy(&find, &symbol, sizeof find);
  void *get = NULL, *set = NULL;
  if (find == NULL || find("cuCtxGetCurrent", &get, DRIVER_API_VERSION, 0, NULL) != 0 ||
      find("cuCtxSetCurrent", &set, DRIVER_API_VERSION, 0, NULL) != 0 || get == NULL || set == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: this NVIDIA driver is older than CUDA 12: use --engine uring");
  memcpy(&api->context_get, &get, sizeof get);
  memcpy(&api->context_set, &set, sizeof set);
  return 0;
}

/* ---- moving bytes ------------------------------------------------------------------------- */

static void begin_thread(void *context) {
  const struct cufile *self = context;
  (void)self->api.context_set(self->cuda_context);
}

/* The announced buffer that an address lies in, or NULL. */
static const struct io_buffer *buffer_of(const struct cufile *self, const char *address) {
  for (int i = 0; i < self->n_buffers; i++) {
    const char *first = self->buffers[i].address;
    if (address >= first && address < first + self->buffers[i].bytes) return &self->buffers[i];
  }
  return NULL;
}

static int64_t move(void *context, int fd, const struct engine_transfer *transfer) {
  const struct cufile *self = context;
  const struct io_request *request = &transfer->request;
  if (request->op == IO_SYNC) return fdatasync(fd) < 0 ? -errno : 0;
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

/* Also where it was only begun. On whichever thread is the last. */
static void release(void *context) {
  struct cufile *self = context;
  if (self->cuda_context != NULL) (void)self->api.context_set(self->cuda_context);
  for (int i = 0; i < self->n_registered; i++) {
    if (self->is_mine[i]) self->api.buffer_deregister(self->buffers[i].address);
  }
  for (int i = 0; self->handles != NULL && i < self->n_files; i++) {
    if (self->handles[i] != NULL) self->api.handle_deregister(self->handles[i]);
  }
  free(self->handles);
  free(self->is_mine);
  free(self->buffers);
  free(self);
}

static int register_files(struct cufile *self, const struct io_engine_config *config,
                          struct error *error) {
  for (int i = 0; i < config->n_files; i++) {
    struct cufile_descriptor descriptor = {.type = CUFILE_OPAQUE_FD, .handle.fd = config->fds[i]};
    if (config->fds[i] < 0) continue; /* as with other engines: using it is the error */
    struct cufile_status status = self->api.handle_register(&self->handles[i], &descriptor);
    if (status.code != 0)
      return error_set(error, -ENOTSUP,
                       "engine cufile: cuFileHandleRegister refuses file %d (code %d; %s): it "
                       "needs O_DIRECT on ext4 or XFS on a local NVMe drive",
                       i, status.code,
                       status.code >= CUFILE_ERROR_BASE ? "cuFile's" : strerror(status.code));
  }
  return 0;
}

/* Reader and writer of a pipeline announce the same memory; the library takes it once. */
static int register_buffers(struct cufile *self, struct error *error) {
  for (int i = 0; i < self->n_buffers; i++) {
    const struct io_buffer *buffer = &self->buffers[i];
    struct cufile_status status = self->api.buffer_register(buffer->address, buffer->bytes, 0);
    if (status.code != 0 && status.code != CUFILE_MEMORY_ALREADY_REGISTERED)
      return error_set(error, -ENOTSUP,
                       "engine cufile: cuFileBufRegister refuses %zu bytes of GPU memory (code "
                       "%d, CUDA's %d): the GPU's BAR1 may be too small, use fewer --tokens",
                       buffer->bytes, status.code, status.cuda_code);
    self->is_mine[i] = status.code == 0;
    self->n_registered++;
  }
  return 0;
}

static int register_all(struct cufile *self, const struct io_engine_config *config,
                        struct error *error) {
  struct cufile_status status = self->api.driver_open();
  if (status.code != 0 && status.code != CUFILE_DRIVER_ALREADY_OPEN)
    return error_set(error, -ENOTSUP,
                     "engine cufile: cuFileDriverOpen fails (code %d, CUDA's %d): is nvidia-fs "
                     "loaded, or compatibility mode allowed in cufile.json?",
                     status.code, status.cuda_code);
  int failed = register_files(self, config, error);
  return failed ? failed : register_buffers(self, error);
}

static int copy_config(struct cufile *self, const struct io_engine_config *config,
                       struct error *error) {
  self->n_files = config->n_files;
  self->handles = calloc((size_t)config->n_files + 1, sizeof *self->handles);
  self->buffers = calloc((size_t)config->n_buffers + 1, sizeof *self->buffers);
  self->is_mine = calloc((size_t)config->n_buffers + 1, sizeof *self->is_mine);
  if (self->handles == NULL || self->buffers == NULL || self->is_mine == NULL)
    return error_set(error, -ENOMEM, "no memory for engine cufile");
  for (int i = 0; i < config->n_buffers; i++) self->buffers[i] = config->buffers[i];
  self->n_buffers = config->n_buffers;
  return 0;
}

static int check_buffers(const struct io_engine_config *config, struct error *error) {
  for (int i = 0; i < config->n_buffers; i++) {
    if (config->buffers[i].kind != IO_BUFFER_DEVICE)
      return error_set(error, -ENOTSUP,
                       "engine cufile moves bytes into GPU memory, and buffer %d is host memory: "
                       "use it with --device cuda in sweep, calibrate or verify, or --engine uring",
                       i);
  }
  return 0;
}

static int open_all(struct cufile *self, const struct io_engine_config *config,
                    struct error *error) {
  int code = load_driver(&self->api, error);
  if (code == 0) code = load_library(&self->api, error);
  if (code == 0) code = check_buffers(config, error);
  if (code < 0) return code;
  if (self->api.context_get(&self->cuda_context) != 0 || self->cuda_context == NULL)
    return error_set(error, -ENOTSUP,
                     "engine cufile: the opening thread has no CUDA context: use --device cuda");
  code = copy_config(self, config, error);
  return code < 0 ? code : register_all(self, config, error);
}

static int cufile_open(struct io_engine **engine, const struct io_engine_config *config,
                       struct error *error) {
  int code = engine_check_no_options(config, "cufile", error);
  if (code < 0) return code;
  struct cufile *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine cufile");
  const struct pool_calls calls = {
      .move = move, .begin = begin_thread, .release = release, .context = self};
  code = open_all(self, config, error);
  if (code == 0) code = pool_open(engine, &io_engine_cufile, config, &calls, error);
  if (code < 0) {
    release(self);
    return code;
  }
  bool has_module = access("/proc/driver/nvidia-fs", F_OK) == 0;
  snprintf((*engine)->info.description, IO_TEXT_BYTES,
           "cufile: GPUDirect Storage, %d threads, %d GPU buffers registered, %s",
           pool_threads(*engine), self->n_registered,
           has_module ? "nvidia-fs loaded" : "no nvidia-fs: cufile.log tells the path taken");
  return 0;
}

const struct io_engine_ops io_engine_cufile = {
    .name = "cufile",
    .moves = IO_BUFFER_DEVICE,
    .open = cufile_open,
    .close = pool_close,
    .submit = pool_submit,
    .reap = pool_reap,
};
