/*
 * Internals of the engines for page files: what threads and io_uring share.
 */
#ifndef REFILL_IO_PAGE_FILES_ENGINE_H
#define REFILL_IO_PAGE_FILES_ENGINE_H

#include "io/engine_support.h"
#include "io/page_files.h"

#define PAGE_FILES_MODE 0644

struct page_files_paths {
  size_t page_bytes;
  bool direct;
  bool unlinked; /* io_uring requests follow each other, as a kernel without links to opens needs */
};

/* open()'s flags, without O_CLOEXEC, which a ring's own descriptors do not take. */
int page_files_flags(enum io_op op, bool direct);

/* The file that what remains of a transfer is in, and where it begins there. */
void page_files_place(const struct page_files_paths *paths, const struct engine_transfer *transfer,
                      char name[PAGE_FILES_NAME_BYTES], uint64_t *offset_bytes);

/* The engine by linked io_uring requests; config->options is what followed "uring:". */
int page_files_uring_open(struct io_engine **engine, const struct io_engine_config *config,
                          const struct page_files_paths *paths, struct error *error);

#endif
