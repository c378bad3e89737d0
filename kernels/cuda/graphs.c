/*
 * Capturing layers, and launching them.
 */
#include "kernels/cuda/graphs.h"

#include <errno.h>
#include <stdlib.h>

#include "kernels/cuda/chunk.h"

#define FLOPS_PER_CLOCK 4096 /* of a multiprocessor of Hopper, dense bf16; others do less */

double graphs_layer_s(const struct cuda *cuda, int64_t n_new, int64_t n_past) {
  const struct gpu *gpu = &cuda->gpu;
  const struct shape *s = &cuda->config.shape;
  const double memory = 2.0 * gpu->memory_clock_khz * 1e3 * gpu->memory_bus_bits / 8;
  const double flops = (double)gpu->multiprocessors * gpu->clock_khz * 1e3 * FLOPS_PER_CLOCK;
  if (memory <= 0 || flops <= 0) return 0;
  const double bytes = (double)cuda->plan.weights.bytes +
                       2.0 * (double)cuda->plan.kv_row_bytes * (double)(n_past + n_new);
  const double work = (shape_linear_flops_per_token(s) * (double)n_new +
                       shape_attention_flops(s, (double)n_past, (double)n_new)) /
                      s->layers;
  const double by_bytes = bytes / memory, by_flops = work / flops;
  return by_bytes > by_flops ? by_bytes : by_flops;
}

static bool pays(const struct cuda *cuda, int64_t n_new, int64_t n_past) {
  if (cuda->config.graphs != DEVICE_GRAPHS_AUTO) return cuda->config.graphs == DEVICE_GRAPHS_ON;
  const double layer_s = graphs_layer_s(cuda, n_new, n_past);
  return layer_s > 0 && layer_s < GRAPHS_LAYER_S;
}

static void graphs_forget(struct cuda *cuda) {
  struct graphs *graphs = &cuda->graphs;
  for (int layer = 0; layer < graphs->n; layer++) {
    if (graphs->layers[layer]) (void)cuda->gpu.driver.graph_exec_destroy(graphs->layers[layer]);
    graphs->layers[layer] = NULL;
  }
  graphs->n_new = 0;
  graphs->active = false;
}

void graphs_keep(struct cuda *cuda, int64_t n_new, int64_t n_past) {
  const struct graphs *graphs = &cuda->graphs;
  if (graphs->n_new != n_new || graphs->n_past != n_past) graphs_forget(cuda);
}

void graphs_close(struct cuda *cuda) {
  graphs_forget(cuda);
  free(cuda->graphs.layers);
  cuda->graphs = (struct graphs){0};
}

/* What the layer enqueues goes into a graph instead of the stream. The capture ends in any case: a
 * stream that stays in it is lost for everything else. */
static int capture(struct cuda *cuda, int layer, int64_t n_new, int64_t n_past, driver_graph *graph,
                   struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  const struct driver *driver = &gpu->driver;
  struct error ignored = {0};
  int failed = gpu_check(gpu, driver->capture_begin(cuda->compute, DRIVER_CAPTURE_RELAXED), error,
                         "cuStreamBeginCapture(layer %d)", layer);
  if (failed) return failed;
  failed = cuda_run_chunks(cuda, layer, n_new, n_past, error);
  int ended = gpu_check(gpu, driver->capture_end(cuda->compute, graph), failed ? &ignored : error,
                        "cuStreamEndCapture(layer %d)", layer);
  return failed ? failed : ended;
}

static int capture_layer(struct cuda *cuda, int layer, int64_t n_new, int64_t n_past,
                         struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  driver_graph_exec *exec = &cuda->graphs.layers[layer];
  driver_graph graph = NULL;
  int failed = capture(cuda, layer, n_new, n_past, &graph, error);
  if (!failed)
    failed = gpu_check(gpu, gpu->driver.graph_instantiate(exec, graph, 0), error,
                       "cuGraphInstantiateWithFlags(layer %d)", layer);
  if (!failed) /* else the first launch does it, inside a timed region */
    failed = gpu_check(gpu, gpu->driver.graph_upload(*exec, cuda->compute), error,
                       "cuGraphUpload(layer %d)", layer);
  if (graph) (void)gpu->driver.graph_destroy(graph);
  return failed;
}

/* A library may load a kernel when it is first launched (the driver's lazy loading), and allocate
 * or wait for the GPU then: outside a capture. Results are overwritten by the run to come. */
static int run_once(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error) {
  int failed = cuda_run_chunks(cuda, 0, n_new, n_past, error);
  return failed ? failed : cuda_synchronise(cuda, error);
}

static int capture_all(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error) {
  struct graphs *graphs = &cuda->graphs;
  graphs_forget(cuda);
  if (!graphs->layers) {
    graphs->layers = calloc((size_t)cuda->config.layers, sizeof *graphs->layers);
    if (!graphs->layers)
      return error_set(error, -ENOMEM, "no memory for the graphs of %d layers",
                       cuda->config.layers);
    graphs->n = cuda->config.layers;
  }
  int failed = run_once(cuda, n_new, n_past, error);
  for (int layer = 0; layer < graphs->n && !failed; layer++)
    failed = capture_layer(cuda, layer, n_new, n_past, error);
  if (failed) graphs_forget(cuda);
  return failed;
}

int graphs_begin(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error) {
  struct graphs *graphs = &cuda->graphs;
  struct error why = {0};
  graphs->active = false;
  if (cuda->gpu.one_by_one) return 0; /* nothing can be waited for in a capture */
  if (graphs->refused || !pays(cuda, n_new, n_past)) return 0;
  if (graphs->n_new == 0) {
    int failed = capture_all(cuda, n_new, n_past, &why);
    if (failed && cuda->config.graphs == DEVICE_GRAPHS_ON)
      return error_set(error, failed, "--cuda-graphs on: %s", why.message);
    if (failed) {
      graphs->refused = true;
      cuda_degrade(cuda, "no CUDA graphs: %.140s", why.message);
      return 0;
    }
    graphs->n_new = n_new;
    graphs->n_past = n_past;
  }
  graphs->active = true;
  return 0;
}

int graphs_launch(struct cuda *cuda, int layer, struct error *error) {
  struct gpu *gpu = &cuda->gpu;
  return gpu_check(gpu, gpu->driver.graph_launch(cuda->graphs.layers[layer], cuda->compute), error,
                   "cuGraphLaunch(layer %d)", layer);
}
