/*
 * One map, cut into equal slots; a stack of those that are free. A pool is
 * filled before a measurement and never grows, so nothing is allocated in it.
 */
#include "io/page_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT_MAX 4096
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

int page_pool_init(struct page_pool *pool, int n_slots, size_t slot_bytes, size_t alignment,
                   const struct placement *placement, struct error *error) {
  assert(pool != NULL);
  memset(pool, 0, sizeof *pool);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > ALIGNMENT_MAX)
    return error_set(error, -EINVAL, "page pool: alignment %zu is no power of two up to %d",
                     alignment, ALIGNMENT_MAX);
  size_t bytes = 0;
  if (n_slots < 1 || slot_bytes < 1 || slot_bytes > SIZE_MAX - alignment ||
      __builtin_mul_overflow(memory_round_up(slot_bytes, alignment), (size_t)n_slots, &bytes))
    return error_set(error, -EINVAL, "page pool: %d slots of %zu bytes cannot be", n_slots,
                     slot_bytes);
  pool->free_slots = calloc((size_t)n_slots, sizeof *pool->free_slots);
  if (pool->free_slots == NULL)
    return error_set(error, -ENOMEM, "page pool: no memory to list %d slots", n_slots);
  /* Whole huge pages: a slot on the small pages of a rest was read at half the rate on a virtio
   * disk, whose requests are then lists of 4 KiB pieces. */
  size_t whole = bytes > SIZE_MAX / 2 ? bytes : memory_round_up(bytes, HUGE_PAGE_BYTES);
  int code = memory_map(&pool->memory, whole, placement, 1, error);
  if (code < 0) {
    free(pool->free_slots);
    pool->free_slots = NULL;
    return code;
  }
  pool->slot_bytes = memory_round_up(slot_bytes, alignment);
  pool->n_slots = pool->n_free = n_slots;
  for (int i = 0; i < n_slots; i++) pool->free_slots[i] = n_slots - 1 - i;
  return 0;
}

void page_pool_destroy(struct page_pool *pool) {
  assert(pool != NULL);
  memory_unmap(&pool->memory);
  free(pool->free_slots);
  memset(pool, 0, sizeof *pool);
}

int page_pool_take(struct page_pool *pool) {
  return pool->n_free > 0 ? pool->free_slots[--pool->n_free] : -1;
}

void page_pool_give(struct page_pool *pool, int slot) {
  assert(slot >= 0 && slot < pool->n_slots);
  assert(pool->n_free < pool->n_slots);
  pool->free_slots[pool->n_free++] = slot;
}

void *page_pool_address(const struct page_pool *pool, int slot) {
  assert(slot >= 0 && slot < pool->n_slots);
  return (char *)pool->memory.address + (size_t)slot * pool->slot_bytes;
}

struct io_buffer page_pool_buffer(const struct page_pool *pool) {
  return (struct io_buffer){
      .address = pool->memory.address, .bytes = pool->memory.bytes, .kind = IO_BUFFER_HOST};
}
