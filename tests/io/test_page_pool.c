/* The page pool: aligned slots, each given once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "io/page_pool.h"

Test(page_pool, gives_each_slot_once) {
  struct page_pool pool;
  bool seen[10] = {false};
  cr_assert_eq(page_pool_init(&pool, 10, 5000, 4096, NULL, NULL), 0);
  cr_expect_eq(pool.slot_bytes, 8192);
  for (int i = 0; i < 10; i++) {
    int slot = page_pool_take(&pool);
    cr_assert(slot >= 0 && slot < 10 && !seen[slot]);
    seen[slot] = true;
    char *address = page_pool_address(&pool, slot);
    cr_expect_eq((uintptr_t)address % 4096, 0);
    memset(address, slot, pool.slot_bytes);
  }
  cr_expect_eq(page_pool_take(&pool), -1);
  for (int i = 0; i < 10; i++) {
    const char *address = page_pool_address(&pool, i);
    cr_expect(address[0] == i && address[8191] == i, "slots do not overlap");
  }
  page_pool_give(&pool, 7);
  cr_expect_eq(page_pool_take(&pool), 7);
  page_pool_destroy(&pool);
}

Test(page_pool, its_buffer_holds_all_slots) {
  struct page_pool pool;
  cr_assert_eq(page_pool_init(&pool, 3, 4096, 512, NULL, NULL), 0);
  struct io_buffer buffer = page_pool_buffer(&pool);
  for (int i = 0; i < 3; i++) {
    const char *address = page_pool_address(&pool, i);
    cr_expect_geq(address, (char *)buffer.address);
    cr_expect_leq(address + 4096, (char *)buffer.address + buffer.bytes);
  }
  page_pool_destroy(&pool);
  page_pool_destroy(&pool);
}

/* A rest of small pages would make some slots slower than others. */
Test(page_pool, lies_on_whole_huge_pages) {
  struct page_pool pool;
  cr_assert_eq(page_pool_init(&pool, 9, 256 << 10, 4096, NULL, NULL), 0);
  cr_expect_eq((uintptr_t)pool.memory.address % (2 << 20), 0);
  cr_expect_eq(pool.memory.bytes, 4 << 20);
  page_pool_destroy(&pool);
}

Test(page_pool, refuses_what_cannot_be) {
  struct page_pool pool;
  struct error error = {0};
  cr_expect_eq(page_pool_init(&pool, 0, 4096, 512, NULL, &error), -EINVAL);
  cr_expect_neq(error.message[0], '\0');
  cr_expect_eq(page_pool_init(&pool, 1, 0, 512, NULL, NULL), -EINVAL);
  cr_expect_eq(page_pool_init(&pool, 1, 4096, 1000, NULL, NULL), -EINVAL);
  cr_expect_eq(page_pool_init(&pool, 1, 4096, 8192, NULL, NULL), -EINVAL);
  cr_expect_eq(page_pool_init(&pool, 100, SIZE_MAX / 50, 4096, NULL, NULL), -EINVAL);
  cr_expect_eq(page_pool_init(&pool, 1, SIZE_MAX, 4096, NULL, NULL), -EINVAL);
}
