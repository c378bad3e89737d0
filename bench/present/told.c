/*
 * A file of lines, read to its end and added to: see told.h.
 */
#include "bench/present/told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool told_before(const char *line) {
  const char *path = getenv("REFILL_TOLD");
  FILE *stream = path && path[0] ? fopen(path, "r+e") : NULL; /* the script's: never made here */
  if (!stream) return false;
  char *text = NULL;
  size_t room = 0;
  bool found = false;
  for (ssize_t n; !found && (n = getline(&text, &room, stream)) > 0;) {
    if (text[n - 1] == '\n') text[n - 1] = '\0';
    found = strcmp(text, line) == 0;
  }
  free(text);
  if (!found) fprintf(stream, "%s\n", line);
  fclose(stream);
  return found;
}
