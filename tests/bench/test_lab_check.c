/*
 * Checks beside the timed path: what finds a page that is wrong where no CRC is computed, and that
 * none is while the clock runs.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "base/prng.h"
#include "bench/measure/lab_check.h"
#include "bench/measure/lab_data.h"
#include "tests/bench/bench_test.h"

#define WORKING_SET ((uint64_t)4 << 20)
#define PAGE_BYTES 65536
#define DEPTH 4

static struct lab_bench bench; /* too large for a stack frame */
static struct lab_pass_result result;
static struct lab_target target;
static struct error error;

static void open_target(const char *path) {
  struct lab_target_config config = {.name = path, .working_set_bytes = WORKING_SET};
  cr_assert_eq(lab_target_open(&target, &config, &error), 0, "%s", error.message);
}

/* Passes read each page once. */
static void open_bench(void) {
  struct lab_setting setting = {.engine = "pread",
                                .payload_bytes = PAGE_BYTES,
                                .page_tokens = 16,
                                .layers = 4,
                                .queue_depth = DEPTH,
                                .rw = LAB_READ,
                                .streams = 1,
                                .pages_per_layer = (int64_t)(WORKING_SET / PAGE_BYTES / 4),
                                .seed = 1,
                                .io_timeout_s = 20};
  cr_assert_eq(lab_bench_open(&bench, &target, &setting, &error), 0, "%s", error.message);
}

Test(lab_check, a_page_is_looked_at_in_places) {
  static uint64_t page[20][LAB_BLOCK_BYTES / 8];
  prng_fill(page, sizeof page, LAB_DATA_SEED, 4096 / 8);
  cr_expect(lab_data_is_placed(4096, page, sizeof page, 3));
  cr_expect(!lab_data_is_placed(8192, page, sizeof page, 3));
  for (unsigned block = 0; block < 20; block++) {
    page[block][0] ^= 1;
    for (unsigned turn = 0; turn < 40; turn++)
      cr_expect_eq(lab_data_is_placed(4096, page, sizeof page, turn),
                   block != 0 && block != 19 && block % 16 != turn % 16);
    page[block][0] ^= 1;
  }
}

/* A page of another place, in a pass that computes no CRC but of what it leaves in its buffers. */
Test(lab_check, a_page_of_another_place_is_found_in_passing) {
  char path[PATH_MAX];
  static char page[PAGE_BYTES];
  make_directory(path);
  open_target(path);
  int fd = open(target.members[0].data_path, O_RDWR);
  off_t first = (off_t)target.members[0].offset_bytes;
  cr_assert_eq(pread(fd, page, sizeof page, first), (ssize_t)sizeof page);
  cr_assert_eq(pwrite(fd, page, sizeof page, first + 5 * PAGE_BYTES), (ssize_t)sizeof page);
  fsync(fd);
  close(fd);
  open_bench();
  cr_expect_eq(bench.geometry.n_hold, WORKING_SET / PAGE_BYTES, "all of so small a set");
  bench.geometry.n_hold = 0;
  cr_assert_eq(lab_bench_pass(&bench, 0, LAB_CHECK_IDLE, NAN, &result, &error), 0);
  cr_expect_lt(result.checked_blocks * LAB_BLOCK_BYTES, (int64_t)result.read_bytes / 2);
  cr_expect_eq(result.wrong_blocks, 16);
  cr_expect_eq(result.wrong.page, 5);
  cr_expect_eq(result.check_s, 0, "no CRC while the clock runs");
  lab_bench_close(&bench);
  lab_target_close(&target);
  remove_directory(path);
}

/* Where no processor is idle pages are held until the clock has stopped, and then checked. */
Test(lab_check, pages_wait_for_the_end_of_a_pass) {
  char path[PATH_MAX];
  make_directory(path);
  open_target(path);
  open_bench();
  for (int n_hold = 8; n_hold <= 16; n_hold *= 2) {
    bench.geometry.n_hold = n_hold;
    cr_assert_eq(lab_bench_pass(&bench, 0, LAB_CHECK_IDLE, 0, &result, &error), 0);
    cr_expect_eq(result.check_s, 0, "no CRC while the clock runs");
    int64_t pages = result.checked_blocks * LAB_BLOCK_BYTES / PAGE_BYTES;
    cr_expect(pages >= n_hold - 1 && pages <= n_hold + DEPTH + 1, "%lld of %d", (long long)pages,
              n_hold);
  }
  cr_expect_eq(result.wrong_blocks, 0);
  lab_bench_close(&bench);
  lab_target_close(&target);
  remove_directory(path);
}

/* Pages that wait make buffers cold; less than 32 MiB of them never do. */
Test(lab_check, few_pages_wait_beside_a_small_queue) {
  target = (struct lab_target){.n_members = 1, .members = {{.bytes = (uint64_t)4 << 30}}};
  struct lab_setting setting = {.payload_bytes = 128 << 10, .layers = 1, .rw = LAB_READ};
  const int depths[] = {1, 32, 64}, most_mib[] = {32, 64, 128};
  for (int i = 0; i < 3; i++) {
    struct lab_geometry geometry;
    setting.queue_depth = depths[i];
    cr_assert_eq(lab_geometry_of(&geometry, &target, &setting, &error), 0);
    cr_expect_geq(geometry.n_hold, depths[i], "as many as are under way");
    cr_expect_leq(geometry.n_hold, depths[i] + 8 * most_mib[i], "depth %d", depths[i]);
  }
}
