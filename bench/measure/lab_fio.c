/*
 * fio as a second opinion: the same file, request size, depth, flags and order.
 */
#include "bench/measure/lab_fio.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/box/pseudo.h"
#include "bench/command.h"

#define OUTPUT_BYTES_MAX ((size_t)1 << 20)
#define HUGE_PAGE_BYTES 2097152LL
#define LOOK_MS 100  /* how often Ctrl-C is looked for while fio runs */
#define LOOKS_MAX 10 /* for its end, once it was killed */

extern char **environ;

static void add(struct lab_fio *fio, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct lab_fio *fio, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(fio->text + fio->used, sizeof fio->text - fio->used, format, arguments);
  va_end(arguments);
  if (n < 0 || fio->used + (size_t)n + 1 >= sizeof fio->text || fio->argc == FIO_ARGUMENTS_MAX) {
    fio->overflow = true;
    return;
  }
  fio->argv[fio->argc++] = fio->text + fio->used;
  fio->used += (size_t)n + 1;
  fio->argv[fio->argc] = NULL;
}

/* fio parts names by ':', so that one in a path has a backslash before it. */
static void escape(const char *path, char *to, size_t to_bytes) {
  size_t n = 0;
  for (; *path && n + 2 < to_bytes; path++) {
    if (*path == ':') to[n++] = '\\';
    to[n++] = *path;
  }
  to[n] = '\0';
}

/* A member's file, and the region of it that is read or written. */
static void add_file(struct lab_fio *fio, const struct lab_member *member,
                     const struct lab_row *row, bool here) {
  const struct lab_output *output = row->setting.fresh ? &member->fresh : &member->reused;
  const struct lab_geometry *geometry = &row->geometry;
  bool reads = row->setting.rw == LAB_READ;
  char path[PATH_MAX + 64], escaped[PATH_MAX + 128];
  if (reads || member->kind == LAB_DEVICE)
    snprintf(path, sizeof path, "%s", member->data_path);
  else if (here)
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), output->fd);
  else
    snprintf(path, sizeof path, "%s/fio.tmp", member->path);
  escape(path, escaped, sizeof escaped);
  size_t request = reads ? geometry->slot_bytes : geometry->write_bytes;
  uint64_t region = reads ? geometry->n_units * geometry->unit_bytes
                          : geometry->n_writes * geometry->write_bytes;
  add(fio, "--filename=%s", escaped);
  add(fio, "--offset=%llu",
      (unsigned long long)(reads ? member->offset_bytes : output->offset_bytes));
  add(fio, "--size=%llu", (unsigned long long)(region / request * request));
}

/* The engine and its flags; false for one that fio lacks. */
static bool add_engine(struct lab_fio *fio, const struct lab_setting *setting) {
  const char *engine = setting->engine;
  if (strncmp(engine, "uring", 5) == 0) {
    add(fio, "--ioengine=io_uring");
    add(fio, "--iodepth=%d", setting->queue_depth);
    if (!strstr(engine, "nofixed")) {
      add(fio, "--registerfiles=1");
      if (!strstr(engine, "buffered")) add(fio, "--fixedbufs=1");
    }
    if (strstr(engine, "sqpoll")) add(fio, "--sqthread_poll=1");
    if (strstr(engine, "iopoll")) add(fio, "--hipri=1");
  } else if (strcmp(engine, "pread") == 0) {
    add(fio, "--ioengine=psync");
    add(fio, "--thread");
    add(fio, "--numjobs=%d", setting->queue_depth < 64 ? setting->queue_depth : 64);
  } else if (strncmp(engine, "mmap", 4) == 0) {
    add(fio, "--ioengine=mmap");
  } else {
    return false;
  }
  bool cached = strncmp(engine, "mmap", 4) == 0 || strstr(engine, "buffered") != NULL;
  add(fio, "--direct=%d", cached ? 0 : 1);
  return true;
}

/* Our buffers lie on transparent huge pages, which fio cannot ask for: on small pages each request
 * is gathered from 4 KiB pieces, which alone cost it a third of the rate on a virtio disk. So it
 * gets reserved ones where the box has them free. */
static void add_memory(struct lab_fio *fio, const struct lab_setting *setting, size_t request,
                       int n_files) {
  char text[64];
  bool blocking = strcmp(setting->engine, "pread") == 0;
  if (strncmp(setting->engine, "mmap", 4) == 0) return;
  long long jobs = blocking ? (setting->queue_depth < 64 ? setting->queue_depth : 64) : 1;
  long long depth = blocking ? 1 : setting->queue_depth;
  long long bytes = depth * (long long)request + HUGE_PAGE_BYTES; /* fio aligns within */
  fio->huge_pages = n_files * jobs * ((bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES);
  bool there = pseudo_field("/", "/proc/meminfo", "HugePages_Free", ':', text, sizeof text) &&
               strtoll(text, NULL, 10) >= fio->huge_pages &&
               pseudo_field("/", "/proc/meminfo", "Hugepagesize", ':', text, sizeof text) &&
               strtoll(text, NULL, 10) * 1024 == HUGE_PAGE_BYTES;
  fio->small_pages = !there;
  if (there) add(fio, "--mem=mmaphuge");
}

static void add_writes(struct lab_fio *fio, const struct lab_row *row) {
  const struct lab_setting *setting = &row->setting;
  add(fio, "--rw=write");
  add(fio, "--scramble_buffers=0"); /* ours are not made anew either */
  add(fio, "--overwrite=%d", setting->fresh ? 0 : 1);
  add(fio, "--fallocate=%s", setting->preallocate ? "native" : "none");
  if (setting->sync == LAB_SYNC_END) add(fio, "--end_fsync=1");
  if (setting->sync == LAB_SYNC_LAYER)
    add(fio, "--fdatasync=%lld", (long long)row->geometry.sync_pages);
}

bool lab_fio_command(struct lab_fio *fio, const struct lab_target *target,
                     const struct lab_row *row, double time_s, bool here) {
  const struct lab_setting *setting = &row->setting;
  memset(fio, 0, sizeof *fio);
  if (setting->rw == LAB_MIXED || setting->layout == LAB_FILE_PER_PAGE) return false;
  bool reads = setting->rw == LAB_READ;
  bool alone = target->n_members == 1;
  size_t request = reads ? row->geometry.slot_bytes : row->geometry.write_bytes;
  add(fio, "fio");
  add(fio, alone ? "--name=refill" : "--name=global"); /* what all jobs have */
  if (alone) add_file(fio, &target->members[0], row, here);
  if (!add_engine(fio, setting)) return false;
  add(fio, "--bs=%zu", request);
  if (reads) {
    add(fio, "--rw=randread");
    add(fio, "--norandommap");
    add(fio, "--randseed=%llu", (unsigned long long)setting->seed);
    add(fio, "--readonly");
  } else {
    add_writes(fio, row);
  }
  if (!setting->fresh || reads) {
    add(fio, "--time_based");
    add(fio, "--runtime=%.0fms", time_s * 1e3);
  }
  add_memory(fio, setting, request, target->n_members);
  add(fio, "--group_reporting");
  if (here) add(fio, "--output-format=json");
  /* A job for each member, each as deep as our ring for it. */
  for (int i = 0; i < target->n_members && !alone; i++) {
    add(fio, "--name=refill-%d", i);
    add_file(fio, &target->members[i], row, here);
  }
  return !fio->overflow;
}

/* Puts a word where a shell takes it for one; returns how long it is. */
static size_t quote(char *to, size_t to_bytes, const char *word) {
  size_t n = 0;
  bool plain = strpbrk(word, " \\'\"$*?[];&|<>()") == NULL;
  if (plain) return (size_t)snprintf(to, to_bytes, "%s", word);
  n += (size_t)snprintf(to, to_bytes, "'");
  for (; *word && n < to_bytes; word++)
    n += (size_t)snprintf(to + n, to_bytes - n, *word == '\'' ? "'\\''" : "%c", *word);
  return n + (n < to_bytes ? (size_t)snprintf(to + n, to_bytes - n, "'") : 0);
}

char *lab_fio_line(const struct lab_fio *fio, char *text, size_t text_bytes) {
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < fio->argc && used < text_bytes; i++) {
    if (i > 0) used += (size_t)snprintf(text + used, text_bytes - used, " ");
    if (used < text_bytes) used += quote(text + used, text_bytes - used, fio->argv[i]);
  }
  return text;
}

/* ---- running ---- */

bool lab_fio_parse(const char *text, struct lab_fio_rate *rate) {
  const char *start = strchr(text, '{'); /* notes may stand before it */
  json_t *json = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
  json_t *job = json_array_get(json_object_get(json, "jobs"), 0);
  double bytes = 0;
  double rate_bytes = 0;
  static const char *const directions[] = {"read", "write"};
  for (int i = 0; i < 2; i++) {
    json_t *part = json_object_get(job, directions[i]);
    bytes += json_number_value(json_object_get(part, "io_bytes"));
    rate_bytes += json_number_value(json_object_get(part, "bw_bytes"));
  }
  double runtime_s = json_number_value(json_object_get(job, "job_runtime")) * 1e-3;
  double cpu = (json_number_value(json_object_get(job, "usr_cpu")) +
                json_number_value(json_object_get(job, "sys_cpu"))) *
               1e-2 * runtime_s;
  json_decref(json);
  if (!(bytes > 0)) return false;
  *rate = (struct lab_fio_rate){.bytes_per_s = rate_bytes, .cpu_s_per_gb = cpu / (bytes / 1e9)};
  return true;
}

/* All that comes out of a descriptor, until it ends or the user interrupts; the caller frees. */
static char *read_all(int fd) {
  char *text = malloc(OUTPUT_BYTES_MAX + 1);
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  size_t used = 0;
  ssize_t n = 1;
  while (text && used < OUTPUT_BYTES_MAX && n != 0 && !command_interrupted()) {
    if (poll(&wait, 1, LOOK_MS) <= 0) continue;
    n = read(fd, text + used, OUTPUT_BYTES_MAX - used);
    if (n < 0 && errno != EINTR) break;
    if (n > 0) used += (size_t)n;
  }
  if (text) text[used] = '\0';
  return text;
}

/* The user wants it to end, and may have told only us. A drive may keep it: nobody waits for that.
 */
static int give_up(pid_t child, struct error *error) {
  kill(child, SIGKILL);
  for (int i = 0; i < LOOKS_MAX && waitpid(child, NULL, WNOHANG) == 0; i++)
    clock_sleep_until_s(clock_now_s() + LOOK_MS * 1e-3);
  return error_set(error, -EINTR, "interrupted while fio ran");
}

/* Starts it with what it says going to `output`; 0 or an error's number. Spawned: fork() would copy
 * all buffers that are registered. */
static int start(pid_t *child, const struct lab_fio *fio, int output) {
  posix_spawn_file_actions_t actions;
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed) return failed;
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions,
                                       "/tmp"); /* it leaves state files where it stands */
  failed = posix_spawnp(child, fio->argv[0], &actions, NULL, fio->argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

int lab_fio_run(const struct lab_fio *fio, struct lab_fio_rate *rate, struct error *error) {
  int ends[2];
  *rate = (struct lab_fio_rate){0};
  if (pipe2(ends, O_CLOEXEC) < 0) return error_set(error, -errno, "fio: %s", strerror(errno));
  pid_t child = 0;
  int failed = start(&child, fio, ends[1]);
  close(ends[1]);
  if (failed) {
    close(ends[0]);
    if (failed == ENOENT)
      return error_set(error, -ENOTSUP, "--check-with-fio: there is no fio here; install it");
    return error_set(error, -failed, "--check-with-fio: starting fio: %s", strerror(failed));
  }
  char *text = read_all(ends[0]);
  close(ends[0]);
  if (command_interrupted()) {
    free(text);
    return give_up(child, error);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!text || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !lab_fio_parse(text, rate))
    failed = error_set(error, -EIO, "--check-with-fio: fio failed: %.300s", text ? text : "");
  free(text);
  return failed;
}
