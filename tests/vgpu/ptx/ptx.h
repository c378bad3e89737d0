/*
 * An interpreter of PTX, as nvcc emits it for this project's kernels.
 *
 * It runs what ptxas makes the machine code from, so that a wrong operand order in inline assembly,
 * a missing .trans or a weak wait shows, which an emulation of the C++ source cannot see. What it
 * does not know is an error that names the line, never a guess.
 *
 * What it checks while running: bounds, alignment and freed memory of every access; reads of memory
 * that nobody wrote; accesses of two warps to the same bytes of shared memory that no barrier
 * orders; shared bytes touched while an asynchronous copy to them is under way; aligned
 * instructions and shuffles in divergent warps; barriers that not all warps reach; kernels that do
 * not end. It cannot see: bank conflicts, coalescing, registers, races between blocks, and the
 * memory model of the machine.
 */
#ifndef REFILL_TESTS_VGPU_PTX_H
#define REFILL_TESTS_VGPU_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tests/vgpu/memory/arena.h"

#define PTX_PARAMETERS_MAX 64

struct ptx_module;
struct ptx_kernel;

struct ptx_parameter {
  size_t offset, bytes;
};

/* What a launch has to know of a kernel. */
struct ptx_kernel_info {
  const char *name;
  int n_parameters;
  struct ptx_parameter parameters[PTX_PARAMETERS_MAX];
  size_t parameter_bytes;
  size_t shared_static_bytes;
  size_t local_bytes;
  unsigned block_max[3]; /* .maxntid or .reqntid; 0: not said */
  bool block_required;   /* .reqntid: the block must be this one */
  size_t n_instructions;
};

enum ptx_schedule { PTX_IN_ORDER, PTX_REVERSE, PTX_RANDOM };

struct ptx_options {
  enum ptx_schedule schedule;
  uint64_t seed;    /* of PTX_RANDOM */
  bool lazy_copies; /* cp.async copies at the wait, not at once: the two extremes of the machine */
  bool any_memory;  /* do not report reads of memory that nobody wrote */
  bool any_order;   /* do not report races in shared memory */
  int threads;      /* blocks run on so many threads; 0: as many as there are CPUs */
  uint64_t first_block; /* those before it, in order, are not run: of a huge grid, the end */
  uint64_t steps_max;   /* instructions of one warp, then it is taken for endless; 0: 2^31 */
};

struct ptx_launch {
  unsigned grid[3], block[3];
  size_t shared_bytes;    /* dynamic */
  const void *parameters; /* parameter_bytes of them, laid out as in ptx_kernel_info */
};

struct ptx_statistics {
  uint64_t warp_instructions;
};

/* Parses a module; its variables are allocated in `arena` (may be NULL where it has none).
 * Returns 0, or -EINVAL with the line in `error`, or -ENOMEM. */
int ptx_module_open(struct ptx_module **module, const char *text, struct arena *arena,
                    struct error *error);
void ptx_module_close(struct ptx_module *module);

/* The kernel, or NULL. Lives as long as the module. */
const struct ptx_kernel *ptx_kernel_find(const struct ptx_module *module, const char *name);
const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *module, size_t index);
const struct ptx_kernel_info *ptx_kernel_info(const struct ptx_kernel *kernel);

/* The variable's address and size: false where there is none of that name. */
bool ptx_variable_find(const struct ptx_module *module, const char *name, uint64_t *address,
                       size_t *bytes);

/* Runs all blocks. Returns 0, or a negative errno with what went wrong and where:
 * -EFAULT for an address, -EINVAL for the rest, -ENOMEM. */
int ptx_run(const struct ptx_kernel *kernel, const struct ptx_launch *launch, struct arena *arena,
            const struct ptx_options *options, struct ptx_statistics *statistics,
            struct error *error);

#endif
