/*
 * Internals of the io_uring engine: its state, and the steps of setting a ring
 * up (engine_uring_setup.c) and of registering memory (engine_uring_buffers.c).
 */
#ifndef REFILL_IO_ENGINE_URING_H
#define REFILL_IO_ENGINE_URING_H

#include <liburing.h>

#include "io/engine_support.h"

/* Options, what follows "uring:". */
struct uring_options {
  bool nofixed;      /* register neither files nor buffers */
  bool sqpoll;       /* a kernel thread takes submissions */
  bool iopoll;       /* completions are polled from the drive, without interrupts */
  bool buffered;     /* through the page cache: files are opened again without O_DIRECT */
  bool defer;        /* the best that there is, said aloud */
  bool coop_taskrun; /* begin the ladder at coop-taskrun */
  bool plain;        /* no taskrun flag at all */
};

/* A stretch of memory registered as one of the ring's buffers. */
struct uring_piece {
  uintptr_t address;
  size_t bytes;
  int index; /* among the ring's registered buffers */
};

struct uring_slot {
  struct engine_transfer transfer;
  int piece;    /* registered buffer's index, -1: none */
  int refused;  /* not 0: a request that never went out completes with this */
  bool is_done; /* likewise, and it was done */
};

struct uring_engine {
  struct engine_core core;
  struct io_uring ring;
  bool ring_is_open;
  bool ring_is_enabled; /* by the first submit: its thread becomes the ring's only issuer */
  bool sqpoll;
  bool iopoll;
  bool buffered;     /* fds are the engine's own */
  char features[96]; /* what the ring got */
  bool files_are_registered;
  int queue_depth;
  int under_way;
  int n_files;
  int *fds;                   /* the caller's, copied */
  struct uring_piece *pieces; /* ascending addresses; NULL while nothing is registered */
  int n_pieces;
  struct uring_slot *slots; /* queue_depth */
  int *free_slots;          /* a stack of n_free */
  int n_free;
};

/* Parses "nofixed,sqpoll,..."; NULL is none. -EINVAL names the option and those accepted. */
int uring_parse_options(struct uring_options *options, const char *text, struct error *error);

/* Opens a disabled ring with the best features that the kernel grants; engine->features names them,
 * and what was asked for and refused. -ENOTSUP where io_uring is missing or forbidden. */
int uring_setup_ring(struct uring_engine *engine, const struct uring_options *options,
                     struct error *error);

/* Registers config's buffers in pieces of at most 1 GiB. Falls back, visibly: `text` receives
 * "buffers registered" or "buffers not registered (why)". Fails only with -ENOMEM of its own. */
int uring_register_buffers(struct uring_engine *engine, const struct io_engine_config *config,
                           char *text, size_t text_bytes, struct error *error);

/* The registered buffer that holds [address, address + bytes), or -1. */
int uring_find_piece(const struct uring_engine *engine, const void *address, size_t bytes);

/* Cuts [address, address + bytes) into pieces; counts only where `pieces` is NULL. Returns how
 * many; index is left at 0. */
int uring_cut_pieces(struct uring_piece *pieces, uintptr_t address, size_t bytes);

#endif
