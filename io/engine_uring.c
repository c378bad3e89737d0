/*
 * The io_uring engine: batches of O_DIRECT transfers with one system call, on
 * registered files and buffers.
 *
 * liburing maps the rings and prepares entries; waiting is our own
 * io_uring_enter(), since liburing's wait with a timeout differs between
 * versions, and a poll (min 0) must run deferred completions on some kernels
 * and none on others.
 *
 * Thread: the one that submits first becomes the ring's issuer and must do all
 * submitting and reaping; open() and close() may run on any other. Closing
 * while requests are under way belongs to the issuing thread, or after its end
 * (the kernel cancels and awaits a dying thread's requests).
 */
#include "io/engine_uring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif

/* Requests handed over at once. With more, io_uring plugs the queue and the block layer merges
 * neighbouring pages into requests of some MiB: where 32 were asked for a drive then has nine, in
 * lumps (a virtio disk wrote a fifth less so, in pages of 128 KiB as of 1 MiB). */
#define UNPLUGGED_MAX 2

#define CLOSE_TIMEOUT_S 2.0 /* for requests under way; a drive that hangs longer is given up */
#define WAIT_S_MAX 3600.0   /* of one io_uring_enter(); longer waits are made of several */
#define RETRY_S 0.001       /* until the kernel is offered again what it did not take */

/* ---- waiting ---------------------------------------------------------------------------- */

/* io_uring_enter() that waits for `min` completions until a timeout, or less long where requests
 * are still queued. 0 or a negative errno. */
static int enter_and_wait(struct uring_engine *self, unsigned min, double timeout_s) {
  double longest_s = io_uring_sq_ready(&self->ring) > 0 ? RETRY_S : WAIT_S_MAX;
  double wait_s = timeout_s < longest_s ? timeout_s : longest_s;
  if (wait_s < 0) wait_s = 0;
  struct __kernel_timespec limit;
  limit.tv_sec = (long long)wait_s;
  limit.tv_nsec = (long long)((wait_s - (double)limit.tv_sec) * 1e9);
  struct io_uring_getevents_arg argument;
  memset(&argument, 0, sizeof argument);
  argument.sigmask_sz = _NSIG / 8;
  argument.ts = (uint64_t)(uintptr_t)&limit;
  long result = syscall(SYS_io_uring_enter, self->ring.ring_fd, 0U, min,
                        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
  return result < 0 ? -errno : 0;
}

/* True when the kernel holds completions that only a system call will deliver. */
static bool has_deferred_work(const struct uring_engine *self) {
  if (self->iopoll) return true;
  return (__atomic_load_n(self->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
}

/* ---- submitting ------------------------------------------------------------------------- */

/* Puts a slot's remaining transfer into the submission queue. */
static void queue_slot(struct uring_engine *self, int index) {
  struct uring_slot *slot = &self->slots[index];
  const struct io_request *request = &slot->transfer.request;
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
  assert(sqe != NULL); /* the queue has an entry for each slot */
  int file = self->files_are_registered ? request->file : self->fds[request->file];
  char *buffer = (char *)request->buffer + slot->transfer.done;
  unsigned bytes = (unsigned)(request->bytes - slot->transfer.done);
  uint64_t offset_bytes = request->offset_bytes + slot->transfer.done;
  if (request->op == IO_SYNC)
    io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
  else if (request->op == IO_READ && slot->piece >= 0)
    io_uring_prep_read_fixed(sqe, file, buffer, bytes, offset_bytes, slot->piece);
  else if (request->op == IO_READ)
    io_uring_prep_read(sqe, file, buffer, bytes, offset_bytes);
  else if (slot->piece >= 0)
    io_uring_prep_write_fixed(sqe, file, buffer, bytes, offset_bytes, slot->piece);
  else
    io_uring_prep_write(sqe, file, buffer, bytes, offset_bytes);
  if (self->files_are_registered) sqe->flags |= IOSQE_FIXED_FILE;
  sqe->user_data = (unsigned)index;
}

/* Hands queued entries to the kernel. EAGAIN, EBUSY and EINTR leave them queued for the next call
 * and are counted. */
static int flush(struct uring_engine *self, struct error *error) {
  if (io_uring_sq_ready(&self->ring) == 0) return 0;
  const struct engine_faults *faults = self->core.faults;
  int code = faults != NULL && faults->enter != NULL ? faults->enter(faults->context) : 0;
  if (code == 0) code = io_uring_submit(&self->ring);
  if (code >= 0) return 0;
  if (code == -EEXIST)
    return error_set(error, code,
                     "an io_uring engine belongs to the thread that first submitted to it: open "
                     "one engine a thread");
  if (code != -EAGAIN && code != -EBUSY && code != -EINTR)
    return error_set(error, code, "io_uring_enter with %u requests: %s",
                     io_uring_sq_ready(&self->ring), strerror(-code));
  self->core.public.info.retry_count++;
  return 0;
}

/* Makes the calling thread the ring's issuer. (liburing 2.3 declares a function for this, but does
 * not export it.) */
static int enable_ring(struct uring_engine *self, struct error *error) {
  if (syscall(SYS_io_uring_register, self->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
    return error_set(error, -errno, "enabling the io_uring ring: %s", strerror(errno));
  self->ring_is_enabled = true;
  return 0;
}

/* Gives a request a slot. One that cannot be handed to the kernel becomes a no-op whose completion
 * carries the reason, so that every request completes the same way. */
static void take(struct uring_engine *self, const struct io_request *request, double now_s) {
  int index = self->free_slots[--self->n_free];
  struct uring_slot *slot = &self->slots[index];
  memset(slot, 0, sizeof *slot);
  slot->transfer.request = *request;
  slot->transfer.submit_s = now_s;
  slot->piece = -1;
  self->under_way++;
  int code = 0;
  bool valid = engine_request_is_valid(request, self->n_files, &code);
  if (valid && self->iopoll && request->op == IO_SYNC) {
    /* Polled rings sync nothing: here, then. */
    code = fdatasync(self->fds[request->file]) < 0 ? -errno : 0;
    valid = false;
  }
  if (!valid) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    assert(sqe != NULL);
    io_uring_prep_nop(sqe);
    sqe->user_data = (unsigned)index;
    slot->refused = code;
    slot->is_done = code == 0;
    return;
  }
  if (request->op != IO_SYNC) {
    slot->piece = uring_find_piece(self, request->buffer, request->bytes);
    if (slot->piece < 0) self->core.public.info.unregistered_count++;
  }
  queue_slot(self, index);
}

static int uring_submit(struct io_engine *engine, const struct io_request *requests, int n,
                        struct error *error) {
  struct uring_engine *self = (struct uring_engine *)engine;
  assert(n >= 0);
  if (!self->ring_is_enabled) {
    int code = enable_ring(self, error);
    if (code < 0) return code;
  }
  double now_s = clock_now_s();
  int taken = 0, code = 0;
  while (code == 0 && taken < n && self->n_free > 0 && io_uring_sq_space_left(&self->ring) > 0) {
    take(self, &requests[taken++], now_s);
    if (taken % UNPLUGGED_MAX == 0) code = flush(self, error);
  }
  if (code == 0) code = flush(self, error);
  return code < 0 ? code : taken;
}

/* ---- reaping ---------------------------------------------------------------------------- */

/* Takes one completion entry into account; true when its request is finished. */
static bool finish(struct uring_engine *self, int index, int64_t result, int *error_code) {
  struct uring_slot *slot = &self->slots[index];
  const struct engine_faults *faults = self->core.faults;
  if (slot->refused != 0 || slot->is_done) {
    *error_code = slot->refused;
  } else {
    if (faults != NULL && faults->result != NULL)
      result =
          faults->result(faults->context, &slot->transfer.request, slot->transfer.done, result);
    if (engine_transfer_step(&slot->transfer, result, error_code) == ENGINE_STEP_CONTINUE) {
      queue_slot(self, index);
      return false;
    }
  }
  engine_count(&self->core.public.info, &slot->transfer);
  self->free_slots[self->n_free++] = index;
  self->under_way--;
  return true;
}

/* Takes what lies in the completion queue, up to `max`. */
static int collect(struct uring_engine *self, struct io_completion *completions, int max) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  double now_s = 0;
  int n = 0;
  io_uring_for_each_cqe(&self->ring, head, cqe) {
    if (n == max) break;
    if (seen++ == 0) now_s = clock_now_s();
    int index = (int)cqe->user_data, error_code = 0;
    assert(index >= 0 && index < self->queue_depth);
    if (!finish(self, index, cqe->res, &error_code)) continue;
    const struct engine_transfer *transfer = &self->slots[index].transfer;
    completions[n++] = (struct io_completion){.tag = transfer->request.tag,
                                              .error = error_code,
                                              .submit_s = transfer->submit_s,
                                              .complete_s = now_s};
  }
  io_uring_cq_advance(&self->ring, seen);
  return n;
}

static int uring_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
                      double timeout_s, struct error *error) {
  struct uring_engine *self = (struct uring_engine *)engine;
  assert(max >= 0 && min <= max);
  int n = collect(self, completions, max);
  bool has_polled = false;
  double deadline_s = 0;
  while (self->under_way > 0 && n < max) {
    int code = flush(self, error); /* continued transfers, and what the kernel did not take */
    if (code < 0) return code;
    if (n >= min && (has_polled || !has_deferred_work(self))) break;
    double now_s = clock_now_s();
    if (deadline_s == 0) deadline_s = now_s + (timeout_s > 0 ? timeout_s : 0);
    if (has_polled && now_s >= deadline_s) break;
    int missing = min - n < self->under_way ? min - n : self->under_way;
    /* A polled ring would spin in the kernel without looking at the time. */
    if (self->iopoll) missing = 0;
    code = enter_and_wait(self, missing > 0 ? (unsigned)missing : 0, deadline_s - now_s);
    if (code < 0 && code != -ETIME && code != -EINTR && code != -EAGAIN && code != -EBUSY)
      return error_set(error, code, "waiting in io_uring_enter: %s", strerror(-code));
    has_polled = true;
    n += collect(self, completions + n, max - n);
  }
  return n;
}

/* ---- opening and closing ---------------------------------------------------------------- */

static void uring_close(struct io_engine *engine) {
  struct uring_engine *self = (struct uring_engine *)engine;
  if (self == NULL) return;
  double deadline_s = engine_deadline_s(CLOSE_TIMEOUT_S);
  while (self->under_way > 0 && clock_now_s() < deadline_s) {
    struct io_completion done[64];
    if (uring_reap(engine, done, 64, 1, deadline_s - clock_now_s(), NULL) < 0) break;
  }
  if (self->ring_is_open) {
    /* The ring's own end is asynchronous: give pinned memory back (to RLIMIT_MEMLOCK) now. Kernels
     * before 6.13 would wait here for requests that a drive never answers. */
    if (self->n_pieces > 0 && self->under_way == 0) io_uring_unregister_buffers(&self->ring);
    io_uring_queue_exit(&self->ring);
  }
  for (int i = 0; self->buffered && i < self->n_files; i++) {
    if (self->fds[i] >= 0) close(self->fds[i]);
  }
  free(self->fds);
  free(self->pieces);
  free(self->slots);
  free(self->free_slots);
  free(self);
}

static int allocate(struct uring_engine *self, const struct io_engine_config *config) {
  size_t depth = (size_t)config->queue_depth;
  self->queue_depth = self->n_free = config->queue_depth;
  self->n_files = config->n_files;
  self->slots = calloc(depth, sizeof *self->slots);
  self->free_slots = calloc(depth, sizeof *self->free_slots);
  self->fds = calloc((size_t)config->n_files + 1, sizeof *self->fds);
  if (self->slots == NULL || self->free_slots == NULL || self->fds == NULL) return -ENOMEM;
  for (int i = 0; i < self->n_free; i++) self->free_slots[i] = self->n_free - 1 - i;
  for (int i = 0; i < config->n_files; i++) self->fds[i] = config->fds[i];
  return 0;
}

/* Opens the files again without O_DIRECT; what cannot be opened stays closed, and fails when it is
 * used. */
static void reopen_buffered(struct uring_engine *self) {
  self->buffered = true;
  for (int i = 0; i < self->n_files; i++) {
    char path[64];
    int flags = fcntl(self->fds[i], F_GETFL);
    snprintf(path, sizeof path, "/proc/self/fd/%d", self->fds[i]);
    self->fds[i] = flags < 0 ? -1 : open(path, (flags & O_ACCMODE) | O_CLOEXEC);
  }
}

/* Registers files and buffers as far as the kernel lets us, and says how far that was. */
static int register_all(struct uring_engine *self, const struct io_engine_config *config,
                        bool nofixed, struct error *error) {
  char files[64] = ", files not registered"; /* "" where there are none */
  char buffers[96] = "buffers not registered (nofixed)";
  if (config->n_files == 0) files[0] = '\0';
  if (!nofixed && config->n_files > 0) {
    int code = io_uring_register_files(&self->ring, self->fds, (unsigned)self->n_files);
    self->files_are_registered = code == 0;
    if (code == 0)
      snprintf(files, sizeof files, ", files registered");
    else
      snprintf(files, sizeof files, ", files not registered (%s)", strerror(-code));
  }
  if (!nofixed) {
    int code = uring_register_buffers(self, config, buffers, sizeof buffers, error);
    if (code < 0) return code;
  }
  snprintf(self->core.public.info.description, IO_TEXT_BYTES, "io_uring: %s%s%s, %s",
           self->features, self->buffered ? ", through the page cache" : "", files, buffers);
  return 0;
}

static int uring_open(struct io_engine **engine, const struct io_engine_config *config,
                      struct error *error) {
  struct uring_options options;
  int code = uring_parse_options(&options, config->options, error);
  if (code == 0) code = engine_check_host_buffers(config, "uring", error);
  if (code < 0) return code;
  struct uring_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine uring");
  self->core.public.ops = &io_engine_uring;
  code = allocate(self, config);
  if (code < 0) {
    error_set(error, code, "no memory for a queue of %d requests", config->queue_depth);
    goto fail;
  }
  if (options.buffered) reopen_buffered(self);
  code = uring_setup_ring(self, &options, error);
  if (code < 0) goto fail;
  code = register_all(self, config, options.nofixed, error);
  if (code < 0) goto fail;
  *engine = &self->core.public;
  return 0;
fail:
  uring_close(&self->core.public);
  return code;
}

const struct io_engine_ops io_engine_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .reap = uring_reap,
};
