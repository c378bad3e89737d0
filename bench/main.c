/*
 * The program: find the command, read its options, run it, say what went wrong.
 *
 * Standard output is a result, so that failing to write it (a full disk, a closed pipe) has to
 * fail the program: SIGPIPE is ignored, and stdout is flushed and checked at the end. And
 * libgomp's waiting threads must sleep while a command runs: see main_set_wait_policy().
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/box/stuck.h"
#include "bench/command.h"
#include "bench/options_table.h"
#include "bench/present/build.h"

#define EXIT_INTERRUPTED 130 /* 128 + SIGINT, as shells have it */
#define COMMANDS_MAX 16

/* ---- interruption --------------------------------------------------------------- */

/* The one mutable state at file scope: a signal handler can reach nothing else. */
static volatile sig_atomic_t interrupted;

/* The first signal asks commands to end with what is complete, which may take as long as what is
 * under way; the second does not ask. */
static void on_signal(int signal_number) {
  static const char told[] = "\nrefill: interrupted: what is under way ends first; once more ends "
                             "it at once\n";
  (void)signal_number;
  if (interrupted) _exit(EXIT_INTERRUPTED);
  interrupted = 1;
  int saved = errno;
  ssize_t written = write(STDERR_FILENO, told, sizeof told - 1);
  (void)written;
  errno = saved;
}

int command_interrupted(void) {
  return interrupted;
}

static void catch_signals(void) {
  /* No SA_RESTART: a wait for I/O returns, and its loop sees the flag. */
  struct sigaction action = {.sa_handler = on_signal};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGPIPE, &ignore, NULL);
}

/* ---- standard streams ---------------------------------------------------------------- */

/*
 * Where a caller closed one of them (`refill sweep >&-`), the next file opened would get its
 * number, and tables or warnings would be written into stored KV. So the number is taken by what
 * can be neither read nor written: printing fails as it should.
 */
static void occupy_standard_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest number: fd */
  }
}

/* ---- how compute threads wait ------------------------------------------------------ */

/*
 * libgomp's threads spin for some 10 ms (with a free core each, far longer) when a parallel region
 * ends, waiting for the next. Between two layers of a pipeline they would spin on the very cores
 * that the reader and writer need, and storage would look slow. OMP_WAIT_POLICY=passive makes them
 * sleep, but libgomp reads it when it is loaded, before main: so it is set here and the program
 * starts itself again, once. Whoever has set it, or GOMP_SPINCOUNT, is left alone; where the
 * restart fails (no /proc), the run goes on with spinning waits.
 */
static void main_set_wait_policy(char **argv) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("REFILL_REEXEC")) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  setenv("REFILL_REEXEC", "1", 1);
  execv("/proc/self/exe", argv);
}

/* ---- what to print ------------------------------------------------------------------ */

static void print_version(void) {
  const char *problem = build_problem();
  printf("refill %s, %s%s%s\n", build_version(), build_compiler(), problem ? ", " : "",
         problem ? problem : "");
}

static void print_help(void) {
  printf("refill: recompute a prompt's KV cache, or reload it from storage?\n\n"
         "usage: refill COMMAND [options]\n\n");
  const struct command *command;
  for (int i = 0; (command = command_at(i)); i++)
    printf("  %-12s%s\n", command->name, command->summary);
  printf("\n`refill COMMAND --help` lists a command's options; `refill --version` prints the "
         "version.\n"
         "Exit: 0 good, 1 a measurement failed, was wrong or interrupted, 2 usage, 77 not "
         "supported on\nthis box, 130 interrupted twice.\n");
}

static void complain(const struct error *error) {
  if (error->message[0]) fprintf(stderr, "refill: %s\n", error->message);
}

static int unknown_command(const char *name) {
  const char *names[COMMANDS_MAX + 3] = {"--help", "--version"};
  char list[256] = "", shown[OPTIONS_SHOWN_BYTES];
  const struct command *command;
  for (int i = 0; i < COMMANDS_MAX && (command = command_at(i)); i++) {
    size_t used = strlen(list);
    names[i + 2] = command->name;
    snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", command->name);
  }
  const char *nearest = options_nearest(name, names);
  fprintf(stderr, "refill: %s: no such command; accepted: %s%s%s%s\n",
          name[0] ? options_shown(name, shown) : "''", list, nearest ? "; did you mean " : "",
          nearest ? nearest : "", nearest ? "?" : "");
  return EXIT_USAGE;
}

/* ---- running -------------------------------------------------------------------------- */

/* A drive that hangs may keep this process although the run has ended. */
static void tell_stuck(void) {
  int n = stuck_threads("/proc/self");
  if (n > 0)
    fprintf(stderr,
            "refill: %d of its threads wait%s inside the kernel for the drive; this process goes "
            "when it answers\n",
            n, n == 1 ? "s" : "");
}

/* argv is the command's: argv[-1] is the program, for a restart. */
static int run(const struct command *command, int argc, char **argv) {
  struct options options;
  struct error error = {0};
  if (options_parse(&options, command->name, argc, argv, &error) < 0) {
    complain(&error);
    return EXIT_USAGE;
  }
  if (options.help) {
    options_print_help(command->name);
    return EXIT_GOOD;
  }
  if (!command->no_threads) main_set_wait_policy(argv - 1);
  int exit_code = command->run(&options, &error);
  complain(&error);
  if (error.code == -ETIMEDOUT) tell_stuck();
  return exit_code;
}

static int dispatch(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "refill: no command; `refill --help` lists them\n");
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    print_version();
    return EXIT_GOOD;
  }
  bool help = strcmp(argv[1], "help") == 0;
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
    print_help();
    return EXIT_GOOD;
  }
  const char *name = help ? argv[2] : argv[1];
  const struct command *command = command_find(name);
  if (!command) return unknown_command(name);
  if (!help) return run(command, argc - 1, argv + 1);
  options_print_help(command->name);
  return EXIT_GOOD;
}

/* What was printed must have arrived: a table cut short must not pass for a result. */
static int close_stdout(int exit_code) {
  bool failed = ferror(stdout) != 0;
  errno = 0;
  if (fflush(stdout) != 0) failed = true;
  if (!failed || exit_code != EXIT_GOOD) return exit_code; /* a failure was told already */
  fprintf(stderr, "refill: standard output cannot be written: %s; what was printed is incomplete\n",
          strerror(errno ? errno : EIO));
  return EXIT_MEASUREMENT;
}

int main(int argc, char **argv) {
  occupy_standard_streams();
  catch_signals();
  return close_stdout(dispatch(argc, argv));
}
