/*
 * What the storage lab opens: its data beside other runs, interrupted, and named by its path.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "bench/measure/lab_pass.h"
#include "tests/bench/bench_test.h"

#define WORKING_SET ((uint64_t)4 << 20)

static char path[PATH_MAX];
static struct lab_target target, other;

static void set_up(void) {
  make_directory(path);
}

static void tear_down(void) {
  remove_directory(path);
}

TestSuite(lab_target, .init = set_up, .fini = tear_down, .timeout = 60);

static int open_target(struct lab_target *opened, const char *name, uint64_t bytes,
                       void (*announce)(void *context, const struct target *target, uint64_t bytes),
                       struct error *error) {
  struct lab_target_config config = {
      .name = name, .working_set_bytes = bytes, .announce = announce};
  return lab_target_open(opened, &config, error);
}

/* Another run makes the same data between this one's look for it and its own. */
static void be_first(void *context, const struct target *described, uint64_t bytes) {
  (void)context, (void)described, (void)bytes;
  cr_assert_eq(open_target(&other, path, WORKING_SET, NULL, NULL), 0);
}

Test(lab_target, of_two_runs_that_make_data_one_is_first) {
  struct error error = {0};
  cr_assert_eq(open_target(&target, path, WORKING_SET, be_first, &error), 0, "%s", error.message);
  cr_expect_eq(files_in(path), 1);
  cr_expect_eq(target.members[0].bytes, WORKING_SET);
  cr_expect_str_eq(target.members[0].data_path, other.members[0].data_path);
  cr_expect_neq(target.members[0].fd, other.members[0].fd);
  lab_target_close(&target);
  lab_target_close(&other);
}

Test(lab_target, an_interrupt_ends_the_making_of_data) {
  struct error error = {0};
  test_interrupted = 1;
  cr_expect_eq(open_target(&target, path, WORKING_SET, NULL, &error), -EINTR);
  cr_expect_not_null(strstr(error.message, "interrupted"), "%s", error.message);
  cr_expect_eq(files_in(path), 0);
}

Test(lab_target, an_interrupt_ends_the_writing_of_a_file_to_be_reused) {
  struct lab_target_config config = {
      .name = path, .working_set_bytes = WORKING_SET, .n_outputs = 1};
  cr_assert_eq(lab_target_open(&target, &config, NULL), 0);
  test_interrupted = 1;
  cr_expect_eq(lab_output_prepare(&target.members[0], false, true, NULL), -EINTR);
  cr_expect_not(target.members[0].reused.written);
  test_interrupted = 0;
  cr_expect_eq(lab_output_prepare(&target.members[0], false, true, NULL), 0);
  lab_target_close(&target);
}

Test(lab_target, a_lab_file_named_by_its_path_obeys_the_working_set) {
  char name[PATH_MAX];
  cr_assert_eq(open_target(&target, path, WORKING_SET, NULL, NULL), 0);
  snprintf(name, sizeof name, "%s", target.members[0].data_path);
  lab_target_close(&target);
  cr_assert_eq(open_target(&target, name, WORKING_SET / 2, NULL, NULL), 0);
  cr_expect_not_null(target.members[0].data, "known by its CRCs");
  cr_expect_eq(target.working_set_bytes, WORKING_SET / 2);
  lab_target_close(&target);
}

#define STRIPE_BYTES (2 * PATH_MAX + 2)

/* A second directory, and the name of the stripe that it is with the first. */
static void make_stripe(char second[PATH_MAX], char name[STRIPE_BYTES]) {
  make_directory(second);
  snprintf(name, STRIPE_BYTES, "%s,%s", path, second);
}

/* Lanes seldom read the same: the proof of a cold read holds each drive's counters against what was
 * asked of it, and members that share a drive share its counters. */
Test(lab_target, a_drive_is_asked_for_the_bytes_of_its_lanes) {
  static struct lab_bench bench;
  static struct lab_pass_result result;
  char second[PATH_MAX], name[STRIPE_BYTES];
  make_stripe(second, name);
  cr_assert_eq(open_target(&target, name, WORKING_SET, NULL, NULL), 0);
  struct lab_setting setting = {.engine = "pread",
                                .payload_bytes = 65536,
                                .page_tokens = 16,
                                .layers = 1,
                                .queue_depth = 2,
                                .pages_per_layer = 3,
                                .streams = 1,
                                .io_timeout_s = 20};
  for (int apart = 0; apart < 2; apart++) {
    snprintf(target.members[0].target.drive, sizeof target.members[0].target.drive, "nvme0n1");
    snprintf(target.members[1].target.drive, sizeof target.members[1].target.drive, "nvme%dn1",
             apart);
    cr_assert_eq(lab_bench_open(&bench, &target, &setting, NULL), 0);
    cr_assert_eq(lab_bench_pass(&bench, 1, LAB_CHECK_LAST, 0, &result, NULL), 0);
    cr_expect_eq(result.read_bytes, 3 * 65536);
    uint64_t first = lab_bench_drive_bytes(&bench, 0),
             other_drive = lab_bench_drive_bytes(&bench, 1);
    cr_expect_eq(apart ? first + other_drive : first, result.read_bytes);
    cr_expect_eq(first == other_drive, !apart, "three pages on two lanes");
    lab_bench_close(&bench);
  }
  lab_target_close(&target);
  remove_directory(second);
}

/* A prefill's pages go round all members, and a layer's sync covers each one's share. */
Test(lab_target, a_stripes_members_write_alike) {
  static struct lab_bench bench;
  static struct lab_pass_result result;
  char second[PATH_MAX], name[STRIPE_BYTES];
  make_stripe(second, name);
  struct lab_target_config config = {
      .name = name, .working_set_bytes = WORKING_SET, .n_outputs = 1};
  cr_assert_eq(lab_target_open(&target, &config, NULL), 0);
  struct lab_setting setting = {.engine = "pread",
                                .payload_bytes = 4097, /* 8192 bytes as they are written */
                                .layers = 1,
                                .queue_depth = 8,
                                .rw = LAB_MIXED,
                                .pages_per_layer = 3,
                                .write_bytes_per_s = 40 * 4097,
                                .io_timeout_s = 20};
  cr_assert_eq(lab_bench_open(&bench, &target, &setting, NULL), 0);
  cr_expect_eq(bench.geometry.sync_pages, 2, "of three pages, by two members");
  cr_assert_eq(lab_bench_pass(&bench, 0.6, LAB_CHECK_LAST, 0, &result, NULL), 0);
  uint64_t pages[2];
  for (int i = 0; i < 2; i++) pages[i] = bench.lanes[i].write_cursor - bench.lanes[i].write_first;
  cr_expect_leq(pages[0], pages[1] + 3);
  cr_expect_leq(pages[1], pages[0] + 3);
  cr_expect_leq((double)(pages[0] + pages[1]), 40 * result.seconds + 1);
  cr_expect_geq((double)(pages[0] + pages[1]), 40 * 0.6 * 0.55, "of payload, not of whole blocks");
  lab_bench_close(&bench);
  lab_target_close(&target);
  remove_directory(second);
}

Test(lab_target, pages_beyond_32_bits_are_refused) {
  struct lab_geometry geometry;
  struct error error = {0};
  struct lab_setting setting = {
      .payload_bytes = LAB_BLOCK_BYTES, .layers = 1, .queue_depth = 4, .pages_per_layer = 1};
  target = (struct lab_target){.name = "/dev/large", .n_members = 1};
  target.members[0].bytes = (uint64_t)1 << 44;
  cr_expect_eq(lab_geometry_of(&geometry, &target, &setting, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "larger pages"), "%s", error.message);
  setting.payload_bytes = 2 * LAB_BLOCK_BYTES;
  cr_expect_eq(lab_geometry_of(&geometry, &target, &setting, NULL), 0);
}
