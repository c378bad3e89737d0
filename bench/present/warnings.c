/*
 * The texts of warnings and their collection: see warnings.h. A text is a cause, what it is about
 * in brackets, and what to do next.
 */
#include "bench/present/warnings.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "bench/options.h"
#include "bench/present/told.h"

#define TEXT_BYTES 1024

static const struct {
  const char *name;
  const char *cause;
  const char *next;
} texts[WARNING_COUNT] = {
    [WARNING_INTERRUPTED] = {"interrupted", "interrupted, so the result is partial",
                             "run it again for the rest"},
    [WARNING_PLAYED_BACK] = {"played-back",
                             "compute times are played back from a profile, not measured on this "
                             "box",
                             "use --device cpu for what this box computes"},
    [WARNING_DEGRADED] = {"degraded",
                          "the device works in a lesser way than was asked for or could be had",
                          "see refill doctor --device cuda, and make check-gpu"},
    [WARNING_EMULATED_DRIVE] = {"emulated-drive", "the engine acts as a drive, no byte is stored",
                                "use --engine uring and --target DIR for a real one"},
    [WARNING_LAYERS_FEWER] = {"layers-fewer", "some of the model's layers were run, not all",
                              "leave --layers out to run them all"},
    [WARNING_WEIGHTS_CYCLED] = {"weights-cycled",
                                "layers share sets of weights, which caches may keep",
                                "raise --weight-sets, or take a --model that fits"},
    [WARNING_COLD_NOT_PROVEN] = {"cold-not-proven", "reads are not proven to come from the drive",
                                 "see what the target stands on: refill doctor --target DIR"},
    [WARNING_DRIVE_VIRTUAL] = {"drive-virtual",
                               "the drive is a guest's, caches below it cannot be seen",
                               "repeat on bare metal before comparing drives"},
    [WARNING_NO_DIRECT] = {"no-o-direct",
                           "O_DIRECT does not work on the target, so the page cache takes part",
                           "use a --target on ext4 or XFS"},
    [WARNING_ALPHA_ROUNDED] = {"alpha-rounded", "whole pages moved alpha far from what was asked",
                               "use smaller --page-tokens"},
    [WARNING_NO_DATASHEET] = {"no-datasheet",
                              "no datasheet of this GPU is kept here, so shares of its peak (MFU) "
                              "are not told",
                              "hold rates against its own datasheet, dense figures"},
    [WARNING_KV_NOT_RESIDENT] = {"kv-not-resident",
                                 "the KV cache does not hold all layers, so pages are checked "
                                 "inside the timed run",
                                 "use fewer --tokens or --layers to time it without"},
    [WARNING_NOT_VERIFIED] = {"not-verified",
                              "nothing is known of what should be read, so no byte was checked",
                              "name a directory, or a device in --destroy-data-on"},
    [WARNING_WORKING_SET_SMALL] = {"working-set-small",
                                   "caches of drive or controller may hold the working set",
                                   "raise --working-set"},
    [WARNING_WORKING_SET_REDUCED] = {"working-set-reduced",
                                     "the working set is smaller than asked for, for want of space",
                                     "free some, or lower --working-set"},
    [WARNING_AMPLIFIED] = {"amplified",
                           "pieces of pages are no whole blocks, so reads move more than is needed",
                           "take pages of more tokens"},
    [WARNING_ROW_REFUSED] = {"row-refused", "not measured", "see the row's `refused`"},
    [WARNING_FIO_SMALL_PAGES] = {"fio-small-pages",
                                 "fio's buffers lay on 4 KiB pages and ours on 2 MiB ones, so its "
                                 "rate is not its best",
                                 "reserve pages for it (sysctl vm.nr_hugepages=...)"},
    [WARNING_LINK_DEGRADED] = {"link-degraded", "a drive's PCIe link is below its maximum",
                               "reseat it, or look at slot, riser and BIOS"},
    [WARNING_GPU_LINK] = {"gpu-link",
                          "the GPU's PCIe link is below its maximum, so copies are slow",
                          "reseat it, or look at slot, riser and BIOS; see refill doctor"},
    [WARNING_NODE_MISMATCH] = {"node-mismatch", "drive and GPU hang on different NUMA nodes",
                               "use a drive on the GPU's node, see refill doctor"},
    [WARNING_SCHEDULER] = {"scheduler", "an I/O scheduler stands before an NVMe drive",
                           "echo none > /sys/block/DRIVE/queue/scheduler"},
    [WARNING_FAKE_DIRECT] = {"fake-direct",
                             "the filesystem takes O_DIRECT and may go through the page cache",
                             "use ext4 or XFS, or btrfs without checksums and compression"},
    [WARNING_LOOP_CACHED] = {"loop-cached", "a loop device goes through the page cache",
                             "losetup --direct-io=on"},
    [WARNING_DISCARD] = {"discard", "the mount discards freed blocks while files come and go",
                         "mount without discard, and let fstrim do it"},
    [WARNING_DEBUG_BUILD] = {"debug-build", "this build is not fit to measure",
                             "build with plain `make`"},
    [WARNING_HELD_DOWN] = {"held-down", "the GPU's clocks were held down while it was measured",
                           "let it cool, end what else runs on it, see nvidia-smi -q -d CLOCK"},
    [WARNING_LOAD] = {"load", "other work runs on this box",
                      "wait until it is idle, `uptime` shows the load"},
    [WARNING_GOVERNOR] = {"governor", "CPU clocks follow the load",
                          "cpupower frequency-set -g performance"},
    [WARNING_UNREGISTERED] = {"unregistered",
                              "buffers are not registered with the engine, so that each request "
                              "pins its pages",
                              "raise `ulimit -l` (memlock in /etc/security/limits.conf), see "
                              "refill doctor"},
    [WARNING_OUTLIERS] = {"outliers", "samples lie far from their median; they are kept",
                          "stop what else runs on this box, or raise --repeat"},
    [WARNING_NOT_WARM] =
        {"not-warm", "the budget ended with the first look, so compute times are of first runs",
         "raise --budget, or take fewer --tokens or --layers"},
    [WARNING_INTERVAL] = {"interval",
                          "intervals were still wide when the repeats or the budget ended",
                          "raise --repeat or --budget"},
    [WARNING_ERROR_SPREAD] = {"error-spread",
                              "a model is off by more than the samples spread: contention, drift "
                              "or a cache is at work",
                              "look at the slowdowns in the result, or at a --trace"},
    [WARNING_NO_IO_BOUND] = {"no-io-bound", "no point was I/O-bound, so alpha* is not bracketed",
                             "add a larger --alpha"},
    [WARNING_NO_COMPUTE_BOUND] = {"no-compute-bound",
                                  "no point was compute-bound, so alpha* is not bracketed",
                                  "add a smaller --alpha"},
    [WARNING_WEAR] = {"wear", "this writes a lot, and drives wear",
                      "fewer --tokens or --layers write less"},
};

static void add(struct warnings *warnings, enum warning warning, const char *detail) {
  assert(warning >= 0 && warning < WARNING_COUNT);
  warnings->entries[warning].count++;
  if (detail[0] == '\0') return;
  int n = warnings->entries[warning].n_details;
  for (int i = 0; i < n; i++) {
    if (strcmp(warnings->entries[warning].details[i], detail) == 0) return;
  }
  warnings->entries[warning].n_lost += n == WARNINGS_DETAILS_MAX;
  if (n == WARNINGS_DETAILS_MAX) return;
  snprintf(warnings->entries[warning].details[n], WARNINGS_DETAIL_BYTES, "%s", detail);
  warnings->entries[warning].n_details++;
}

void warnings_add(struct warnings *warnings, enum warning warning, const char *format, ...) {
  char detail[WARNINGS_DETAIL_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  add(warnings, warning, detail);
}

/* "cause (detail; detail, and 3 more): next" */
static void compose(const struct warnings *warnings, enum warning warning, char text[TEXT_BYTES]) {
  size_t used = (size_t)snprintf(text, TEXT_BYTES, "%s", texts[warning].cause);
  int n = warnings->entries[warning].n_details, lost = warnings->entries[warning].n_lost;
  for (int i = 0; i < n; i++) {
    const char *detail = warnings->entries[warning].details[i];
    used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s%s", i ? "; " : " (", detail);
  }
  if (lost > 0) used += (size_t)snprintf(text + used, TEXT_BYTES - used, "; and %d more", lost);
  snprintf(text + used, TEXT_BYTES - used, "%s: %s", n ? ")" : "", texts[warning].next);
}

/* Prints it unless an earlier run of the same script has: then false. */
static bool print(const struct warnings *warnings, enum warning warning, FILE *stream) {
  char text[TEXT_BYTES];
  compose(warnings, warning, text);
  if (told_before(text)) return false;
  fprintf(stream, "refill: warning: %s\n", text);
  return true;
}

void warnings_tell(struct warnings *warnings, enum warning warning, FILE *stream,
                   const char *format, ...) {
  char detail[WARNINGS_DETAIL_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  add(warnings, warning, detail);
  warnings->entries[warning].printed = print(warnings, warning, stream);
}

bool warnings_has(const struct warnings *warnings, enum warning warning) {
  return warnings->entries[warning].count > 0;
}

const char *warning_name(enum warning warning) {
  assert(warning >= 0 && warning < WARNING_COUNT);
  return texts[warning].name;
}

void warnings_print(const struct warnings *warnings, FILE *stream) {
  int n_before = 0;
  const char *before[WARNING_COUNT];
  for (int i = 0; i < WARNING_COUNT; i++) {
    if (warnings->entries[i].count == 0 || warnings->entries[i].printed) continue;
    if (!print(warnings, (enum warning)i, stream)) before[n_before++] = texts[i].name;
  }
  for (int i = 0; i < n_before; i++)
    fprintf(stream, "%s%s", i ? ", " : "refill: warnings as before: ", before[i]);
  if (n_before > 0) fputc('\n', stream);
}

json_t *warnings_to_json(const struct warnings *warnings) {
  json_t *array = json_array();
  for (int i = 0; i < WARNING_COUNT; i++) {
    if (warnings->entries[i].count == 0) continue;
    char text[TEXT_BYTES];
    compose(warnings, (enum warning)i, text);
    json_t *details = json_array();
    for (int k = 0; k < warnings->entries[i].n_details; k++)
      json_array_append_new(details, options_text_to_json(warnings->entries[i].details[k]));
    json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:i}", "name", texts[i].name, "text",
                                           options_text_to_json(text), "details", details, "count",
                                           warnings->entries[i].count));
  }
  return array;
}
