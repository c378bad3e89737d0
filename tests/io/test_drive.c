/* Drives as /sys shows them, on trees made for the purpose. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "io/drive.h"
#include "tests/io/fake_sys.h"

#define NVME0 "pci0/nvme0/nvme0n1"
#define NVME1 "pci1/nvme1/nvme1n1"

static struct fake_sys sys;

static void add_nvme(const char *path, const char *device, const char *model, long read_sectors,
                     long written_sectors) {
  const char *const files[][2] = {{"device/model", model},
                                  {"device/firmware_rev", "1.2.3   \n"},
                                  {"device/transport", "pcie\n"},
                                  {"device/numa_node", "1\n"},
                                  {"queue/scheduler", "[none] mq-deadline kyber\n"},
                                  {"queue/rotational", "0\n"},
                                  {"queue/logical_block_size", "512\n"},
                                  {"queue/physical_block_size", "4096\n"}};
  fake_sys_add(&sys, path, device, read_sectors, written_sectors);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char file[128];
    snprintf(file, sizeof file, "%s/%s", path, files[i][0]);
    fake_sys_write(&sys, file, files[i][1]);
  }
}

static void set_up(void) {
  fake_sys_begin(&sys);
  add_nvme(NVME0, "259:0", "KIOXIA CM7   \n", 1000, 100);
  add_nvme(NVME1, "259:5", "KIOXIA CM7\n", 30, 3);
  fake_sys_add(&sys, NVME0 "/nvme0n1p2", "259:2", 400, 40);
  fake_sys_write(&sys, NVME0 "/nvme0n1p2/partition", "2\n");
}

static void tear_down(void) {
  fake_sys_end(&sys);
}

TestSuite(drive, .init = set_up, .fini = tear_down, .timeout = 120);

static struct target describe(const char *drive) {
  struct target target;
  memset(&target, 0, sizeof target);
  target.numa_node = -1;
  snprintf(target.drive, sizeof target.drive, "%s", drive);
  drive_describe(sys.root, &target);
  return target;
}

static struct target_counters count(const char *drive) {
  struct target_counters counters = {.known = true};
  drive_add_counters(sys.root, drive, &counters);
  return counters;
}

static void expect_counts(const char *drive, uint64_t read_sectors, uint64_t written_sectors) {
  struct target_counters counters = count(drive);
  cr_expect(counters.known);
  cr_expect_eq(counters.read_bytes, read_sectors * 512, "%s", drive);
  cr_expect_eq(counters.write_bytes, written_sectors * 512, "%s", drive);
}

Test(drive, partitions_resolve_to_their_drive) {
  char name[DRIVE_NAME_BYTES];
  cr_assert(drive_of_device(sys.root, 259, 2, name));
  cr_expect_str_eq(name, "nvme0n1");
  cr_assert(drive_of_device(sys.root, 259, 0, name));
  cr_expect_str_eq(name, "nvme0n1");
  cr_expect_not(drive_of_device(sys.root, 8, 0, name));
}

Test(drive, nvme) {
  struct target target = describe("nvme0n1");
  cr_expect_str_eq(target.model, "KIOXIA CM7");
  cr_expect_str_eq(target.firmware, "1.2.3");
  cr_expect_str_eq(target.transport, "nvme");
  cr_expect_str_eq(target.scheduler, "none");
  cr_expect_eq(target.logical_block_bytes, 512);
  cr_expect_eq(target.physical_block_bytes, 4096);
  cr_expect_eq(target.numa_node, 1);
  cr_expect_not(target.virtual_drive);
  cr_expect_not(target.rotational);
  cr_expect_str_eq(target.members, "");
  cr_expect_str_eq(target.write_cache, "", "unknown");
  expect_counts("nvme0n1", 1000, 100);
}

Test(drive, nvme_over_fabrics_is_network) {
  fake_sys_write(&sys, NVME0 "/device/transport", "tcp\n");
  cr_expect_str_eq(describe("nvme0n1").transport, "network");
}

/* The front "nvme9n1" of two controllers' paths, and a path of another drive. */
Test(drive, nvme_multipath_is_known_by_its_paths) {
  fake_sys_add(&sys, "virtual/subsystem/nvme9n1", "259:9", 0, 0);
  fake_sys_write(&sys, "virtual/subsystem/nvme9n1/device/model", "SAMSUNG PM1733\n");
  add_nvme("pci7/nvme9/nvme9c9n1", "259:10", "SAMSUNG PM1733\n", 500, 50);
  add_nvme("pci8/nvme10/nvme9c10n1", "259:11", "SAMSUNG PM1733\n", 30, 3);
  add_nvme("pci8/nvme10/nvme9c10n12", "259:12", "SAMSUNG PM1733\n", 7000, 700);
  expect_counts("nvme9n1", 530, 53);
  struct target target = describe("nvme9n1");
  cr_expect_str_eq(target.transport, "nvme");
  cr_expect_str_eq(target.firmware, "1.2.3");
  cr_expect_eq(target.numa_node, 1);
  cr_expect_str_eq(target.drive, "nvme9n1");
  fake_sys_write(&sys, "pci8/nvme10/nvme9c10n1/device/transport", "tcp\n");
  cr_expect_str_eq(describe("nvme9n1").transport, "network", "whichever path it is");
  expect_counts("nvme0n1", 1000, 100);
}

Test(drive, clouds_and_emulators_are_virtual) {
  const char *const models[] = {"Amazon Elastic Block Store\n", "QEMU NVMe Ctrl\n",
                                "Alibaba Cloud Elastic Block Storage\n", "nvme_card-pd\n"};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
    fake_sys_write(&sys, NVME0 "/device/model", models[i]);
    cr_expect(describe("nvme0n1").virtual_drive, "%s", models[i]);
  }
  fake_sys_write(&sys, NVME0 "/device/model", "Amazon EC2 NVMe Instance Storage\n");
  cr_expect_not(describe("nvme0n1").virtual_drive);
}

Test(drive, device_mapper_sums_its_members) {
  fake_sys_add(&sys, "virtual/dm-0", "253:0", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-0", NVME0 "/nvme0n1p2");
  fake_sys_stack(&sys, "virtual/dm-0", NVME1);
  expect_counts("dm-0", 430, 43);
  struct target target = describe("dm-0");
  cr_expect_str_eq(target.transport, "device-mapper");
  cr_expect_str_eq(target.model, "KIOXIA CM7", "a partition's drive has the model");
  cr_expect_str_eq(target.drive, "dm-0");
  cr_expect_not(target.virtual_drive);
}

Test(drive, md_under_device_mapper) {
  fake_sys_add(&sys, "virtual/md127", "9:127", 1, 1);
  fake_sys_stack(&sys, "virtual/md127", NVME0);
  fake_sys_stack(&sys, "virtual/md127", NVME1);
  expect_counts("md127", 1030, 103);
  cr_expect_str_eq(describe("md127").transport, "md");
  fake_sys_add(&sys, "virtual/dm-1", "253:1", 5, 5);
  fake_sys_stack(&sys, "virtual/dm-1", "virtual/md127");
  expect_counts("dm-1", 1030, 103);
}

static void write_link(const char *drive, const char *speed, const char *width) {
  const char *const files[][2] = {{"current_link_speed", speed},
                                  {"max_link_speed", "32.0 GT/s PCIe\n"},
                                  {"current_link_width", width},
                                  {"max_link_width", "4\n"}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char file[128];
    snprintf(file, sizeof file, "%s/device/device/%s", drive, files[i][0]);
    fake_sys_write(&sys, file, files[i][1]);
  }
}

/* Two drives of two sockets, one of them badly seated: which of them is listed first is chance. */
Test(drive, the_worst_member_counts) {
  const char *const drives[] = {NVME0, NVME1};
  for (int bad = 0; bad < 2; bad++) {
    fake_sys_add(&sys, "virtual/md1", "9:1", 1, 1);
    fake_sys_stack(&sys, "virtual/md1", NVME0);
    fake_sys_stack(&sys, "virtual/md1", NVME1);
    write_link(drives[bad], "16.0 GT/s PCIe\n", "4\n");
    write_link(drives[!bad], "32.0 GT/s PCIe\n", "4\n");
    char file[64];
    snprintf(file, sizeof file, "%s/queue/scheduler", drives[bad]);
    fake_sys_write(&sys, file, "none [mq-deadline]\n");
    snprintf(file, sizeof file, "%s/device/numa_node", drives[bad]);
    fake_sys_write(&sys, file, "0\n");
    fake_sys_write(&sys, "virtual/md1/queue/write_cache", "write back\n");
    struct target target = describe("md1");
    cr_expect_eq(target.link.gt_per_s, 16);
    cr_expect_eq(target.link.max_gt_per_s, 32);
    cr_expect_str_eq(target.scheduler, "mq-deadline");
    cr_expect_eq(target.numa_node, -1, "on both sockets");
    cr_expect_str_eq(target.write_cache, "write back");
    cr_expect_eq(strlen(target.members), strlen("nvme0n1, nvme1n1"), "%s", target.members);
    cr_expect_not_null(strstr(target.members, "nvme1n1"));
    tear_down();
    set_up();
  }
}

Test(drive, one_virtual_member_makes_all_virtual) {
  fake_sys_add(&sys, "virtio1/vda", "254:0", 5, 6);
  cr_expect(describe("vda").virtual_drive);
  cr_expect_str_eq(describe("vda").transport, "virtio");
  expect_counts("vda", 5, 6);
  fake_sys_add(&sys, "virtual/dm-0", "253:0", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-0", NVME0);
  fake_sys_stack(&sys, "virtual/dm-0", "virtio1/vda");
  cr_expect(describe("dm-0").virtual_drive);
  cr_expect_str_eq(describe("dm-0").transport, "device-mapper");
}

Test(drive, network_shines_through_a_stack) {
  fake_sys_write(&sys, NVME0 "/device/transport", "rdma\n");
  fake_sys_add(&sys, "virtual/dm-0", "253:0", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-0", NVME0);
  cr_expect_str_eq(describe("dm-0").transport, "network");
}

Test(drive, any_opaque_member_shines_through) {
  fake_sys_write(&sys, NVME1 "/device/transport", "tcp\n");
  fake_sys_add(&sys, "virtual/md1", "9:1", 7, 7);
  fake_sys_stack(&sys, "virtual/md1", NVME0);
  fake_sys_stack(&sys, "virtual/md1", NVME1);
  cr_expect_str_eq(describe("md1").transport, "network", "the second member's");
  fake_sys_add(&sys, "virtual/zram0", "252:0", 7, 7);
  fake_sys_add(&sys, "virtual/dm-2", "253:2", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-2", "virtual/zram0");
  cr_expect_str_eq(describe("dm-2").transport, "ram");
}

Test(drive, scsi_across_a_network_is_network) {
  const char *const paths[] = {"platform/host5/session1/target5:0:0/block/sdb",
                               "pci4/host7/rport-7:0-3/target7:0:3/block/sdc"};
  const char *const devices[] = {"8:16", "8:32"};
  for (size_t i = 0; i < 2; i++) {
    fake_sys_add(&sys, paths[i], devices[i], 1, 2);
    cr_expect_str_eq(describe(i == 0 ? "sdb" : "sdc").transport, "network", "%s", paths[i]);
  }
}

Test(drive, polled_queues_are_the_drives) {
  cr_expect_eq(drive_polls(sys.root, 259, 0), -1, "not told");
  cr_expect_eq(drive_polls(sys.root, 8, 0), -1, "no such drive");
  fake_sys_write(&sys, NVME0 "/queue/io_poll", "0\n");
  cr_expect_eq(drive_polls(sys.root, 259, 2), 0, "of a partition");
  fake_sys_write(&sys, NVME0 "/queue/io_poll", "1\n");
  cr_expect_eq(drive_polls(sys.root, 259, 0), 1);
}

Test(drive, raid_controllers_have_caches) {
  fake_sys_add(&sys, "pci2/sda", "8:0", 1, 2);
  fake_sys_write(&sys, "pci2/sda/device/vendor", "DELL    \n");
  fake_sys_write(&sys, "pci2/sda/device/model", "PERC H755 Adp   \n");
  fake_sys_write(&sys, "pci2/sda/device/rev", "5.16\n");
  fake_sys_write(&sys, "pci2/sda/queue/rotational", "1\n");
  struct target target = describe("sda");
  cr_expect_str_eq(target.transport, "raid");
  cr_expect_str_eq(target.firmware, "5.16");
  cr_expect(target.rotational);
  fake_sys_write(&sys, "pci2/sda/device/model", "SAMSUNG MZ7\n");
  cr_expect_str_eq(describe("sda").transport, "scsi");
}

Test(drive, a_loop_device_over_nothing_seen_is_virtual) {
  fake_sys_add(&sys, "virtual/loop3", "7:3", 12, 13);
  fake_sys_write(&sys, "virtual/loop3/loop/backing_file", "/nonexistent/image (deleted)\n");
  expect_counts("loop3", 12, 13);
  struct target target = describe("loop3");
  cr_expect_str_eq(target.transport, "loop");
  cr_expect(target.virtual_drive);
}

/* The backing file lies on a filesystem whose device number we enter as a drive of our tree. */
Test(drive, a_loop_device_counts_on_its_files_drive) {
  char path[IO_TEST_PATH_BYTES + 16], device[32];
  unsigned numbers[2];
  snprintf(path, sizeof path, "%s/image", sys.root);
  io_test_write_file(path, "x", 1);
  io_test_device_numbers(path, numbers);
  snprintf(device, sizeof device, "%u:%u", numbers[0], numbers[1]);
  add_nvme("pci3/nvme7n1", device, "UNDER A LOOP\n", 77, 78);
  fake_sys_add(&sys, "virtual/loop4", "7:4", 12, 13);
  fake_sys_write(&sys, "virtual/loop4/loop/backing_file", path);
  expect_counts("loop4", 77, 78);
  struct target target = describe("loop4");
  cr_expect_str_eq(target.transport, "loop");
  cr_expect_str_eq(target.model, "UNDER A LOOP");
  cr_expect_not(target.virtual_drive);
}

Test(drive, unreadable_counters_are_unknown) {
  cr_expect_not(count("sdz").known);
  fake_sys_add(&sys, "virtual/dm-0", "253:0", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-0", NVME0);
  fake_sys_stack(&sys, "virtual/dm-0", "pci9/gone");
  cr_expect_not(count("dm-0").known, "a sum without a member is none");
}

Test(drive, a_cycle_ends) {
  fake_sys_add(&sys, "virtual/dm-0", "253:0", 7, 7);
  fake_sys_stack(&sys, "virtual/dm-0", "virtual/dm-0");
  cr_expect_not(count("dm-0").known);
  describe("dm-0");
}

Test(drive, parses_stat) {
  struct target_counters counters;
  cr_expect(drive_parse_stat("   69351    25281  7073242    42489    20666    13051  4227032 1 0",
                             &counters));
  cr_expect_eq(counters.read_bytes, UINT64_C(7073242) * 512);
  cr_expect_eq(counters.write_bytes, UINT64_C(4227032) * 512);
  cr_expect_not(drive_parse_stat("1 2 3 4", &counters));
  cr_expect_not(drive_parse_stat("", &counters));
}

Test(drive, parses_schedulers) {
  char text[16];
  drive_parse_scheduler("mq-deadline [kyber] none", text, sizeof text);
  cr_expect_str_eq(text, "kyber");
  drive_parse_scheduler("none", text, sizeof text);
  cr_expect_str_eq(text, "none");
  drive_parse_scheduler("[a-very-long-scheduler-name]", text, sizeof text);
  cr_expect_str_eq(text, "a-very-long-sch");
}

Test(drive, pcie_link_and_loops_over_the_page_cache) {
  cr_expect_eq(describe("nvme0n1").link.width, 0, "unknown");
  fake_sys_write(&sys, NVME0 "/device/device/current_link_speed", "16.0 GT/s PCIe\n");
  fake_sys_write(&sys, NVME0 "/device/device/max_link_speed", "32.0 GT/s PCIe\n");
  fake_sys_write(&sys, NVME0 "/device/device/current_link_width", "2\n");
  fake_sys_write(&sys, NVME0 "/device/device/max_link_width", "4\n");
  struct target target = describe("nvme0n1");
  cr_expect_eq(target.link.gt_per_s, 16);
  cr_expect_eq(target.link.max_gt_per_s, 32);
  cr_expect_eq(target.link.width, 2);
  cr_expect_eq(target.link.max_width, 4);
  fake_sys_add(&sys, "virtual/block/loop7", "7:7", 0, 0);
  cr_expect(!describe("loop7").loop_cached);
  fake_sys_write(&sys, "virtual/block/loop7/loop/dio", "0\n");
  cr_expect(describe("loop7").loop_cached);
}
