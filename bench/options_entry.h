/*
 * How an entry of the option table is written: shared by the files that hold entries.
 */
#ifndef REFILL_BENCH_OPTIONS_ENTRY_H
#define REFILL_BENCH_OPTIONS_ENTRY_H

#include "bench/options_table.h"

#define D (1U << OPTIONS_DOCTOR)
#define C (1U << OPTIONS_CALIBRATE)
#define S (1U << OPTIONS_SWEEP)
#define V (1U << OPTIONS_VERIFY)
#define P (1U << OPTIONS_PLAN)
#define X (1U << OPTIONS_COMPARE)
#define R (1U << OPTIONS_REPORT)
#define L (1U << OPTIONS_STORAGE_LAB)

/* Kind, group and commands of an entry; default and accepted range. */
#define IS(kind_, group_, commands_)                                                               \
  .kind = OPTIONS_##kind_, .group = OPTIONS_##group_, .commands = (commands_)
#define RANGE(initial_, min_, max_) .initial = (initial_), .min = (min_), .max = (max_)

#define FIELD(member) .offset = offsetof(struct options, member), .key = #member
#define FIELD_UNLISTED(member) .offset = offsetof(struct options, member)

#endif
