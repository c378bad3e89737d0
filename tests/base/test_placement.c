/* base/placement.c: what the kernel says after binding is what was asked for. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/placement.h"

static void get_cpus(uint64_t *cpus) {
  memset(cpus, 0, PLACEMENT_CPU_WORDS * sizeof(*cpus));
  cr_assert_gt(syscall(SYS_sched_getaffinity, 0, PLACEMENT_CPU_WORDS * sizeof(*cpus), cpus), 0);
}

Test(placement, binds_to_one_cpu) {
  struct placement placement = PLACEMENT_ANY;
  uint64_t allowed[PLACEMENT_CPU_WORDS];
  get_cpus(allowed);
  int word = 0;
  while (allowed[word] == 0) word++;
  placement.cpus[word] = allowed[word] & (~allowed[word] + 1); /* the lowest set bit */
  cr_assert_eq(placement_bind_thread(&placement), 0);
  uint64_t now[PLACEMENT_CPU_WORDS];
  get_cpus(now);
  cr_assert_arr_eq(now, placement.cpus, sizeof(now));
}

Test(placement, any_changes_nothing) {
  uint64_t before[PLACEMENT_CPU_WORDS];
  uint64_t after[PLACEMENT_CPU_WORDS];
  get_cpus(before);
  cr_assert_eq(placement_bind_thread(NULL), 0);
  cr_assert_eq(placement_bind_thread(&PLACEMENT_ANY), 0);
  get_cpus(after);
  cr_assert_arr_eq(before, after, sizeof(before));
}

Test(placement, absent_cpus_are_refused) {
  if (sysconf(_SC_NPROCESSORS_CONF) >= 1024) cr_skip_test("this machine has CPU 1023");
  struct placement placement = PLACEMENT_ANY;
  placement.cpus[PLACEMENT_CPU_WORDS - 1] = UINT64_C(1) << 63;
  cr_assert_eq(placement_bind_thread(&placement), -EINVAL);
}
