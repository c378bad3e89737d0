/*
 * The storage lab: targets x engines x page sizes x depths x layouts x directions as rows, all
 * rows measured in turn, round after round in a seeded shuffle over all targets, so that a mood of
 * the box falls on all of them alike.
 */
#ifndef REFILL_BENCH_MEASURE_STORAGE_LAB_H
#define REFILL_BENCH_MEASURE_STORAGE_LAB_H

#include "bench/measure/lab_pass.h"
#include "bench/measure/stats.h"
#include "bench/options.h"
#include "io/cold.h"
#include "kernels/element.h"
#include "model/shape.h"

#define LAB_ROWS_MAX 512
#define LAB_TARGETS_MAX OPTIONS_TARGETS_MAX

struct lab_row {
  int target; /* index */
  struct lab_setting setting;
  struct lab_geometry geometry;
  struct samples read_bytes_per_s, write_bytes_per_s; /* one a pass; of payload */
  struct samples unchecked_bytes_per_s;        /* reading without any check: what checking costs */
  struct samples cpu_s_per_gb, check_s_per_gb; /* of the process without checks; of checks */
  struct samples stream_bytes_per_s;           /* of one request, each stream of each pass */
  struct samples fio_bytes_per_s, fio_ratio, fio_cpu_ratio;
  struct latency read_latency, write_latency;
  int64_t checked_blocks, wrong_blocks;      /* of all passes */
  uint64_t timed_bytes, timed_checked_bytes; /* of those that samples are of */
  char wrong_at[LAB_PLACE_BYTES + 64];       /* where the first wrong byte was; "" */
  double spare_cpus; /* that the last pass left idle, or used for checks; NaN unknown */
  int64_t short_count, retry_count;
  struct cold_result cold; /* of the least proven pass */
  bool cold_known;
  char obtained[IO_TEXT_BYTES]; /* what the engine got */
  bool emulated;                /* the engine only acts as a drive */
  char refused[256];            /* "" or why it could not be measured */
};

struct storage_lab_config {
  const struct options *options;
  struct shape shape;
  int layers;
  enum element kv_element;
  double write_bytes_per_s; /* that a prefill would produce; NaN unknown: no mixed rows */
  void (*announce)(void *context, const struct target *target, uint64_t bytes);
  void *context;
};

struct storage_lab {
  struct storage_lab_config config;
  int n_targets;
  struct lab_target *targets; /* [n_targets] */
  int n_rows;
  struct lab_row *rows; /* [n_rows] */
  int rounds;           /* complete */
  struct lab_bench bench;
  struct lab_pass_result pass, beside;
  int bench_row; /* whose bench is open */
};

/* Opens the targets (making their data) and lists the rows. Returns 0 or a negative errno. Close
 * with storage_lab_close(), safe on a zeroed struct. */
int storage_lab_open(struct storage_lab *lab, const struct storage_lab_config *config,
                     struct error *error);
void storage_lab_close(struct storage_lab *lab);

/* One round over all rows; `before` is told each row. -EINTR where `interrupted` says so. What an
 * engine or a target cannot do is noted in the row; a failure of a drive ends the run. */
int storage_lab_round(struct storage_lab *lab, int (*interrupted)(void),
                      void (*before)(void *context, const struct lab_row *row), void *context,
                      struct error *error);

/* Seconds that a row is expected to take in one round, and all rows in `rounds`: passes, fio,
 * checks, and what is written before the first. */
double storage_lab_row_s(const struct storage_lab *lab, const struct lab_row *row);
double storage_lab_expected_s(const struct storage_lab *lab, int rounds);

/* Rounds that the options ask for. */
int storage_lab_rounds(const struct options *options);

/* Adds what a pass checked, and where it first found a wrong byte. */
void lab_row_note_checks(struct lab_row *row, const struct lab_pass_result *pass);

/* The share of the timed passes' bytes that was checked; NaN where nothing was timed. */
double lab_row_checked_share(const struct lab_row *row);

/* R or W, seconds per token over all layers, from a rate of payload; and seconds of one layer's
 * pages of n_tokens. */
double lab_row_s_per_token(const struct lab_row *row, double bytes_per_s);
double lab_row_layer_s(const struct lab_row *row, double bytes_per_s, double n_tokens);

/* Seconds of a pass: --time, or the default. */
double storage_lab_time_s(const struct options *options);

/* "read", "write", "mixed"; "layer-major", "token-major"; "never", "end", "layer". */
const char *lab_rw_name(enum lab_rw rw);
const char *lab_layout_name(enum lab_layout layout);
const char *lab_sync_name(enum lab_sync sync);

#endif
