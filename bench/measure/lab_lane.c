/*
 * Lanes: opening them, cutting requests, checking bytes.
 */
#include "bench/measure/lab_lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/prng.h"

#define STREAM_ORDER 0x6f72646572        /* "order" */
#define STREAM_PAGES 0x7061676573        /* "pages" */
#define CHECK_BYTES ((uint64_t)64 << 20) /* of written pages that are read back, a lane */

/* What a written page begins with, so that a page in the wrong place is found. */
struct stamp {
  uint64_t page;
  uint64_t slot;
};

/* ---- geometry ---- */

static uint64_t least_bytes(const struct lab_target *target) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < target->n_members; i++) {
    if (target->members[i].bytes < least) least = target->members[i].bytes;
  }
  return least;
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
  geometry->n_units = bytes / geometry->unit_bytes;
  geometry->n_writes = bytes / geometry->write_bytes;
  if (geometry->n_units > 0) return 0;
  return error_set(error, -EINVAL, "pages of %llu bytes do not fit the %llu bytes of %s",
                   (unsigned long long)geometry->unit_bytes, (unsigned long long)bytes,
                   target->name);
}

/* ---- requests ---- */

void lab_lane_read(struct lab_bench *bench, struct lab_lane *lane, int stream,
                   struct io_request *request) {
  const struct lab_geometry *geometry = &bench->geometry;
  uint64_t n = geometry->n_units;
  uint64_t step = lane->read_cursor++ % (n * (uint64_t)geometry->pieces);
  uint64_t unit_at = lane->order[step % n] * geometry->unit_bytes;
  uint64_t layer = step / n; /* 0 where a page is of one layer */
  uint64_t first = unit_at + layer * bench->setting.payload_bytes;
  uint64_t start = first / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
  uint64_t end = memory_round_up(first + bench->setting.payload_bytes, LAB_BLOCK_BYTES);
  int slot = page_pool_take(&lane->reads);
  lane->slots[slot] = (struct lab_slot){.at_bytes = start,
                                        .bytes = (size_t)(end - start),
                                        .useful_bytes = bench->setting.payload_bytes,
                                        .stream = stream};
  *request = (struct io_request){.op = IO_READ,
                                 .file = 0,
                                 .offset_bytes = lane->member->offset_bytes + start,
                                 .buffer = page_pool_address(&lane->reads, slot),
                                 .bytes = (size_t)(end - start),
                                 .tag = (uint64_t)slot};
}

void lab_lane_write(struct lab_bench *bench, struct lab_lane *lane, struct io_request *request) {
  uint64_t page = lane->write_cursor++ % bench->geometry.n_writes;
  uint64_t at = page * bench->geometry.write_bytes;
  int slot = page_pool_take(&lane->writes);
  char *data = page_pool_address(&lane->writes, slot);
  *(struct stamp *)(void *)data = (struct stamp){.page = page, .slot = (uint64_t)slot};
  uint64_t tag = (uint64_t)(slot + bench->setting.queue_depth);
  lane->slots[tag] = (struct lab_slot){.at_bytes = at, .bytes = bench->geometry.write_bytes};
  lane->writes_left--;
  *request = (struct io_request){.op = IO_WRITE,
                                 .file = 1,
                                 .offset_bytes = lane->output->offset_bytes + at,
                                 .buffer = data,
                                 .bytes = bench->geometry.write_bytes,
                                 .tag = tag};
}

/* ---- checks ---- */

void lab_lane_check(const struct lab_lane *lane, int slot, struct lab_pass_result *result) {
  const struct lab_slot *held = &lane->slots[slot];
  if (held->bytes == 0 || lane->reads.n_slots == 0) return;
  int64_t wrong = lab_member_wrong_blocks(lane->member, held->at_bytes,
                                          page_pool_address(&lane->reads, slot), held->bytes);
  if (wrong < 0) return;
  result->checked_blocks += (int64_t)(held->bytes / LAB_BLOCK_BYTES);
  result->wrong_blocks += wrong;
}

void lab_lane_forget(struct lab_lane *lane, int queue_depth) {
  for (int i = 0; i < queue_depth; i++) lane->slots[i].bytes = 0;
}

/* One page as it should be: the slot that it names holds the same, but for the stamp. */
static bool page_is_right(const struct lab_lane *lane, const char *data, uint64_t page,
                          size_t bytes) {
  struct stamp stamp;
  memcpy(&stamp, data, sizeof stamp);
  if (stamp.page != page || stamp.slot >= (uint64_t)lane->writes.n_slots) return false;
  const char *written = page_pool_address(&lane->writes, (int)stamp.slot);
  return memcmp(data + sizeof stamp, written + sizeof stamp, bytes - sizeof stamp) == 0;
}

static int check_lane(struct lab_bench *bench, struct lab_lane *lane,
                      struct lab_pass_result *result, struct error *error) {
  const struct lab_geometry *geometry = &bench->geometry;
  struct memory memory = {0};
  uint64_t n = lane->write_cursor - lane->write_first;
  if (n > geometry->n_writes) n = geometry->n_writes; /* the latest of each page */
  uint64_t first = lane->write_cursor - n;
  uint64_t wanted = CHECK_BYTES / geometry->write_bytes + 1;
  uint64_t step = n > wanted ? n / wanted : 1;
  int failed = memory_map(&memory, geometry->write_bytes, NULL, 1, error);
  for (uint64_t i = 0; i < n && !failed; i += step) {
    uint64_t page = (first + i) % geometry->n_writes;
    uint64_t at = lane->output->offset_bytes + page * geometry->write_bytes;
    ssize_t got = pread(lane->output->fd, memory.address, geometry->write_bytes, (off_t)at);
    if (got != (ssize_t)geometry->write_bytes) {
      failed = error_set(error, got < 0 ? -errno : -EIO,
                         "reading back page %llu written in %s: %zd of %zu bytes",
                         (unsigned long long)page, lane->member->path, got, geometry->write_bytes);
      break;
    }
    int64_t blocks = (int64_t)(geometry->write_bytes / LAB_BLOCK_BYTES);
    result->checked_blocks += blocks;
    if (!page_is_right(lane, memory.address, page, geometry->write_bytes))
      result->wrong_blocks += blocks;
  }
  memory_unmap(&memory);
  return failed;
}

int lab_bench_check_writes(struct lab_bench *bench, struct lab_pass_result *result,
                           struct error *error) {
  int failed = 0;
  for (int i = 0; i < bench->n_lanes && !failed; i++) {
    if (bench->lanes[i].output) failed = check_lane(bench, &bench->lanes[i], result, error);
  }
  return failed;
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

static int allocate(struct lab_bench *bench, struct lab_lane *lane, int index,
                    struct error *error) {
  const struct lab_setting *setting = &bench->setting;
  size_t depth = (size_t)setting->queue_depth;
  lane->slots = calloc(2 * depth, sizeof *lane->slots);
  lane->requests = calloc(depth, sizeof *lane->requests);
  lane->completions = calloc(depth, sizeof *lane->completions);
  if (!lane->slots || !lane->requests || !lane->completions ||
      make_order(lane, bench->geometry.n_units, setting->seed, index))
    return error_set(error, -ENOMEM, "no memory for a queue of %d requests", setting->queue_depth);
  int failed = 0;
  if (setting->rw != LAB_WRITE)
    failed = page_pool_init(&lane->reads, setting->queue_depth, bench->geometry.slot_bytes,
                            LAB_BLOCK_BYTES, setting->placement, error);
  if (!failed && setting->rw != LAB_READ)
    failed = page_pool_init(&lane->writes, setting->queue_depth, bench->geometry.write_bytes,
                            LAB_BLOCK_BYTES, setting->placement, error);
  if (!failed && setting->rw != LAB_READ)
    prng_fill(lane->writes.memory.address, lane->writes.memory.bytes,
              prng_stream(setting->seed, STREAM_PAGES), 0);
  return failed;
}

static int open_engine(struct lab_bench *bench, struct lab_lane *lane, struct error *error) {
  struct io_buffer buffers[2];
  int n = 0;
  if (lane->reads.n_slots > 0) buffers[n++] = page_pool_buffer(&lane->reads);
  if (lane->writes.n_slots > 0) buffers[n++] = page_pool_buffer(&lane->writes);
  int fds[2] = {lane->member->fd, lane->output ? lane->output->fd : lane->member->fd};
  struct io_engine_config config = {.queue_depth = bench->setting.queue_depth,
                                    .fds = fds,
                                    .n_files = lane->output ? 2 : 1,
                                    .buffers = buffers,
                                    .n_buffers = n,
                                    .placement = bench->setting.placement};
  return io_engine_open(&lane->engine, bench->setting.engine, &config, error);
}

int lab_bench_open(struct lab_bench *bench, struct lab_target *target,
                   const struct lab_setting *setting, struct error *error) {
  memset(bench, 0, sizeof *bench);
  bench->setting = *setting;
  int failed = lab_geometry_of(&bench->geometry, target, setting, error);
  for (int i = 0; i < target->n_members && !failed; i++) {
    struct lab_member *member = &target->members[i];
    struct lab_lane *lane = &bench->lanes[bench->n_lanes++];
    lane->member = member;
    if (setting->rw != LAB_READ) {
      lane->output = setting->fresh ? &member->fresh : &member->reused;
      failed = lab_output_prepare(member, setting->fresh, setting->preallocate, error);
    }
    if (!failed) failed = allocate(bench, lane, i, error);
    if (!failed) failed = open_engine(bench, lane, error);
  }
  if (failed) lab_bench_close(bench);
  return failed;
}

void lab_bench_close(struct lab_bench *bench) {
  for (int i = 0; i < bench->n_lanes; i++) {
    struct lab_lane *lane = &bench->lanes[i];
    if (lane->engine) lane->engine->ops->close(lane->engine);
    page_pool_destroy(&lane->reads);
    page_pool_destroy(&lane->writes);
    free(lane->slots);
    free(lane->requests);
    free(lane->completions);
    free(lane->order);
  }
  bench->n_lanes = 0;
}
