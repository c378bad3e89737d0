/*
 * A result as JSON lines: one line a row (a point, a storage row, a check, a compared metric), each
 * complete in itself, for tools that read line by line (jq, DuckDB, pandas, log pipelines).
 *
 * Each line begins with what is common: schema, command, started, refill (version), device, model,
 * layers_run, target; then `row`, the name of the array it came from in the result; then the row's
 * own fields.
 */
#ifndef REFILL_BENCH_PRESENT_JSONL_H
#define REFILL_BENCH_PRESENT_JSONL_H

#include <jansson.h>
#include <stdio.h>

#include "base/error.h"

/* Writes the lines; how many, or a negative errno. */
int jsonl_print(json_t *result, FILE *stream);

/* Publishes them at `path`, whole or not at all: see publish.h. */
int jsonl_publish(json_t *result, const char *path, struct error *error);

#endif
