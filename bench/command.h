/*
 * One command of `refill`: a file in bench/commands/ and a line in
 * commands/table.c. commands/skeleton.c is compiled, documents each member, and is there to
 * be copied.
 */
#ifndef REFILL_BENCH_COMMAND_H
#define REFILL_BENCH_COMMAND_H

#include <stdbool.h>

#include "base/error.h"
#include "bench/options.h"

/* Exit codes of the program. */
enum {
  EXIT_GOOD = 0,
  EXIT_MEASUREMENT = 1, /* a measurement failed or was wrong */
  EXIT_USAGE = 2,
  EXIT_UNSUPPORTED = 77 /* not possible on this box; the reason was printed */
};

struct command {
  const char *name;     /* as typed */
  const char *summary;  /* one line for `refill --help` */
  const char *examples; /* two to five lines for `refill NAME --help` */
  /* Required. Runs with validated options; prints its table to stdout, warnings to stderr. Returns
   * an exit code; on a failure `error` holds the sentence that main prints. */
  int (*run)(const struct options *options, struct error *error);
  bool no_threads; /* Optional: it starts no compute threads, whose way to wait main would set. */
};

/* The command called `name`, or NULL; the i-th, NULL past the last. */
const struct command *command_find(const char *name);
const struct command *command_at(int index);

/* The exit code that an error code means: -ENOTSUP 77, -EINVAL (what was asked for makes no sense
 * with this model, profile or file) 2, all else 1. */
int command_exit_code(int error_code);

/* True once SIGINT or SIGTERM arrived: commands end their loops, print what is complete, and
 * return. Set by main's handler, the one mutable state at file scope. */
int command_interrupted(void);

#endif
