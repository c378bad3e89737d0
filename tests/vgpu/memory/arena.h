/*
 * The memory of the virtual GPU.
 *
 * A device address is a real address of this process that nobody may touch: the range is reserved
 * with PROT_NONE, so that host code that dereferences a device pointer dies on the spot. The bytes
 * live in a second mapping at a fixed distance, which only the interpreter, the copies and the
 * library stand-ins use. A third one holds a byte of state per byte: written or not.
 *
 * Addresses are not used again while there are fresh ones, so that an access to freed memory is
 * always seen. Nothing is committed until it is touched: 80 GB cost nothing.
 */
#ifndef REFILL_TESTS_VGPU_ARENA_H
#define REFILL_TESTS_VGPU_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct arena_range {
  uint64_t start, end; /* device addresses [start, end) */
  bool constant;       /* kernels may not write it */
};

/* What is allocated at one moment: kernels run over a copy, so that no lock is held meanwhile. */
struct arena_view {
  uint64_t data_delta;        /* added to a device address: where its byte is */
  uint64_t state_delta;       /* added to a device address: where its state is */
  struct arena_range *ranges; /* sorted by start */
  size_t n_ranges;
};

/* Reserves the address space for `bytes` of memory. Returns NULL where the kernel refuses. */
struct arena *arena_open(size_t bytes);
void arena_close(struct arena *arena);

/* A new allocation at a multiple of 512, or 0 where `bytes` are not free. */
uint64_t arena_alloc(struct arena *arena, size_t bytes, bool constant);

/* Returns 0, or -1 where `address` is not the start of an allocation. */
int arena_free(struct arena *arena, uint64_t address);

/* The allocation that holds `address`: false where there is none. */
bool arena_find(struct arena *arena, uint64_t address, struct arena_range *range);

size_t arena_bytes_total(const struct arena *arena);
size_t arena_bytes_free(struct arena *arena);
size_t arena_count(struct arena *arena);

/* Copies the table; the caller ends with arena_view_end(). Returns 0 or -1 (no memory). */
int arena_view_begin(struct arena *arena, struct arena_view *view);
void arena_view_end(struct arena_view *view);

/* Where the byte of a device address is in this process. */
void *arena_data(const struct arena *arena, uint64_t address);

/* Marks bytes as written; whether all of [address, address + bytes) are. */
void arena_mark(const struct arena *arena, uint64_t address, size_t bytes);
bool arena_written(const struct arena *arena, uint64_t address, size_t bytes);

/* Takes the mark away. */
void arena_unmark(const struct arena *arena, uint64_t address, size_t bytes);

#endif
