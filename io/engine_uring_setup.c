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
#include <string.h>
#include <unistd.h>

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
               {"plain", &options->plain}};
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
                       "engine uring has no option '%.*s': it takes nofixed, sqpoll, coop-taskrun "
                       "and plain, separated by commas",
                       (int)length, item);
    item = comma != NULL ? comma + 1 : NULL;
  }
  if (options->sqpoll + options->coop_taskrun + options->plain > 1)
    return error_set(error, -EINVAL,
                     "engine uring takes only one of sqpoll, coop-taskrun and plain, not '%s'",
                     text);
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

int uring_setup_ring(struct uring_engine *engine, const struct uring_options *options,
                     const char **features, struct error *error) {
  assert(engine != NULL && options != NULL);
  engine->sqpoll = options->sqpoll;
  size_t first = options->plain ? 2 : options->coop_taskrun ? 1 : 0;
  int code = -EINVAL;
  if (options->sqpoll) {
    *features = SQPOLL.features;
    code = try_rung(engine, &SQPOLL);
  } else {
    /* A kernel refuses flags that it does not know with EINVAL. */
    for (size_t i = first; i < N_RUNGS && code == -EINVAL; i++) {
      *features = LADDER[i].features;
      code = try_rung(engine, &LADDER[i]);
    }
  }
  return code < 0 ? refuse_ring(code, (unsigned)engine->queue_depth, error) : 0;
}
