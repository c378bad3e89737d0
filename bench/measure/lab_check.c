/*
 * Checks that cost the measurement nothing, or next to nothing.
 *
 * A CRC reads each byte at 5 to 15 GB/s of one processor. On a server that time lies idle: where
 * two processors and more did in the pass before, pages wait in buffers of their own and are
 * checked a piece at a time while the thread has nothing to reap. On a box of two processors it is
 * taken from the kernel's own threads, or (in a guest whose time the host rations) from whoever
 * moves the bytes below: 3% of the time took 6% of the rate of 128 KiB reads from memory, and
 * checking all that a disk read at 1.6 GB/s a quarter. There no CRC is computed before the clock
 * has stopped: pages spread evenly over the pass stay in their buffers until then, as many as
 * there is memory for. --check-bytes all leaves nothing out, at any cost.
 *
 * What share that is is told. No page passes unseen either way: of each that is given back
 * without its CRC the first block, the last and one of each 64 KiB must begin with the word that
 * the data's generator put there. That finds what never arrived, belongs elsewhere or was cut
 * off; a smaller hole and damage inside a block are found by the CRCs alone: while it is read where
 * its page is checked, and on the drive by lab_whole.c, which reads all once more when no clock
 * runs. (A look at every block cost 7 to 11 ms a GB in cache misses, as much as the CRCs that it
 * was to stand in for.)
 */
#include "bench/measure/lab_check.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/measure/lab_data.h"

#define PIECE_BYTES ((size_t)64 << 10) /* a completion waits no longer than its check takes */
#define SPARE_CPUS_MIN 2.0

/* Seconds that all processors together have been idle and, in a guest, not been withheld by the
 * host; NaN unknown. */
static double idle_cpu_s(void) {
  char text[256];
  double ticks[8]; /* user nice system idle iowait irq softirq steal */
  int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (n <= 0) return NAN;
  text[n] = '\0';
  if (sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1], &ticks[2],
             &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8)
    return NAN;
  return (ticks[3] + ticks[4] - ticks[7]) / (double)sysconf(_SC_CLK_TCK);
}

void lab_check_begin(struct lab_bench *bench, double spare_cpus) {
  bench->checks_in_time = bench->check == LAB_CHECK_ALL ||
                          (bench->check == LAB_CHECK_IDLE && spare_cpus >= SPARE_CPUS_MIN);
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    lane->held_first = lane->n_held = 0;
    lane->held_done_bytes = 0;
    for (int k = 0; k < lab_lane_slots(lane); k++) lane->slots[k].bytes = lane->slots[k].issued = 0;
  }
  bench->idle_start_s = idle_cpu_s();
}

static void note_wrong(struct lab_bench *bench, const struct lab_lane *lane,
                       const struct lab_slot *slot, uint64_t at_bytes) {
  struct lab_wrong *wrong = &bench->result->wrong;
  if (wrong->path[0]) return;
  wrong->page = slot->page;
  lab_lane_place(bench, lane, bench->reading_back, at_bytes, wrong->path, &wrong->offset_bytes);
}

/* ---- pages that were read ---- */

/* Checks [at, at + bytes) of a read slot. */
static void check_part(struct lab_bench *bench, struct lab_lane *lane, int slot, size_t at,
                       size_t bytes) {
  struct lab_slot *held = &lane->slots[slot];
  const char *data = page_pool_address(&lane->reads, slot);
  uint64_t first = 0;
  int64_t wrong =
      lab_member_wrong_blocks(lane->member, held->at_bytes + at, data + at, bytes, &first);
  if (wrong < 0) return;
  bench->result->checked_blocks += (int64_t)(bytes / LAB_BLOCK_BYTES);
  bench->result->wrong_blocks += wrong;
  if (wrong > 0) note_wrong(bench, lane, held, first);
}

static void check_slot(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  check_part(bench, lane, slot, 0, lane->slots[slot].bytes);
  lane->slots[slot].bytes = 0;
}

static bool can_be_checked(const struct lab_lane *lane) {
  return (lane->member->data || lane->member->crcs) && !lane->engine->info.emulated;
}

/* Checks up to `bytes` more of the lane's oldest waiting page. */
static void go_on(struct lab_bench *bench, struct lab_lane *lane, size_t bytes) {
  int slot = lane->held[lane->held_first];
  struct lab_slot *held = &lane->slots[slot];
  size_t left = held->bytes - lane->held_done_bytes;
  if (bytes > left) bytes = left;
  check_part(bench, lane, slot, lane->held_done_bytes, bytes);
  lane->held_done_bytes += bytes;
  if (lane->held_done_bytes < held->bytes) return;
  held->bytes = 0;
  lane->held_done_bytes = 0;
  lane->held_first = (lane->held_first + 1) % bench->geometry.n_hold;
  lane->n_held--;
  page_pool_give(&lane->reads, slot);
}

/* The lane where most pages wait; NULL: none do. */
static struct lab_lane *fullest(struct lab_bench *bench) {
  struct lab_lane *best = NULL;
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    if (lane->n_held > (best ? best->n_held : 0)) best = lane;
  }
  return best;
}

bool lab_check_is_due(struct lab_bench *bench) {
  return bench->checks_in_time && fullest(bench) != NULL;
}

/* go_on(), on the pass's account. */
static void check_some(struct lab_bench *bench, struct lab_lane *lane, size_t bytes) {
  double start_s = clock_now_s();
  double cpu_s = clock_thread_cpu_s();
  go_on(bench, lane, bytes);
  bench->result->check_cpu_s += clock_thread_cpu_s() - cpu_s;
  bench->result->check_s += clock_now_s() - start_s;
}

void lab_check_piece(struct lab_bench *bench) {
  check_some(bench, fullest(bench), PIECE_BYTES);
}

static void hold(const struct lab_bench *bench, struct lab_lane *lane, int slot) {
  int n_hold = bench->geometry.n_hold;
  lane->held[(lane->held_first + lane->n_held++) % n_hold] = slot;
}

/* True where the blocks of a page that landed, as far as they are looked at, begin as what belongs
 * there does. Else its CRCs are computed, which name the blocks. */
static bool is_in_place(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  const struct lab_slot *held = &lane->slots[slot];
  const char *data = page_pool_address(&lane->reads, slot);
  if (lab_data_is_placed(held->at_bytes, data, held->bytes, lane->completed)) return true;
  check_slot(bench, lane, slot);
  return false;
}

/* Checked while the thread waits. As many pages wait as are under way: more would make the buffers
 * colder in the processors' caches. */
static void landed_in_time(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  int depth = bench->setting.queue_depth;
  int n_hold = depth < bench->geometry.n_hold ? depth : bench->geometry.n_hold;
  /* All wait: the oldest is checked now, while half of the queue at least is still under way. */
  bool waits = bench->check == LAB_CHECK_ALL || 2 * lane->under_way >= depth;
  if (lane->n_held == n_hold && waits) check_some(bench, lane, SIZE_MAX);
  if (lane->n_held < n_hold) {
    hold(bench, lane, slot);
    return;
  }
  is_in_place(bench, lane, slot);
  page_pool_give(&lane->reads, slot);
}

/* How much of the pass is over, 0 to 1, as a lane sees it. */
static double progress_of(const struct lab_bench *bench, const struct lab_lane *lane) {
  const struct lab_setting *setting = &bench->setting;
  double pages = (double)setting->streams * (double)setting->pages_per_layer * setting->layers;
  if (setting->streams > 0) return (double)lane->completed * bench->n_lanes / pages;
  return (bench->now_s - bench->start_s) / (bench->deadline_s - bench->start_s);
}

/* Checked when the pass is over, if it is among those that are held until then: of its first tenth
 * a tenth of the buffers, and so on. */
static void landed_for_later(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  int n_hold = bench->geometry.n_hold;
  bool in_place = is_in_place(bench, lane, slot);
  if (in_place && lane->n_held < n_hold && lane->n_held < n_hold * progress_of(bench, lane))
    hold(bench, lane, slot);
  else
    page_pool_give(&lane->reads, slot);
}

void lab_check_landed(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  if (bench->check == LAB_CHECK_LAST || !can_be_checked(lane))
    page_pool_give(&lane->reads, slot);
  else if (bench->checks_in_time)
    landed_in_time(bench, lane, slot);
  else
    landed_for_later(bench, lane, slot);
}

void lab_check_end(struct lab_bench *bench) {
  struct lab_pass_result *result = bench->result;
  result->spare_cpus = (idle_cpu_s() - bench->idle_start_s + result->check_cpu_s) / result->seconds;
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    while (lane->n_held > 0) go_on(bench, lane, SIZE_MAX);
    if (!can_be_checked(lane) || bench->setting.rw == LAB_WRITE) continue;
    /* What was given back unchecked, and not used since, is still there. */
    for (int slot = 0; slot < lane->reads.n_slots; slot++) check_slot(bench, lane, slot);
  }
}

/* ---- pages that were written ---- */

/* The slot that a page was written from, by its first stamp; -1 where that cannot be. */
static int slot_of(const struct lab_lane *lane, const char *page) {
  struct lab_stamp stamp;
  memcpy(&stamp, page, sizeof stamp);
  return stamp.slot < (uint32_t)lane->writes.n_slots ? (int)stamp.slot : -1;
}

/* The block at `at` of a page holds what the slot does, its pass and slot among that, and the
 * page's number where that is written, else 0. */
static bool block_is_right(const struct lab_lane *lane, const char *block, size_t at, int slot,
                           uint64_t page) {
  uint64_t number;
  memcpy(&number, block, sizeof number);
  if (slot < 0 || number != (at % LAB_STAMP_BYTES == 0 ? page : 0)) return false;
  const char *written = (const char *)page_pool_address(&lane->writes, slot) + at;
  return memcmp(block + sizeof number, written + sizeof number, LAB_BLOCK_BYTES - sizeof number) ==
         0;
}

void lab_check_back(struct lab_bench *bench, struct lab_lane *lane, int slot) {
  const struct lab_slot *held = &lane->slots[slot];
  const char *data = page_pool_address(&lane->reads, slot);
  int from = slot_of(lane, data);
  for (size_t at = 0; at < held->bytes; at += LAB_BLOCK_BYTES) {
    bench->result->checked_blocks++;
    if (block_is_right(lane, data + at, at, from, held->page)) continue;
    bench->result->wrong_blocks++;
    note_wrong(bench, lane, held, held->at_bytes + at);
  }
  page_pool_give(&lane->reads, slot);
}
