/*
 * Setting a ring up: a ladder of features, from the best that a kernel may
 * grant to what all have, and clear words where io_uring is not to be had.
 *
 * SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1) lets completions be processed
 * only when we ask for them, so that they never interrupt the thread;
 * COOP_TASKRUN (5.19) at least never interrupts it by IPI. The ring starts
 * disabled: who enables it becomes the single issuer, so that an engine may be
 * opened on one thread and used on another.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/drive.h"
#include "io/engine_uring.h"

/* Values of the kernel's interface, for headers older than the kernel. */
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

#define SQPOLL_IDLE_MS 1000
#define PROBE_BYTES 4096

struct rung {
  const char *features;
  unsigned flags;
};

static const struct rung LADDER[] = {
    {"defer-taskrun",
     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {"coop-taskrun", IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {"plain", 0},
};

static const struct rung SQPOLL = {"sqpoll", IORING_SETUP_SQPOLL};
static const struct rung IOPOLL = {"iopoll", IORING_SETUP_IOPOLL};

#define N_RUNGS (sizeof LADDER / sizeof LADDER[0])

int uring_parse_options(struct uring_options *options, const char *text, struct error *error) {
  assert(options != NULL);
  memset(options, 0, sizeof *options);
  const struct {
    const char *name;
    bool *value;
  } known[] = {{"nofixed", &options->nofixed},
               {"sqpoll", &options->sqpoll},
               {"coop-taskrun", &options->coop_taskrun},
               {"plain", &options->plain},
               {"iopoll", &options->iopoll},
               {"buffered", &options->buffered},
               {"defer-taskrun", &options->defer}};
  if (text == NULL) return 0;
  for (const char *item = text; item != NULL;) {
    const char *comma = strchr(item, ',');
    size_t length = comma != NULL ? (size_t)(comma - item) : strlen(item);
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
      if (strlen(known[i].name) != length || strncmp(known[i].name, item, length) != 0) continue;
      *known[i].value = true;
      is_known = true;
    }
    if (!is_known)
      return error_set(error, -EINVAL,
                       "engine uring has no option '%.*s': it takes nofixed, sqpoll, iopoll, "
                       "buffered, defer-taskrun, coop-taskrun and plain, separated by commas",
                       (int)length, item);
    item = comma != NULL ? comma + 1 : NULL;
  }
  if (options->sqpoll + options->iopoll + options->defer + options->coop_taskrun + options->plain >
      1)
    return error_set(error, -EINVAL,
                     "engine uring takes only one of sqpoll, iopoll, defer-taskrun, coop-taskrun "
                     "and plain, not '%s'",
                     text);
  if (options->iopoll && options->buffered)
    return error_set(error, -EINVAL, "engine uring: iopoll needs O_DIRECT, not buffered files");
  return 0;
}

/* The value of kernel.io_uring_disabled: '0', '1', '2', or '?' where there is no such setting. */
static char read_disabled_setting(void) {
  char value = '?';
  int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return value;
  if (read(fd, &value, 1) != 1) value = '?';
  close(fd);
  return value;
}

static int refuse_ring(int code, unsigned entries, struct error *error) {
  char disabled = read_disabled_setting();
  if (code == -ENOSYS)
    return error_set(error, -ENOTSUP, "this kernel has no io_uring: use --engine pread");
  if (code == -EPERM && disabled != '0' && disabled != '?')
    return error_set(error, -ENOTSUP,
                     "io_uring is disabled here (sysctl kernel.io_uring_disabled=%c): set it to 0, "
                     "or use --engine pread",
                     disabled);
  if (code == -EPERM || code == -EACCES)
    return error_set(error, -ENOTSUP,
                     "io_uring is forbidden here (%s; a container's seccomp profile does that, "
                     "sysctl kernel.io_uring_disabled=%c): allow it, or use --engine pread",
                     strerror(-code), disabled);
  return error_set(error, code, "io_uring_setup of %u entries: %s%s", entries, strerror(-code),
                   code == -ENOMEM ? " (raise ulimit -l)" : "");
}

/* Tries one rung. Submissions of a polling kernel thread are freed a batch late: twice the room. */
static int try_rung(struct uring_engine *engine, const struct rung *rung) {
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  params.flags = rung->flags | IORING_SETUP_R_DISABLED;
  params.sq_thread_idle = SQPOLL_IDLE_MS;
  unsigned entries = (unsigned)engine->queue_depth * (rung == &SQPOLL ? 2 : 1);
  int code = io_uring_queue_init_params(entries, &engine->ring, &params);
  if (code < 0) return code;
  engine->ring_is_open = true;
  if (params.features & IORING_FEAT_EXT_ARG) return 0;
  io_uring_queue_exit(&engine->ring);
  engine->ring_is_open = false;
  return -ENOSYS; /* before Linux 5.11 a wait has no timeout */
}

/* Some kernels take a polled request there all the same, and complete it by interrupt. */
static bool has_no_polled_queues(int fd) {
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0) return false;
  dev_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
  return drive_polls("/sys", major(device), minor(device)) == 0;
}

/* Reads one block as a polled ring would. A drive without polled queues says so only then, if at
 * all: 0, or why not. */
static int probe_iopoll(const struct uring_engine *engine) {
  struct io_uring ring;
  void *block = aligned_alloc(PROBE_BYTES, PROBE_BYTES);
  int fd = -1;
  for (int i = 0; i < engine->n_files && fd < 0; i++) {
    int flags = fcntl(engine->fds[i], F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) != O_WRONLY) fd = engine->fds[i];
  }
  int code = block == NULL ? -ENOMEM : fd < 0 ? -EBADF : 0;
  if (code == 0 && has_no_polled_queues(fd)) code = -EOPNOTSUPP;
  if (code == 0) code = io_uring_queue_init(1, &ring, IORING_SETUP_IOPOLL);
  if (code < 0) {
    free(block);
    return code;
  }
  struct io_uring_cqe *cqe = NULL;
  io_uring_prep_read(io_uring_get_sqe(&ring), fd, block, PROBE_BYTES, 0);
  code = io_uring_submit(&ring);
  if (code >= 0) code = io_uring_wait_cqe(&ring, &cqe);
  if (code >= 0) code = cqe->res < 0 ? cqe->res : 0;
  io_uring_queue_exit(&ring);
  free(block);
  return code;
}

/* Tries what was asked for beyond the ladder; what is refused is told and done without. */
static int try_special(struct uring_engine *engine, const struct uring_options *options) {
  const struct rung *rung = options->sqpoll ? &SQPOLL : &IOPOLL;
  int code = options->iopoll ? probe_iopoll(engine) : 0;
  if (code == 0) code = try_rung(engine, rung);
  engine->sqpoll = code == 0 && options->sqpoll;
  engine->iopoll = code == 0 && options->iopoll;
  snprintf(engine->features, sizeof engine->features, code == 0 ? "%s" : "%s refused (%s), ",
           rung->features, strerror(-code));
  return code;
}

int uring_setup_ring(struct uring_engine *engine, const struct uring_options *options,
                     struct error *error) {
  assert(engine != NULL && options != NULL);
  size_t first = options->plain ? 2 : options->coop_taskrun ? 1 : 0;
  if ((options->sqpoll || options->iopoll) && try_special(engine, options) == 0) return 0;
  size_t used = strlen(engine->features);
  int code = -EINVAL;
  /* A kernel refuses flags that it does not know with EINVAL. */
  for (size_t i = first; i < N_RUNGS && code == -EINVAL; i++) {
    snprintf(engine->features + used, sizeof engine->features - used, "%s", LADDER[i].features);
    code = try_rung(engine, &LADDER[i]);
    if (i == 0 && options->defer && code == -EINVAL)
      used += (size_t)snprintf(engine->features + used, sizeof engine->features - used,
                               "%s refused (%s), ", LADDER[i].features, strerror(-code));
  }
  return code < 0 ? refuse_ring(code, (unsigned)engine->queue_depth, error) : 0;
}
