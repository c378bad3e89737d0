/*
 * What alignment direct I/O needs. The kernel tells for an open file since
 * Linux 6.1 (statx, STATX_DIOALIGN); before, the drive's logical block size is
 * in /sys. Never less than 4096 here: memory pages and most drives' physical
 * blocks are that large, and smaller writes cost a read-modify-write below.
 *
 * statx is called by number, with the three fields picked from its buffer at
 * the kernel's offsets: headers of systems that we build on lack them.
 */
#include "io/direct.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/kv_file.h"

#define STATX_BYTES 256
#define STATX_DIOALIGN_BIT 0x2000U
#define STATX_MASK_AT 0x00
#define STATX_MEM_ALIGN_AT 0x98
#define STATX_OFFSET_ALIGN_AT 0x9c
#define EMPTY_PATH_FLAG 0x1000 /* AT_EMPTY_PATH */

#define ALIGNMENT_MIN 4096
#define ALIGNMENT_MAX (1 << 20) /* beyond it a figure is nonsense */

static bool is_power_of_two(size_t value) {
  return value > 0 && (value & (value - 1)) == 0;
}

size_t direct_alignment_of_fd(int fd) {
  unsigned char buffer[STATX_BYTES];
  memset(buffer, 0, sizeof buffer);
#ifdef SYS_statx
  if (syscall(SYS_statx, fd, "", EMPTY_PATH_FLAG, STATX_DIOALIGN_BIT, buffer) < 0) return 0;
#endif
  uint32_t mask, memory, offset;
  memcpy(&mask, buffer + STATX_MASK_AT, sizeof mask);
  memcpy(&memory, buffer + STATX_MEM_ALIGN_AT, sizeof memory);
  memcpy(&offset, buffer + STATX_OFFSET_ALIGN_AT, sizeof offset);
  if ((mask & STATX_DIOALIGN_BIT) == 0) return 0;
  size_t larger = memory > offset ? memory : offset;
  return is_power_of_two(larger) && larger <= ALIGNMENT_MAX ? larger : 0;
}

/* The logical block size of the drive under a directory, 0 unknown. Partitions have no queue of
 * their own: their parent's is meant. */
static size_t logical_block_bytes(const char *directory) {
  struct stat status;
  if (stat(directory, &status) < 0) return 0;
  static const char *const places[] = {"queue", "../queue"};
  for (size_t i = 0; i < 2; i++) {
    char path[128];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/logical_block_size", major(status.st_dev),
             minor(status.st_dev), places[i]);
    FILE *file = fopen(path, "re");
    if (file == NULL) continue;
    unsigned bytes = 0;
    int n = fscanf(file, "%u", &bytes);
    fclose(file);
    if (n == 1 && is_power_of_two(bytes) && bytes <= ALIGNMENT_MAX) return bytes;
  }
  return 0;
}

size_t kv_file_directory_alignment(const char *directory) {
  size_t bytes = 0;
  int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) {
    bytes = direct_alignment_of_fd(fd);
    close(fd);
  }
  if (bytes == 0) bytes = logical_block_bytes(directory);
  return bytes > ALIGNMENT_MIN ? bytes : ALIGNMENT_MIN;
}
