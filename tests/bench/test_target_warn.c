/*
 * What a target gives cause to warn of: link, scheduler, filesystem, loop, discard, NUMA node.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "bench/present/rig_report.h"

static struct target good(void) {
  return (struct target){.path = "/mnt",
                         .filesystem = "ext4",
                         .mount_options = "rw,noatime,nodiscard",
                         .drive = "nvme0n1",
                         .scheduler = "none",
                         .transport = "nvme",
                         .direct = true,
                         .numa_node = 0,
                         .link.gt_per_s = 32,
                         .link.max_gt_per_s = 32,
                         .link.width = 4,
                         .link.max_width = 4};
}

static struct warnings warnings;

static int warned(const struct target *target) {
  memset(&warnings, 0, sizeof warnings);
  target_warn(target, "", &warnings);
  int n = 0;
  for (int i = 0; i < WARNING_COUNT; i++) n += warnings_has(&warnings, (enum warning)i);
  return n;
}

static void expect_only(const struct target *target, enum warning warning) {
  cr_expect_eq(warned(target), 1, "%s", warning_name(warning));
  cr_expect(warnings_has(&warnings, warning), "%s", warning_name(warning));
}

Test(target_warn, each_cause_alone) {
  struct target target = good();
  cr_expect_eq(warned(&target), 0);
  target.link.gt_per_s = 16;
  expect_only(&target, WARNING_LINK_DEGRADED);
  target = good();
  target.link.width = 2;
  expect_only(&target, WARNING_LINK_DEGRADED);
  target = good();
  snprintf(target.scheduler, sizeof target.scheduler, "mq-deadline");
  expect_only(&target, WARNING_SCHEDULER);
  target = good();
  snprintf(target.mount_options, sizeof target.mount_options, "rw,discard=async");
  expect_only(&target, WARNING_DISCARD);
  target = good();
  target.loop_cached = true;
  expect_only(&target, WARNING_LOOP_CACHED);
}

Test(target_warn, filesystems_that_buffer) {
  struct target target = good();
  snprintf(target.filesystem, sizeof target.filesystem, "btrfs");
  expect_only(&target, WARNING_FAKE_DIRECT);
  snprintf(target.mount_options, sizeof target.mount_options, "rw,nodatasum");
  cr_expect_eq(warned(&target), 0);
  snprintf(target.mount_options, sizeof target.mount_options, "rw,nodatasum,compress=zstd:3");
  expect_only(&target, WARNING_FAKE_DIRECT);
  target = good();
  snprintf(target.filesystem, sizeof target.filesystem, "fuse.sshfs");
  expect_only(&target, WARNING_FAKE_DIRECT);
}

Test(target_warn, drives_far_from_every_gpu) {
  static struct host host;
  struct target target = good();
  memset(&warnings, 0, sizeof warnings);
  target_warn_node(&target, &host, &warnings);
  host.n_gpus = 2;
  host.gpus[0].numa_node = 1;
  host.gpus[1].numa_node = 0;
  target_warn_node(&target, &host, &warnings);
  cr_expect(!warnings_has(&warnings, WARNING_NODE_MISMATCH));
  host.gpus[1].numa_node = -1;
  target_warn_node(&target, &host, &warnings);
  cr_expect(warnings_has(&warnings, WARNING_NODE_MISMATCH));
}

Test(target_warn, the_gpu_that_computes_is_far_from_the_drive) {
  struct target target = good();
  memset(&warnings, 0, sizeof warnings);
  target_warn_gpu(&target, 0, &warnings);
  target_warn_gpu(&target, -1, &warnings);
  target.numa_node = -1;
  target_warn_gpu(&target, 1, &warnings);
  cr_expect(!warnings_has(&warnings, WARNING_NODE_MISMATCH), "near, or not known");
  target.numa_node = 0;
  target_warn_gpu(&target, 1, &warnings);
  cr_expect(warnings_has(&warnings, WARNING_NODE_MISMATCH));
}

Test(target_warn, a_gpu_whose_link_is_below_its_best) {
  const struct {
    struct device_link link;
    bool warns;
  } cases[] = {{{32, 32, 16, 16}, false},
               {{0, 0, 0, 0}, false},
               {{16, 32, 16, 16}, true},
               {{32, 32, 8, 16}, true},
               {{2.5, 16, 16, 16}, true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    memset(&warnings, 0, sizeof warnings);
    link_warn(&cases[i].link, &warnings);
    cr_expect_eq(warnings_has(&warnings, WARNING_GPU_LINK), cases[i].warns, "case %zu", i);
  }
}

/* A GPU that idled before slows its link down: the fastest that was seen counts. */
Test(target_warn, an_idle_link_is_no_slow_one) {
  struct rig_condition condition = {0};
  const struct device_link idle = {2.5, 32, 16, 16}, busy = {32, 32, 16, 16};
  rig_see_link(&condition, &idle);
  cr_expect_eq(condition.link.gt_per_s, 2.5);
  rig_see_link(&condition, &busy);
  rig_see_link(&condition, &idle);
  cr_expect_eq(condition.link.gt_per_s, 32);
}

/* A share's name may be of any bytes, and long options end within a character. */
Test(target_warn, texts_of_any_bytes_stay_in_json) {
  struct target target = good();
  snprintf(target.source, sizeof target.source, "//server/caf\xe9");
  snprintf(target.mount_options, sizeof target.mount_options, "rw,\xc3");
  snprintf(target.model, sizeof target.model, "KIOXIA CM7");
  json_t *json = target_to_json(&target);
  cr_assert_not_null(json);
  cr_expect_str_eq(json_string_value(json_object_get(json, "source")), "//server/caf?");
  cr_expect_str_eq(json_string_value(json_object_get(json, "mount_options")), "rw,?");
  cr_expect_str_eq(json_string_value(json_object_get(json, "model")), "KIOXIA CM7");
  cr_expect_str_eq(json_string_value(json_object_get(json, "firmware")), "");
  json_decref(json);
}
