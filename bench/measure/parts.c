/*
 * Which parts are timed over which sizes, and what they add up to.
 */
#include "bench/measure/parts.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "bench/measure/datasheet.h"

/* Over which sizes a part is timed. */
enum sizes { ONCE, OVER_NEW, OVER_PAST, OVER_BOTH };

static const struct {
  enum device_probe what;
  const char *name, *beside_reads;
  enum sizes sizes;
  int64_t new_min; /* fewer tokens are not worth a row */
} kinds[] = {
    {PROBE_PEAK, "peak GEMM", NULL, ONCE, 0},
    {PROBE_LAYER, "whole layer", NULL, OVER_BOTH, 0},
    {PROBE_LAYER_GEMMS, "layer GEMMs", NULL, OVER_NEW, 64},
    {PROBE_QKV, "QKV GEMM", NULL, OVER_NEW, 0},
    {PROBE_OUT, "output GEMM", NULL, OVER_NEW, 0},
    {PROBE_GATE_UP, "gate/up GEMM", NULL, OVER_NEW, 0},
    {PROBE_DOWN, "down GEMM", NULL, OVER_NEW, 0},
    {PROBE_ATTENTION, "attention", NULL, OVER_BOTH, 0},
    {PROBE_NORM, "RMSNorm", NULL, OVER_NEW, 0},
    {PROBE_ROPE, "RoPE, KV scatter", NULL, OVER_NEW, 0},
    {PROBE_SWIGLU, "SwiGLU", NULL, OVER_NEW, 0},
    {PROBE_QUANTISE, "quantise", NULL, OVER_NEW, 0},
    {PROBE_DEQUANTISE, "dequantise past", NULL, OVER_PAST, 0},
    {PROBE_EMBED, "embedding", NULL, OVER_NEW, 256},
    {PROBE_HEAD, "head", NULL, ONCE, 0},
    {PROBE_MEMORY_COPY, "memory copy", NULL, ONCE, 0},
    {PROBE_H2D, "H2D", "H2D, storage read beside", ONCE, 0},
    {PROBE_D2H, "D2H", "D2H, storage read beside", ONCE, 0},
    {PROBE_BOTH_WAYS, "H2D and D2H at once", "both ways, storage read beside", ONCE, 0},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static bool is_copy(enum device_probe what) {
  return what == PROBE_H2D || what == PROBE_D2H || what == PROBE_BOTH_WAYS;
}

const char *part_name(const struct part *part) {
  for (int i = 0; i < KINDS; i++)
    if (kinds[i].what == part->what)
      return part->beside_reads ? kinds[i].beside_reads : kinds[i].name;
  return "?";
}

double part_of_link(const struct part *part) {
  const double link = datasheet_link_bytes_per_s(part->link.gt_per_s, part->link.width);
  if (!is_copy(part->what) || link <= 0) return NAN;
  return part->bytes / part->seconds / (part->what == PROBE_BOTH_WAYS ? 2 * link : link);
}

/* How the device stands, before a part and right after it. */
static void look(struct device *device, struct part *part) {
  struct device_condition condition = {0};
  if (!device->ops->condition) return;
  device->ops->condition(device, &condition);
  if (condition.held_down[0]) part->held_down = true;
  part->link = condition.link;
}

/* One part; -ENOTSUP where the device does not have it. Sizes of 0 are told to the device as the
 * smallest that there are. */
static int measure_one(struct parts *parts, struct device *device, struct part part,
                       struct error *error) {
  struct device_rate rate = {0};
  if (parts->n == PARTS_MAX) return 0;
  look(device, &part);
  int failed =
      device->ops->probe(device, part.what, part.n_new ? part.n_new : 1, part.n_past, &rate, error);
  if (failed == -ENOTSUP) error_clear(error);
  if (failed) return failed;
  look(device, &part);
  part.seconds = rate.seconds;
  part.cold_s = rate.cold_s;
  part.flops = rate.flops;
  part.bytes = rate.bytes;
  parts->all[parts->n++] = part;
  if (part.what == PROBE_PEAK) parts->peak_flops_per_s = rate.flops / rate.seconds;
  return 0;
}

/* Whether a part's row is worth its time. A device that cannot take its layer apart (the CPU, where
 * all of it is slow) gets attention of long prompts only. */
static bool is_wanted(const struct parts *parts, int kind, const struct part *part) {
  if (part->n_new > 0 && part->n_new < kinds[kind].new_min) return false;
  if (part->what != PROBE_ATTENTION) return true;
  bool apart = false;
  for (int i = 0; i < parts->n; i++) apart = apart || parts->all[i].what == PROBE_QKV;
  return apart || (part->n_new >= 256 && part->n_past == 0);
}

/* All sizes of one kind. */
static int measure_kind(struct parts *parts, struct device *device, int kind,
                        const struct parts_axes *axes, int (*interrupted)(void),
                        struct error *error) {
  const enum sizes sizes = kinds[kind].sizes;
  const bool over_new = sizes == OVER_NEW || sizes == OVER_BOTH;
  const bool over_past = sizes == OVER_PAST || sizes == OVER_BOTH;
  const int columns = over_past ? axes->n_past : 1;
  for (int i = 0; i < (over_new ? axes->n_new : 1) * columns; i++) {
    const struct part part = {.what = kinds[kind].what,
                              .n_new = over_new ? axes->new_axis[i / columns] : 0,
                              .n_past = over_past ? axes->past_axis[i % columns] : 0};
    if (interrupted()) return -EINTR;
    if (!is_wanted(parts, kind, &part)) continue;
    int failed = measure_one(parts, device, part, error);
    if (failed == -ENOTSUP && over_past) continue; /* nothing for this past; others may have */
    if (failed) return failed == -ENOTSUP ? 0 : failed;
  }
  return 0;
}

int parts_measure(struct parts *parts, struct device *device, const struct parts_axes *axes,
                  int (*interrupted)(void), struct error *error) {
  int failed = 0;
  for (int kind = 0; kind < KINDS && device->ops->probe && !failed; kind++)
    if (!is_copy(kinds[kind].what))
      failed = measure_kind(parts, device, kind, axes, interrupted, error);
  return failed ? failed : parts_measure_copies(parts, device, false, error);
}

int parts_measure_copies(struct parts *parts, struct device *device, bool beside_reads,
                         struct error *error) {
  static const enum device_probe copies[] = {PROBE_H2D, PROBE_D2H, PROBE_BOTH_WAYS};
  for (size_t i = 0; i < sizeof copies / sizeof copies[0] && device->ops->probe; i++) {
    const struct part part = {.what = copies[i], .beside_reads = beside_reads};
    int failed = measure_one(parts, device, part, error);
    if (failed && failed != -ENOTSUP) return failed;
  }
  return 0;
}

const struct part *parts_find(const struct parts *parts, enum device_probe what, int64_t n_new,
                              int64_t n_past) {
  for (int i = 0; i < parts->n; i++) {
    const struct part *part = &parts->all[i];
    if (part->what == what && part->n_new == n_new && part->n_past == n_past && !part->beside_reads)
      return part;
  }
  return NULL;
}

/* Seconds of a part that every layer has; NaN where it was not timed. */
static double needed_s(const struct parts *parts, enum device_probe what, int64_t n_new,
                       int64_t n_past) {
  const struct part *part = parts_find(parts, what, n_new, n_past);
  return part ? part->seconds : NAN;
}

/* Of one that only some formats have; 0 where it was not timed. */
static double optional_s(const struct parts *parts, enum device_probe what, int64_t n_new,
                         int64_t n_past) {
  const struct part *part = parts_find(parts, what, n_new, n_past);
  return part ? part->seconds : 0;
}

struct parts_layer parts_layer_sum(const struct parts *parts, int64_t n_new, int64_t n_past) {
  return (struct parts_layer){
      .gemms_s = needed_s(parts, PROBE_QKV, n_new, 0) + needed_s(parts, PROBE_OUT, n_new, 0) +
                 needed_s(parts, PROBE_GATE_UP, n_new, 0) + needed_s(parts, PROBE_DOWN, n_new, 0),
      .attention_s = needed_s(parts, PROBE_ATTENTION, n_new, n_past),
      .elementwise_s =
          2 * needed_s(parts, PROBE_NORM, n_new, 0) + needed_s(parts, PROBE_ROPE, n_new, 0) +
          needed_s(parts, PROBE_SWIGLU, n_new, 0) + optional_s(parts, PROBE_QUANTISE, n_new, 0) +
          optional_s(parts, PROBE_DEQUANTISE, 0, n_past)};
}
