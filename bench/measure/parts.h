/*
 * Parts of a layer, and copies, each timed alone by the device's probe(): what explains a layer's
 * time, and what it is to be held against.
 */
#ifndef REFILL_BENCH_MEASURE_PARTS_H
#define REFILL_BENCH_MEASURE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/device.h"

#define PARTS_MAX 256

struct part {
  enum device_probe what;
  int64_t n_new, n_past; /* 0: it has none */
  double seconds;
  double cold_s; /* with the L2 cache flushed before it; 0: not told */
  double flops, bytes;
  bool held_down;          /* the device's clocks were, before it or after */
  bool beside_reads;       /* storage was read at the same time */
  struct device_link link; /* right after it */
};

struct parts {
  int n;
  struct part all[PARTS_MAX];
  double peak_flops_per_s; /* of PROBE_PEAK; 0 unknown */
  double read_bytes_per_s; /* of storage while copies ran beside it; 0: none did */
};

struct parts_axes {
  const int64_t *new_axis, *past_axis; /* (n_new), (n_past) */
  int n_new, n_past;
};

/* Times every part that the device has over the axes; what it does not have is left out. Returns
 * -EINTR as soon as interrupted() says so. */
int parts_measure(struct parts *parts, struct device *device, const struct parts_axes *axes,
                  int (*interrupted)(void), struct error *error);

/* Times H2D, D2H and both at once; on a device where nothing is copied, nothing. */
int parts_measure_copies(struct parts *parts, struct device *device, bool beside_reads,
                         struct error *error);

/* The rate of a copy between host and device as a share of what the link carries; of both ways at
 * once, a share of twice that. NaN for other parts, and where the link is not known. */
double part_of_link(const struct part *part);

/* "QKV GEMM", "H2D, storage read beside" */
const char *part_name(const struct part *part);

/* The part of these sizes (not beside reads), NULL where it was not timed. */
const struct part *parts_find(const struct parts *parts, enum device_probe what, int64_t n_new,
                              int64_t n_past);

/* What one layer's kernels take, each timed alone, by kind; NaN where one of them is missing. */
struct parts_layer {
  double gemms_s, attention_s, elementwise_s;
};
struct parts_layer parts_layer_sum(const struct parts *parts, int64_t n_new, int64_t n_past);

#endif
