/*
 * Registered buffers: the kernel pins their pages once instead of at every
 * request. One buffer may be 1 GiB at most, so large regions are cut into
 * pieces; a request that crosses a cut, or uses memory that was not announced,
 * goes unregistered and is counted. Pinned pages count against RLIMIT_MEMLOCK,
 * often 8 MiB: then the engine works without, and its description says so.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "base/units.h"
#include "io/engine_uring.h"

#define PIECE_BYTES_MAX ((size_t)1 << 30)
#define PIECES_MAX (1 << 14) /* the kernel's IORING_MAX_REG_BUFFERS */

int uring_cut_pieces(struct uring_piece *pieces, uintptr_t address, size_t bytes) {
  int n = 0;
  for (size_t done = 0; done < bytes; n++) {
    size_t piece_bytes = bytes - done < PIECE_BYTES_MAX ? bytes - done : PIECE_BYTES_MAX;
    if (pieces != NULL)
      pieces[n] = (struct uring_piece){.address = address + done, .bytes = piece_bytes};
    done += piece_bytes;
  }
  return n;
}

static int compare_pieces(const void *a, const void *b) {
  uintptr_t left = ((const struct uring_piece *)a)->address;
  uintptr_t right = ((const struct uring_piece *)b)->address;
  return (left > right) - (left < right);
}

int uring_find_piece(const struct uring_engine *engine, const void *address, size_t bytes) {
  uintptr_t wanted = (uintptr_t)address;
  int low = 0, high = engine->n_pieces; /* the last piece that begins at or before `wanted` */
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (engine->pieces[middle].address <= wanted)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return -1;
  const struct uring_piece *piece = &engine->pieces[low - 1];
  size_t before = wanted - piece->address;
  if (before > piece->bytes || bytes > piece->bytes - before) return -1;
  return piece->index;
}

/* "40.0 MiB of buffers not registered (memlock 8.00 MiB; raise ulimit -l)", so that one can see how
 * far; or the kernel's reason. */
static void say_why_not(int code, size_t wanted_bytes, char *text, size_t text_bytes) {
  struct rlimit limit;
  if ((code == -ENOMEM || code == -EPERM) && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    char bytes[UNITS_TEXT_BYTES], wanted[UNITS_TEXT_BYTES];
    snprintf(text, text_bytes, "%s of buffers not registered (memlock %s; raise ulimit -l)",
             units_format_bytes(wanted, (double)wanted_bytes),
             units_format_bytes(bytes, (double)limit.rlim_cur));
    return;
  }
  snprintf(text, text_bytes, "buffers not registered (%s)", strerror(-code));
}

/* Cuts all of config's buffers, sorts them and gives each its index. */
static int list_pieces(struct uring_engine *engine, const struct io_engine_config *config) {
  int n = 0;
  for (int i = 0; i < config->n_buffers; i++) {
    const struct io_buffer *buffer = &config->buffers[i];
    n += uring_cut_pieces(engine->pieces ? engine->pieces + n : NULL, (uintptr_t)buffer->address,
                          buffer->bytes);
  }
  if (engine->pieces == NULL) return n;
  qsort(engine->pieces, (size_t)n, sizeof *engine->pieces, compare_pieces);
  for (int i = 0; i < n; i++) engine->pieces[i].index = i;
  return n;
}

/* Hands the listed pieces to the kernel. */
static int register_pieces(struct uring_engine *engine, int n) {
  struct iovec *vectors = calloc((size_t)n, sizeof *vectors);
  if (vectors == NULL) return -ENOMEM;
  for (int i = 0; i < n; i++) {
    /* The kernel wants addresses as pointers again. */
    vectors[i].iov_base = (void *)engine->pieces[i].address;
    vectors[i].iov_len = engine->pieces[i].bytes;
  }
  int code = io_uring_register_buffers(&engine->ring, vectors, (unsigned)n);
  free(vectors);
  return code;
}

int uring_register_buffers(struct uring_engine *engine, const struct io_engine_config *config,
                           char *text, size_t text_bytes, struct error *error) {
  assert(engine->pieces == NULL && engine->n_pieces == 0);
  int n = list_pieces(engine, config);
  if (n == 0) {
    snprintf(text, text_bytes, "no buffers to register");
    return 0;
  }
  if (n > PIECES_MAX) {
    snprintf(text, text_bytes, "buffers not registered (%d pieces, at most %d)", n, PIECES_MAX);
    return 0;
  }
  engine->pieces = calloc((size_t)n, sizeof *engine->pieces);
  if (engine->pieces == NULL)
    return error_set(error, -ENOMEM, "no memory to list %d buffers for io_uring", n);
  list_pieces(engine, config);
  int code = register_pieces(engine, n);
  if (code == 0) {
    engine->n_pieces = n;
    snprintf(text, text_bytes, "buffers registered");
    return 0;
  }
  size_t wanted_bytes = 0;
  for (int i = 0; i < n; i++) wanted_bytes += engine->pieces[i].bytes;
  say_why_not(code, wanted_bytes, text, text_bytes);
  free(engine->pieces);
  engine->pieces = NULL;
  return 0;
}
