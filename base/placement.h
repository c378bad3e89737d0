/*
 * Where threads and memory go. Decided in bench/box (hwloc), handed down as
 * plain numbers, applied here with system calls.
 */
#ifndef REFILL_BASE_PLACEMENT_H
#define REFILL_BASE_PLACEMENT_H

#include <stdint.h>

#define PLACEMENT_CPU_WORDS 16 /* 1024 CPUs */

struct placement {
  int node;                           /* NUMA node of memory; -1: any */
  uint64_t cpus[PLACEMENT_CPU_WORDS]; /* CPUs threads may use; all zero: any */
};

#define PLACEMENT_ANY ((struct placement){.node = -1})

/* Binds the calling thread to placement->cpus (nothing where all are zero or
 * placement is NULL). Returns 0 or a negative errno. */
int placement_bind_thread(const struct placement *placement);

#endif
