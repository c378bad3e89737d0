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
                         .link_gt_per_s = 32,
                         .link_max_gt_per_s = 32,
                         .link_width = 4,
                         .link_max_width = 4};
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
  target.link_gt_per_s = 16;
  expect_only(&target, WARNING_LINK_DEGRADED);
  target = good();
  target.link_width = 2;
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
