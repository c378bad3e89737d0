/* An engine, one file and a few buffers; see engine_rig.h. */
#include "tests/io/engine_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"

#define STREAM 7

static int open_file(struct rig *rig, int flags) {
  int fd = open(rig->path, flags | O_DIRECT | O_CLOEXEC);
  rig->direct = fd >= 0;
  if (fd < 0) fd = open(rig->path, flags | O_CLOEXEC);
  cr_assert_geq(fd, 0, "%s: %s", rig->path, strerror(errno));
  return fd;
}

void rig_begin(struct rig *rig, bool in_memory) {
  memset(rig, 0, sizeof *rig);
  if (in_memory && !io_test_memory_directory(rig->directory))
    cr_skip_test("no directory in /dev/shm");
  if (!in_memory) cr_assert(io_test_directory(rig->directory));
  snprintf(rig->path, sizeof rig->path, "%s/data", rig->directory);
  char *data = io_test_memory((size_t)RIG_REQUESTS * RIG_BYTES);
  prng_fill(data, (size_t)RIG_REQUESTS * RIG_BYTES, STREAM, 0);
  io_test_write_file(rig->path, data, (size_t)RIG_REQUESTS * RIG_BYTES);
  free(data);
  rig->fds[1] = open_file(rig, O_RDONLY);
  rig->fds[0] = open_file(rig, O_RDWR);
  rig->fds[2] = -1;
  rig->memory = io_test_memory((size_t)RIG_DEPTH * RIG_BYTES);
  rig->buffer = (struct io_buffer){
      .address = rig->memory, .bytes = (size_t)RIG_DEPTH * RIG_BYTES, .kind = IO_BUFFER_HOST};
  rig->config = (struct io_engine_config){.queue_depth = RIG_DEPTH,
                                          .fds = rig->fds,
                                          .n_files = 3,
                                          .buffers = &rig->buffer,
                                          .n_buffers = 1};
}

void rig_open(struct rig *rig, const char *engine_name) {
  int code = io_engine_open(&rig->engine, engine_name, &rig->config, &rig->error);
  cr_assert_eq(code, 0, "%s: %s", engine_name, rig->error.message);
}

void rig_end(struct rig *rig) {
  if (rig->engine != NULL) rig->engine->ops->close(rig->engine);
  close(rig->fds[0]);
  close(rig->fds[1]);
  free(rig->memory);
  io_test_remove(rig->directory);
}

void *rig_slot(const struct rig *rig, int slot) {
  return rig->memory + (size_t)slot * RIG_BYTES;
}

struct io_request rig_request(const struct rig *rig, enum io_op op, int number) {
  return (struct io_request){.op = op,
                             .file = 0,
                             .offset_bytes = (uint64_t)number * RIG_BYTES,
                             .buffer = rig_slot(rig, number % RIG_DEPTH),
                             .bytes = RIG_BYTES,
                             .tag = (uint64_t)number};
}

int rig_run(struct rig *rig, const struct io_request *request) {
  const struct io_engine_ops *ops = rig->engine->ops;
  struct io_completion completion;
  cr_assert_eq(ops->submit(rig->engine, request, 1, &rig->error), 1, "%s", rig->error.message);
  cr_assert_eq(ops->reap(rig->engine, &completion, 1, 1, 10, &rig->error), 1, "%s",
               rig->error.message);
  cr_expect_eq(completion.tag, request->tag);
  return completion.error;
}

bool rig_slot_holds(const struct rig *rig, int slot, int number) {
  char *wanted = io_test_memory(RIG_BYTES);
  prng_fill(wanted, RIG_BYTES, STREAM, (uint64_t)number * (RIG_BYTES / 8));
  bool same = memcmp(rig_slot(rig, slot), wanted, RIG_BYTES) == 0;
  free(wanted);
  return same;
}
