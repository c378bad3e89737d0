/*
 * Was it read from the drive? The proof of a cold read: the drive's own
 * counters moved by the bytes asked for, and the page cache does not hold the file.
 */
#ifndef REFILL_IO_COLD_H
#define REFILL_IO_COLD_H

#include <stdint.h>

#include "io/target.h"

struct cold_probe {
  const struct target *target;
  int fd;
  struct target_counters before;
};

enum cold_verdict { COLD_PROVEN, COLD_NOT_PROVEN };

struct cold_result {
  enum cold_verdict verdict;
  char text[128];       /* "proven" or "not proven (why)" */
  double counter_ratio; /* drive bytes read / bytes asked for; NaN unknown */
  int64_t cached_bytes; /* of the file in the page cache; -1 unknown */
};

/* Takes the counters before reads of `fd` on `target` (both stay the caller's). */
void cold_begin(struct cold_probe *probe, const struct target *target, int fd);

/* Judges after `asked_bytes` were read. Proven only when the counters moved by 1.0 to 1.1 of that,
 * the page cache holds none of the file (cachestat, else mincore), and no cache can sit below
 * (virtual drives: "not proven (cache below the guest)"; network and RAID-controller drives: "not
 * proven (cache below: ...)"; tmpfs: "not proven (the target is memory)"). */
void cold_end(const struct cold_probe *probe, uint64_t asked_bytes, struct cold_result *result);

#endif
