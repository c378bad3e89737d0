/*
 * What is running and how much is left, on one line of a terminal.
 *
 * Steps differ by orders of magnitude (128 tokens or 128k), so a bar of steps done would lie: each
 * step is weighed by the seconds that it is expected to take, and what is left is corrected by
 * how the expectation has held so far. Where stderr is not a terminal there is one line a phase,
 * for logs. Drawing happens only inside these calls, never beside a timed region.
 */
#ifndef REFILL_BENCH_PRESENT_PROGRESS_H
#define REFILL_BENCH_PRESENT_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

struct progress {
  FILE *stream; /* NULL: silent */
  bool live;    /* a terminal: draw and redraw */
  int columns;  /* its width */
  char phase[48];
  char what[128]; /* runs now */
  double started_s;
  double expected_s; /* of the whole phase */
  double done_s;     /* of it, the expected seconds of steps done */
  double stepped_s;  /* when the last step was done */
  double drawn_s;    /* when last drawn */
};

/* A phase begins that is expected to take `expected_s` (0: unknown). `stream` is stderr. */
void progress_begin(struct progress *progress, FILE *stream, const char *phase, double expected_s);

/* Says what runs now: "alpha 0.50, 4,096 tokens, overlap". */
void progress_running(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A step of expected `step_s` seconds is done. */
void progress_done(struct progress *progress, double step_s);

/* The plan changed (a budget, more repeats): seconds expected from here on. */
void progress_expect(struct progress *progress, double left_s);

/* Seconds left as shown; NaN while unknown. */
double progress_left_s(const struct progress *progress, double now_s);

/* Clears the line. Safe on a zeroed struct, and twice. */
void progress_end(struct progress *progress);

#endif
