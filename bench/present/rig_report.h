/*
 * The apparatus in results and warnings: what was asked for, what was obtained.
 */
#ifndef REFILL_BENCH_PRESENT_RIG_REPORT_H
#define REFILL_BENCH_PRESENT_RIG_REPORT_H

#include <jansson.h>

#include "bench/box/host.h"
#include "bench/measure/rig.h"
#include "bench/present/warnings.h"

/* For rig_config.announce; `context` is the struct warnings. Tells on stderr what will be written.
 */
void rig_announce(void *context, const struct target *target, uint64_t bytes);

/* Tells on stderr what a sweep's rounds will write, over and over into the same file: drives wear
 * by that, not by the space taken. `rounds` is the fewest that will be run. */
void rig_announce_rounds(struct warnings *warnings, const struct target *target, double round_bytes,
                         int64_t rounds);

/* Tells on stderr where stored KV that this run made is kept for later runs. */
void rig_tell(const struct rig *rig);

/* Tells on stderr how much memory was pinned for the device's copies, and how long that took. */
void rig_tell_pinned(const struct rig *rig);

/* Why reads are not proven cold: a cold text without its "not proven (" and ")". text[bytes]. */
char *cold_reason(const char *cold, char *text, size_t bytes);

/* What was obtained: model, geometry, device, engines, target. The caller owns it. */
json_t *rig_to_json(const struct rig *rig);

/* What a target stands on. The caller owns it. */
json_t *target_to_json(const struct target *target);

/* Adds the warnings that a target, driven by an engine so described, gives cause for. */
void target_warn(const struct target *target, const char *engine, struct warnings *warnings);

/* Warns where the GPU that computes is on another NUMA node than the drive (-1: not known). */
void target_warn_gpu(const struct target *target, int gpu_node, struct warnings *warnings);

/* Warns of a PCIe link to a GPU, the fastest that was seen, that is below its maximum. */
void link_warn(const struct device_link *link, struct warnings *warnings);

/* Warns of a drive on a NUMA node where the box has GPUs on others only. */
void target_warn_node(const struct target *target, const struct host *host,
                      struct warnings *warnings);

/* Adds the warnings that the rig itself gives cause for. */
void rig_warn(const struct rig *rig, struct warnings *warnings);

#endif
