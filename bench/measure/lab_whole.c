/*
 * See lab_whole.h.
 */
#include "bench/measure/lab_whole.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"

#define DEPTH 8
#define PAGE_BYTES_MAX ((uint64_t)1 << 20)
#define SLICE_S 0.5          /* how often Ctrl-C and the limit are looked at */
#define READ_BYTES_PER_S 1e9 /* guessed, where nothing has been read yet */

/* True where both rows read the same bytes of the same files. */
static bool is_same_data(const struct lab_row *a, const struct lab_row *b) {
  bool files = a->setting.layout == LAB_FILE_PER_PAGE;
  return a->target == b->target && files == (b->setting.layout == LAB_FILE_PER_PAGE) &&
         (!files || a->geometry.unit_bytes == b->geometry.unit_bytes);
}

/* True where the row reads from what is known block by block. */
static bool is_of_known_data(const struct storage_lab *lab, const struct lab_row *row) {
  const struct lab_member *member = &lab->targets[row->target].members[0];
  return row->setting.rw != LAB_WRITE && !row->refused[0] && !row->emulated &&
         (member->data || member->crcs);
}

/* The first row that reads from its data stands for all that do. */
static bool stands_for_data(const struct storage_lab *lab, int index) {
  const struct lab_row *row = &lab->rows[index];
  if (!is_of_known_data(lab, row)) return false;
  for (int i = 0; i < index; i++) {
    if (is_of_known_data(lab, &lab->rows[i]) && is_same_data(&lab->rows[i], row)) return false;
  }
  return true;
}

static uint64_t data_bytes(const struct storage_lab *lab, const struct lab_row *row) {
  return row->geometry.unit_bytes * row->geometry.n_units *
         (uint64_t)lab->targets[row->target].n_members;
}

double lab_whole_s(const struct storage_lab *lab) {
  double s = 0;
  for (int i = 0; i < lab->n_rows; i++) {
    const struct samples *rate = &lab->rows[i].read_bytes_per_s;
    if (stands_for_data(lab, i))
      s += (double)data_bytes(lab, &lab->rows[i]) /
           (rate->n > 0 ? stats_median(rate->values, rate->n) : READ_BYTES_PER_S);
  }
  return s;
}

/* Reads each page of the data once: large ones, which leave no remainder. */
static struct lab_setting whole_setting(const struct storage_lab *lab, const struct lab_row *row) {
  struct lab_setting setting = row->setting;
  setting.rw = LAB_READ;
  setting.streams = 0;
  setting.queue_depth = DEPTH;
  if (setting.layout == LAB_FILE_PER_PAGE) return setting;
  const struct lab_target *target = &lab->targets[row->target];
  uint64_t bytes = target->members[0].bytes;
  for (int i = 1; i < target->n_members; i++) {
    if (target->members[i].bytes < bytes) bytes = target->members[i].bytes;
  }
  setting.layout = LAB_LAYER_MAJOR;
  setting.payload_bytes = (size_t)PAGE_BYTES_MAX;
  while (bytes % setting.payload_bytes != 0 && setting.payload_bytes > LAB_BLOCK_BYTES)
    setting.payload_bytes /= 2;
  return setting;
}

static uint64_t left(const struct lab_bench *bench) {
  uint64_t reads = 0;
  for (int i = 0; i < bench->n_lanes; i++) reads += bench->lanes[i].reads_left;
  return reads;
}

static int check_data(struct storage_lab *lab, struct lab_row *row, double deadline_s,
                      int (*interrupted)(void), struct error *error) {
  struct lab_bench *bench = &lab->bench;
  struct lab_target *target = &lab->targets[row->target];
  int failed = 0;
  for (int i = 0; i < bench->n_lanes; i++) bench->lanes[i].reads_left = bench->geometry.n_units;
  target->whole_bytes += left(bench) * bench->geometry.unit_bytes;
  while (!failed && left(bench) > 0 && clock_now_s() < deadline_s) {
    if (interrupted()) return -EINTR;
    failed = lab_bench_pass(bench, SLICE_S, LAB_CHECK_ALL, NAN, &lab->beside, error);
    lab_row_note_checks(row, &lab->beside);
    target->whole_checked_bytes += (uint64_t)lab->beside.checked_blocks * LAB_BLOCK_BYTES;
  }
  return failed;
}

int lab_whole_check(struct storage_lab *lab, double limit_s, int (*interrupted)(void),
                    void (*before)(void *context, const struct lab_row *row), void *context,
                    struct error *error) {
  double deadline_s = clock_now_s() + limit_s;
  for (int i = 0; i < lab->n_rows; i++) {
    struct lab_row *row = &lab->rows[i];
    struct error reason = {0};
    if (!stands_for_data(lab, i)) continue;
    struct lab_setting setting = whole_setting(lab, row);
    before(context, row);
    int failed = lab_bench_open(&lab->bench, &lab->targets[row->target], &setting, &reason);
    if (failed) { /* too little memory by now, say: what was measured is not lost for it */
      lab->targets[row->target].whole_bytes += data_bytes(lab, row);
      continue;
    }
    failed = check_data(lab, row, deadline_s, interrupted, error);
    lab_bench_close(&lab->bench);
    if (failed) return failed;
  }
  return 0;
}
