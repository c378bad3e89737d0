/*
 * What /sys says of a drive. Names of directories follow the kernel's
 * Documentation/ABI; what a kernel or a container does not show stays unknown.
 *
 * Stacked devices list their members in slaves/; a loop device names its
 * backing file, whose drive is its member; an NVMe drive that has paths is
 * known by those. Members are followed a few levels deep (LVM on RAID on a
 * partition), with a limit instead of a cycle check.
 */
#include "io/drive.h"

#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SECTOR_BYTES 512 /* of "stat", whatever the drive's blocks are */
#define DEPTH_MAX 8
#define NETWORK "network"

/* ---- reading ------------------------------------------------------------------------------ */

bool drive_read_line(const char *path, char *text, size_t text_bytes) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool ok = fgets(text, (int)text_bytes, file) != NULL;
  fclose(file);
  if (!ok) return false;
  size_t length = strcspn(text, "\n");
  while (length > 0 && text[length - 1] == ' ') length--;
  text[length] = '\0';
  return true;
}

/* A file of a drive's directory: /sys/class/block has partitions too. */
static bool read_attribute(const char *sys_root, const char *name, const char *attribute,
                           char *text, size_t text_bytes) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/class/block/%s/%s", sys_root, name, attribute);
  return drive_read_line(path, text, text_bytes);
}

static long read_number(const char *sys_root, const char *name, const char *attribute,
                        long otherwise) {
  char text[32], *end;
  if (!read_attribute(sys_root, name, attribute, text, sizeof text)) return otherwise;
  long value = strtol(text, &end, 10);
  return end != text && *end == '\0' ? value : otherwise;
}

bool drive_parse_stat(const char *text, struct target_counters *counters) {
  unsigned long long read_sectors, written_sectors;
  /* reads, merged, SECTORS, ms, writes, merged, SECTORS, ms, ... */
  if (sscanf(text, "%*u %*u %llu %*u %*u %*u %llu", &read_sectors, &written_sectors) != 2)
    return false;
  counters->read_bytes = read_sectors * SECTOR_BYTES;
  counters->write_bytes = written_sectors * SECTOR_BYTES;
  return true;
}

void drive_parse_scheduler(const char *text, char *scheduler, size_t scheduler_bytes) {
  const char *open = strchr(text, '[');
  const char *close = open != NULL ? strchr(open, ']') : NULL;
  if (close == NULL)
    snprintf(scheduler, scheduler_bytes, "%s", text);
  else
    snprintf(scheduler, scheduler_bytes, "%.*s", (int)(close - open - 1), open + 1);
}

bool drive_of_device(const char *sys_root, unsigned major_number, unsigned minor_number,
                     char *name) {
  char link[PATH_MAX], partition[PATH_MAX], resolved[PATH_MAX];
  struct stat status;
  snprintf(link, sizeof link, "%s/dev/block/%u:%u", sys_root, major_number, minor_number);
  if (realpath(link, resolved) == NULL) return false;
  int length = snprintf(partition, sizeof partition, "%s/partition", resolved);
  if (length < 0 || (size_t)length >= sizeof partition) return false;
  char *slash = strrchr(resolved, '/');
  if (slash == NULL) return false;
  if (stat(partition, &status) == 0) { /* its drive is the directory above */
    *slash = '\0';
    slash = strrchr(resolved, '/');
    if (slash == NULL) return false;
  }
  snprintf(name, DRIVE_NAME_BYTES, "%.*s", DRIVE_NAME_BYTES - 1, slash + 1);
  return true;
}

int drive_polls(const char *sys_root, unsigned major_number, unsigned minor_number) {
  char name[DRIVE_NAME_BYTES];
  if (!drive_of_device(sys_root, major_number, minor_number, name)) return -1;
  return (int)read_number(sys_root, name, "queue/io_poll", -1);
}

/* ---- members ------------------------------------------------------------------------------ */

#define MEMBERS_MAX 64

struct members {
  int n;
  bool overflow;
  char names[MEMBERS_MAX][DRIVE_NAME_BYTES];
};

static void add_member(struct members *members, const char *name) {
  if (members->n == MEMBERS_MAX) {
    members->overflow = true;
    return;
  }
  snprintf(members->names[members->n++], DRIVE_NAME_BYTES, "%.*s", DRIVE_NAME_BYTES - 1, name);
}

/* The drive under a loop device's backing file; a file in memory has none. */
static void add_backing_drive(const char *sys_root, const char *name, struct members *members) {
  char path[PATH_MAX], drive[DRIVE_NAME_BYTES];
  struct stat status;
  if (!read_attribute(sys_root, name, "loop/backing_file", path, sizeof path)) return;
  if (stat(path, &status) < 0) return;
  if (drive_of_device(sys_root, major(status.st_dev), minor(status.st_dev), drive))
    add_member(members, drive);
}

/* With the kernel's own multipath, "nvme0n1" is a front: the bytes move on hidden drives,
 * "nvme0c1n1", one for each controller that leads to it. Only they tell link, node and transport,
 * and before Linux 6.4 the front's counters stand still. */
static void add_paths(const char *sys_root, const char *name, struct members *members) {
  unsigned subsystem, space, its_subsystem, its_space;
  int end = 0;
  if (sscanf(name, "nvme%un%u%n", &subsystem, &space, &end) != 2 || name[end] != '\0') return;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/class/block", sys_root);
  DIR *stream = opendir(path);
  if (stream == NULL) return;
  for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
    int n = sscanf(entry->d_name, "nvme%uc%*un%u%n", &its_subsystem, &its_space, &end);
    if (n == 2 && entry->d_name[end] == '\0' && its_subsystem == subsystem && its_space == space)
      add_member(members, entry->d_name);
  }
  closedir(stream);
}

static void list_members(const char *sys_root, const char *name, struct members *members) {
  members->n = 0;
  members->overflow = false;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/class/block/%s/slaves", sys_root, name);
  DIR *stream = opendir(path);
  if (stream != NULL) {
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
      if (entry->d_name[0] != '.') add_member(members, entry->d_name);
    }
    closedir(stream);
  }
  if (members->n == 0) add_backing_drive(sys_root, name, members);
  if (members->n == 0) add_paths(sys_root, name, members);
}

static void add_counters(const char *sys_root, const char *name, struct target_counters *counters,
                         int depth) {
  struct members members;
  list_members(sys_root, name, &members);
  if (depth > DEPTH_MAX || members.overflow) counters->known = false;
  if (!counters->known) return;
  for (int i = 0; i < members.n; i++) add_counters(sys_root, members.names[i], counters, depth + 1);
  if (members.n > 0) return;
  char text[256];
  struct target_counters own;
  if (!read_attribute(sys_root, name, "stat", text, sizeof text) || !drive_parse_stat(text, &own)) {
    counters->known = false;
    return;
  }
  counters->read_bytes += own.read_bytes;
  counters->write_bytes += own.write_bytes;
}

void drive_add_counters(const char *sys_root, const char *name, struct target_counters *counters) {
  add_counters(sys_root, name, counters, 0);
}

/* ---- describing --------------------------------------------------------------------------- */

static bool begins_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* What kind of device a name stands for. Partitions of members have the drive's name in front. */
static const char *transport_of(const char *name) {
  static const struct {
    const char *start, *transport;
  } kinds[] = {{"nvme", "nvme"},         {"vd", "virtio"}, {"sd", "scsi"},   {"loop", "loop"},
               {"dm-", "device-mapper"}, {"md", "md"},     {"zram", "ram"},  {"ram", "ram"},
               {"pmem", "ram"},          {"nbd", NETWORK}, {"rbd", NETWORK}, {"drbd", NETWORK},
               {"mmcblk", "mmc"},        {"xvd", "xen"}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (begins_with(name, kinds[i].start)) return kinds[i].transport;
  }
  return "unknown";
}

/* NVMe models that are a hypervisor's or a cloud's network volume, not a drive. */
static bool is_virtual_model(const char *model) {
  static const char *const models[] = {
      "QEMU", "Elastic Block Stor", "nvme_card-pd", "MSFT NVMe Accelerator", "VMware", "Virtual",
      "VBOX"};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
    if (strstr(model, models[i]) != NULL) return true;
  }
  return false;
}

/* SCSI vendors and models behind which a controller's cache sits. */
static bool is_raid_controller(const char *vendor, const char *model) {
  static const char *const texts[] = {"PERC",           "MegaRAID",  "AVAGO",   "BROADCOM",
                                      "LOGICAL VOLUME", "ServeRAID", "Adaptec", "MR9"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    if (strstr(vendor, texts[i]) != NULL || strstr(model, texts[i]) != NULL) return true;
  }
  return false;
}

/* True for SCSI drives at the end of an iSCSI session or a Fibre Channel port. */
static bool is_across_network(const char *sys_root, const char *name) {
  char path[PATH_MAX], resolved[PATH_MAX];
  snprintf(path, sizeof path, "%s/class/block/%s", sys_root, name);
  if (realpath(path, resolved) == NULL) return false;
  return strstr(resolved, "/session") != NULL || strstr(resolved, "/rport-") != NULL;
}

/* What a drive without members says of itself. */
static void describe_own(const char *sys_root, const char *name, struct target *target) {
  char text[TARGET_TEXT_BYTES], vendor[64] = "";
  read_attribute(sys_root, name, "device/model", target->model, sizeof target->model);
  if (!read_attribute(sys_root, name, "device/firmware_rev", target->firmware,
                      sizeof target->firmware))
    read_attribute(sys_root, name, "device/rev", target->firmware, sizeof target->firmware);
  read_attribute(sys_root, name, "device/vendor", vendor, sizeof vendor);
  if (read_attribute(sys_root, name, "queue/scheduler", text, sizeof text))
    drive_parse_scheduler(text, target->scheduler, sizeof target->scheduler);
  const char *transport = transport_of(name);
  if (strcmp(transport, "nvme") == 0 &&
      read_attribute(sys_root, name, "device/transport", text, sizeof text) &&
      strcmp(text, "pcie") != 0)
    transport = NETWORK; /* over fabrics */
  if (strcmp(transport, "scsi") == 0 && is_across_network(sys_root, name)) transport = NETWORK;
  if (strcmp(transport, "scsi") == 0 && is_raid_controller(vendor, target->model))
    transport = "raid";
  snprintf(target->transport, sizeof target->transport, "%s", transport);
  if (strcmp(transport, "virtio") == 0 || strcmp(transport, "xen") == 0 ||
      is_virtual_model(target->model) || is_virtual_model(vendor) || strcmp(vendor, "Msft") == 0 ||
      strcmp(vendor, "Google") == 0)
    target->virtual_drive = true;
  char pci[PATH_MAX];
  snprintf(pci, sizeof pci, "%s/class/block/%s/device/device", sys_root, name);
  device_link_read_at(&target->link, pci);
  long node = read_number(sys_root, name, "device/numa_node", -1);
  if (node < 0) node = read_number(sys_root, name, "device/device/numa_node", -1);
  if (node >= 0 && target->numa_node < 0) target->numa_node = (int)node;
}

/* True for what has a cache that cannot be seen through, whatever is stacked on it. */
static bool is_opaque(const char *transport) {
  return strcmp(transport, NETWORK) == 0 || strcmp(transport, "raid") == 0 ||
         strcmp(transport, "ram") == 0;
}

/* What another member changes of what those before it said. */
static void merge_member(struct target *target, const struct target *member) {
  target->virtual_drive |= member->virtual_drive;
  if (is_opaque(member->transport))
    snprintf(target->transport, sizeof target->transport, "%s", member->transport);
  if (member->numa_node != target->numa_node) target->numa_node = -1;
  if (strcmp(target->scheduler, "none") == 0)
    snprintf(target->scheduler, sizeof target->scheduler, "%s", member->scheduler);
  if (!device_link_lesser(&target->link) && device_link_lesser(&member->link))
    target->link = member->link;
}

static void describe(const char *sys_root, const char *name, struct target *target, int depth) {
  struct members members;
  list_members(sys_root, name, &members);
  if (depth > DEPTH_MAX) return;
  const struct target nothing_yet = *target;
  for (int i = 0; i < members.n; i++) {
    struct target member = nothing_yet;
    char drive[DRIVE_NAME_BYTES];
    unsigned numbers[2];
    char text[32];
    /* A member may be a partition: its drive has the model and the queue. */
    if (!read_attribute(sys_root, members.names[i], "dev", text, sizeof text) ||
        sscanf(text, "%u:%u", &numbers[0], &numbers[1]) != 2 ||
        !drive_of_device(sys_root, numbers[0], numbers[1], drive))
      snprintf(drive, sizeof drive, "%s", members.names[i]);
    describe(sys_root, drive, &member, depth + 1);
    if (i == 0)
      *target = member;
    else
      merge_member(target, &member);
  }
  if (members.n == 0) describe_own(sys_root, name, target);
  /* A loop device over a file in memory: no drive's counter tells what was read. */
  if (members.n == 0 && strcmp(target->transport, "loop") == 0) target->virtual_drive = true;
}

static void name_members(const char *sys_root, struct target *target) {
  struct members members;
  size_t used = 0;
  list_members(sys_root, target->drive, &members);
  for (int i = 0; i < members.n && used < sizeof target->members; i++)
    used += (size_t)snprintf(target->members + used, sizeof target->members - used, "%s%s",
                             i ? ", " : "", members.names[i]);
}

void drive_describe(const char *sys_root, struct target *target) {
  assert(target->drive[0] != '\0');
  describe(sys_root, target->drive, target, 0);
  name_members(sys_root, target);
  const char *own = transport_of(target->drive);
  if (!is_opaque(target->transport) && strcmp(own, "unknown") != 0)
    snprintf(target->transport, sizeof target->transport, "%s", own);
  target->loop_cached = read_number(sys_root, target->drive, "loop/dio", 1) == 0;
  read_attribute(sys_root, target->drive, "queue/write_cache", target->write_cache,
                 sizeof target->write_cache);
  target->rotational = read_number(sys_root, target->drive, "queue/rotational", 0) == 1;
  target->logical_block_bytes =
      (uint32_t)read_number(sys_root, target->drive, "queue/logical_block_size", 0);
  target->physical_block_bytes =
      (uint32_t)read_number(sys_root, target->drive, "queue/physical_block_size", 0);
}
