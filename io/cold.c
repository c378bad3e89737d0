/*
 * The proof of a cold read. O_DIRECT alone proves nothing: a filesystem may
 * accept it and read through the page cache. The drive's counters tell how
 * many bytes left the drive, and the page cache is asked whether it holds any
 * of the file; but no one inside a guest, or in front of a controller or a
 * network, sees the caches on the other side.
 */
#include "io/cold.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/units.h"
#include "io/cold_judge.h"

#define SYS_CACHESTAT 451 /* Linux 6.5; the same number on every architecture */
#define RATIO_MIN 1.0
#define RATIO_MAX 1.1
#define WINDOW_BYTES (INT64_C(1) << 30) /* mapped at once for mincore() */

void cold_begin(struct cold_probe *probe, const struct target *target, int fd) {
  assert(probe != NULL && target != NULL);
  probe->target = target;
  probe->fd = fd;
  target_counters_read(target, &probe->before);
}

/* ---- the page cache ----------------------------------------------------------------------- */

static int64_t cached_by_cachestat(int fd) {
  struct {
    uint64_t offset, length;
  } range = {0, 0}; /* length 0: to the end */
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } pages = {0, 0, 0, 0, 0};
  if (syscall(SYS_CACHESTAT, fd, &range, &pages, 0U) < 0) return -1;
  return (int64_t)pages.cached * sysconf(_SC_PAGESIZE);
}

/* Resident bytes of [offset, offset + bytes), at most a window. */
static int64_t cached_in_window(int fd, int64_t offset, int64_t bytes) {
  enum { CHUNK_PAGES = 4096 };
  unsigned char resident[CHUNK_PAGES];
  int64_t page_bytes = sysconf(_SC_PAGESIZE), cached = 0;
  char *map = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
  if (map == MAP_FAILED) return -1;
  for (int64_t at = 0; at < bytes; at += CHUNK_PAGES * page_bytes) {
    int64_t length = bytes - at < CHUNK_PAGES * page_bytes ? bytes - at : CHUNK_PAGES * page_bytes;
    if (mincore(map + at, (size_t)length, resident) < 0) {
      cached = -1;
      break;
    }
    for (int64_t i = 0; i * page_bytes < length; i++) cached += (resident[i] & 1) * page_bytes;
  }
  munmap(map, (size_t)bytes);
  return cached;
}

/* Bytes of an open file or block device, whose own size fstat() does not tell; -1 unknown. */
static int64_t size_of(int fd) {
  struct stat status;
  uint64_t bytes = 0;
  if (fstat(fd, &status) < 0) return -1;
  if (!S_ISBLK(status.st_mode)) return status.st_size;
  return ioctl(fd, BLKGETSIZE64, &bytes) < 0 ? -1 : (int64_t)bytes;
}

/* Of a file that is another user's and may only be read, mincore() says that all of it is cached.
 */
static bool may_ask(int fd) {
  struct stat status;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return geteuid() == 0 || (fstat(fd, &status) == 0 && status.st_uid == geteuid()) ||
         faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

int64_t cold_cached_by_mincore(int fd) {
  int64_t size = size_of(fd), cached = 0;
  if (size < 0 || !may_ask(fd)) return -1;
  for (int64_t at = 0; at < size; at += WINDOW_BYTES) {
    int64_t left = size - at;
    int64_t more = cached_in_window(fd, at, left < WINDOW_BYTES ? left : WINDOW_BYTES);
    if (more < 0) return -1;
    cached += more;
  }
  return cached;
}

int64_t cold_cached_bytes(int fd) {
  int64_t cached = cached_by_cachestat(fd);
  return cached >= 0 ? cached : cold_cached_by_mincore(fd);
}

/* ---- the verdict -------------------------------------------------------------------------- */

/* Why nobody here can tell, or NULL. */
static const char *why_hidden(const struct target *target) {
  if (strcmp(target->transport, "ram") == 0) return "the target is memory";
  if (strcmp(target->transport, "network") == 0) return "cache below: network storage";
  if (strcmp(target->transport, "raid") == 0) return "cache below: RAID controller";
  if (target->virtual_drive) return "cache below the guest";
  return NULL;
}

void cold_judge(struct cold_result *result, const struct target *target, double counter_ratio,
                int64_t cached_bytes) {
  result->verdict = COLD_NOT_PROVEN;
  result->counter_ratio = counter_ratio;
  result->cached_bytes = cached_bytes;
  size_t room = sizeof result->text;
  char bytes[UNITS_TEXT_BYTES];
  const char *hidden = why_hidden(target);
  if (cached_bytes > 0)
    snprintf(result->text, room, "not proven (%s of the file in the page cache)",
             units_format_bytes(bytes, (double)cached_bytes));
  else if (hidden != NULL)
    snprintf(result->text, room, "not proven (%s)", hidden);
  else if (cached_bytes < 0)
    snprintf(result->text, room, "not proven (page cache cannot be asked)");
  else if (isnan(counter_ratio))
    snprintf(result->text, room, "not proven (no drive counters)");
  else if (counter_ratio == 0)
    snprintf(result->text, room, "not proven (the drive's counters did not move; iostats off?)");
  else if (counter_ratio < RATIO_MIN)
    snprintf(result->text, room, "not proven (the drive read %.3f of the bytes asked for)",
             counter_ratio);
  else if (counter_ratio > RATIO_MAX)
    snprintf(result->text, room,
             "not proven (the drive read %.2f times the bytes: others read too)", counter_ratio);
  else {
    result->verdict = COLD_PROVEN;
    snprintf(result->text, room, "proven");
  }
}

void cold_end(const struct cold_probe *probe, uint64_t asked_bytes, struct cold_result *result) {
  assert(probe != NULL && result != NULL);
  struct target_counters after;
  target_counters_read(probe->target, &after);
  double ratio = (double)NAN;
  if (probe->before.known && after.known && asked_bytes > 0)
    ratio = (double)(after.read_bytes - probe->before.read_bytes) / (double)asked_bytes;
  cold_judge(result, probe->target, ratio, cold_cached_bytes(probe->fd));
}
