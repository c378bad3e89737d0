/*
 * What this program was built from and how: part of every result, since a debug build measures
 * something else.
 */
#ifndef REFILL_BENCH_PRESENT_BUILD_H
#define REFILL_BENCH_PRESENT_BUILD_H

#include <jansson.h>

/* "0.1.0", "unknown" where it was built without the Makefile. */
const char *build_version(void);

/* The commit, marked where it was changed; NULL unknown. */
const char *build_commit(void);

/* "gcc 12.2.0" */
const char *build_compiler(void);

/* NULL for a build fit to measure, else what is wrong: "built with AddressSanitizer". */
const char *build_problem(void);

/* {"version", "commit", "compiler", "flags", "problem"}; the caller owns it. */
json_t *build_to_json(void);

#endif
