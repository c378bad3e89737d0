/*
 * A sweep as a table, as JSON, and as an answer in one sentence.
 */
#ifndef REFILL_BENCH_PRESENT_SWEEP_REPORT_H
#define REFILL_BENCH_PRESENT_SWEEP_REPORT_H

#include <jansson.h>
#include <stddef.h>

#include "bench/measure/break_even.h"
#include "bench/measure/sweep_plan.h"
#include "bench/present/table.h"
#include "bench/present/warnings.h"

/* TTFT: observed beside the models, one row a point. The caller owns it; NULL when memory is out.
 */
struct table *sweep_table(const struct sweep *sweep);

/* The middle layer, side by side: bytes, GB/s, ms read, ms compute. */
struct table *sweep_layer_table(const struct sweep *sweep);

/* Adds "summary", "points" and "break_even" to a result. */
void sweep_to_json(const struct sweep *sweep, const struct break_even *break_even, json_t *result);

/* Adds the warnings that the samples give cause for; reports where the model's error is more than
 * noise. */
void sweep_warn(const struct sweep *sweep, struct warnings *warnings);

/* TTFT of recompute over that of the point, paired by round; median. NaN where unknown. */
double sweep_speedup(const struct sweep *sweep, const struct point *point);

#define ANSWER_BYTES 640

/* The answer: from which prefix on reload wins, by how much at best, and what binds where. */
char *sweep_answer(const struct sweep *sweep, const struct break_even *break_even,
                   char text[ANSWER_BYTES]);

#endif
