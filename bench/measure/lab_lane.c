/*
 * Lanes: opening them, cutting requests, naming them.
 */
#include "bench/measure/lab_lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/prng.h"
#include "bench/measure/lab_pages.h"

#define STREAM_ORDER 0x6f72646572        /* "order" */
#define STREAM_PAGES 0x7061676573        /* "pages" */
#define REAP_SLICE_S 0.1                 /* while a closing lane waits */
#define HOLD_BYTES ((uint64_t)256 << 20) /* of pages that wait for a pass's end, of all members */
#define HOLD_QUEUES 16                   /* ... as a multiple of what is under way at once, */
#define HOLD_FREE_BYTES ((uint64_t)32 << 20) /* where that is more than this */

/* ---- geometry ---- */

static uint64_t least_bytes(const struct lab_target *target) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < target->n_members; i++) {
    if (target->members[i].bytes < least) least = target->members[i].bytes;
  }
  return least;
}

/* Half of what may still be locked beside `bytes`; all where those are too many already. */
static uint64_t lockable_bytes(uint64_t bytes) {
  struct rlimit limit;
  if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || bytes > limit.rlim_cur)
    return UINT64_MAX;
  return (limit.rlim_cur - bytes) / 2;
}

/* Read pages of one member that may wait for their checks: all of the working set at most, but no
 * fewer than the queue. Buffers that cannot be registered for their sake would cost more. So would
 * many for a queue that a processor's cache holds: each page that waits leaves its place in the
 * cache to memory (4 MiB under way, read from memory: 10% of the rate with 256 MiB waiting, 2% with
 * 64). */
static int hold_count(const struct lab_geometry *geometry, const struct lab_setting *setting,
                      int n_members) {
  if (setting->rw == LAB_WRITE) return 0;
  uint64_t depth = (uint64_t)setting->queue_depth;
  uint64_t queues = 2 * depth * geometry->buffer_bytes; /* the queue's, and as many that wait */
  if (setting->rw == LAB_MIXED) queues += depth * geometry->write_bytes;
  uint64_t more = lockable_bytes(queues * (uint64_t)n_members);
  if (more > HOLD_BYTES) more = HOLD_BYTES;
  uint64_t under_way = depth * geometry->buffer_bytes * (uint64_t)n_members;
  uint64_t warm = HOLD_QUEUES * under_way > HOLD_FREE_BYTES ? HOLD_QUEUES * under_way
                                                            : HOLD_FREE_BYTES;
  if (more > warm) more = warm;
  if (more > memory_available_bytes() / 8) more = memory_available_bytes() / 8;
  uint64_t n = depth + more / (uint64_t)n_members / geometry->buffer_bytes;
  uint64_t all = geometry->n_units * (uint64_t)geometry->pieces;
  if (n > all) n = all;
  return (int)(n > depth ? n : depth);
}

int lab_geometry_of(struct lab_geometry *geometry, const struct lab_target *target,
                    const struct lab_setting *setting, struct error *error) {
  uint64_t bytes = least_bytes(target);
  size_t page = memory_round_up(setting->payload_bytes, LAB_BLOCK_BYTES);
  *geometry = (struct lab_geometry){
      .unit_bytes = page, .pieces = 1, .slot_bytes = page, .write_bytes = page};
  if (setting->layout == LAB_TOKEN_MAJOR) {
    size_t all = setting->payload_bytes * (size_t)setting->layers;
    geometry->unit_bytes = memory_round_up(all, LAB_BLOCK_BYTES);
    geometry->pieces = setting->layers;
    /* A share that is no whole blocks straddles one more. */
    if (page != setting->payload_bytes) geometry->slot_bytes = page + LAB_BLOCK_BYTES;
    geometry->write_bytes = geometry->unit_bytes;
  }
  /* Written pages are read back whole. */
  geometry->buffer_bytes = geometry->slot_bytes;
  if (setting->rw != LAB_READ && geometry->write_bytes > geometry->buffer_bytes)
    geometry->buffer_bytes = geometry->write_bytes;
  geometry->n_units = bytes / geometry->unit_bytes;
  geometry->n_writes = bytes / geometry->write_bytes;
  geometry->sync_pages = (setting->pages_per_layer + target->n_members - 1) / target->n_members;
  geometry->n_hold = hold_count(geometry, setting, target->n_members);
  if (geometry->n_units > UINT32_MAX)
    return error_set(
        error, -EINVAL,
        "%llu pages of %llu bytes are more than can be walked in a shuffled order: use "
        "larger pages or a smaller --working-set",
        (unsigned long long)geometry->n_units, (unsigned long long)geometry->unit_bytes);
  if (geometry->n_units > 0) return 0;
  return error_set(error, -EINVAL, "pages of %llu bytes do not fit the %llu bytes of %s",
                   (unsigned long long)geometry->unit_bytes, (unsigned long long)bytes,
                   target->name);
}

uint64_t lab_buffers_bytes(const struct lab_setting *setting, const struct lab_geometry *geometry) {
  uint64_t depth = (uint64_t)setting->queue_depth;
  uint64_t reads = (depth + (uint64_t)geometry->n_hold) * geometry->buffer_bytes;
  return reads + (setting->rw == LAB_READ ? 0 : depth * geometry->write_bytes);
}

/* ---- requests ---- */

bool lab_lane_is_read(const struct lab_lane *lane, uint64_t tag) {
  return tag < (uint64_t)lane->reads.n_slots;
}

int lab_lane_slots(const struct lab_lane *lane) {
  return lane->reads.n_slots + lane->writes.n_slots;
}

/* Fills a slot and the request that goes with it. */
static void issue(struct lab_bench *bench, struct lab_lane *lane, uint64_t tag,
                  struct lab_slot slot, struct io_request *request) {
  slot.issued = ++bench->n_issued;
  lane->slots[tag] = slot;
  request->bytes = slot.bytes;
  request->tag = tag;
}

void lab_lane_read(struct lab_bench *bench, struct lab_lane *lane, int stream,
                   struct io_request *request) {
  const struct lab_geometry *geometry = &bench->geometry;
  uint64_t n = geometry->n_units;
  uint64_t step = lane->read_cursor++ % (n * (uint64_t)geometry->pieces);
  uint64_t unit = lane->order[step % n];
  uint64_t layer = step / n; /* 0 where a page is of one layer */
  uint64_t first = unit * geometry->unit_bytes + layer * bench->setting.payload_bytes;
  uint64_t start = first / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
  uint64_t end = memory_round_up(first + bench->setting.payload_bytes, LAB_BLOCK_BYTES);
  int slot = page_pool_take(&lane->reads);
  *request = (struct io_request){.op = IO_READ,
                                 .file = 0,
                                 .offset_bytes = lane->read_base_bytes + start,
                                 .buffer = page_pool_address(&lane->reads, slot)};
  issue(bench, lane, (uint64_t)slot,
        (struct lab_slot){.at_bytes = start,
                          .bytes = (size_t)(end - start),
                          .useful_bytes = bench->setting.payload_bytes,
                          .page = unit,
                          .layer = geometry->pieces > 1 ? (int)layer : -1,
                          .stream = stream},
        request);
}

void lab_lane_write(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request) {
  uint64_t page = lane->write_cursor++ % bench->geometry.n_writes;
  size_t bytes = bench->geometry.write_bytes;
  uint64_t at = page * bytes;
  int slot = page_pool_take(&lane->writes);
  char *data = page_pool_address(&lane->writes, slot);
  for (size_t i = 0; i < bytes; i += LAB_STAMP_BYTES) memcpy(data + i, &page, sizeof page);
  lane->writes_left--;
  *request = (struct io_request){
      .op = IO_WRITE, .file = 1, .offset_bytes = lane->write_base_bytes + at, .buffer = data};
  issue(bench, lane, (uint64_t)(slot + lane->reads.n_slots),
        (struct lab_slot){.at_bytes = at, .bytes = bytes, .page = page, .layer = -1}, request);
}

void lab_lane_stamp(struct lab_lane *lane, uint32_t generation) {
  for (int slot = 0; slot < lane->writes.n_slots; slot++) {
    const struct lab_stamp stamp = {.generation = generation, .slot = (uint32_t)slot};
    char *data = page_pool_address(&lane->writes, slot);
    for (size_t i = 0; i < lane->writes.slot_bytes; i += LAB_BLOCK_BYTES)
      memcpy(data + i, &stamp, sizeof stamp);
  }
}

void lab_lane_plan_back(const struct lab_bench *bench, struct lab_lane *lane) {
  const struct lab_geometry *geometry = &bench->geometry;
  uint64_t n = lane->write_cursor - lane->write_first;
  if (n > geometry->n_writes) n = geometry->n_writes; /* the latest of each page */
  uint64_t wanted = LAB_BACK_BYTES / (uint64_t)bench->n_lanes / geometry->write_bytes + 1;
  lane->back_first = lane->write_cursor - n;
  lane->back_step = n > wanted ? (n + wanted - 1) / wanted : 1;
  lane->back_left = (n + lane->back_step - 1) / lane->back_step;
}

bool lab_lane_read_back(struct lab_bench *bench, struct lab_lane *lane,
                        struct io_request *request) {
  if (lane->back_left == 0 || lane->reads.n_free == 0) return false;
  lane->back_left--;
  uint64_t page = lane->back_first % bench->geometry.n_writes;
  uint64_t at = page * bench->geometry.write_bytes;
  lane->back_first += lane->back_step;
  int slot = page_pool_take(&lane->reads);
  *request = (struct io_request){.op = IO_READ,
                                 .file = 1,
                                 .offset_bytes = lane->write_base_bytes + at,
                                 .buffer = page_pool_address(&lane->reads, slot)};
  issue(bench, lane, (uint64_t)slot,
        (struct lab_slot){
            .at_bytes = at, .bytes = bench->geometry.write_bytes, .page = page, .layer = -1},
        request);
  return true;
}

/* ---- naming ---- */

static const struct page_files *lane_set(const struct lab_bench *bench, const struct lab_lane *lane,
                                         bool written) {
  if (!written) return &lane->pages->data;
  return bench->setting.fresh ? &lane->pages->fresh : &lane->pages->reused;
}

void lab_lane_place(const struct lab_bench *bench, const struct lab_lane *lane, bool written,
                    uint64_t at_bytes, char path[LAB_PLACE_BYTES], uint64_t *offset_bytes) {
  const struct lab_member *member = lane->member;
  *offset_bytes = at_bytes + (written ? lane->write_base_bytes : lane->read_base_bytes);
  if (lane->pages) {
    const struct page_files *set = lane_set(bench, lane, written);
    char name[PAGE_FILES_NAME_BYTES];
    page_files_name(at_bytes / set->page_bytes, name);
    snprintf(path, LAB_PLACE_BYTES, "%s/%s", set->path, name);
    *offset_bytes = at_bytes % set->page_bytes;
  } else if (written && member->kind == LAB_DIRECTORY) {
    snprintf(path, LAB_PLACE_BYTES, "the file for new pages in %s", member->path);
  } else {
    snprintf(path, LAB_PLACE_BYTES, "%s", member->data_path);
  }
}

/* "writing 4096 bytes at byte 8192 of FILE (page 3)" */
static void name_request(const struct lab_bench *bench, const struct lab_lane *lane, uint64_t tag,
                         char *text, size_t text_bytes) {
  bool is_read = lab_lane_is_read(lane, tag);
  char path[LAB_PLACE_BYTES], layer[32] = "";
  uint64_t offset_bytes = 0;
  const struct lab_slot *slot = tag == LAB_TAG_SYNC ? NULL : &lane->slots[tag];
  lab_lane_place(bench, lane, !is_read || bench->reading_back, slot ? slot->at_bytes : 0, path,
                 &offset_bytes);
  if (!slot) {
    snprintf(text, text_bytes, "fdatasync of %s", path);
    return;
  }
  if (slot->layer >= 0) snprintf(layer, sizeof layer, ", layer %d", slot->layer);
  snprintf(text, text_bytes, "%s %zu bytes at byte %llu of %s (page %llu%s)",
           !is_read              ? "writing"
           : bench->reading_back ? "reading back"
                                 : "reading",
           slot->bytes, (unsigned long long)offset_bytes, path, (unsigned long long)slot->page,
           layer);
}

int lab_lane_fault(const struct lab_bench *bench, const struct lab_lane *lane, uint64_t tag,
                   int code, const char *why, struct error *error) {
  char request[LAB_PLACE_BYTES + 160];
  name_request(bench, lane, tag, request, sizeof request);
  return error_set(error, code, "%s: %s", request, why);
}

int lab_lane_hangs(const struct lab_bench *bench, struct error *error) {
  const struct lab_lane *oldest = &bench->lanes[0];
  uint64_t tag = LAB_TAG_SYNC, issued = UINT64_MAX;
  int under_way = 0;
  for (int i = 0; i < bench->n_lanes; i++) {
    const struct lab_lane *lane = &bench->lanes[i];
    under_way += lane->under_way;
    if (lane->syncing && issued == UINT64_MAX) oldest = lane;
    for (int k = 0; k < lab_lane_slots(lane); k++) {
      if (lane->slots[k].issued == 0 || lane->slots[k].issued >= issued) continue;
      issued = lane->slots[k].issued;
      tag = (uint64_t)k;
      oldest = lane;
    }
  }
  char why[160];
  snprintf(why, sizeof why,
           "no completion for %.3g s with %d requests under way; the drive hangs, or raise "
           "--io-timeout",
           bench->setting.io_timeout_s, under_way);
  return lab_lane_fault(bench, oldest, tag, -ETIMEDOUT, why, error);
}

/* ---- opening and closing ---- */

static int make_order(struct lab_lane *lane, uint64_t n, uint64_t seed, int index) {
  lane->order = malloc((size_t)n * sizeof *lane->order);
  if (!lane->order) return -ENOMEM;
  uint64_t stream = prng_stream(seed, STREAM_ORDER + (uint64_t)index);
  for (uint64_t i = 0; i < n; i++) lane->order[i] = (uint32_t)i;
  for (uint64_t i = n; i > 1; i--) {
    uint64_t k = prng_below(stream, i, i);
    uint32_t held = lane->order[i - 1];
    lane->order[i - 1] = lane->order[k];
    lane->order[k] = held;
  }
  return 0;
}

static int allocate(struct lab_bench *bench, struct lab_lane *lane, struct error *error) {
  const struct lab_setting *setting = &bench->setting;
  const struct lab_geometry *geometry = &bench->geometry;
  const struct placement *placement = &lane->member->placement;
  size_t depth = (size_t)setting->queue_depth;
  size_t n_reads = depth + (size_t)geometry->n_hold;
  lane->slots = calloc(n_reads + depth, sizeof *lane->slots);
  lane->held = calloc((size_t)geometry->n_hold + 1, sizeof *lane->held);
  lane->requests = calloc(depth, sizeof *lane->requests);
  lane->completions = calloc(depth, sizeof *lane->completions);
  if (!lane->slots || !lane->held || !lane->requests || !lane->completions ||
      make_order(lane, geometry->n_units, setting->seed, (int)(lane - bench->lanes)))
    return error_set(error, -ENOMEM, "no memory for a queue of %d requests", setting->queue_depth);
  int failed = page_pool_init(&lane->reads, (int)n_reads, geometry->buffer_bytes, LAB_BLOCK_BYTES,
                              placement, error);
  if (failed || setting->rw == LAB_READ) return failed;
  failed = page_pool_init(&lane->writes, setting->queue_depth, geometry->write_bytes,
                          LAB_BLOCK_BYTES, placement, error);
  if (!failed)
    prng_fill(lane->writes.memory.address, lane->writes.memory.bytes,
              prng_stream(setting->seed, STREAM_PAGES), 0);
  return failed;
}

static int open_engine(struct lab_bench *bench, struct lab_lane *lane, struct error *error) {
  struct io_buffer buffers[2] = {page_pool_buffer(&lane->reads)};
  int n = 1;
  if (lane->writes.n_slots > 0) buffers[n++] = page_pool_buffer(&lane->writes);
  int fds[2] = {lane->member->fd, lane->output ? lane->output->fd : lane->member->fd};
  bool writes = bench->setting.rw != LAB_READ;
  if (lane->pages) {
    fds[0] = lane->pages->data.fd;
    fds[1] = writes ? lane_set(bench, lane, true)->fd : fds[0];
  }
  struct io_engine_config config = {.queue_depth = bench->setting.queue_depth,
                                    .fds = fds,
                                    .n_files = writes ? 2 : 1,
                                    .buffers = buffers,
                                    .n_buffers = n,
                                    .placement = &lane->member->placement};
  if (!lane->pages) return io_engine_open(&lane->engine, bench->setting.engine, &config, error);
  return page_files_engine_open(&lane->engine, bench->setting.engine, &config,
                                lane->pages->data.page_bytes, lane->pages->data.direct, error);
}

int lab_lane_open(struct lab_bench *bench, struct lab_lane *lane, const struct lab_member *member,
                  struct error *error) {
  const struct lab_setting *setting = &bench->setting;
  lane->member = member;
  lane->reads_left = UINT64_MAX;
  if (setting->layout == LAB_FILE_PER_PAGE) {
    lane->pages = lab_pages_find(member, bench->geometry.unit_bytes);
    if (!lane->pages) return error_set(error, -EINVAL, "%s has no pages as files", member->path);
  } else {
    lane->read_base_bytes = member->offset_bytes;
  }
  if (setting->rw != LAB_READ && !lane->pages) {
    lane->output = setting->fresh ? &member->fresh : &member->reused;
    lane->write_base_bytes = lane->output->offset_bytes;
  }
  int failed = allocate(bench, lane, error);
  if (!failed) failed = open_engine(bench, lane, error);
  return failed;
}

void lab_lane_close(struct lab_lane *lane, double timeout_s) {
  double deadline_s = clock_now_s() + timeout_s;
  while (lane->under_way > 0 && clock_now_s() < deadline_s) {
    int n = lane->engine->ops->reap(lane->engine, lane->completions, lane->under_way, 1,
                                    REAP_SLICE_S, NULL);
    if (n < 0) break;
    lane->under_way -= n;
  }
  if (lane->engine) lane->engine->ops->close(lane->engine);
  if (lane->under_way == 0) {
    page_pool_destroy(&lane->reads);
    page_pool_destroy(&lane->writes);
  }
  free(lane->slots);
  free(lane->held);
  free(lane->requests);
  free(lane->completions);
  free(lane->order);
}
