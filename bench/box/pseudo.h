/*
 * Small files of /proc and /sys, read below a root so that tests can stand fakes there.
 */
#ifndef REFILL_BENCH_BOX_PSEUDO_H
#define REFILL_BENCH_BOX_PSEUDO_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PSEUDO_PATH_BYTES 512

/* Opens root + path (path begins with '/'); NULL where it cannot be. */
FILE *pseudo_open(const char *root, const char *path);
DIR *pseudo_open_directory(const char *root, const char *path);

/* The first line without its newline, cut to `room`; false (and "") where it cannot be read. */
bool pseudo_line(const char *root, const char *path, char *line, size_t room);

/* The first line as a whole decimal or 0x-hexadecimal number. */
bool pseudo_number(const char *root, const char *path, int64_t *number);

/* The value in a file of "name<separator> value" lines, blanks trimmed, cut to `room`. */
bool pseudo_field(const char *root, const char *path, const char *name, char separator, char *value,
                  size_t room);

/* The text after "name<separator>" where `line` is such a line, else NULL; `line` is trimmed at
 * its end in place. */
char *pseudo_value(char *line, const char *name, char separator);

#endif
