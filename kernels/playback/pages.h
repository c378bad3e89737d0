/*
 * The KV pages of the playback device: memory, what stands in it, and its CRCs.
 *
 * Page p of layer l holds bits of the generator at (seed, l, p, offset): nothing that a
 * model would compute, but every page and every word of it differs, so a page in the
 * wrong place is a wrong page.
 */
#ifndef REFILL_KERNELS_PLAYBACK_PAGES_H
#define REFILL_KERNELS_PLAYBACK_PAGES_H

#include <stdint.h>

#include "base/memory.h"
#include "kernels/device.h"

struct playback_pages {
  struct memory memory;
  struct placement placement; /* of the memory, and of threads that fill it */
  int slots;                  /* layers in memory: layer l in slot l % slots */
  int64_t pages;              /* of one layer */
  int64_t page_tokens;
  size_t payload_bytes, stride_bytes;
  uint64_t seed;
  int threads; /* that bulk work outside timed regions is split over */
};

/* Maps the pages for `slots` layers, untouched. Freed by memory_unmap(&pages->memory). */
int playback_pages_map(struct playback_pages *pages, const struct device_config *config, int slots,
                       struct error *error);

/* Address of a page in its layer's slot. */
unsigned char *playback_pages_at(const struct playback_pages *pages, int layer, int64_t page);

/* Writes the content of a layer's pages [first, end), of which the last tokens of a sequence of
 * n_tokens may leave one partial: its unused rows, and all padding, are zero. On this thread. */
void playback_pages_fill(const struct playback_pages *pages, int layer, int64_t first, int64_t end,
                         int64_t n_tokens);

/* The same for layers [0, n_layers), over several threads. */
void playback_pages_fill_all(const struct playback_pages *pages, int n_layers, int64_t first,
                             int64_t end, int64_t n_tokens);

/* Spoils pages [0, end) of layers [0, n_layers): 8 bytes of every 512 become a finite pattern. */
void playback_pages_spoil_all(const struct playback_pages *pages, int n_layers, int64_t end);

/* Continues crcs[i] over the payload of page first + i, over several threads. */
void playback_pages_crc(const struct playback_pages *pages, int layer, int64_t first, int64_t n,
                        uint32_t *crcs);

#endif
