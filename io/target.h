/*
 * What a path stands on: filesystem, mount, drive, and whether O_DIRECT works.
 */
#ifndef REFILL_IO_TARGET_H
#define REFILL_IO_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/device_link.h"
#include "base/error.h"

#define TARGET_TEXT_BYTES 256

/* Whole-drive read/write counters from /sys, in bytes. */
struct target_counters {
  bool known;
  uint64_t read_bytes, write_bytes;
};

struct target {
  char path[TARGET_TEXT_BYTES];
  char filesystem[32];                   /* "ext4", "tmpfs" */
  char mount_options[TARGET_TEXT_BYTES]; /* as in /proc/self/mountinfo */
  char source[TARGET_TEXT_BYTES];        /* "/dev/nvme0n1p1" */
  char drive[64];       /* block device behind it, partition resolved: "nvme0n1"; "" where none */
  char model[64];       /* "" unknown */
  char firmware[32];    /* "" unknown */
  char scheduler[32];   /* "none", "mq-deadline"; of several members the first that is not "none" */
  char write_cache[16]; /* "write back", "write through"; "" unknown */
  char members[TARGET_TEXT_BYTES]; /* of a stacked device, its own: "nvme0n1, nvme1n1"; an NVMe
                                      drive's paths: "nvme0c0n1, nvme0c1n1"; else "" */
  char transport[32]; /* "nvme", "virtio", "scsi", "mmc", "xen", "loop", "device-mapper", "md",
                         "raid" (controller), "network" (NVMe over fabrics too), "ram", "unknown" */
  bool rotational;
  bool virtual_drive; /* a guest's drive or a cloud's volume, or one stacked on such: caches below
                         cannot be seen */
  bool direct;        /* O_DIRECT opens and reads here */
  uint32_t direct_alignment_bytes;
  uint32_t logical_block_bytes, physical_block_bytes;
  uint64_t free_bytes; /* for this user */
  int numa_node;       /* -1 unknown, or not the same for all members */
  /* The drive's PCIe link as it is and as drive and slot could have it; 0 unknown. Of several
   * members one that is below its maximum, if there is any. */
  struct device_link link;
  bool loop_cached; /* a loop device that reads its file through the page cache */
};

/* What to do where a path cannot be used for `code`, a negative errno; "" where nobody can say. */
const char *target_advice(int code);

/* Records why `path` cannot be a target, and what to do. Returns `code`, a negative errno. */
int target_refuse(struct error *error, int code, const char *path);

/* Looks `directory` over; nothing is left behind. -ENOENT, -ENOTDIR, -EACCES, -EROFS with the path
 * named, by target_refuse(). */
int target_describe(struct target *target, const char *directory, struct error *error);

/* The same of what a file stands on, which is opened for reading only; its directory and mount may
 * be read-only. */
int target_describe_file(struct target *target, const char *path, struct error *error);

/* Reads the counters of the drive behind the target; of a stacked device (dm, md, loop over a
 * file on a drive) the sum over its members. */
void target_counters_read(const struct target *target, struct target_counters *counters);

#endif
