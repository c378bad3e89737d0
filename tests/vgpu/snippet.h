/*
 * A few lines of PTX as a kernel of their own.
 */
#ifndef REFILL_TESTS_VGPU_SNIPPET_H
#define REFILL_TESTS_VGPU_SNIPPET_H

#include "tests/vgpu/ptx/ptx.h"

#define SNIPPET_WORDS 256     /* of 8 bytes, in and out */
#define SNIPPET_FIRST_LINE 15 /* of the code in the PTX that is made of it */

struct snippet {
  const char *declarations; /* outside of the kernel; or NULL */
  const char *code;         /* %d8 is the address of `in`, %d9 of `out`; %d0..%d7, %r, %h, %f, %p */
  unsigned threads, blocks; /* 0: 1 */
  size_t shared_bytes;      /* dynamic */
  struct ptx_options options;
  const uint64_t *in;
  size_t n_in;
  uint64_t out[SNIPPET_WORDS];
};

/* Parses and runs it; 0 or what ptx_module_open() or ptx_run() returned. */
int snippet_run(struct snippet *snippet, struct error *error);

#endif
