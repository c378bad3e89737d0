/*
 * Graphs: what a capturing stream is given is kept instead of done, and done in that order each
 * time the graph is launched. One stream at a time takes part in a capture: what crosses streams in
 * one (events) is refused, since nobody here needs it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/libcuda/state.h"

#define ALIVE_GRAPH 0x47524150U
#define ALIVE_EXEC 0x47524558U

struct node {
  struct node *next;
  void (*run)(void *argument);
  size_t bytes;
  _Alignas(16) unsigned char argument[];
};

struct CUgraph_st {
  unsigned alive;
  struct node *first, **last;
};

struct CUgraphExec_st {
  unsigned alive;
  struct CUgraph_st graph;
};

static void clear(struct CUgraph_st *graph) {
  while (graph->first) {
    struct node *node = graph->first;
    graph->first = node->next;
    free(node);
  }
  graph->last = &graph->first;
}

int graph_add(struct CUgraph_st *graph, void (*run)(void *argument), const void *argument,
              size_t bytes) {
  struct node *node = malloc(sizeof *node + bytes);
  if (!node) return -1;
  *node = (struct node){.run = run, .bytes = bytes};
  memcpy(node->argument, argument, bytes);
  *graph->last = node;
  graph->last = &node->next;
  return 0;
}

static bool is_graph(driver_graph graph) {
  return graph && graph->alive == ALIVE_GRAPH;
}

static bool is_exec(driver_graph_exec exec) {
  return exec && exec->alive == ALIVE_EXEC;
}

driver_result enter_capture_begin(driver_stream stream, unsigned mode) {
  ENTER(capture_begin, NEEDS_CONTEXT);
  if (!stream_alive(stream) || mode > 2) return RESULT_INVALID_VALUE;
  if (stream_capture(stream)) return RESULT_INVALID_VALUE;
  struct CUgraph_st *graph = calloc(1, sizeof *graph);
  if (!graph) return RESULT_OUT_OF_MEMORY;
  graph->alive = ALIVE_GRAPH;
  graph->last = &graph->first;
  stream_set_capture(stream, graph);
  __atomic_add_fetch(&vgpu()->n_graphs, 1, __ATOMIC_RELAXED);
  return RESULT_OK;
}

/* A capture that fails ends too. */
driver_result enter_capture_end(driver_stream stream, driver_graph *graph) {
  if (!stream_alive(stream) || !stream_capture(stream)) return RESULT_INVALID_VALUE;
  struct CUgraph_st *captured = stream_capture(stream);
  stream_set_capture(stream, NULL);
  driver_result result = vgpu_enter(ENTRY_capture_end, NEEDS_CONTEXT);
  if (result == RESULT_OK) {
    *graph = captured;
    return RESULT_OK;
  }
  clear(captured);
  free(captured);
  __atomic_sub_fetch(&vgpu()->n_graphs, 1, __ATOMIC_RELAXED);
  return result;
}

driver_result enter_graph_instantiate(driver_graph_exec *made, driver_graph graph,
                                      unsigned long long flags) {
  ENTER(graph_instantiate, NEEDS_CONTEXT);
  if (!is_graph(graph) || flags != 0) return RESULT_INVALID_VALUE;
  struct CUgraphExec_st *exec = calloc(1, sizeof *exec);
  if (!exec) return RESULT_OUT_OF_MEMORY;
  exec->alive = ALIVE_EXEC;
  exec->graph.last = &exec->graph.first;
  for (const struct node *node = graph->first; node; node = node->next)
    if (graph_add(&exec->graph, node->run, node->argument, node->bytes) != 0) {
      clear(&exec->graph);
      free(exec);
      return RESULT_OUT_OF_MEMORY;
    }
  __atomic_add_fetch(&vgpu()->n_graphs, 1, __ATOMIC_RELAXED);
  *made = exec;
  return RESULT_OK;
}

driver_result enter_graph_upload(driver_graph_exec exec, driver_stream stream) {
  ENTER(graph_upload, NEEDS_CONTEXT);
  return is_exec(exec) && stream_alive(stream) ? RESULT_OK : RESULT_INVALID_VALUE;
}

driver_result enter_graph_launch(driver_graph_exec exec, driver_stream stream) {
  ENTER(graph_launch, NEEDS_CONTEXT);
  if (!is_exec(exec)) return RESULT_INVALID_HANDLE;
  driver_result result = RESULT_OK;
  for (const struct node *node = exec->graph.first; node && result == RESULT_OK; node = node->next)
    result = stream_enqueue(stream, node->run, node->argument, node->bytes);
  return result;
}

driver_result enter_graph_destroy(driver_graph graph) {
  ENTER(graph_destroy, NEEDS_CONTEXT);
  if (!is_graph(graph)) return RESULT_INVALID_HANDLE;
  graph->alive = 0;
  clear(graph);
  free(graph);
  __atomic_sub_fetch(&vgpu()->n_graphs, 1, __ATOMIC_RELAXED);
  return RESULT_OK;
}

driver_result enter_graph_exec_destroy(driver_graph_exec exec) {
  ENTER(graph_exec_destroy, NEEDS_CONTEXT);
  if (!is_exec(exec)) return RESULT_INVALID_HANDLE;
  exec->alive = 0;
  clear(&exec->graph);
  free(exec);
  __atomic_sub_fetch(&vgpu()->n_graphs, 1, __ATOMIC_RELAXED);
  return RESULT_OK;
}
