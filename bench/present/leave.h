/*
 * The end of a command, the same for all: table or JSON to stdout, files published, warnings to
 * stderr; and the checks at its start that this end will be possible.
 */
#ifndef REFILL_BENCH_PRESENT_LEAVE_H
#define REFILL_BENCH_PRESENT_LEAVE_H

#include <jansson.h>

#include "base/error.h"
#include "bench/options.h"
#include "bench/present/table.h"
#include "bench/present/warnings.h"

/* Checks -o, --csv, --jsonl, --trace and --profile before anything is measured (publish_check). A
 * failure is one of usage: return EXIT_USAGE. */
int leave_check(const struct options *options, struct error *error);

/* Adds `finished`, `interrupted` and the warnings to `result`, then prints the tables (with an
 * empty line between) or, with --json, the result; publishes -o, --csv (tables in order, an
 * empty line between) and --jsonl; prints the warnings. All of it is tried even where one part
 * fails; returns the first failure, 0 else. */
int leave(const struct options *options, json_t *result, const struct table *const *tables,
          int n_tables, const struct warnings *warnings, struct error *error);

/* The same where the tables for people are not those of --csv. */
int leave_with(const struct options *options, json_t *result, const struct table *const *tables,
               int n_tables, const struct table *const *csv, int n_csv,
               const struct warnings *warnings, struct error *error);

#endif
