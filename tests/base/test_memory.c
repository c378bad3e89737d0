/* base/memory.c: alignment, zeroes, touching, failure. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

#define MIB ((size_t)1 << 20)

static size_t page_bytes(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

Test(memory, is_aligned_zeroed_and_writable) {
  const size_t sizes[] = {1, 100, 4096, 4097, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 9 * MIB};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    struct memory memory;
    struct error error = {0};
    cr_assert_eq(memory_map(&memory, sizes[i], NULL, 0, &error), 0, "%s", error.message);
    cr_expect_eq(memory.bytes, memory_round_up(sizes[i], page_bytes()));
    size_t alignment = memory.bytes >= 2 * MIB ? 2 * MIB : page_bytes();
    cr_expect_eq((uintptr_t)memory.address % alignment, 0, "%zu bytes", sizes[i]);
    /* Newer kernels align such maps by themselves; older ones need the slack. */
    cr_expect_eq(memory.map_bytes, memory.bytes + alignment - page_bytes());
    unsigned char *data = memory.address;
    for (size_t k = 0; k < memory.bytes; k += 511) cr_assert_eq(data[k], 0);
    memset(data, 0x5a, memory.bytes);
    cr_expect_eq(data[memory.bytes - 1], 0x5a);
    memory_unmap(&memory);
  }
}

static size_t resident_pages(const struct memory *memory) {
  size_t n_pages = memory->bytes / page_bytes();
  unsigned char *state = calloc(n_pages, 1);
  cr_assert_not_null(state);
  size_t count = 0;
  if (mincore(memory->address, memory->bytes, state) == 0) {
    for (size_t i = 0; i < n_pages; i++) count += state[i] & 1U;
  }
  free(state);
  return count;
}

Test(memory, touch_faults_all_in) {
  struct memory lazy;
  struct memory touched;
  cr_assert_eq(memory_map(&lazy, 8 * MIB, NULL, 0, NULL), 0);
  cr_assert_eq(memory_map(&touched, 8 * MIB, &PLACEMENT_ANY, 1, NULL), 0);
  cr_expect_eq(resident_pages(&lazy), 0);
  cr_expect_eq(resident_pages(&touched), touched.bytes / page_bytes());
  memory_unmap(&lazy);
  memory_unmap(&touched);
}

Test(memory, unmap_is_safe_twice_and_on_zeroes) {
  struct memory memory = {0};
  memory_unmap(&memory);
  cr_assert_eq(memory_map(&memory, MIB, NULL, 0, NULL), 0);
  memory_unmap(&memory);
  cr_expect_null(memory.address);
  cr_expect_eq(memory.bytes, 0);
  memory_unmap(&memory);
}

Test(memory, impossible_sizes_fail_with_a_sentence) {
  const size_t sizes[] = {0, SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 60};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    struct memory memory = {.address = &memory};
    struct error error = {0};
    int status = memory_map(&memory, sizes[i], NULL, 0, &error);
    cr_expect_eq(status, sizes[i] == 0 ? -EINVAL : -ENOMEM);
    cr_expect_eq(error.code, status);
    cr_expect_not_null(strstr(error.message, sizes[i] == 0 ? "0 B" : "TiB"), "%s", error.message);
    cr_expect_null(memory.address);
  }
}

Test(memory, node_zero_binds_or_says_why) {
  struct memory memory;
  struct error error = {0};
  struct placement placement = {.node = 0};
  int status = memory_map(&memory, 4 * MIB, &placement, 1, &error);
  if (status == -EPERM || status == -ENOSYS) {
    cr_expect_not_null(strstr(error.message, "NUMA node 0"));
    cr_skip_test("this kernel does not let us bind memory");
  }
  cr_assert_eq(status, 0, "%s", error.message);
  memory_unmap(&memory);
}

Test(memory, absent_nodes_fail_and_name_the_node) {
  const int nodes[] = {1023, 1024, 100000};
  for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
    struct memory memory;
    struct error error = {0};
    struct placement placement = {.node = nodes[i]};
    char name[32];
    snprintf(name, sizeof(name), "NUMA node %d", nodes[i]);
    cr_expect_lt(memory_map(&memory, 4 * MIB, &placement, 0, &error), 0);
    cr_expect_not_null(strstr(error.message, name), "%s", error.message);
    cr_expect_null(memory.map);
  }
}

Test(memory, rounds_up) {
  cr_expect_eq(memory_round_up(0, 4096), 0);
  cr_expect_eq(memory_round_up(1, 4096), 4096);
  cr_expect_eq(memory_round_up(4096, 4096), 4096);
  cr_expect_eq(memory_round_up(4097, 4096), 8192);
}

Test(memory, available_is_plausible) {
  size_t available_bytes = memory_available_bytes();
  cr_assert_gt(available_bytes, MIB);
  cr_assert_lt(available_bytes, (size_t)1 << 50);
}
