/*
 * Which memory io_uring has registered: kernels have refused that for memory which a driver had
 * mapped before, so the order of the two matters, and nothing here would fail if it were wrong.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vgpu/libcuda/state.h"

static bool is_ring(const char *fd) {
  static const char name[] = "anon_inode:[io_uring]";
  char path[64], target[64];
  snprintf(path, sizeof path, "/proc/self/fd/%.20s", fd);
  ssize_t length = readlink(path, target, sizeof target);
  return length == sizeof name - 1 && memcmp(target, name, sizeof name - 1) == 0;
}

/* Lines after "UserBufs: 2" are "    0: 0x7f0000000000/65536". A ring that somebody is inside of
 * shows none of them. */
static enum ring look(const char *fd, uintptr_t address) {
  char path[64], line[256];
  enum ring found = RING_UNKNOWN;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%.20s", fd);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    unsigned long long start = 0, bytes = 0;
    if (strncmp(line, "UserBufs:", 9) == 0) {
      found = RING_WITHOUT;
    } else if (found != RING_UNKNOWN) {
      if (sscanf(line, " %*u: 0x%llx/%llu", &start, &bytes) != 2) break;
      if (address >= start && address - start < bytes) found = RING_HOLDS;
    }
  }
  if (file) fclose(file);
  return found;
}

enum ring ring_of(uintptr_t address) {
  DIR *directory = opendir("/proc/self/fd");
  enum ring found = directory ? RING_WITHOUT : RING_UNKNOWN;
  const struct dirent *entry;
  while (directory && found != RING_HOLDS && (entry = readdir(directory)) != NULL) {
    if (!is_ring(entry->d_name)) continue;
    enum ring one = look(entry->d_name, address);
    if (one != RING_WITHOUT) found = one;
  }
  if (directory) closedir(directory);
  return found;
}
