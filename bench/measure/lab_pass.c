/*
 * The loop of a pass: fill each lane's queue, reap, account; no allocation, no check of data but
 * where a pass is there to check.
 */
#include "bench/measure/lab_pass.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure/lab_check.h"
#include "bench/measure/lab_lane.h"
#include "bench/measure/lab_pages.h"

#define REAP_SLICE_S 0.1   /* how often a blocked reap looks at the time without progress */
#define SIDE_WAIT_S 0.0002 /* on one ring of several, while the others go on */
#define AHEAD_BYTES ((uint64_t)32 << 20) /* of a stripe's lane, of the slowest */

/* ---- which request is next ---- */

/* The stream that the next page belongs to; -1: none has any left. */
static int take_stream(struct lab_bench *bench) {
  int n = bench->setting.streams;
  for (int i = 0; i < n; i++) {
    int stream = bench->setting.fair ? (bench->next_stream + i) % n : i;
    if (bench->stream_left[stream] == 0) continue;
    bench->stream_left[stream]--;
    bench->next_stream = (stream + 1) % n;
    return stream;
  }
  return -1;
}

/* A stripe's pages go round all members, so that the slowest sets the pace of a request: no lane
 * may be far ahead of it. But a request has a window: with no more room than a shallow queue, each
 * drive that pauses for a moment stops all others (at depth 4, eight loop devices whose threads
 * share two processors lost 7% of their rate, and a fifth beside other work). */
static bool is_ahead(const struct lab_bench *bench, const struct lab_lane *lane) {
  const struct lab_geometry *geometry = &bench->geometry;
  bool writes = bench->setting.rw == LAB_WRITE;
  uint64_t room = AHEAD_BYTES / (writes ? geometry->write_bytes : geometry->slot_bytes);
  if (room < (uint64_t)bench->setting.queue_depth) room = (uint64_t)bench->setting.queue_depth;
  for (int i = 0; i < bench->n_lanes; i++) {
    if (lane->issued >= bench->lanes[i].issued + room) return true;
  }
  return false;
}

static bool next_read(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request) {
  int stream = 0;
  if (lane->reads_left == 0) return false;
  if (bench->setting.streams > 0 && (stream = take_stream(bench)) < 0) return false;
  lab_lane_read(bench, lane, stream, request);
  lane->issued++;
  if (lane->reads_left != UINT64_MAX) lane->reads_left--;
  return true;
}

/* A write, or the sync that is due; false where neither may go now. `gathered` requests were not
 * handed over yet. */
static bool next_write(struct lab_bench *bench, struct lab_lane *lane, int gathered,
                       struct io_request *request) {
  if (lane->syncing) return false;
  if (lane->sync_due) {
    if (lane->under_way + gathered > 0) return false;
    *request = (struct io_request){.op = IO_SYNC, .file = 1, .tag = LAB_TAG_SYNC};
    lane->sync_due = false;
    lane->syncing = true;
    lane->unsynced = 0;
    return true;
  }
  if (bench->over || lane->writes_left == 0) return false;
  lab_lane_write(bench, lane, request);
  lane->issued++;
  lane->unsynced++;
  if (bench->setting.sync == LAB_SYNC_LAYER && lane->unsynced >= bench->geometry.sync_pages)
    lane->sync_due = true;
  return true;
}

/* True where a prefill at its pace would have produced the lane's next page by now; its pages go
 * round all members. */
static bool write_is_due(const struct lab_bench *bench, const struct lab_lane *lane) {
  double produced = (bench->now_s - bench->start_s) * bench->setting.write_bytes_per_s;
  uint64_t round = lane->write_cursor - lane->write_first;
  uint64_t pages = round * (uint64_t)bench->n_lanes + (uint64_t)(lane - bench->lanes);
  double page_bytes = (double)bench->setting.payload_bytes * bench->geometry.pieces;
  return (double)pages * page_bytes < produced;
}

static bool next_request(struct lab_bench *bench, struct lab_lane *lane, int gathered,
                         struct io_request *request) {
  enum lab_rw rw = bench->setting.rw;
  if (bench->reading_back) return lab_lane_read_back(bench, lane, request);
  if (bench->n_lanes > 1 && !lane->sync_due && is_ahead(bench, lane)) return false;
  if (rw == LAB_WRITE) return next_write(bench, lane, gathered, request);
  if (bench->over) return false;
  int half = (bench->setting.queue_depth + 1) / 2; /* of the queue is the most that writes take */
  if (rw == LAB_MIXED && write_is_due(bench, lane) &&
      lane->writes.n_slots - lane->writes.n_free < half) {
    if (lane->writes_left == 0) lane->writes_left = bench->geometry.n_writes;
    lab_lane_write(bench, lane, request);
    return true;
  }
  return lane->reads.n_free > 0 && next_read(bench, lane, request);
}

static int fill(struct lab_bench *bench, struct lab_lane *lane, struct error *error) {
  int depth = bench->setting.queue_depth;
  int n = 0;
  while (lane->under_way + n < depth && next_request(bench, lane, n, &lane->requests[n])) n++;
  if (n == 0) return 0;
  int taken = lane->engine->ops->submit(lane->engine, lane->requests, n, error);
  if (taken < 0) return error_prefix(error, "%s", lane->member->path);
  if (taken != n)
    return error_set(error, -EIO, "%s: the engine took %d of %d requests", lane->member->path,
                     taken, n);
  lane->under_way += n;
  return 0;
}

/* ---- completions ---- */

/* A read is done: its page is given to whoever checks it. */
static void account_read(struct lab_bench *bench, struct lab_lane *lane, int index,
                         const struct io_completion *completion) {
  struct lab_pass_result *result = bench->result;
  struct lab_slot *slot = &lane->slots[index];
  if (bench->reading_back) {
    lab_check_back(bench, lane, index);
    return;
  }
  result->read_bytes += slot->bytes;
  lane->read_bytes += slot->bytes;
  result->useful_read_bytes += slot->useful_bytes;
  latency_add(&result->read_latency, completion->complete_s - completion->submit_s);
  if (bench->setting.streams > 0 && --bench->stream_open[slot->stream] == 0)
    result->stream_s[slot->stream] = completion->complete_s - bench->start_s;
  lab_check_landed(bench, lane, index);
}

static int account(struct lab_bench *bench, struct lab_lane *lane,
                   const struct io_completion *completion, struct error *error) {
  lane->under_way--;
  lane->completed++;
  if (completion->complete_s > bench->now_s)
    bench->now_s = completion->complete_s; /* of any lane */
  if (completion->error)
    return lab_lane_fault(bench, lane, completion->tag, completion->error,
                          strerror(-completion->error), error);
  if (completion->tag == LAB_TAG_SYNC) {
    lane->syncing = false;
    return 0;
  }
  struct lab_slot *slot = &lane->slots[completion->tag];
  slot->issued = 0;
  if (lab_lane_is_read(lane, completion->tag)) {
    account_read(bench, lane, (int)completion->tag, completion);
    return 0;
  }
  bench->result->write_bytes += slot->bytes;
  latency_add(&bench->result->write_latency, completion->complete_s - completion->submit_s);
  page_pool_give(&lane->writes, (int)completion->tag - lane->reads.n_slots);
  return 0;
}

static int reap(struct lab_bench *bench, struct lab_lane *lane, int min, double timeout_s,
                struct error *error) {
  int n = lane->engine->ops->reap(lane->engine, lane->completions, bench->setting.queue_depth, min,
                                  timeout_s, error);
  if (n < 0) return error_prefix(error, "%s", lane->member->path);
  int failed = 0;
  for (int i = 0; i < n; i++) {
    if (failed)
      lane->under_way--;
    else
      failed = account(bench, lane, &lane->completions[i], error);
  }
  return failed ? failed : n;
}

/* The lane to wait on while several are busy: the one that completes most, whose next completion
 * is nearest. NULL where none is busy. */
static struct lab_lane *fastest(struct lab_bench *bench) {
  struct lab_lane *best = NULL;
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    if (lane->under_way > 0 && (!best || lane->completed > best->completed)) best = lane;
  }
  return best;
}

/* What has completed by now, on any lane. */
static int poll_all(struct lab_bench *bench, struct error *error) {
  int all = 0;
  for (int i = 0; i < bench->n_lanes; i++) {
    if (bench->lanes[i].under_way == 0) continue;
    int n = reap(bench, &bench->lanes[i], 0, 0, error);
    if (n < 0) return n;
    all += n;
  }
  return all;
}

/* Until something completes, pages are checked; only with nothing left to check it sleeps. */
static int wait_for_any(struct lab_bench *bench, struct error *error) {
  while (lab_check_is_due(bench)) {
    int n = poll_all(bench, error);
    if (n != 0) return n;
    lab_check_piece(bench);
  }
  if (bench->n_lanes == 1) return reap(bench, &bench->lanes[0], 1, REAP_SLICE_S, error);
  int n = poll_all(bench, error);
  return n != 0 ? n : reap(bench, fastest(bench), 1, SIDE_WAIT_S, error);
}

/* ---- the pass ---- */

static bool any_under_way(const struct lab_bench *bench) {
  for (int i = 0; i < bench->n_lanes; i++) {
    if (bench->lanes[i].under_way > 0) return true;
  }
  return false;
}

/* No more pages: the time is over. Writes not synced yet are, where that was asked for. */
static void end_time(struct lab_bench *bench) {
  if (bench->over || bench->setting.streams > 0) return;
  bench->over = bench->now_s >= bench->deadline_s;
}

static void request_last_sync(struct lab_bench *bench, struct lab_lane *lane) {
  bool ended = bench->over || lane->writes_left == 0;
  if (bench->setting.rw == LAB_WRITE && !bench->reading_back &&
      bench->setting.sync != LAB_SYNC_NEVER && ended && lane->unsynced > 0 && !lane->syncing)
    lane->sync_due = true;
}

static int run(struct lab_bench *bench, struct error *error) {
  double progress_s = bench->start_s;
  for (;;) {
    for (int i = 0; i < bench->n_lanes; i++) {
      request_last_sync(bench, &bench->lanes[i]);
      int failed = fill(bench, &bench->lanes[i], error);
      if (failed) return failed;
    }
    if (!any_under_way(bench)) return 0;
    int n = wait_for_any(bench, error);
    if (n < 0) return n;
    if (n == 0) bench->now_s = clock_now_s();
    if (n > 0) progress_s = bench->now_s;
    if (bench->now_s - progress_s > bench->setting.io_timeout_s) {
      bench->gave_up = true;
      return lab_lane_hangs(bench, error);
    }
    end_time(bench);
  }
}

static void begin(struct lab_bench *bench, enum lab_check check, double spare_cpus,
                  struct lab_pass_result *result) {
  const struct lab_setting *setting = &bench->setting;
  memset(result, 0, sizeof *result);
  bench->result = result;
  bench->check = check;
  bench->over = false;
  bench->next_stream = 0;
  bench->generation++;
  result->n_streams = setting->streams;
  for (int i = 0; i < setting->streams; i++)
    bench->stream_left[i] = bench->stream_open[i] = setting->pages_per_layer * setting->layers;
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    lane->completed = lane->issued = lane->read_bytes = 0;
    lane->unsynced = 0;
    lane->sync_due = lane->syncing = false;
    lane->write_first = lane->write_cursor;
    lane->writes_left = setting->fresh ? bench->geometry.n_writes : UINT64_MAX;
    if (setting->fresh) lane->write_first = lane->write_cursor = 0;
    lab_lane_stamp(lane, bench->generation);
  }
  lab_check_begin(bench, spare_cpus);
}

int lab_bench_pass(struct lab_bench *bench, double time_s, enum lab_check check, double spare_cpus,
                   struct lab_pass_result *result, struct error *error) {
  begin(bench, check, spare_cpus, result);
  double cpu_s = clock_process_cpu_s();
  bench->start_s = bench->now_s = clock_now_s();
  bench->deadline_s = bench->start_s + time_s;
  int failed = run(bench, error);
  result->seconds = bench->now_s - bench->start_s;
  result->cpu_s = clock_process_cpu_s() - cpu_s - result->check_cpu_s;
  if (failed) return failed;
  lab_check_end(bench);
  for (int i = 0; i < bench->n_lanes; i++) {
    const struct io_engine_info *info = &bench->lanes[i].engine->info;
    result->short_count += (int64_t)info->short_count;
    result->retry_count += (int64_t)info->retry_count;
  }
  return 0;
}

uint64_t lab_bench_drive_bytes(const struct lab_bench *bench, int lane) {
  const char *drive = bench->lanes[lane].member->target.drive;
  uint64_t bytes = 0;
  for (int i = 0; i < bench->n_lanes; i++) {
    if (i == lane || strcmp(bench->lanes[i].member->target.drive, drive) == 0)
      bytes += bench->lanes[i].read_bytes;
  }
  return bytes;
}

int lab_bench_read_back(struct lab_bench *bench, struct lab_pass_result *result,
                        struct error *error) {
  if (bench->setting.rw == LAB_READ || bench->lanes[0].engine->info.emulated) return 0;
  bench->result = result;
  bench->reading_back = true;
  bench->start_s = bench->now_s = clock_now_s();
  bench->deadline_s = INFINITY;
  for (int i = 0; i < bench->n_lanes; i++) lab_lane_plan_back(bench, &bench->lanes[i]);
  int failed = run(bench, error);
  bench->reading_back = false;
  return failed;
}

/* ---- opening and closing ---- */

/* The thread that drives all lanes goes where all of them are; where they are apart it stays. */
static void bind_near(struct lab_bench *bench, const struct lab_target *target) {
  const struct placement *placement = &target->members[0].placement;
  if (lab_target_node(target) < 0) return;
  if (sched_getaffinity(0, sizeof bench->unbound, &bench->unbound) < 0) return;
  bench->bound = placement_bind_thread(placement) == 0;
}

int lab_bench_open(struct lab_bench *bench, struct lab_target *target,
                   const struct lab_setting *setting, struct error *error) {
  memset(bench, 0, sizeof *bench);
  bench->setting = *setting;
  bench->generation = (uint32_t)(uint64_t)(clock_now_s() * 1e6); /* no pass before had it */
  int failed = lab_geometry_of(&bench->geometry, target, setting, error);
  if (failed) return failed;
  bind_near(bench, target);
  for (int i = 0; i < target->n_members && !failed; i++) {
    struct lab_member *member = &target->members[i];
    if (setting->rw != LAB_READ) failed = lab_prepare(member, setting, &bench->geometry, error);
    if (!failed) failed = lab_lane_open(bench, &bench->lanes[bench->n_lanes++], member, error);
  }
  if (failed) lab_bench_close(bench);
  return failed;
}

void lab_bench_close(struct lab_bench *bench) {
  double timeout_s = bench->gave_up ? 0 : bench->setting.io_timeout_s;
  for (int i = 0; i < bench->n_lanes; i++) lab_lane_close(&bench->lanes[i], timeout_s);
  bench->n_lanes = 0;
  if (bench->bound) sched_setaffinity(0, sizeof bench->unbound, &bench->unbound);
  bench->bound = false;
}
