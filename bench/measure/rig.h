/*
 * The apparatus that a command measures with: device, target, stored KV, a
 * place for new KV, and the pipeline over them, all opened from the options.
 *
 * The stored KV is real: the first run on a target computes the whole prompt
 * on this device and keeps its KV as a KV file beside the target's other files; later runs of
 * the same configuration find it there. New KV goes to an unnamed file that
 * vanishes with the run. With an emulated engine ("null") there are no files.
 */
#ifndef REFILL_BENCH_MEASURE_RIG_H
#define REFILL_BENCH_MEASURE_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "bench/measure/pipeline.h"
#include "bench/options.h"
#include "io/kv_file.h"
#include "io/target.h"
#include "kernels/device.h"
#include "model/shape.h"

struct rig_config {
  const struct options *options; /* the caller's, outlives the rig */
  const char *device;            /* instead of --device; NULL: as in the options */
  struct shape shape;            /* of rig_shape() */
  int64_t tokens_max;            /* longest prompt */
  int64_t past_max;              /* most tokens ever reloaded; 0: no stored KV is made */
  int64_t page_tokens;
  int queue_depth;
  size_t io_bytes;
  bool compute_only; /* no storage at all: neither target nor files */
  bool keep_source;  /* publish the stored KV under its name, for later runs */
  /* Called before anything is written, with the bytes that will be; NULL: nobody asks. */
  void (*announce)(void *context, const struct target *target, uint64_t bytes);
  void *announce_context;
};

/* What the device said of itself before and after every run that computes. */
struct rig_condition {
  int64_t graph_runs;           /* whose layers were launched as CUDA graphs */
  int64_t runs, held_down_runs; /* a run is held down where clocks were, before it or after */
  bool held_down_known;         /* the device tells it */
  char held_down[32];           /* the latest reason */
  double sm_hz_low;             /* lowest clock that was read; 0: none was */
  double clock_error_s;         /* the largest */
  struct device_link link;      /* the fastest that was seen: idle devices slow theirs down */
  struct device_condition last;
};

struct rig {
  struct rig_config config;
  char device_name[64]; /* "cpu", "playback:h100-sxm-llama-3-70b" */
  struct shape shape;
  int layers;
  enum element element, kv_element;
  int64_t page_tokens;
  size_t page_payload_bytes, page_stride_bytes;
  int32_t *tokens; /* (tokens_max) the prompt */
  struct placement placement;
  int gpu_node;         /* NUMA node of the GPU that computes; -1: none does, or not known */
  bool emulated;        /* a null engine: no files, no drive */
  struct target target; /* zeroed where emulated */
  struct device *device;
  struct kv_file *source, *sink; /* NULL where there is none */
  bool source_made;              /* by this run, not found */
  double source_s;               /* seconds that making it took */
  uint64_t written_bytes;        /* by preparing */
  struct pipeline *pipeline;
  struct rig_condition condition; /* runs 0: the device tells nothing */
  bool left_behind; /* a drive has not answered: memory and files stay until the process ends */
};

/* Resolves --device ("auto" by what the box has) into name[bytes]. Returns 0, or -ENOTSUP with a
 * sentence where the box has a device that this build cannot drive. */
int rig_device_name(const struct options *options, char *name, size_t bytes, struct error *error);

/* The shape to run: --model, else what the device stands for (a profile's shape; mha-125m on a
 * CPU). */
int rig_shape(const struct options *options, const char *device_name, struct shape *shape,
              struct error *error);

/* Opens all of it. Checks the disk space first and announces what will be written. Returns 0 or a
 * negative errno with a message; nothing is left open or behind on failure.
 */
int rig_open(struct rig *rig, const struct rig_config *config, struct error *error);

/* The same for the usual case: device, shape and geometry as the options say, a prompt of the
 * longest of --tokens, all its whole pages stored and kept for later runs. */
int rig_open_options(struct rig *rig, const struct options *options,
                     void (*announce)(void *context, const struct target *target, uint64_t bytes),
                     void *announce_context, struct error *error);

/* Describes what --target names: of a run one directory, looked at within --io-timeout. */
int rig_look_at_target(const struct options *options, struct target *target, struct error *error);

/* Notes a link as it was at some moment. */
void rig_see_link(struct rig_condition *condition, const struct device_link *link);

/* Closes all of it; safe on a zeroed struct. Memory that a hanging drive may still use is left to
 * the process's end. */
void rig_close(struct rig *rig);

/* The sequence of n_tokens tokens of which n_past (whole pages) are stored. */
struct device_sequence rig_sequence(const struct rig *rig, int64_t n_tokens, int64_t n_past);

/* n_past of (alpha, N) by design section 4: page * floor(min(alpha N, N - 1) / page). */
int64_t rig_past_tokens(double alpha, int64_t n_tokens, int64_t page_tokens);

/* rig_files.c: the stored KV and the place for new KV. */
int rig_open_files(struct rig *rig, struct error *error);

/* Opens a pipeline over the rig's device from `source` to `sink`. */
int rig_open_pipeline(struct rig *rig, struct kv_file *source, struct kv_file *sink,
                      struct pipeline **pipeline, struct error *error);

#endif
