/*
 * Threads that wait inside the kernel: see stuck.h.
 */
#include "bench/box/stuck.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/box/pseudo.h"

#define LOOK_APART_S 0.1
#define THREADS_MAX 256

/* "17 (a name) D ...": the name may hold anything, so that the state stands after the last ')'. */
static bool waits(const char *root, const char *thread) {
  char path[PSEUDO_PATH_BYTES], line[512];
  snprintf(path, sizeof path, "/task/%s/stat", thread);
  if (!pseudo_line(root, path, line, sizeof line)) return false;
  const char *end = strrchr(line, ')');
  return end && strncmp(end, ") D", 3) == 0;
}

/* Lists those that wait now. */
static int look(const char *root, long threads[THREADS_MAX]) {
  int n = 0;
  DIR *directory = pseudo_open_directory(root, "/task");
  if (!directory) return 0;
  for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
    if (isdigit((unsigned char)entry->d_name[0]) && n < THREADS_MAX && waits(root, entry->d_name))
      threads[n++] = strtol(entry->d_name, NULL, 10);
  }
  closedir(directory);
  return n;
}

int stuck_threads(const char *root) {
  long before[THREADS_MAX], after[THREADS_MAX];
  int n = 0, n_before = look(root, before);
  if (n_before == 0) return 0;
  clock_sleep_until_s(clock_now_s() + LOOK_APART_S);
  int n_after = look(root, after);
  for (int i = 0; i < n_before; i++) {
    for (int k = 0; k < n_after; k++) n += before[i] == after[k];
  }
  return n;
}
