/*
 * Spawning, waiting, killing.
 */
#include "bench/measure/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/command.h"

#define POLL_NS 5000000

extern char **environ;

static int start(pid_t *pid, const char *const *arguments, int output) {
  posix_spawn_file_actions_t actions;
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed) return failed;
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  /* argv is const in all but its type: posix_spawn does not write to it */
  failed = posix_spawn(pid, "/proc/self/exe", &actions, NULL, (char *const *)(uintptr_t)arguments,
                       environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

static int await(pid_t pid, double timeout_s, bool *timed_out) {
  const double end_s = clock_now_s() + timeout_s;
  int status = 0;
  bool killed = false;
  for (;;) {
    pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return 0;
    *timed_out = *timed_out || clock_now_s() > end_s;
    if ((*timed_out || command_interrupted()) && !killed) killed = kill(pid, SIGKILL) == 0;
    struct timespec pause = {.tv_nsec = POLL_NS};
    nanosleep(&pause, NULL);
  }
}

static void read_end(int file, char *text, size_t bytes) {
  off_t size = lseek(file, 0, SEEK_END);
  off_t from = size > (off_t)bytes - 1 ? size - (off_t)bytes + 1 : 0;
  ssize_t got = pread(file, text, bytes - 1, from);
  text[got > 0 ? got : 0] = '\0';
}

int child_run(struct child *child, const char *const *arguments, double timeout_s,
              struct error *error) {
  *child = (struct child){.exit_code = -1};
  int output = memfd_create("refill-step", MFD_CLOEXEC);
  if (output < 0) return error_set(error, -errno, "memfd_create: %s", strerror(errno));
  pid_t pid = 0;
  const double start_s = clock_now_s();
  int failed = start(&pid, arguments, output);
  if (failed) {
    close(output);
    return error_set(error, -failed, "starting this program again: %s", strerror(failed));
  }
  int status = await(pid, timeout_s, &child->timed_out);
  child->seconds = clock_now_s() - start_s;
  if (WIFEXITED(status)) child->exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) child->signal = WTERMSIG(status);
  read_end(output, child->output, sizeof child->output);
  close(output);
  return 0;
}

void child_last_line(const struct child *child, char *line, size_t bytes) {
  line[0] = '\0';
  for (const char *at = child->output; *at;) {
    size_t length = strcspn(at, "\n");
    bool warning = strncmp(at, "refill: warning", 15) == 0;
    if (length > 0 && !warning) snprintf(line, bytes, "%.*s", (int)length, at);
    at += length + (at[length] == '\n');
  }
}
