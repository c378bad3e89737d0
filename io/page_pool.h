/*
 * A fixed pool of equal, aligned slots in one arena, for measuring storage
 * alone, where no device's memory is there to read into. One thread's own.
 */
#ifndef REFILL_IO_PAGE_POOL_H
#define REFILL_IO_PAGE_POOL_H

#include "base/memory.h"
#include "io/engine.h"

struct page_pool {
  struct memory memory;
  size_t slot_bytes; /* rounded up to the alignment */
  int n_slots;
  int n_free;
  int *free_slots; /* a stack */
};

/* Maps n_slots >= 1 slots of at least slot_bytes > 0, each aligned to `alignment` (a power of two
 * up to 4096; memory_map() gives no more), all touched,
 * on whole huge pages where the kernel has them. -EINVAL, or memory_map()'s errors. */
int page_pool_init(struct page_pool *pool, int n_slots, size_t slot_bytes, size_t alignment,
                   const struct placement *placement, struct error *error);

/* Safe on a zeroed struct. */
void page_pool_destroy(struct page_pool *pool);

/* A free slot's number, the most recently given one first (its lines may still be cached); -1 where
 * all are taken. */
int page_pool_take(struct page_pool *pool);

/* Gives a taken slot back. */
void page_pool_give(struct page_pool *pool, int slot);

/* Where a slot begins. */
void *page_pool_address(const struct page_pool *pool, int slot);

/* The whole arena, to be registered with an engine. */
struct io_buffer page_pool_buffer(const struct page_pool *pool);

#endif
