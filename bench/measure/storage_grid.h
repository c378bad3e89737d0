/*
 * R and W over page size and queue depth: the pipeline's reader and writer, alone, on real files.
 *
 * Nothing is computed: the KV is synthetic, held by the playback device's "zero" profile, written,
 * read back and verified by CRC. Requests are not merged over pages here, since the page
 * is what is varied; one more row per depth merges up to --io-size, as sweep does.
 */
#ifndef REFILL_BENCH_MEASURE_STORAGE_GRID_H
#define REFILL_BENCH_MEASURE_STORAGE_GRID_H

#include <stdint.h>

#include "base/error.h"
#include "bench/measure/group.h"
#include "bench/measure/rig.h"
#include "bench/measure/stats.h"

#define STORAGE_ROWS_MAX 64

struct storage_row {
  int64_t page_tokens;
  size_t request_bytes; /* of one read or write */
  int queue_depth;
  bool merged;                    /* pages merged up to --io-size */
  uint64_t bytes;                 /* of one pass over all layers */
  int64_t n_tokens;               /* that these hold */
  struct samples read_s, write_s; /* of one pass */
  struct samples first_page_s;    /* reading one page of each layer: the fixed cost */
  struct samples cpu_s;           /* of the process during a pass of reads */
  double cpu_s_per_gb;            /* of reading; median */
  int64_t wrong_pages;
  struct cold_result cold; /* the worst of its rounds */
  bool cold_known;
};

struct storage_grid {
  int n_rows;
  struct storage_row rows[STORAGE_ROWS_MAX];
  struct target target;       /* what was measured; zeroed while nothing was */
  char engine[IO_TEXT_BYTES]; /* what the engine obtained */
};

/* What is to be measured while storage is read, over and over, from a thread of its own. */
struct storage_beside {
  int (*measure)(void *context, struct error *error);
  void *context;
  double read_bytes_per_s; /* out: what storage gave meanwhile */
};

/* Adds the rows of one page size (each depth, and merged) and measures them `repeats` times after a
 * pass that does not count, rows in a seeded shuffle, but only as many times as end before
 * deadline_s (of clock_now_s(); the first is always made); then `beside` (NULL: nothing). Opens and
 * closes a rig of its own. */
int storage_grid_measure(struct storage_grid *grid, const struct rig_config *base,
                         int64_t page_tokens, int repeats, double deadline_s,
                         struct storage_beside *beside, int (*interrupted)(void),
                         struct error *error);

/* The row that reads fastest per token, NULL where there are none. */
const struct storage_row *storage_grid_best(const struct storage_grid *grid);

/* Seconds to read n_past tokens, from the row's passes: fixed cost of the first page and a rate. */
double storage_row_read_s(const struct storage_row *row, double n_past);

#endif
