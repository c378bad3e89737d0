/*
 * Was every byte right? Pages are compared by their CRC32C, which covers where
 * a page belongs; outside timed regions, but for KV that is not kept.
 */
#ifndef REFILL_BENCH_MEASURE_VERIFICATION_H
#define REFILL_BENCH_MEASURE_VERIFICATION_H

#include <stdint.h>

#include "base/error.h"
#include "io/kv_file.h"
#include "kernels/device.h"

/* Adds to *wrong_pages how many of the first n_pages pages of `layer` differ, in the device's KV
 * cache, from the CRCs that `file` holds. crcs[n_pages] is scratch. Returns 0 or a negative errno.
 */
int verify_landed_layer(struct device *device, const struct kv_file *file, int layer,
                        int64_t n_pages, uint32_t *crcs, int64_t *wrong_pages, struct error *error);

/* The same for all layers, after a run with a resident KV cache. Allocates its scratch. */
int verify_landed(struct device *device, const struct kv_file *file, int layers, int64_t n_pages,
                  int64_t *wrong_pages, struct error *error);

/* Reads new KV back from `sink` (pages first_page..first_page + n_pages of each layer) and counts
 * pages that differ from the device's KV cache (resident). -ETIMEDOUT where a read takes longer
 * than timeout_s. */
int verify_written(struct device *device, const struct kv_file *sink, int layers,
                   int64_t first_page, int64_t n_pages, double timeout_s, int64_t *wrong_pages,
                   struct error *error);

/* Overwrites the first block of each of these pages in `sink` with a pattern, before a run that is
 * to write them: what it does not write is then wrong. */
int verify_spoil(const struct kv_file *sink, int layers, int64_t first_page, int64_t n_pages,
                 struct error *error);

/* Sets the CRCs of all pages of a file being made from the device's KV cache (resident), or of one
 * layer. */
int verify_record_layer(struct device *device, struct kv_file *file, int layer, int64_t first_page,
                        int64_t n_pages, uint32_t *crcs, struct error *error);

#endif
