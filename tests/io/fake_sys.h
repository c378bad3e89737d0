/*
 * A sysfs tree in a temporary directory, for drives that this machine lacks.
 */
#ifndef REFILL_TESTS_FAKE_SYS_H
#define REFILL_TESTS_FAKE_SYS_H

#include "tests/io/io_test.h"

struct fake_sys {
  char root[IO_TEST_PATH_BYTES];
};

void fake_sys_begin(struct fake_sys *sys);
void fake_sys_end(struct fake_sys *sys);

/* Writes `text` into devices/`path`, directories made as needed. */
void fake_sys_write(struct fake_sys *sys, const char *path, const char *text);

/* A whole drive or a partition at devices/`path`, known by its last name in class/block and by
 * "major:minor" in dev/block, whose stat counts these sectors. */
void fake_sys_add(struct fake_sys *sys, const char *path, const char *device, long read_sectors,
                  long written_sectors);

/* Makes `member`, at devices/`member_path`, one of `path`'s slaves. */
void fake_sys_stack(struct fake_sys *sys, const char *path, const char *member_path);

#endif
