/*
 * What this program was built from and how: part of every result, since a debug build measures
 * something else.
 */
#ifndef REFILL_BENCH_PRESENT_BUILD_H
#define REFILL_BENCH_PRESENT_BUILD_H

#include <jansson.h>

/* "0.1.0+g1a2b3c4" (the commit, "-dirty" where the tree differed from it), "unknown" where it was
 * built without the Makefile. */
const char *build_version(void);

/* As the compiler calls itself. */
const char *build_compiler(void);

/* NULL for a build fit to measure, else what is wrong: "built with AddressSanitizer". */
const char *build_problem(void);

/* {"version", "compiler", "flags", "problem"}; the caller owns it. */
json_t *build_to_json(void);

#endif
