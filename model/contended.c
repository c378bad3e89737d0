/*
 * ttft_contended(): the pipeline whose stages slow each other, simulated.
 *
 * Reads, writes and compute share memory bandwidth, cores and the drive's
 * queues, so that each runs slower while another is active. Scaling the inputs
 * of the recurrence would slow a stage even where it runs alone, and which
 * stages meet depends on the result. Hence events: five stages, each serving
 * layers in order under exactly the recurrence's constraints; between two
 * events nothing changes, so every active stage progresses at a fixed rate, 1
 * alone and 1/slowdown in company. Each step ends at least one layer of one
 * stage: 5 n_layers steps at most.
 *
 * Constraints are met by counting layers, never by comparing times, so rounding
 * cannot reorder the schedule.
 */
#include <math.h>

#include "model/ttft.h"

enum { READ, H2D, COMPUTE, D2H, WRITE, N_STAGES };

struct simulation {
  const struct ttft_layer *layers;
  int n_layers;
  struct ttft_bounds bounds;
  struct ttft_slowdown slowdown;
  double now_s;
  double remaining_s[N_STAGES]; /* of the layer being served, at rate 1 */
  int finished[N_STAGES];       /* layers served; also the next layer's index */
  bool active[N_STAGES];
  struct ttft_done *done;
};

static double work_s(const struct ttft_layer *layer, int stage) {
  switch (stage) {
  case READ:
    return layer->read_s;
  case H2D:
    return layer->h2d_s;
  case COMPUTE:
    return layer->compute_s;
  case D2H:
    return layer->d2h_s;
  default:
    return layer->write_s;
  }
}

static void record(struct ttft_done *done, int stage, double now_s) {
  switch (stage) {
  case READ:
    done->read_s = now_s;
    break;
  case H2D:
    done->landed_s = now_s;
    break;
  case COMPUTE:
    done->compute_s = now_s;
    break;
  case D2H:
    done->left_s = now_s;
    break;
  default:
    done->write_s = now_s;
    break;
  }
}

/* May the stage begin its next layer now? */
static bool ready(const struct simulation *sim, int stage) {
  int layer = sim->finished[stage];
  if (sim->active[stage] || layer >= sim->n_layers) return false;
  int freed = sim->finished[sim->bounds.staged ? H2D : COMPUTE];
  switch (stage) {
  case READ:
    return layer - sim->bounds.window < freed;
  case COMPUTE:
    return sim->finished[H2D] > layer && layer - sim->bounds.write_window < sim->finished[WRITE];
  default:
    return sim->finished[stage - 1] > layer;
  }
}

/* Starts whatever may start and ends whatever has no work left, until neither
 * happens: stages without work (copies on a CPU) pass in no time. */
static void settle(struct simulation *sim) {
  for (bool changed = true; changed;) {
    changed = false;
    for (int s = 0; s < N_STAGES; s++) {
      if (ready(sim, s)) {
        sim->active[s] = true;
        sim->remaining_s[s] = work_s(&sim->layers[sim->finished[s]], s);
      }
      if (!sim->active[s] || sim->remaining_s[s] > 0.0) continue;
      /* Here 0 remains, or something that is no number, which must show. */
      sim->now_s += sim->remaining_s[s];
      record(&sim->done[sim->finished[s]], s, sim->now_s);
      sim->finished[s]++;
      sim->active[s] = false;
      changed = true;
    }
  }
}

static double slowdown_of(const struct simulation *sim, int stage) {
  const bool *active = sim->active;
  switch (stage) {
  case READ:
    return active[COMPUTE] || active[WRITE] ? sim->slowdown.read : 1.0;
  case COMPUTE:
    return active[READ] || active[WRITE] ? sim->slowdown.compute : 1.0;
  case WRITE:
    return active[READ] || active[COMPUTE] ? sim->slowdown.write : 1.0;
  default:
    return 1.0;
  }
}

/* Lets time pass until the first active stage ends its layer. False when no
 * stage is active: all is served. */
static bool advance(struct simulation *sim) {
  int first = -1;
  double step_s = INFINITY;
  for (int s = 0; s < N_STAGES; s++) {
    if (!sim->active[s]) continue;
    double left_s = sim->remaining_s[s] * slowdown_of(sim, s);
    if (first < 0 || left_s < step_s) {
      first = s;
      step_s = left_s;
    }
  }
  if (first < 0) return false;
  for (int s = 0; s < N_STAGES; s++) {
    if (sim->active[s]) sim->remaining_s[s] -= step_s / slowdown_of(sim, s);
    if (sim->remaining_s[s] < 0.0) sim->remaining_s[s] = 0.0; /* rounding only */
  }
  sim->remaining_s[first] = 0.0; /* by definition, whatever the rounding */
  sim->now_s += step_s;
  return true;
}

struct ttft_prediction ttft_contended(const struct ttft_layer *layers, int n_layers,
                                      struct ttft_bounds bounds, struct ttft_slowdown slowdown,
                                      struct ttft_done *done) {
  struct simulation sim = {
      .layers = layers, .n_layers = n_layers, .bounds = bounds, .slowdown = slowdown, .done = done};
  do {
    settle(&sim);
  } while (advance(&sim));
  const struct ttft_done *last = &done[n_layers - 1];
  return (struct ttft_prediction){.first_token_s = last->compute_s,
                                  .durable_s = fmax(last->compute_s, last->write_s)};
}
