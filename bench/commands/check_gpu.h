/*
 * `refill verify --all` on cuda: is this GPU's every part right?
 */
#ifndef REFILL_BENCH_COMMANDS_CHECK_GPU_H
#define REFILL_BENCH_COMMANDS_CHECK_GPU_H

#include "base/error.h"
#include "bench/options.h"

/* All steps, each in a process of its own; this one never loads the plugin. Returns an exit code.
 */
int check_gpu(const struct options *options, struct error *error);

/* The step that --step names, here and now; prints what was found. */
int check_gpu_step(const struct options *options, struct error *error);

#endif
