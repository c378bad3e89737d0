/*
 * The memory of the virtual GPU: three mappings and a sorted table of allocations.
 */
#include "tests/vgpu/memory/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/vgpu/memory/order.h"

#define GRANULE 512U
#define GAP_BYTES 4096U /* between neighbours, so that a run over the end meets nobody */

struct arena {
  pthread_mutex_t lock;
  size_t bytes, used;
  size_t span; /* addresses reserved: several times `bytes` */
  uint64_t base, next;
  unsigned char *data, *state;
  struct arena_range *ranges;
  size_t n_ranges, room;
};

static void *reserve(size_t bytes, int protection) {
  void *address = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return address == MAP_FAILED ? NULL : address;
}

struct arena *arena_open(size_t bytes) {
  struct arena *arena = calloc(1, sizeof *arena);
  if (!arena) return NULL;
  pthread_mutex_init(&arena->lock, NULL);
  arena->bytes = bytes;
  arena->span = bytes * 3 + (64U << 20);
  void *forbidden = reserve(arena->span, PROT_NONE);
  arena->data = reserve(arena->span, PROT_READ | PROT_WRITE);
  arena->state = reserve(arena->span, PROT_READ | PROT_WRITE);
  arena->base = arena->next = (uint64_t)(uintptr_t)forbidden;
  if (forbidden && arena->data && arena->state) return arena;
  arena_close(arena);
  return NULL;
}

void arena_close(struct arena *arena) {
  if (!arena) return;
  if (arena->base) munmap((void *)(uintptr_t)arena->base, arena->span);
  if (arena->data) munmap(arena->data, arena->span);
  if (arena->state) munmap(arena->state, arena->span);
  pthread_mutex_destroy(&arena->lock);
  free(arena->ranges);
  free(arena);
}

/* Index of the first range that ends after `address`. */
static size_t first_after(const struct arena_range *ranges, size_t n, uint64_t address) {
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ranges[middle].end > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* Fresh addresses first; then the first gap that is large enough. 0: none. */
static uint64_t place(const struct arena *arena, size_t room) {
  uint64_t end = arena->base + arena->span;
  if (room <= end - arena->next) return arena->next;
  uint64_t start = arena->base;
  for (size_t i = 0; i < arena->n_ranges; i++) {
    if (arena->ranges[i].start - start >= room) return start;
    uint64_t occupied = arena->ranges[i].end - arena->base + GAP_BYTES + GRANULE - 1;
    start = arena->base + occupied / GRANULE * GRANULE;
  }
  return end > start && end - start >= room ? start : 0;
}

static int insert(struct arena *arena, uint64_t start, size_t bytes, bool constant) {
  if (arena->n_ranges == arena->room) {
    size_t room = arena->room ? arena->room * 2 : 64;
    struct arena_range *ranges = realloc(arena->ranges, room * sizeof *ranges);
    if (!ranges) return -1;
    arena->ranges = ranges;
    arena->room = room;
  }
  size_t at = first_after(arena->ranges, arena->n_ranges, start);
  memmove(&arena->ranges[at + 1], &arena->ranges[at],
          (arena->n_ranges - at) * sizeof *arena->ranges);
  arena->ranges[at] = (struct arena_range){start, start + bytes, constant};
  arena->n_ranges++;
  return 0;
}

uint64_t arena_alloc(struct arena *arena, size_t bytes, bool constant) {
  if (bytes == 0 || bytes > arena->bytes) return 0;
  size_t room = (bytes + GAP_BYTES + GRANULE - 1) / GRANULE * GRANULE;
  order_lock(&arena->lock);
  uint64_t start = 0;
  if (bytes <= arena->bytes - arena->used) start = place(arena, room);
  if (start && insert(arena, start, bytes, constant) == 0) {
    arena->used += bytes;
    if (start + room > arena->next) arena->next = start + room;
  } else {
    start = 0;
  }
  order_unlock(&arena->lock);
  return start;
}

/* Gives the pages back; the ones at the edges are cleared by hand where they are shared. */
static void forget(struct arena *arena, const struct arena_range *range) {
  size_t offset = range->start - arena->base, bytes = range->end - range->start;
  size_t first = (offset + 4095) / 4096 * 4096, last = (offset + bytes) / 4096 * 4096;
  if (first >= last) {
    memset(arena->state + offset, 0, bytes);
    return;
  }
  memset(arena->state + offset, 0, first - offset);
  memset(arena->state + last, 0, offset + bytes - last);
  madvise(arena->data + first, last - first, MADV_DONTNEED);
  madvise(arena->state + first, last - first, MADV_DONTNEED);
}

int arena_free(struct arena *arena, uint64_t address) {
  order_lock(&arena->lock);
  size_t at = first_after(arena->ranges, arena->n_ranges, address);
  bool found = at < arena->n_ranges && arena->ranges[at].start == address;
  if (found) {
    arena->used -= arena->ranges[at].end - address;
    forget(arena, &arena->ranges[at]);
    arena->n_ranges--;
    memmove(&arena->ranges[at], &arena->ranges[at + 1],
            (arena->n_ranges - at) * sizeof *arena->ranges);
  }
  order_unlock(&arena->lock);
  return found ? 0 : -1;
}

bool arena_find(struct arena *arena, uint64_t address, struct arena_range *range) {
  order_lock(&arena->lock);
  size_t at = first_after(arena->ranges, arena->n_ranges, address);
  bool found = at < arena->n_ranges && arena->ranges[at].start <= address;
  if (found) *range = arena->ranges[at];
  order_unlock(&arena->lock);
  return found;
}

size_t arena_bytes_total(const struct arena *arena) {
  return arena->bytes;
}

size_t arena_bytes_free(struct arena *arena) {
  order_lock(&arena->lock);
  size_t bytes = arena->bytes - arena->used;
  order_unlock(&arena->lock);
  return bytes;
}

size_t arena_count(struct arena *arena) {
  order_lock(&arena->lock);
  size_t count = arena->n_ranges;
  order_unlock(&arena->lock);
  return count;
}

int arena_view_begin(struct arena *arena, struct arena_view *view) {
  order_lock(&arena->lock);
  *view = (struct arena_view){.data_delta = (uint64_t)(uintptr_t)arena->data - arena->base,
                              .state_delta = (uint64_t)(uintptr_t)arena->state - arena->base,
                              .n_ranges = arena->n_ranges};
  view->ranges = malloc((arena->n_ranges + 1) * sizeof *view->ranges);
  if (view->ranges && arena->n_ranges)
    memcpy(view->ranges, arena->ranges, arena->n_ranges * sizeof *view->ranges);
  order_unlock(&arena->lock);
  return view->ranges ? 0 : -1;
}

void arena_view_end(struct arena_view *view) {
  free(view->ranges);
  view->ranges = NULL;
}

void *arena_data(const struct arena *arena, uint64_t address) {
  return arena->data + (address - arena->base);
}

void arena_mark(const struct arena *arena, uint64_t address, size_t bytes) {
  memset(arena->state + (address - arena->base), 1, bytes);
}

bool arena_written(const struct arena *arena, uint64_t address, size_t bytes) {
  return memchr(arena->state + (address - arena->base), 0, bytes) == NULL;
}

void arena_unmark(const struct arena *arena, uint64_t address, size_t bytes) {
  memset(arena->state + (address - arena->base), 0, bytes);
}
