/*
 * Redirected output of tests/plain/criterion/criterion.h: into an unnamed file
 * rather than a pipe, so that reading ends at what was written so far and a
 * long print cannot block.
 */
#ifndef REFILL_TESTS_PLAIN_REDIRECT_H
#define REFILL_TESTS_PLAIN_REDIRECT_H

#include <stdio.h>

void cr_redirect_stdout(void);
void cr_redirect_stderr(void);

/* What the test has written (and flushed) since; NULL where it was not redirected. Read only,
 * the test's until it ends. */
FILE *cr_get_redirected_stdout(void);
FILE *cr_get_redirected_stderr(void);

#endif
