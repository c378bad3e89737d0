/*
 * An engine, one file and a few buffers: what most tests of engines begin with.
 */
#ifndef REFILL_TESTS_ENGINE_RIG_H
#define REFILL_TESTS_ENGINE_RIG_H

#include "io/engine.h"
#include "tests/io/io_test.h"

#define RIG_DEPTH 16
#define RIG_BYTES 65536 /* of a request */
#define RIG_REQUESTS 64 /* in the file */

struct rig {
  char directory[IO_TEST_PATH_BYTES];
  char path[IO_TEST_PATH_BYTES + 16];
  int fds[3];   /* read-write; read-only; none (-1) */
  bool direct;  /* fds are open with O_DIRECT */
  char *memory; /* RIG_DEPTH slots of RIG_BYTES, registered */
  struct io_buffer buffer;
  struct io_engine_config config;
  struct io_engine *engine;
  struct error error;
};

/* A directory with a file of RIG_REQUESTS * RIG_BYTES: stream 7 of the generator. */
void rig_begin(struct rig *rig, bool in_memory);
void rig_end(struct rig *rig);

/* Opens "NAME:options" on the rig's file and memory; fails the test where that fails. */
void rig_open(struct rig *rig, const char *engine_name);

/* One slot of the memory. */
void *rig_slot(const struct rig *rig, int slot);

/* The request to move block `number` of the file through slot `number` % RIG_DEPTH. */
struct io_request rig_request(const struct rig *rig, enum io_op op, int number);

/* Submits one request and waits for it; its error. */
int rig_run(struct rig *rig, const struct io_request *request);

/* True where slot holds block `number` of the stream. */
bool rig_slot_holds(const struct rig *rig, int slot, int number);

#endif
