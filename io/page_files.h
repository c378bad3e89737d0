/*
 * KV pages as files of their own, as LMCache's disk backend and vLLM's file connectors keep them:
 * a directory of equal files, each opened, read (or written) and closed for one page.
 *
 * A set is a directory "refill-pages-<bytes>" with a file "refill-pages" that says what it is and
 * how many pages are whole; a directory without one is never touched. Page i holds what a
 * generator gives at i * page_bytes, so that it is equal to the same bytes of one large file and
 * is checked by the same CRCs. A run that was killed leaves a set that says how far it came, and
 * the next one goes on from there. New pages go to a directory that is removed with the run, or,
 * where the run was killed, by the next.
 */
#ifndef REFILL_IO_PAGE_FILES_H
#define REFILL_IO_PAGE_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "io/engine.h"

#define PAGE_FILES_MAX (UINT64_C(1) << 18) /* of one set */
#define PAGE_FILES_NAME_BYTES 16

struct page_files {
  char path[PATH_MAX];
  int fd; /* the directory, locked; 0 with no path: none is open */
  size_t page_bytes;
  uint64_t n_pages;
  bool direct;    /* its files open for O_DIRECT */
  bool temporary; /* goes with page_files_close() */
  bool made;      /* pages had to be written */
};

/* Page's file in its directory. */
void page_files_name(uint64_t page, char name[PAGE_FILES_NAME_BYTES]);

/* Finds the set of pages of page_bytes (a multiple of 4096) in `directory`, makes it, or makes it
 * longer: n_pages at least. -EINVAL: too many pages; -EBUSY: another run is making it; -EEXIST: a
 * directory of that name is not ours; else why a page could not be written (-ENOSPC, -EDQUOT:
 * what was begun is removed). */
int page_files_open(struct page_files *set, const char *directory, size_t page_bytes,
                    uint64_t n_pages, uint64_t seed, struct error *error);

/* How many pages a set there holds; 0: there is none. */
uint64_t page_files_there(const char *directory, size_t page_bytes);

/* A new, empty directory for pages. Sweeps what killed runs left of such. */
int page_files_open_new(struct page_files *set, const char *directory, size_t page_bytes,
                        uint64_t n_pages, struct error *error);

/* Writes zeros to all n_pages of a set; or removes all that are there. */
int page_files_fill_zero(const struct page_files *set, struct error *error);
int page_files_clear(const struct page_files *set, struct error *error);

/* Safe on a zeroed struct. A temporary directory is removed. */
void page_files_close(struct page_files *set);

/* Takes the pages out of the page cache; bytes of them that are in it, of up to 256 evenly spread
 * ones, -1 unknown. */
void page_files_drop_cache(const struct page_files *set);
int64_t page_files_cached_bytes(const struct page_files *set);

/* An engine whose files are sets: config->fds are their directories' (struct page_files.fd), a
 * request's offset is that of its page among all, and it lies within one page. "pread" has threads
 * that call openat, pread or pwrite, close; "uring" links the three, with descriptors in the ring's
 * own table. Opening and closing are inside each request's time. Written pages are created where
 * they are not there. `direct`: with O_DIRECT. -EINVAL for other engines, and for options that
 * make no sense here. */
int page_files_engine_open(struct io_engine **engine, const char *name_and_options,
                           const struct io_engine_config *config, size_t page_bytes, bool direct,
                           struct error *error);

#endif
