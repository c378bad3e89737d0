/*
 * A kernel of the project on the interpreter: its PTX as the build made it, exact-sized memory so
 * that a step too far is seen, and every way of running it.
 *
 * VGPU_IMAGES names the folder of images (default: where the Makefile puts them); the mutants'
 * script points it to changed ones.
 */
#ifndef REFILL_TESTS_VGPU_RIG_H
#define REFILL_TESTS_VGPU_RIG_H

#include <criterion/criterion.h>

#include "kernels/cuda/kernels.h"
#include "tests/vgpu/ptx/ptx.h"

#define RIG_MODES 6 /* three schedules, each with cp.async eager and lazy */

struct rig {
  struct arena *arena;
  struct ptx_module *module;
  struct ptx_options options;
  uint64_t random;
};

/* Opens a module's PTX ("norm", "compute_90a"); skips the test where it was not built. */
void rig_open(struct rig *rig, const char *module, const char *form);
void rig_close(struct rig *rig);

/* Sets the options to mode 0..RIG_MODES-1. */
void rig_mode(struct rig *rig, int mode);

/* Device memory that holds a copy; or that nobody has written. */
uint64_t rig_put(struct rig *rig, const void *data, size_t bytes);
uint64_t rig_room(struct rig *rig, size_t bytes);
void *rig_data(const struct rig *rig, uint64_t address);

/* Whether all of it was written by the kernel. */
bool rig_written(const struct rig *rig, uint64_t address, size_t bytes);

/* Runs a kernel of the project's table; fails the test on any error. */
void rig_run(struct rig *rig, const char *kernel, int64_t grid_x, int64_t grid_y,
             const void *arguments);

/* Numbers in [-scale, scale): float, or as the bf16 values that `out` then holds exactly. */
float rig_random(struct rig *rig, float scale);
void rig_random_bf16(struct rig *rig, size_t n, float scale, uint16_t *out, float *values);

/* Fails the test unless |got - wanted| <= absolute + relative |wanted|, NaN included. */
void rig_close_to(const char *what, size_t i, float got, float wanted, float absolute,
                  float relative);

#endif
