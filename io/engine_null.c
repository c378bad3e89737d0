/*
 * The engine without storage. "null" completes each request at once and moves
 * no byte: what it measures is the harness itself. "null:read=2GB/s,write=1GB/s"
 * is paced: a perfectly steady drive, to prove the pipeline and the models
 * apart from a real drive's moods.
 *
 * Each direction is a lane, a queue served in order: a request is due at
 * max(now, the lane's last due time) + bytes/rate. Due times follow from each
 * other, not from when somebody looked, so the pace never drifts. Lanes are
 * rings filled at submit with no lock and no system call but the (vDSO) clock,
 * once a batch.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "io/engine_support.h"

struct due {
  uint64_t tag;
  int error;
  double submit_s;
  double due_s;
};

struct lane {
  double bytes_per_s; /* 0: at once */
  double last_due_s;
  struct due *ring; /* capacity entries */
  uint32_t head;    /* next to complete; entries are at index & mask */
  uint32_t tail;    /* next to fill */
};

struct null_engine {
  struct io_engine public;
  struct lane lanes[2]; /* by enum io_op: reads; writes and syncs */
  uint32_t mask;        /* ring capacity - 1, capacity a power of two */
  int queue_depth;
  int under_way;
  int n_files;
};

static void null_close(struct io_engine *engine) {
  struct null_engine *self = (struct null_engine *)engine;
  if (self == NULL) return;
  free(self->lanes[0].ring);
  free(self->lanes[1].ring);
  free(self);
}

static int refuse_option(const char *option, struct error *error) {
  return error_set(error, -EINVAL,
                   "engine null has no option '%s': it takes read=RATE and write=RATE, as in "
                   "null:read=2GB/s,write=1GB/s",
                   option);
}

/* One "read=RATE" or "write=RATE"; `item` may be changed. */
static int parse_rate(struct lane lanes[2], char *item, struct error *error) {
  char *equals = strchr(item, '=');
  if (equals == NULL) return refuse_option(item, error);
  struct lane *lane = NULL;
  if (strncmp(item, "read=", 5) == 0) lane = &lanes[IO_READ];
  if (strncmp(item, "write=", 6) == 0) lane = &lanes[IO_WRITE];
  if (lane == NULL) return refuse_option(item, error);
  if (lane->bytes_per_s > 0)
    return error_set(error, -EINVAL, "engine null: option '%s' is given twice", item);
  double bytes_per_s = 0;
  int code = units_scan_rate(equals + 1, &bytes_per_s);
  if (code < 0 || !(bytes_per_s > 0))
    return error_set(error, -EINVAL, "engine null: '%s' is no rate above 0, such as 2GB/s", item);
  lane->bytes_per_s = bytes_per_s;
  return 0;
}

static int parse_options(struct null_engine *self, const char *options, struct error *error) {
  if (options == NULL) return 0;
  char text[128];
  size_t length = strlen(options);
  if (length == 0 || length >= sizeof text) return refuse_option(options, error);
  memcpy(text, options, length + 1);
  for (char *item = text; item != NULL;) {
    char *comma = strchr(item, ',');
    if (comma != NULL) *comma = '\0';
    int code = parse_rate(self->lanes, item, error);
    if (code < 0) return code;
    item = comma != NULL ? comma + 1 : NULL;
  }
  return 0;
}

static void describe(struct null_engine *self) {
  char rates[2][UNITS_TEXT_BYTES] = {"at once", "at once"};
  bool paced = false;
  for (int i = 0; i < 2; i++) {
    if (!(self->lanes[i].bytes_per_s > 0)) continue;
    units_format_rate(rates[i], self->lanes[i].bytes_per_s);
    paced = true;
  }
  char *text = self->public.info.description;
  if (paced)
    snprintf(text, IO_TEXT_BYTES, "paced null: emulated drive, reads %s, writes %s", rates[IO_READ],
             rates[IO_WRITE]);
  else
    snprintf(text, IO_TEXT_BYTES, "null: completes at once, moves no bytes");
  self->public.info.emulated = true;
}

static int null_open(struct io_engine **engine, const struct io_engine_config *config,
                     struct error *error) {
  struct null_engine *self = calloc(1, sizeof *self);
  if (self == NULL) return error_set(error, -ENOMEM, "no memory for engine null");
  self->public.ops = &io_engine_null;
  self->queue_depth = config->queue_depth;
  self->n_files = config->n_files;
  int code = parse_options(self, config->options, error);
  if (code < 0) goto fail;
  uint32_t capacity = 1;
  while (capacity < (uint32_t)config->queue_depth) capacity *= 2;
  self->mask = capacity - 1;
  for (int i = 0; i < 2; i++) {
    self->lanes[i].ring = calloc(capacity, sizeof *self->lanes[i].ring);
    if (self->lanes[i].ring == NULL) {
      code = error_set(error, -ENOMEM, "no memory for engine null's queue of %u", capacity);
      goto fail;
    }
  }
  describe(self);
  *engine = &self->public;
  return 0;
fail:
  null_close(&self->public);
  return code;
}

/* When a request handed over now will be complete. A sync waits for the writes before it. */
static double due_s(struct lane *lane, const struct io_request *request, double now_s) {
  if (!(lane->bytes_per_s > 0)) return now_s;
  double start_s = lane->last_due_s > now_s ? lane->last_due_s : now_s;
  double bytes = request->op == IO_SYNC ? 0 : (double)request->bytes;
  return lane->last_due_s = start_s + bytes / lane->bytes_per_s;
}

static int null_submit(struct io_engine *engine, const struct io_request *requests, int n,
                       struct error *error) {
  struct null_engine *self = (struct null_engine *)engine;
  (void)error;
  double now_s = clock_now_s();
  int taken = 0;
  for (; taken < n && self->under_way < self->queue_depth; taken++) {
    const struct io_request *request = &requests[taken];
    struct lane *lane = &self->lanes[request->op == IO_READ ? IO_READ : IO_WRITE];
    struct due *due = &lane->ring[lane->tail++ & self->mask];
    due->tag = request->tag;
    due->submit_s = due->due_s = now_s;
    due->error = 0;
    if (engine_request_is_valid(request, self->n_files, &due->error)) {
      due->error = 0;
      due->due_s = due_s(lane, request, now_s);
    }
    self->under_way++;
  }
  return taken;
}

/* The lane whose first request is due first; NULL when nothing is under way. */
static struct lane *first_lane(struct null_engine *self) {
  struct lane *first = NULL;
  for (int i = 0; i < 2; i++) {
    struct lane *lane = &self->lanes[i];
    if (lane->head == lane->tail) continue;
    if (first == NULL ||
        lane->ring[lane->head & self->mask].due_s < first->ring[first->head & self->mask].due_s)
      first = lane;
  }
  return first;
}

/* Takes up to `max` completions that are due by now_s. */
static int collect(struct null_engine *self, struct io_completion *completions, int max,
                   double now_s) {
  int n = 0;
  while (n < max) {
    struct lane *lane = first_lane(self);
    if (lane == NULL) break;
    const struct due *due = &lane->ring[lane->head & self->mask];
    if (due->due_s > now_s) break;
    completions[n++] = (struct io_completion){
        .tag = due->tag, .error = due->error, .submit_s = due->submit_s, .complete_s = now_s};
    lane->head++;
    self->under_way--;
  }
  return n;
}

static int null_reap(struct io_engine *engine, struct io_completion *completions, int max, int min,
                     double timeout_s, struct error *error) {
  struct null_engine *self = (struct null_engine *)engine;
  (void)error;
  assert(max >= 0 && min <= max);
  double now_s = clock_now_s();
  double deadline_s = now_s + (timeout_s > 0 ? timeout_s : 0);
  int n = 0;
  for (;;) {
    n += collect(self, completions + n, max - n, now_s);
    if (n >= min || self->under_way == 0 || now_s >= deadline_s) return n;
    const struct lane *lane = first_lane(self);
    double next_s = lane->ring[lane->head & self->mask].due_s;
    clock_wait_until_s(next_s < deadline_s ? next_s : deadline_s);
    now_s = clock_now_s();
  }
}

const struct io_engine_ops io_engine_null = {
    .name = "null",
    .open = null_open,
    .close = null_close,
    .submit = null_submit,
    .reap = null_reap,
};
