/*
 * The runner behind tests/plain/criterion: one child process a test, one after
 * another, TAP into the file named by --tap=FILE and to standard output.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plain/criterion/criterion.h"

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, TIMEOUT_DEFAULT_S = 120 };

/* The tests, newest first; a child's failures; where its reason to skip goes, and where its
 * failures are told though the test may have redirected its output. */
static struct plain_test *tests;
static bool has_failed;
static int reason_pipe[2];
static int told;

void plain_register(struct plain_test *test) {
  test->next = tests;
  tests = test;
}

void plain_failed(bool fatal, const char *file, int line, const char *what, const char *format,
                  ...) {
  va_list arguments;
  dprintf(told, "%s:%d: failed: %s:", file, line, what);
  va_start(arguments, format);
  vdprintf(told, format, arguments);
  va_end(arguments);
  dprintf(told, "\n");
  has_failed = true;
  if (fatal) exit(EXIT_FAILED);
}

void plain_skip(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vdprintf(reason_pipe[1], format, arguments);
  va_end(arguments);
  exit(has_failed ? EXIT_FAILED : EXIT_SKIPPED);
}

/* The test's options, completed by its suite's. */
static struct plain_options options_of(const struct plain_test *test) {
  struct plain_options options = test->options;
  for (const struct plain_test *suite = tests; suite; suite = suite->next) {
    if (suite->name || strcmp(suite->suite, test->suite) != 0) continue;
    if (!options.init) options.init = suite->options.init;
    if (!options.fini) options.fini = suite->options.fini;
    if (options.timeout <= 0.0) options.timeout = suite->options.timeout;
    options.disabled = options.disabled || suite->options.disabled;
  }
  return options;
}

__attribute__((noreturn)) static void
run_child(const struct plain_test *test, const struct plain_options *options, void *parameter) {
  alarm(options->timeout > 0.0 ? (unsigned)options->timeout + 1 : TIMEOUT_DEFAULT_S);
  told = dup(STDOUT_FILENO);
  if (options->init) options->init();
  test->run(parameter);
  if (options->fini) options->fini();
  exit(has_failed ? EXIT_FAILED : 0);
}

/* Runs one test in a child; returns waitpid()'s status and the reason of a skip. */
static int run_one(const struct plain_test *test, const struct plain_options *options,
                   void *parameter, char *reason, size_t reason_bytes) {
  if (pipe(reason_pipe) != 0) return -1;
  fflush(NULL);
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) run_child(test, options, parameter);
  close(reason_pipe[1]);
  ssize_t length = read(reason_pipe[0], reason, reason_bytes - 1);
  reason[length > 0 ? length : 0] = '\0';
  close(reason_pipe[0]);
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

static bool has_passed(const struct plain_options *options, int status) {
  if (options->signal) return WIFSIGNALED(status) && WTERMSIG(status) == options->signal;
  return WIFEXITED(status) && WEXITSTATUS(status) == options->exit_code;
}

/* Reports one run; returns whether it failed. */
static bool report(FILE *tap, const struct plain_test *test, size_t index,
                   const struct plain_options *options, void *parameter) {
  char reason[512] = "disabled";
  char name[256];
  snprintf(name, sizeof(name), "%s::%s", test->suite, test->name);
  if (parameter) {
    size_t length = strlen(name);
    snprintf(name + length, sizeof(name) - length, "[%zu]", index);
  }
  int status = options->disabled ? EXIT_SKIPPED << 8
                                 : run_one(test, options, parameter, reason, sizeof(reason));
  if (has_passed(options, status)) {
    fprintf(tap, "ok - %s\n", name);
    return false;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
    fprintf(tap, "ok - %s # SKIP%s%s\n", name, reason[0] == ' ' ? "" : " ", reason);
    return false;
  }
  fprintf(tap, "not ok - %s\n", name);
  printf("FAILED %s (%s %d)\n", name, WIFSIGNALED(status) ? "signal" : "exit",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return true;
}

int main(int argc, char **argv) {
  FILE *tap = NULL;
  int n_failed = 0;
  if (argc == 2 && strncmp(argv[1], "--tap=", 6) == 0) tap = fopen(argv[1] + 6, "w");
  if (argc > 2 || (argc == 2 && !tap)) {
    fprintf(stderr, "usage: %s [--tap=FILE]\n", argv[0]);
    return 2;
  }
  for (const struct plain_test *test = tests; test; test = test->next) {
    if (!test->name) continue;
    struct plain_options options = options_of(test);
    struct criterion_test_params parameters = {.length = 1};
    if (test->parameters) parameters = test->parameters();
    for (size_t i = 0; i < parameters.length; i++) {
      void *parameter = test->parameters ? (char *)parameters.params + i * parameters.element_bytes
                                         : NULL;
      n_failed += report(tap ? tap : stdout, test, i, &options, parameter);
    }
  }
  if (tap) fclose(tap);
  printf("%d failed\n", n_failed);
  return n_failed != 0;
}
