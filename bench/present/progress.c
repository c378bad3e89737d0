/*
 * Progress on a terminal: see progress.h.
 */
#include "bench/present/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_CELLS 20
#define REDRAW_S 0.1
#define LINE_BYTES 512
#define LEFT_BYTES 48

/* The share of the expected time that the expectation itself weighs as evidence: one step that
 * took twice as long does not yet double the rest. */
#define TRUST 0.1

static bool is_terminal(FILE *stream) {
  const char *term = getenv("TERM");
  return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

static int terminal_columns(FILE *stream) {
  struct winsize size;
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

/* "1m 20s"; coarser where it is longer, since an estimate is not worth more. */
static char *duration(double seconds, char text[LEFT_BYTES]) {
  long whole = lround(fmax(seconds, 1));
  if (whole >= 120) whole = (whole + 5) / 10 * 10;
  if (whole < 60)
    snprintf(text, LEFT_BYTES, "%lds", whole);
  else if (whole < 3600)
    snprintf(text, LEFT_BYTES, "%ldm %02lds", whole / 60, whole % 60);
  else
    snprintf(text, LEFT_BYTES, "%ldh %02ldm", whole / 3600, whole % 3600 / 60);
  return text;
}

double progress_left_s(const struct progress *progress, double now_s) {
  if (!(progress->expected_s > 0)) return NAN;
  double trust_s = TRUST * progress->expected_s;
  double took_s = progress->stepped_s - progress->started_s;
  double factor = (took_s + trust_s) / (progress->done_s + trust_s);
  double rest_s = fmax(progress->expected_s - progress->done_s, 0);
  return fmax(factor * rest_s - (now_s - progress->stepped_s), 0);
}

static void bar(const struct progress *progress, char text[BAR_CELLS + 16]) {
  double share = fmin(progress->done_s / progress->expected_s, 1);
  int cells = (int)(share * BAR_CELLS);
  char filled[BAR_CELLS + 1];
  memset(filled, '=', sizeof filled);
  filled[cells] = '\0';
  snprintf(text, BAR_CELLS + 16, " [%-*s] %3d%%", BAR_CELLS, filled, (int)(100 * share));
}

static void draw(struct progress *progress) {
  double now_s = clock_now_s();
  char bar_text[BAR_CELLS + 16] = "", left[LEFT_BYTES + 16] = "", amount[LEFT_BYTES];
  double left_s = progress_left_s(progress, now_s);
  if (isfinite(left_s)) {
    bar(progress, bar_text);
    snprintf(left, sizeof left, "  about %s left", duration(left_s, amount));
  }
  char line[LINE_BYTES];
  snprintf(line, sizeof line, "%s%s%s%s%s", progress->phase, bar_text,
           progress->what[0] ? "  " : "", progress->what, left);
  fprintf(progress->stream, "\r%.*s\033[K", progress->columns - 1, line);
  fflush(progress->stream);
  progress->drawn_s = now_s;
}

void progress_begin(struct progress *progress, FILE *stream, const char *phase, double expected_s) {
  *progress = (struct progress){.stream = stream, .expected_s = expected_s};
  if (!stream) return;
  snprintf(progress->phase, sizeof progress->phase, "%s", phase);
  progress->live = is_terminal(stream);
  progress->columns = progress->live ? terminal_columns(stream) : 0;
  progress->started_s = clock_now_s();
  progress->stepped_s = progress->started_s;
  if (progress->live) {
    draw(progress);
    return;
  }
  char amount[LEFT_BYTES];
  if (expected_s > 0)
    fprintf(stream, "refill: %s, about %s\n", phase, duration(expected_s, amount));
  else
    fprintf(stream, "refill: %s\n", phase);
}

void progress_running(struct progress *progress, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(progress->what, sizeof progress->what, format, arguments);
  va_end(arguments);
  if (progress->live) draw(progress);
}

void progress_done(struct progress *progress, double step_s) {
  progress->done_s += step_s;
  progress->stepped_s = clock_now_s();
  if (progress->live && progress->stepped_s - progress->drawn_s >= REDRAW_S) draw(progress);
}

void progress_expect(struct progress *progress, double left_s) {
  progress->expected_s = progress->done_s + left_s;
  if (progress->live) draw(progress);
}

void progress_end(struct progress *progress) {
  if (progress->live) {
    fputs("\r\033[K", progress->stream);
    fflush(progress->stream);
  }
  progress->live = false;
  progress->stream = NULL;
}
