/*
 * Pages as files, by io_uring: three linked entries a page. The first opens it into a slot of the
 * ring's own table of descriptors, the second reads or writes, the third closes; so that one
 * system call covers many pages, as with one large file, and what differs is what a filesystem
 * does to open and close.
 *
 * The open is linked softly: where it fails, the kernel cancels the others. The transfer is linked
 * hard, so that the file is closed however it ends.
 *
 * Before Linux 5.17 a request's file is looked up when it is handed over, linked or not: there each
 * of the three is queued when the one before it has completed.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/engine_uring.h"
#include "io/page_files_engine.h"

#define CLOSE_TIMEOUT_S 2.0
#define WAIT_S_MAX 3600.0
#define RETRY_S 0.001

/* Value of the kernel's interface, for headers older than the kernel. */
#ifndef IORING_FEAT_LINKED_FILE
#define IORING_FEAT_LINKED_FILE (1U << 12)
#endif

enum stage { STAGE_OPEN, STAGE_MOVE, STAGE_CLOSE, N_STAGES };

struct chain {
  struct engine_transfer transfer;
  char name[PAGE_FILES_NAME_BYTES]; /* the kernel reads it when it opens */
  uint64_t offset_bytes;            /* in its file */
  int piece;                        /* registered buffer, -1: none */
  int left;                         /* entries without a completion */
  int64_t opened, moved;            /* their results */
  int refused;
};

struct page_ring {
  struct uring_engine uring; /* its ring, buffers and directories; its slots are not used */
  struct page_files_paths paths;
  struct chain *chains; /* depth */
  int *free_chains;     /* a stack of n_free */
  int n_free, depth, under_way;
};

static const struct io_engine_ops uring_ops;

/* ---- submitting ---- */

static void tag(struct io_uring_sqe *sqe, int index, enum stage stage, unsigned flags) {
  sqe->flags |= (unsigned char)flags;
  sqe->user_data = (unsigned)(index * N_STAGES) + (unsigned)stage;
}

/* Closes a place of the ring's table (liburing has a function for it as of 2.2 only). */
static void prep_close_place(struct io_uring_sqe *sqe, unsigned place) {
  io_uring_prep_close(sqe, 0);
  sqe->file_index = place + 1;
}

static void prep_move(const struct chain *chain, int place, struct io_uring_sqe *sqe) {
  const struct io_request *request = &chain->transfer.request;
  char *buffer = (char *)request->buffer + chain->transfer.done;
  unsigned bytes = (unsigned)(request->bytes - chain->transfer.done);
  if (request->op == IO_READ && chain->piece >= 0)
    io_uring_prep_read_fixed(sqe, place, buffer, bytes, chain->offset_bytes, chain->piece);
  else if (request->op == IO_READ)
    io_uring_prep_read(sqe, place, buffer, bytes, chain->offset_bytes);
  else if (chain->piece >= 0)
    io_uring_prep_write_fixed(sqe, place, buffer, bytes, chain->offset_bytes, chain->piece);
  else
    io_uring_prep_write(sqe, place, buffer, bytes, chain->offset_bytes);
}

static void queue_stage(struct page_ring *self, int index, enum stage stage) {
  static const unsigned links[] = {IOSQE_IO_LINK, IOSQE_IO_HARDLINK, 0};
  const struct chain *chain = &self->chains[index];
  const struct io_request *request = &chain->transfer.request;
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->uring.ring);
  assert(sqe); /* there are three entries for each chain */
  if (stage == STAGE_OPEN)
    io_uring_prep_openat_direct(sqe, self->uring.fds[request->file], chain->name,
                                page_files_flags(request->op, self->paths.direct), PAGE_FILES_MODE,
                                (unsigned)index);
  else if (stage == STAGE_MOVE)
    prep_move(chain, index, sqe);
  else
    prep_close_place(sqe, (unsigned)index);
  unsigned flags = self->paths.unlinked ? 0 : links[stage];
  tag(sqe, index, stage, stage == STAGE_MOVE ? flags | IOSQE_FIXED_FILE : flags);
}

/* Queues open, transfer and close of what remains of a chain's request; unlinked, the first. */
static void queue_chain(struct page_ring *self, int index) {
  struct chain *chain = &self->chains[index];
  page_files_place(&self->paths, &chain->transfer, chain->name, &chain->offset_bytes);
  chain->left = N_STAGES;
  for (int stage = STAGE_OPEN; stage < (self->paths.unlinked ? STAGE_MOVE : N_STAGES); stage++)
    queue_stage(self, index, (enum stage)stage);
}

/* A request that cannot go out completes all the same, with the reason. */
static void queue_refusal(struct page_ring *self, int index, int code) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(&self->uring.ring);
  assert(sqe);
  io_uring_prep_nop(sqe);
  tag(sqe, index, STAGE_CLOSE, 0);
  self->chains[index].refused = code;
  self->chains[index].left = 1;
}

static int flush(struct page_ring *self, struct error *error) {
  if (io_uring_sq_ready(&self->uring.ring) == 0) return 0;
  int code = io_uring_submit(&self->uring.ring);
  if (code >= 0) return 0;
  if (code != -EAGAIN && code != -EBUSY && code != -EINTR)
    return error_set(error, code, "io_uring_enter with linked requests: %s", strerror(-code));
  self->uring.core.public.info.retry_count++;
  return 0;
}

static int enable_ring(struct page_ring *self, struct error *error) {
  if (self->uring.ring_is_enabled) return 0;
  if (syscall(SYS_io_uring_register, self->uring.ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
              0) < 0)
    return error_set(error, -errno, "enabling the io_uring ring: %s", strerror(errno));
  self->uring.ring_is_enabled = true;
  return 0;
}

static int ring_submit(struct io_engine *engine, const struct io_request *requests, int n,
                       struct error *error) {
  struct page_ring *self = (struct page_ring *)engine;
  int code = enable_ring(self, error);
  if (code < 0) return code;
  double now_s = clock_now_s();
  int taken = 0;
  for (; taken < n && self->n_free > 0; taken++) {
    if (io_uring_sq_space_left(&self->uring.ring) < N_STAGES) break;
    int index = self->free_chains[--self->n_free];
    struct chain *chain = &self->chains[index];
    *chain = (struct chain){.transfer.request = requests[taken], .transfer.submit_s = now_s};
    chain->piece = uring_find_piece(&self->uring, requests[taken].buffer, requests[taken].bytes);
    if (chain->piece < 0) engine->info.unregistered_count++;
    self->under_way++;
    code = -EOPNOTSUPP; /* a sync: there is no one file */
    if (requests[taken].op != IO_SYNC &&
        engine_request_is_valid(&requests[taken], self->uring.n_files, &code))
      queue_chain(self, index);
    else
      queue_refusal(self, index, code);
  }
  code = flush(self, error);
  return code < 0 ? code : taken;
}

/* ---- reaping ---- */

/* What a chain of which nothing is under way comes to; true when its request is done. */
static bool finish(struct page_ring *self, int index, int *error_code) {
  struct chain *chain = &self->chains[index];
  int64_t result = chain->opened < 0 ? chain->opened : chain->moved;
  if (chain->refused != 0) {
    *error_code = chain->refused;
  } else if (engine_transfer_step(&chain->transfer, result, error_code) == ENGINE_STEP_CONTINUE) {
    queue_chain(self, index);
    return false;
  }
  engine_count(&self->uring.core.public.info, &chain->transfer);
  self->free_chains[self->n_free++] = index;
  self->under_way--;
  return true;
}

/* Takes one entry's result into account; true when nothing of the chain is under way any more. */
static bool take_entry(struct page_ring *self, int index, enum stage stage, int64_t result) {
  struct chain *chain = &self->chains[index];
  chain->left--;
  if (stage == STAGE_OPEN) chain->opened = result;
  if (stage == STAGE_MOVE) chain->moved = result;
  if (!self->paths.unlinked || chain->left == 0) return chain->left == 0;
  if (stage == STAGE_OPEN && result < 0) return true;
  queue_stage(self, index, (enum stage)(stage + 1));
  return false;
}

static int collect(struct page_ring *self, struct io_completion *completions, int max) {
  struct io_uring_cqe *cqe;
  unsigned head, seen = 0;
  double now_s = clock_now_s();
  int n = 0;
  io_uring_for_each_cqe(&self->uring.ring, head, cqe) {
    if (n == max) break;
    seen++;
    int index = (int)(cqe->user_data / N_STAGES), error_code = 0;
    const struct chain *chain = &self->chains[index];
    if (!take_entry(self, index, (enum stage)(cqe->user_data % N_STAGES), cqe->res)) continue;
    if (!finish(self, index, &error_code)) continue;
    completions[n++] = (struct io_completion){.tag = chain->transfer.request.tag,
                                              .error = error_code,
                                              .submit_s = chain->transfer.submit_s,
                                              .complete_s = now_s};
  }
  io_uring_cq_advance(&self->uring.ring, seen);
  return n;
}

/* Waits for one completion more, or runs what the kernel deferred: links go on only then. */
static int enter(struct page_ring *self, bool wait, double timeout_s, struct error *error) {
  double longest_s = io_uring_sq_ready(&self->uring.ring) > 0 ? RETRY_S : WAIT_S_MAX;
  double wait_s = timeout_s < longest_s ? timeout_s : longest_s;
  if (wait_s < 0) wait_s = 0;
  struct __kernel_timespec limit = {.tv_sec = (long long)wait_s};
  limit.tv_nsec = (long long)((wait_s - (double)limit.tv_sec) * 1e9);
  struct io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8,
                                            .ts = (uint64_t)(uintptr_t)&limit};
  long result = syscall(SYS_io_uring_enter, self->uring.ring.ring_fd, 0U, wait ? 1U : 0U,
                        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
  int code = result < 0 ? -errno : 0;
  if (code == 0 || code == -ETIME || code == -EINTR || code == -EAGAIN || code == -EBUSY) return 0;
  return error_set(error, code, "waiting in io_uring_enter: %s", strerror(-code));
}

static int ring_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
                     double timeout_s, struct error *error) {
  struct page_ring *self = (struct page_ring *)engine;
  assert(max >= 0 && min <= max);
  double deadline_s = clock_now_s() + (timeout_s > 0 ? timeout_s : 0);
  int n = collect(self, completions, max);
  for (bool entered = false; self->under_way > 0 && n < max; entered = true) {
    int code = flush(self, error);
    if (code < 0) return code;
    double left_s = deadline_s - clock_now_s();
    if (n >= min && entered) break;
    if (entered && left_s <= 0) break;
    code = enter(self, n < min, left_s, error);
    if (code < 0) return code;
    n += collect(self, completions + n, max - n);
  }
  return n;
}

/* ---- opening and closing ---- */

static void ring_close(struct io_engine *engine) {
  struct page_ring *self = (struct page_ring *)engine;
  if (!self) return;
  double deadline_s = clock_now_s() + CLOSE_TIMEOUT_S;
  while (self->under_way > 0 && clock_now_s() < deadline_s) {
    struct io_completion done[64];
    if (ring_reap(engine, done, 64, 1, deadline_s - clock_now_s(), NULL) < 0) break;
  }
  if (self->uring.ring_is_open) {
    if (self->uring.n_pieces > 0 && self->under_way == 0)
      io_uring_unregister_buffers(&self->uring.ring);
    io_uring_queue_exit(&self->uring.ring);
  }
  if (self->under_way == 0) free(self->chains); /* else the kernel may still read a name there */
  free(self->free_chains);
  free(self->uring.fds);
  free(self->uring.pieces);
  free(self);
}

static int allocate(struct page_ring *self, const struct io_engine_config *config,
                    struct error *error) {
  size_t depth = (size_t)config->queue_depth;
  self->depth = self->n_free = config->queue_depth;
  self->uring.queue_depth = config->queue_depth * N_STAGES;
  self->uring.n_files = config->n_files;
  self->chains = calloc(depth, sizeof *self->chains);
  self->free_chains = calloc(depth, sizeof *self->free_chains);
  self->uring.fds = calloc((size_t)config->n_files + 1, sizeof *self->uring.fds);
  if (!self->chains || !self->free_chains || !self->uring.fds)
    return error_set(error, -ENOMEM, "no memory for a queue of %d requests", self->depth);
  for (int i = 0; i < self->depth; i++) self->free_chains[i] = self->depth - 1 - i;
  for (int i = 0; i < config->n_files; i++) self->uring.fds[i] = config->fds[i];
  return 0;
}

/* A table of empty descriptors for the ring: all -1, as kernels before 5.19 know it too. */
static int register_table(struct page_ring *self) {
  int *empty = malloc((size_t)self->depth * sizeof *empty);
  if (!empty) return -ENOMEM;
  for (int i = 0; i < self->depth; i++) empty[i] = -1;
  int code = io_uring_register_files(&self->uring.ring, empty, (unsigned)self->depth);
  free(empty);
  return code;
}

/* The table of descriptors, and the buffers. */
static int register_all(struct page_ring *self, const struct io_engine_config *config, bool nofixed,
                        struct error *error) {
  char buffers[96] = "buffers not registered (nofixed)";
  int code = register_table(self);
  if (code < 0)
    return error_set(error, -ENOTSUP,
                     "io_uring has no descriptors of its own here (%s): take pread",
                     strerror(-code));
  if (!nofixed) code = uring_register_buffers(&self->uring, config, buffers, sizeof buffers, error);
  if (code < 0) return code;
  snprintf(self->uring.core.public.info.description, IO_TEXT_BYTES,
           "io_uring: %s, each page opened, moved and closed by %s requests%s, %s",
           self->uring.features, self->paths.unlinked ? "single" : "linked",
           self->paths.direct ? "" : ", through the page cache", buffers);
  return 0;
}

int page_files_uring_open(struct io_engine **engine, const struct io_engine_config *config,
                          const struct page_files_paths *paths, struct error *error) {
  struct uring_options options;
  int code = uring_parse_options(&options, config->options, error);
  if (code < 0) return code;
  if (options.iopoll || options.sqpoll)
    return error_set(error, -EINVAL,
                     "file-per-page: opening a file cannot be polled; accepted after uring: "
                     "nofixed, buffered, defer-taskrun, coop-taskrun, plain");
  struct page_ring *self = calloc(1, sizeof *self);
  if (!self) return error_set(error, -ENOMEM, "no memory for engine uring");
  self->uring.core.public.ops = &uring_ops;
  self->paths = *paths;
  if (options.buffered) self->paths.direct = false;
  code = allocate(self, config, error);
  if (code == 0) code = uring_setup_ring(&self->uring, &options, error);
  if (!(self->uring.ring.features & IORING_FEAT_LINKED_FILE)) self->paths.unlinked = true;
  if (code == 0) code = register_all(self, config, options.nofixed, error);
  if (code < 0) {
    ring_close(&self->uring.core.public);
    return code;
  }
  *engine = &self->uring.core.public;
  return 0;
}

/* Without open: not in the table of engines, page_files_engine_open() is its only way in. */
static const struct io_engine_ops uring_ops = {
    .name = "uring",
    .close = ring_close,
    .submit = ring_submit,
    .reap = ring_reap,
};
