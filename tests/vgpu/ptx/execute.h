/*
 * The state of running blocks: warps, groups of lanes, shared memory and its shadow.
 */
#ifndef REFILL_TESTS_VGPU_PTX_EXECUTE_H
#define REFILL_TESTS_VGPU_PTX_EXECUTE_H

#include "tests/vgpu/ptx/program.h"

#define WARPS_MAX 32
#define BARRIERS 16
#define SHARED_BYTES_MAX 232448

struct block;

/* Lanes of a warp that stand at one instruction. */
struct lanes {
  int32_t pc;
  uint32_t mask;
};

/* A cp.async that has been issued and not yet been waited for. */
struct async_copy {
  uint32_t target;
  uint8_t bytes, source_bytes;
  uint32_t group;
  uint64_t source;
  const struct insn *insn;
};

struct warp {
  unsigned char *file;            /* registers */
  const unsigned char *constants; /* of the kernel */
  struct block *block;
  int index;
  uint32_t live;              /* lanes that have not returned */
  struct lanes groups[LANES]; /* the last one runs: those with the lowest pc */
  int n_groups;
  int barrier;           /* that it waits at, or -1 */
  const struct insn *at; /* the barrier's instruction */
  uint64_t steps;
  struct arena_range last;    /* the allocation that was hit last */
  uint32_t clocks[WARPS_MAX]; /* of each warp, how much of it is ordered before now */
  struct async_copy *copies[LANES];
  int n_copies[LANES], copies_room[LANES];
  uint32_t copy_group[LANES];
  unsigned char *local; /* (2, lanes, local_bytes): bytes, and whether each was written */
};

/* Of each 4 bytes of shared memory: who wrote and who read them last, and where. */
struct shadow_word {
  uint32_t write_clock, read_clock;
  uint32_t readers; /* warps that read since the last ordered read */
  int32_t write_line, read_line;
  uint16_t pending;                        /* copies under way */
  uint8_t writer, write_bytes, read_bytes; /* bytes as masks of 4 bits */
};

struct shadow {
  struct shadow_word *words;
  size_t n_words;
};

struct barrier {
  uint32_t expected, arrived; /* threads */
  uint32_t warps;             /* that wait */
  uint32_t joined[WARPS_MAX]; /* clocks of all that arrived */
};

/* One launch: shared by the threads that run its blocks. */
struct run {
  const struct ptx_kernel *kernel;
  const struct ptx_launch *launch;
  const struct ptx_options *options;
  struct arena_view memory;
  uint64_t n_blocks;
  uint64_t next_block; /* atomic */
  uint64_t steps;      /* atomic */
  int failed;          /* atomic */
  struct error *error; /* written by the one that sets `failed` */
};

/* One block at a time, one struct per thread. */
struct block {
  struct run *run;
  unsigned index[3];
  int n_warps, n_threads;
  struct warp *warps;
  unsigned char *shared;
  size_t shared_bytes;
  struct shadow shadow;
  struct barrier barriers[BARRIERS];
  uint64_t random;
};

/* Where an operand's lanes are. */
static inline void *place_at(const struct warp *warp, int32_t place) {
  return (place & PLACE_CONSTANT ? (unsigned char *)(uintptr_t)warp->constants : warp->file) +
         (place & ~PLACE_CONSTANT);
}

static inline uint32_t predicate_at(const struct warp *warp, int32_t place) {
  return *(const lane32 *)place_at(warp, place);
}

/* A lane's value, whatever the width. */
static inline uint64_t lane_value(const void *lanes, int width, int lane) {
  if (width == WIDTH_64) return ((const lane64 *)lanes)[lane];
  if (width == WIDTH_32) return ((const lane32 *)lanes)[lane];
  return ((const lane16 *)lanes)[lane];
}

static inline void lane_set(void *lanes, int width, int lane, uint64_t value) {
  if (width == WIDTH_64)
    ((lane64 *)lanes)[lane] = value;
  else if (width == WIDTH_32)
    ((lane32 *)lanes)[lane] = (uint32_t)value;
  else
    ((lane16 *)lanes)[lane] = (uint16_t)value;
}

/* Sets the lanes of the mask in a predicate. */
static inline void predicate_set(struct warp *warp, int32_t place, uint32_t mask, uint32_t value) {
  lane32 *target = place_at(warp, place);
  *target = (*target & ~mask) | (value & mask);
}

/* An address operand's value in a lane. */
static inline uint64_t lane_address(const struct warp *warp, const struct insn *insn, int lane) {
  const void *lanes = place_at(warp, insn->s[0]);
  uint64_t base = insn->address_wide ? ((const lane64 *)lanes)[lane]
                                     : ((const lane32 *)lanes)[lane];
  return base + (uint64_t)insn->offset;
}

/* Copies results of `width` into the lanes of the mask. */
void lanes_store(struct warp *warp, int32_t place, const void *values, int width, uint32_t mask);

/* fault.c: ends the launch: the first to fail says what, with the line, block, warp and lane
 * (-1: all). `code` is a negative errno. */
enum outcome fault(struct warp *warp, const struct insn *insn, int lane, int code,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* memory.c: the byte of a device address, or NULL after a fault. */
unsigned char *global_bytes(struct warp *warp, const struct insn *insn, int lane, uint64_t address,
                            size_t bytes, bool writes);

/* shared.c: the bytes at an address of shared memory, checked for bounds, alignment and order
 * between warps; NULL after a fault. */
unsigned char *shared_bytes(struct warp *warp, const struct insn *insn, int lane, uint64_t address,
                            size_t bytes, bool writes);
void shared_pending(struct warp *warp, uint32_t address, size_t bytes, int change);
int shadow_open(struct shadow *shadow, size_t bytes);
void shadow_clear(struct shadow *shadow);
void shadow_close(struct shadow *shadow);

/* warp.c: runs until the warp waits, ends, fails or has done `budget` instructions. */
enum outcome warp_run(struct warp *warp, uint64_t budget);

/* barrier.c */
enum outcome run_barrier(struct warp *warp, const struct insn *insn, uint32_t mask);
void barriers_release(struct block *block);

/* block.c: one block from start to end; 0 or -1 after a fault. */
int block_run(struct block *block);

#endif
