/*
 * Anonymous maps for KV caches, weights and page pools.
 *
 * Aligned to 2 MiB and advised to use huge pages, since a KV cache of tens of
 * GB on 4 KiB pages costs TLB misses in compute and one page-table walk per
 * 4 KiB when a buffer is pinned for direct I/O. malloc() gives neither the
 * alignment nor the node. The policy is set by system call before the first
 * touch, which is when the kernel places pages; libnuma would add a library
 * for one call.
 */
#include "base/memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/units.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define NODES_MAX 1024
#define NODE_WORD_BITS (8 * sizeof(unsigned long))

/* Linux values, where older headers lack them. */
#define POLICY_BIND 2            /* MPOL_BIND */
#define ADVICE_POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, Linux 5.14 */

static size_t page_size_bytes(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* Binds a map that has not been touched yet. */
static int bind_to_node(void *address, size_t bytes, int node) {
  if (node < 0) return 0;
  if (node >= NODES_MAX) return -EINVAL;
  unsigned long mask[NODES_MAX / NODE_WORD_BITS] = {0};
  mask[(size_t)node / NODE_WORD_BITS] = 1UL << ((size_t)node % NODE_WORD_BITS);
  /* The kernel takes one bit less than it is told. */
  long status = syscall(SYS_mbind, address, bytes, POLICY_BIND, mask, NODES_MAX + 1UL, 0UL);
  return status == 0 ? 0 : -errno;
}

/* Faults every page in, so that no timed region pays for it. */
static int touch_pages(void *address, size_t bytes) {
  if (madvise(address, bytes, ADVICE_POPULATE_WRITE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return -errno;
  volatile unsigned char *page = address;
  for (size_t offset = 0; offset < bytes; offset += page_size_bytes()) page[offset] = 0;
  return 0;
}

static int fail(struct memory *memory, int code, const char *what, size_t bytes,
                struct error *error) {
  char size[UNITS_TEXT_BYTES];
  char free_size[UNITS_TEXT_BYTES];
  memory_unmap(memory);
  return error_set(error, code, "cannot %s %s of memory (%s available): %s", what,
                   units_format_bytes(size, (double)bytes),
                   units_format_bytes(free_size, (double)memory_available_bytes()),
                   strerror(-code));
}

int memory_map(struct memory *memory, size_t bytes, const struct placement *placement, int touch,
               struct error *error) {
  *memory = (struct memory){0};
  if (bytes == 0) return fail(memory, -EINVAL, "map", bytes, error);
  if (bytes > SIZE_MAX / 2) return fail(memory, -ENOMEM, "map", bytes, error);

  size_t page_bytes = page_size_bytes();
  size_t rounded = memory_round_up(bytes, page_bytes);
  size_t alignment = rounded >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : page_bytes;
  size_t map_bytes = rounded + alignment - page_bytes;
  void *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return fail(memory, -errno, "map", bytes, error);

  size_t slack_bytes = memory_round_up((uintptr_t)map, alignment) - (uintptr_t)map;
  *memory = (struct memory){
      .address = (char *)map + slack_bytes, .bytes = rounded, .map = map, .map_bytes = map_bytes};
  if (alignment == HUGE_PAGE_BYTES) {
    /* A kernel without huge pages says EINVAL: slower, not wrong. */
    (void)madvise(memory->address, rounded, MADV_HUGEPAGE);
  }
  int node = placement ? placement->node : -1;
  int status = bind_to_node(memory->address, rounded, node);
  if (status == 0) {
    status = touch ? touch_pages(memory->address, rounded) : 0;
    return status == 0 ? 0 : fail(memory, status, "fault in", bytes, error);
  }
  char what[64];
  snprintf(what, sizeof(what), "bind to NUMA node %d", node);
  return fail(memory, status, what, bytes, error);
}

void memory_unmap(struct memory *memory) {
  if (memory->map) munmap(memory->map, memory->map_bytes);
  *memory = (struct memory){0};
}

size_t memory_available_bytes(void) {
  FILE *file = fopen("/proc/meminfo", "re");
  if (!file) return 0;
  static const char NAME[] = "MemAvailable:";
  char line[256];
  size_t available_bytes = 0;
  while (fgets(line, sizeof(line), file)) {
    if (strncmp(line, NAME, sizeof(NAME) - 1) != 0) continue;
    available_bytes = (size_t)strtoull(line + sizeof(NAME) - 1, NULL, 10) * 1024;
    break;
  }
  fclose(file);
  return available_bytes;
}
