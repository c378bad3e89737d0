/*
 * /proc/self/mountinfo, as text: which mount a path is on.
 */
#ifndef REFILL_IO_MOUNTINFO_H
#define REFILL_IO_MOUNTINFO_H

#include <stdbool.h>

#define MOUNT_TEXT_BYTES 4096

struct mount_entry {
  unsigned major_number, minor_number;
  char mount_point[MOUNT_TEXT_BYTES];
  char options[MOUNT_TEXT_BYTES]; /* of the mount, then of the filesystem */
  char filesystem[64];
  char source[MOUNT_TEXT_BYTES];
};

/* Parses one line (its newline optional). False where it is none; longer texts are cut. */
bool mountinfo_parse_line(const char *line, struct mount_entry *entry);

/* The mount that an absolute, resolved path is on: of the entries whose mount point is a prefix of
 * it the longest, of equal ones the last (it covers the others). False where there is none. */
bool mountinfo_find(const char *text, const char *path, struct mount_entry *entry);

/* The value of "key=" among comma-separated options; false where there is none or it is too long.
 */
bool mountinfo_option(const char *options, const char *key, char *value, int value_bytes);

#endif
