/*
 * Reading small files of /proc and /sys. Lines longer than the buffer (the flags of a CPU)
 * come in pieces; pieces that do not begin a known name are skipped like any line.
 */
#include "bench/box/pseudo.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096 };

static bool join(char *joined, const char *root, const char *path) {
  int n = snprintf(joined, PSEUDO_PATH_BYTES, "%s%s", root, path);
  return n > 0 && n < PSEUDO_PATH_BYTES;
}

FILE *pseudo_open(const char *root, const char *path) {
  char joined[PSEUDO_PATH_BYTES];
  return join(joined, root, path) ? fopen(joined, "re") : NULL;
}

DIR *pseudo_open_directory(const char *root, const char *path) {
  char joined[PSEUDO_PATH_BYTES];
  return join(joined, root, path) ? opendir(joined) : NULL;
}

static void trim_end(char *text) {
  size_t n = strlen(text);
  while (n > 0 && isspace((unsigned char)text[n - 1])) text[--n] = '\0';
}

bool pseudo_line(const char *root, const char *path, char *line, size_t room) {
  line[0] = '\0';
  FILE *file = pseudo_open(root, path);
  if (file == NULL) return false;
  bool read = fgets(line, (int)room, file) != NULL;
  fclose(file);
  if (!read) line[0] = '\0';
  trim_end(line);
  return read;
}

bool pseudo_number(const char *root, const char *path, int64_t *number) {
  char line[64], *end;
  if (!pseudo_line(root, path, line, sizeof line) || line[0] == '\0') return false;
  int base = strncmp(line, "0x", 2) == 0 ? 16 : 10;
  errno = 0;
  long long value = strtoll(line, &end, base);
  if (errno != 0 || *end != '\0') return false;
  *number = value;
  return true;
}

char *pseudo_value(char *line, const char *name, char separator) {
  size_t n = strlen(name);
  if (strncmp(line, name, n) != 0) return NULL;
  char *at = line + n;
  while (isblank((unsigned char)*at) && *at != separator) at++;
  if (*at != separator) return NULL;
  at++;
  while (isblank((unsigned char)*at)) at++;
  trim_end(at);
  return at;
}

bool pseudo_field(const char *root, const char *path, const char *name, char separator, char *value,
                  size_t room) {
  value[0] = '\0';
  FILE *file = pseudo_open(root, path);
  if (file == NULL) return false;
  char line[LINE_BYTES];
  bool found = false;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    const char *text = pseudo_value(line, name, separator);
    if (text == NULL) continue;
    snprintf(value, room, "%s", text);
    found = true;
  }
  fclose(file);
  return found;
}
