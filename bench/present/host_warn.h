/*
 * What about this machine or build disturbs a measurement.
 */
#ifndef REFILL_BENCH_PRESENT_HOST_WARN_H
#define REFILL_BENCH_PRESENT_HOST_WARN_H

#include <jansson.h>

#include "bench/box/host.h"
#include "bench/present/warnings.h"

/* Adds the warnings: load, governor, build. Too little locked memory shows where an engine could
 * not register its buffers, which WARNING_UNREGISTERED tells: the limit alone says nothing of a
 * process that it does not bind. */
void host_warn(const struct host *host, struct warnings *warnings);

/* Reads the host, adds its warnings, and gives it as JSON for the result. The caller owns it. */
json_t *host_report(struct warnings *warnings);

#endif
