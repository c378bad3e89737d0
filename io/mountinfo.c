/*
 * Parses lines such as
 *
 *   36 35 98:0 /root /mnt/data rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue
 *
 * (proc(5)): id, parent, device, root, mount point, options, optional fields,
 * a dash, type, source, the filesystem's options. Blanks in names are "\040".
 */
#include "io/mountinfo.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Copies a field of `length` characters, octal escapes decoded, cut to fit. */
static void decode(char *to, size_t to_bytes, const char *from, size_t length) {
  size_t n = 0;
  for (size_t i = 0; i < length && n + 1 < to_bytes; i++) {
    const char *c = from + i;
    if (c[0] == '\\' && length - i >= 4 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
        c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
      to[n++] = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
      i += 3;
    } else {
      to[n++] = *c;
    }
  }
  to[n] = '\0';
}

/* The next blank-separated field of a line: its length, 0 at the line's end. *at moves past it. */
static size_t next_field(const char **at, const char **field) {
  while (**at == ' ') (*at)++;
  *field = *at;
  size_t length = strcspn(*at, " \n");
  *at += length;
  return length;
}

bool mountinfo_parse_line(const char *line, struct mount_entry *entry) {
  assert(line != NULL && entry != NULL);
  memset(entry, 0, sizeof *entry);
  const char *at = line, *field;
  size_t length = 0;
  char device[32];
  for (int i = 0; i < 6; i++) {
    length = next_field(&at, &field);
    if (length == 0) return false;
    if (i == 2) {
      decode(device, sizeof device, field, length);
      if (sscanf(device, "%u:%u", &entry->major_number, &entry->minor_number) != 2) return false;
    }
    if (i == 4) decode(entry->mount_point, sizeof entry->mount_point, field, length);
    if (i == 5) decode(entry->options, sizeof entry->options, field, length);
  }
  do { /* optional fields end with a lone dash */
    length = next_field(&at, &field);
    if (length == 0) return false;
  } while (length != 1 || *field != '-');
  length = next_field(&at, &field);
  if (length == 0) return false;
  decode(entry->filesystem, sizeof entry->filesystem, field, length);
  length = next_field(&at, &field);
  decode(entry->source, sizeof entry->source, field, length);
  length = next_field(&at, &field);
  size_t used = strlen(entry->options);
  if (length > 0 && used + 2 < sizeof entry->options) {
    entry->options[used] = ',';
    decode(entry->options + used + 1, sizeof entry->options - used - 1, field, length);
  }
  return true;
}

/* True where `path` is `mount_point` or below it. */
static bool is_on(const char *path, const char *mount_point) {
  size_t length = strlen(mount_point);
  if (length == 1 && mount_point[0] == '/') return true;
  return strncmp(path, mount_point, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool mountinfo_find(const char *text, const char *path, struct mount_entry *entry) {
  assert(text != NULL && path != NULL);
  size_t longest = 0;
  struct mount_entry candidate;
  for (const char *line = text; *line != '\0';) {
    if (mountinfo_parse_line(line, &candidate) && is_on(path, candidate.mount_point) &&
        strlen(candidate.mount_point) >= longest) {
      longest = strlen(candidate.mount_point);
      *entry = candidate;
    }
    line += strcspn(line, "\n");
    if (*line == '\n') line++;
  }
  return longest > 0;
}

bool mountinfo_option(const char *options, const char *key, char *value, int value_bytes) {
  size_t key_length = strlen(key);
  for (const char *at = options; *at != '\0';) {
    size_t length = strcspn(at, ",");
    if (length > key_length && strncmp(at, key, key_length) == 0 && at[key_length] == '=') {
      size_t value_length = length - key_length - 1;
      if (value_length >= (size_t)value_bytes) return false;
      memcpy(value, at + key_length + 1, value_length);
      value[value_length] = '\0';
      return true;
    }
    at += length;
    if (*at == ',') at++;
  }
  return false;
}
