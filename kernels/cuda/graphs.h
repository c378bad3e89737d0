/*
 * Layers as CUDA graphs: all of a layer's kernels by one call of the host.
 *
 * Where that pays (--cuda-graphs auto). A layer is 9 to 11 launches; each costs the host 2 to 3 us
 * (cuDNN's more), about 35 us together with the events around them, and leaves some 0.5 us between
 * dependent kernels on the GPU that a graph does not. The host runs ahead of the GPU, so its 35 us
 * show only where a layer takes no longer. Weights alone, read at 3.35 TB/s, take of one layer,
 * bf16:
 *
 *   Llama-3-70B 1.71 GB 511 us    Llama-3-8B 436 MB 130 us    Llama-3.2-1B 122 MB 36 us
 *
 * and that is what a layer takes at n_new 1 and 16; at 64 the 8B's FLOPs (28 GFLOP, 40 us) still
 * hide behind it; at 512 they do not (223 GFLOP: 320 us at 700 TFLOPS; 70B: 1.25 ms). So launches
 * can show at short suffixes of small models only: 1B up to twofold, 8B by some 4% (gaps of 5 us in
 * 130), 70B by 1%, and nothing from 512 tokens on. `auto` takes graphs for layers that should take
 * less than GRAPHS_LAYER_S by that reckoning.
 *
 * One graph a layer, since addresses of weights and cache are part of it, captured when a run of
 * another (n_new, n_past) begins, after one layer has run without: some 0.2 ms a layer, outside
 * timed regions. What fails turns graphs off, and is told.
 */
#ifndef REFILL_KERNELS_CUDA_GRAPHS_H
#define REFILL_KERNELS_CUDA_GRAPHS_H

#include "kernels/cuda/gpu.h"
#include "kernels/device.h"

#define GRAPHS_LAYER_S 300e-6

struct graphs {
  driver_graph_exec *layers; /* (n) NULL before the first capture */
  int n;
  int64_t n_new, n_past; /* that they were captured for; n_new 0: none are */
  bool active;           /* this run's layers are launched as graphs */
  bool refused;          /* capturing failed once: not tried again */
};

struct cuda;

/* Plans of this shape are about to be made, and may replace those that the graphs of another one
 * were captured with: these are forgotten. */
void graphs_keep(struct cuda *cuda, int64_t n_new, int64_t n_past);

/* Readies the graphs of a run, or none where they do not pay; after graphs_keep() and the run's
 * plans. An error only with --cuda-graphs on. */
int graphs_begin(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error);
int graphs_launch(struct cuda *cuda, int layer, struct error *error);

void graphs_close(struct cuda *cuda);

/* What one layer should take by bytes and FLOPs; 0 where the GPU does not tell its memory's clock.
 */
double graphs_layer_s(const struct cuda *cuda, int64_t n_new, int64_t n_past);

#endif
