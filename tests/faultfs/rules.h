/*
 * What goes wrong on a faultfs, and when: the rules of its control directory.
 *
 * `rules` holds one rule a line, `#` begins a comment:
 *
 *   OPERATION FAULT [path=GLOB] [nth=N] [every=N] [times=N] [from=BYTE] [to=BYTE] [seconds=S]
 *
 *   OPERATION  open create read write sync allocate truncate link unlink statfs any
 *   FAULT      an errno (eio enospc edquot erofs enodev estale eagain eintr)
 *              short  half of the bytes, rounded down to 512, and says so
 *              torn   a write that says all and keeps half; the rest stays as it was
 *              flip   one bit wrong, in the middle: of what a read returns, of what a write keeps
 *                     (torn and flip: not at the half but at byte `from` where that lies within)
 *              delay  late by `seconds`
 *              hang   no answer until the caller is killed or the rules change
 *              wedge  no answer until the rules change, whatever happens to the caller
 *
 * A rule counts the calls that it fits (operation, name, overlap with [from, to)); it fires on the
 * nth (1), then on each `every`-th (1) after, `times` times (0: always). The file is read again
 * whenever another takes its place (mv), and all counts begin anew. Each fault is a line in `log`.
 */
#ifndef REFILL_TESTS_FAULTFS_RULES_H
#define REFILL_TESTS_FAULTFS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum fault_operation {
  ON_OPEN,
  ON_CREATE,
  ON_READ,
  ON_WRITE,
  ON_SYNC,
  ON_ALLOCATE,
  ON_TRUNCATE,
  ON_LINK,
  ON_UNLINK,
  ON_STATFS,
  ON_ANY
};

enum fault_kind {
  FAULT_NONE,
  FAULT_ERRNO,
  FAULT_SHORT,
  FAULT_TORN,
  FAULT_FLIP,
  FAULT_DELAY,
  FAULT_HANG,
  FAULT_WEDGE
};

struct fault {
  enum fault_kind kind;
  int code; /* of FAULT_ERRNO: a negative errno */
  double seconds;
  uint64_t from_bytes;
  uint64_t generation; /* of the rules that it came from */
};

struct rules; /* opaque; may be used by many threads */

/* Reads `rules` in the directory `control`; a missing file is no rules. -EINVAL names the line. */
int rules_open(struct rules **rules, const char *control, struct error *error);
void rules_close(struct rules *rules);

/* What is to go wrong with this call, written to the log. offset and bytes are 0 where the
 * operation has none. */
struct fault rules_match(struct rules *rules, enum fault_operation operation, const char *path,
                         uint64_t offset_bytes, size_t bytes);

/* True once other rules took the place of those that the fault came from. */
bool rules_changed(struct rules *rules, const struct fault *fault);

#endif
