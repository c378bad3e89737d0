/*
 * Which warnings an earlier run of the same script has told already.
 *
 * A script that runs several commands, as the demonstration does, would tell the same of its box
 * after each. It names an empty file in the environment variable REFILL_TOLD: lines that are told
 * are added to it, and one that is there is not told again.
 */
#ifndef REFILL_BENCH_PRESENT_TOLD_H
#define REFILL_BENCH_PRESENT_TOLD_H

#include <stdbool.h>

/* True where an earlier run told `line` (of any length, without a newline); else notes it. False
 * too where there is no such file: told twice is better than not at all. */
bool told_before(const char *line);

#endif
