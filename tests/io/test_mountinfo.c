/* mountinfo: lines of proc(5), of containers, and broken ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "io/mountinfo.h"

static const char TEXT[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "30 27 259:2 / /mnt/data rw,noatime master:2 propagate_from:3 - xfs /dev/nvme0n1p2 rw,attr2\n"
    "31 27 259:9 / /mnt/data\\040two ro - ext4 /dev/disk\\134x ro\n"
    "32 30 0:50 / /mnt/data/over rw - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/up,workdir=/w\n"
    "33 27 0:60 / /mnt/twice rw - tmpfs first rw\n"
    "34 33 0:61 / /mnt/twice rw - tmpfs second rw\n";

static const char *source_of(const char *path) {
  static struct mount_entry entry;
  return mountinfo_find(TEXT, path, &entry) ? entry.source : "none";
}

Test(mountinfo, finds_the_longest_mount) {
  cr_expect_str_eq(source_of("/"), "/dev/vda");
  cr_expect_str_eq(source_of("/home/x"), "/dev/vda");
  cr_expect_str_eq(source_of("/mnt/data"), "/dev/nvme0n1p2");
  cr_expect_str_eq(source_of("/mnt/data/kv"), "/dev/nvme0n1p2");
  cr_expect_str_eq(source_of("/mnt/database"), "/dev/vda", "a prefix of a name is no parent");
  cr_expect_str_eq(source_of("/mnt/data two/x"), "/dev/disk\\x", "octal escapes");
  cr_expect_str_eq(source_of("/mnt/data/over/x"), "overlay");
  cr_expect_str_eq(source_of("/mnt/twice"), "second", "the later mount covers the earlier");
}

Test(mountinfo, parses_every_field) {
  struct mount_entry entry;
  cr_assert(mountinfo_find(TEXT, "/mnt/data/x", &entry));
  cr_expect_eq(entry.major_number, 259);
  cr_expect_eq(entry.minor_number, 2);
  cr_expect_str_eq(entry.mount_point, "/mnt/data");
  cr_expect_str_eq(entry.options, "rw,noatime,rw,attr2");
  cr_expect_str_eq(entry.filesystem, "xfs");
}

Test(mountinfo, refuses_broken_lines) {
  const char *const lines[] = {"",
                               "\n",
                               "1 2 3:4",
                               "1 2 3 / /x rw - ext4 a b",
                               "1 2 3:4 / /x rw",
                               "1 2 3:4 / /x rw shared:1",
                               "1 2 3:4 / /x rw -"};
  struct mount_entry entry;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    cr_expect_not(mountinfo_parse_line(lines[i], &entry), "'%s'", lines[i]);
  cr_expect(mountinfo_parse_line("1 2 3:4 / /x rw - ext4", &entry), "source and options may lack");
  cr_expect_not(mountinfo_find("", "/", &entry));
}

Test(mountinfo, cuts_what_is_too_long) {
  static char line[3 * MOUNT_TEXT_BYTES];
  static char options[2 * MOUNT_TEXT_BYTES];
  struct mount_entry entry;
  memset(options, 'o', sizeof options - 1);
  snprintf(line, sizeof line, "1 2 3:4 / /x %s - ext4 /dev/sda rw", options);
  cr_assert(mountinfo_parse_line(line, &entry));
  cr_expect_eq(strlen(entry.options), MOUNT_TEXT_BYTES - 1);
  cr_expect_str_eq(entry.source, "/dev/sda");
}

Test(mountinfo, finds_options) {
  struct mount_entry entry;
  char value[16];
  cr_assert(mountinfo_find(TEXT, "/mnt/data/over", &entry));
  cr_expect(mountinfo_option(entry.options, "upperdir", value, sizeof value));
  cr_expect_str_eq(value, "/up");
  cr_expect(mountinfo_option(entry.options, "workdir", value, sizeof value));
  cr_expect_str_eq(value, "/w");
  cr_expect_not(mountinfo_option(entry.options, "upper", value, sizeof value));
  cr_expect_not(mountinfo_option(entry.options, "rw", value, sizeof value));
  cr_expect_not(mountinfo_option("key=too long for it all", "key", value, sizeof value));
  cr_expect_not(mountinfo_option("", "key", value, sizeof value));
}
