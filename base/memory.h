/*
 * Large memory: anonymous maps on transparent huge pages, on a chosen NUMA
 * node. Page-aligned (2 MiB-aligned from 2 MiB up), zero-filled.
 */
#ifndef REFILL_BASE_MEMORY_H
#define REFILL_BASE_MEMORY_H

#include <stddef.h>

#include "base/error.h"
#include "base/placement.h"

struct memory {
  void *address; /* NULL while nothing is mapped */
  size_t bytes;  /* as asked for, rounded up to pages */
  void *map;     /* what munmap() needs; alignment slack included */
  size_t map_bytes;
};

/* Maps `bytes` > 0 with MADV_HUGEPAGE, bound to placement->node where that is
 * not -1 (placement may be NULL). Pages are touched when first used unless
 * `touch` is non-zero, which faults all of them in now. The caller owns the
 * map until memory_unmap(). Returns 0 or -ENOMEM / another negative errno with
 * a message that names the size. */
int memory_map(struct memory *memory, size_t bytes, const struct placement *placement, int touch,
               struct error *error);

/* Gives the map back; safe on a zeroed struct, and twice. */
void memory_unmap(struct memory *memory);

/* `bytes` rounded up to a multiple of `alignment` (a power of two). */
static inline size_t memory_round_up(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) & ~(alignment - 1);
}

/* Bytes of memory that the kernel says can still be had without swapping
 * (MemAvailable); 0 where it does not tell. */
size_t memory_available_bytes(void);

#endif
