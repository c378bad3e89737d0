/*
 * A result: JSON of schema "refill/1", with all that is needed to judge it.
 *
 *   schema, command, refill {version, ...}, started, command_line, environment, config, host, [what
 * the command adds], finished, interrupted, warnings [{name, text, details, count}]
 *
 * Numbers that are not finite are null: JSON has no NaN, and a reader must not take a missing
 * value for zero.
 */
#ifndef REFILL_BENCH_PRESENT_RESULT_H
#define REFILL_BENCH_PRESENT_RESULT_H

#include <jansson.h>
#include <stdio.h>

#include "base/error.h"
#include "bench/measure/stats.h"
#include "bench/options.h"

#define RESULT_SCHEMA "refill/1"

/* A new result of the command in `options`, up to `host` (what bench/box found out; taken over,
 * NULL is null). The caller owns it and adds its own fields with json_object_set_new(). */
json_t *result_new(const struct options *options, json_t *host);

/* Now, UTC, ISO 8601: "2025-03-01T12:00:00Z". */
json_t *result_time(void);

/* A real, or null where it is not finite. */
json_t *result_real(double value);

/* {"median", "ci_low", "ci_high", "samples": [...]}; nulls where n is 0. */
json_t *result_interval(const struct samples *samples, struct interval interval);

/* The samples alone, in the order taken. */
json_t *result_samples(const struct samples *samples);

/* Publishes a result (or, with PUBLISH_PROFILE's rules, any JSON) at `path`: see publish.h. */
int result_publish(const json_t *result, const char *path, struct error *error);

/* Prints it, indented by 2, keys in the order they were set. Returns 0 or a negative errno. */
int result_print(const json_t *result, FILE *stream);

/* Reads a result back. -EINVAL with a sentence where it is not JSON, not of our schema, or of a
 * version that this program does not know (both versions named). NULL on failure. */
json_t *result_read(const char *path, struct error *error);

#endif
