/*
 * A run as a timeline, in Chrome trace format: opens in Perfetto (ui.perfetto.dev).
 */
#ifndef REFILL_BENCH_MEASURE_TRACE_H
#define REFILL_BENCH_MEASURE_TRACE_H

#include <stdio.h>

#include "bench/measure/pipeline.h"

/* What a trace begins with, so that a later run knows the file for one of ours. */
#define TRACE_HEAD "{\"otherData\":{\"schema\":\"refill/"

/* Writes one run's layers as five tracks (read, H2D, compute, D2H, write), times in microseconds
 * from the run's start; `title` names the run, which has computed. In `otherData`: when it had its
 * first token and was durable, and `clock_error_s`, by how much the device's spans may be off
 * against those of storage. Errors stay with the stream. */
void trace_write(FILE *stream, const struct pipeline_run *run, const char *title);

#endif
