/*
 * Redirected output for the plain harness: see tests/plain/criterion/redirect.h.
 */
#include "tests/plain/criterion/redirect.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/plain/criterion/criterion.h"

/* By descriptor: what reads the file behind standard output and standard error. */
static FILE *readers[3];

static void redirect(FILE *stream, int descriptor) {
  fflush(stream);
  int file = memfd_create("redirected", MFD_CLOEXEC);
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
  readers[descriptor] = fopen(path, "r"); /* its own position, unlike dup() */
  if (file < 0 || !readers[descriptor] || dup2(file, descriptor) < 0) {
    plain_failed(true, __FILE__, __LINE__, "redirect", " descriptor %d", descriptor);
  }
  close(file);
}

void cr_redirect_stdout(void) {
  redirect(stdout, STDOUT_FILENO);
}

void cr_redirect_stderr(void) {
  redirect(stderr, STDERR_FILENO);
}

/* A reader that met the end goes on with what was written since. */
static FILE *reader_of(int descriptor) {
  if (readers[descriptor]) clearerr(readers[descriptor]);
  return readers[descriptor];
}

FILE *cr_get_redirected_stdout(void) {
  return reader_of(STDOUT_FILENO);
}

FILE *cr_get_redirected_stderr(void) {
  return reader_of(STDERR_FILENO);
}
