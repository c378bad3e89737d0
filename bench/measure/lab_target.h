/*
 * What the storage lab reads and writes: a directory, several as a stripe set, an existing file,
 * or a raw block device.
 *
 * In a directory the lab makes one KV file of single blocks, each with its CRC, and finds it there
 * the next time by its header. So every page size can be read from the same bytes and each of
 * them verified, by the CRCs of the blocks that it is made of. New pages go to unnamed files that
 * vanish with the run. A file or device that is only named is only read, and nothing is known of
 * what should stand in it.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_TARGET_H
#define REFILL_BENCH_MEASURE_LAB_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/placement.h"
#include "io/kv_file.h"
#include "io/page_files.h"
#include "io/target.h"

#define LAB_MEMBERS_MAX 16
#define LAB_BLOCK_BYTES 4096
#define LAB_PAGE_SIZES_MAX 16 /* of pages that are files */

enum lab_kind { LAB_DIRECTORY, LAB_FILE, LAB_DEVICE };

/* A file for new pages. */
struct lab_output {
  int fd; /* -1: none */
  uint64_t offset_bytes, bytes;
  bool written; /* every block has been written once */
};

/* Pages of one size as files of their own, in a directory: see lab_pages.h. */
struct lab_pages {
  struct page_files data;
  struct page_files fresh, reused; /* new pages; none until a row writes some */
  bool written;                    /* each page of `reused` is there */
};

/* One directory, file or device. */
struct lab_member {
  char path[PATH_MAX];
  char data_path[PATH_MAX]; /* of what is read: for fio */
  enum lab_kind kind;
  struct target target;
  struct kv_file *data; /* NULL: no CRCs are known */
  int fd;               /* read from; -1: none yet */
  uint64_t offset_bytes, bytes;
  uint32_t *crcs;                  /* of a device filled by this run: one per block; or NULL */
  struct lab_output fresh, reused; /* fresh is emptied before each pass */
  double made_s;                   /* seconds that making the data took; 0: it was there */
  struct lab_pages *pages;         /* [n_pages] */
  int n_pages;
  struct placement placement; /* of the memory and threads that serve it */
};

struct lab_target {
  const char *name; /* as given to --target */
  int n_members;
  struct lab_member members[LAB_MEMBERS_MAX];
  uint64_t asked_bytes;       /* --working-set */
  uint64_t working_set_bytes; /* of all members; less where space is short */
  /* Of data and of pages as files: checked after the last round, and what there was to check. */
  uint64_t whole_checked_bytes, whole_bytes;
  bool writable;
};

struct lab_target_config {
  const char *name; /* "A,B"; the caller's */
  uint64_t working_set_bytes;
  const char *const *destroy; /* [n_destroy] devices that may be written over */
  int n_destroy;
  double io_timeout_s; /* of looking at a directory; 0: without end */
  int n_outputs;       /* files of new pages that rows will need beside the data: 0, 1 or 2 */
  /* Sizes of pages that will be files of their own; n_outputs is of each of them, too. */
  size_t page_bytes[LAB_PAGE_SIZES_MAX];
  int n_page_sizes;
  /* Called before a member's data is written, with the bytes that will be; NULL: nobody asks. */
  void (*announce)(void *context, const struct target *target, uint64_t bytes);
  void *context;
};

/* Whether all members are there and may be read, before anything is written to any: 0, or a
 * negative errno with what to do. */
int lab_target_look(const struct lab_target_config *config, struct error *error);

/* Opens all members, and makes or finds the data. Returns 0 or a negative errno, nothing left open.
 */
int lab_target_open(struct lab_target *target, const struct lab_target_config *config,
                    struct error *error);
void lab_target_close(struct lab_target *target);

/* Blocks of [at_bytes, at_bytes + bytes) (relative to the member's data, whole blocks) whose bytes
 * at `data` are wrong; *first_bytes, where not 0: where the first of them begins, likewise. -1
 * where nothing is known of them. */
int64_t lab_member_wrong_blocks(const struct lab_member *member, uint64_t at_bytes,
                                const void *data, size_t bytes, uint64_t *first_bytes);

/* Makes an output ready for a pass: a fresh one is emptied and, if `preallocate`, given its blocks;
 * a reused one is written over once. Untimed. */
int lab_output_prepare(struct lab_member *member, bool fresh, bool preallocate,
                       struct error *error);

/* The NUMA node that all members are placed on; -1 where they are apart, or anywhere. */
int lab_target_node(const struct lab_target *target);

/* Takes what was read through the page cache out of it. */
void lab_member_drop_cache(const struct lab_member *member);

#endif
