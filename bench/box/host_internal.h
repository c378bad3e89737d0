/*
 * The parts of host_read() that have a file of their own.
 */
#ifndef REFILL_BENCH_BOX_HOST_INTERNAL_H
#define REFILL_BENCH_BOX_HOST_INTERNAL_H

#include "bench/box/host.h"

/* NUMA nodes and distances; NVIDIA devices and their driver's files. */
void host_read_nodes(struct host *host, const char *root);
void host_read_gpus(struct host *host, const char *root);

#endif
