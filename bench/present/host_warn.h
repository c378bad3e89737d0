/*
 * What about this machine or build disturbs a measurement.
 */
#ifndef REFILL_BENCH_PRESENT_HOST_WARN_H
#define REFILL_BENCH_PRESENT_HOST_WARN_H

#include <jansson.h>

#include "bench/box/host.h"
#include "bench/present/warnings.h"

/* Adds the warnings: load, governor, build, and locked memory too small for `buffer_bytes` (0: not
 * asked). */
void host_warn(const struct host *host, uint64_t buffer_bytes, struct warnings *warnings);

/* Reads the host, adds its warnings, and gives it as JSON for the result. The caller owns it. */
json_t *host_report(uint64_t buffer_bytes, struct warnings *warnings);

#endif
