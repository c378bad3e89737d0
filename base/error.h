/*
 * What went wrong, said once, where it happened.
 *
 * Functions of base, model, io and kernels return 0 or a negative errno and
 * never print or exit. Those that can say more than the code take a last
 * argument `struct error *error` (may be NULL) and leave one sentence there:
 * what failed, the value, and what to do next.
 */
#ifndef REFILL_BASE_ERROR_H
#define REFILL_BASE_ERROR_H

struct error {
  int code;          /* negative errno; 0 while nothing failed */
  char message[508]; /* one sentence, no newline, always terminated */
};

/* Records `code` (a negative errno) and a formatted message; the first error
 * stays: later ones are usually its consequences. Returns `code`. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before a message already recorded, for callers that know
 * more of the circumstances. Returns error->code (-EIO where error is NULL). */
int error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets a recorded error. */
void error_clear(struct error *error);

#endif
