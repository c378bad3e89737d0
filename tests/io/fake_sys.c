/* A sysfs tree in a temporary directory; see fake_sys.h. */
#include "tests/io/fake_sys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fake_sys_begin(struct fake_sys *sys) {
  cr_assert(io_test_directory(sys->root));
}

void fake_sys_end(struct fake_sys *sys) {
  io_test_remove(sys->root);
}

static void make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
  }
}

void fake_sys_write(struct fake_sys *sys, const char *path, const char *text) {
  char full[PATH_MAX];
  snprintf(full, sizeof full, "%s/devices/%s", sys->root, path);
  make_parents(full);
  io_test_write_file(full, text, strlen(text));
}

static const char *last_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static void link_to(struct fake_sys *sys, const char *place, const char *name, const char *path) {
  char from[PATH_MAX], to[PATH_MAX];
  snprintf(from, sizeof from, "%s/%s/%s", sys->root, place, name);
  snprintf(to, sizeof to, "%s/devices/%s", sys->root, path);
  make_parents(from);
  cr_assert_eq(symlink(to, from), 0, "%s: %s", from, strerror(errno));
}

void fake_sys_add(struct fake_sys *sys, const char *path, const char *device, long read_sectors,
                  long written_sectors) {
  char file[PATH_MAX], text[128];
  snprintf(file, sizeof file, "%s/stat", path);
  snprintf(text, sizeof text, " 11 2 %ld 5 7 1 %ld 3 0 9 9 0 0 0 0\n", read_sectors,
           written_sectors);
  fake_sys_write(sys, file, text);
  snprintf(file, sizeof file, "%s/dev", path);
  snprintf(text, sizeof text, "%s\n", device);
  fake_sys_write(sys, file, text);
  link_to(sys, "class/block", last_name(path), path);
  link_to(sys, "dev/block", device, path);
}

void fake_sys_stack(struct fake_sys *sys, const char *path, const char *member_path) {
  char place[PATH_MAX];
  snprintf(place, sizeof place, "devices/%s/slaves", path);
  link_to(sys, place, last_name(member_path), member_path);
}
