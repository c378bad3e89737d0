/*
 * A block device as /sys shows it. Every function takes the root of the sysfs
 * tree ("/sys"), so that tests can build trees of drives that they do not have.
 */
#ifndef REFILL_IO_DRIVE_H
#define REFILL_IO_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/target.h"

#define DRIVE_NAME_BYTES 64

/* The name of the whole drive with this device number ("nvme0n1" for its partition too). False
 * where the tree has none. */
bool drive_of_device(const char *sys_root, unsigned major_number, unsigned minor_number,
                     char *name);

/* Fills the target's fields about the drive called target->drive: model, firmware, scheduler,
 * transport, rotational, write cache, virtual_drive, block sizes, numa_node, link. Of a stacked
 * device the members decide what it does not say itself: what is worst of any counts. */
void drive_describe(const char *sys_root, struct target *target);

/* Adds the counters of a drive, or of its members where it is stacked. counters->known becomes
 * false where one of them cannot be read; set it to true before. */
void drive_add_counters(const char *sys_root, const char *name, struct target_counters *counters);

/* Whether the drive with this device number has queues that can be polled: 1, 0, or -1 unknown. */
int drive_polls(const char *sys_root, unsigned major_number, unsigned minor_number);

/* Parses a device's "stat" file. */
bool drive_parse_stat(const char *text, struct target_counters *counters);

/* "[none] mq-deadline" -> "none". */
void drive_parse_scheduler(const char *text, char *scheduler, size_t scheduler_bytes);

/* The first line of a small file, blanks at its end removed; false where it cannot be read. */
bool drive_read_line(const char *path, char *text, size_t text_bytes);

#endif
