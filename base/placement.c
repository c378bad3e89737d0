/*
 * Binding by system call: glibc's cpu_set_t macros would copy our mask into
 * another type only for the same words to reach the kernel.
 */
#include "base/placement.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel reads an array of unsigned long. */
_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "the CPU mask has 64-bit words");

int placement_bind_thread(const struct placement *placement) {
  if (!placement) return 0;
  uint64_t any = 0;
  for (int i = 0; i < PLACEMENT_CPU_WORDS; i++) any |= placement->cpus[i];
  if (!any) return 0;
  if (syscall(SYS_sched_setaffinity, 0, sizeof(placement->cpus), placement->cpus) != 0) {
    return -errno;
  }
  return 0;
}
