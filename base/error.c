/*
 * The sentence that travels up with a negative errno. The first failure is
 * kept: what fails after it is usually its consequence, and the reader of one
 * sentence is best served by the cause.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sentence is one line: what a format brought in (a path, a driver's text)
 * must not break a table or a log. */
static void flatten(char *text) {
  for (; *text; text++) {
    if (*text == '\n' || *text == '\r' || *text == '\t') *text = ' ';
  }
}

int error_set(struct error *error, int code, const char *format, ...) {
  if (!error || error->code != 0) return code;
  error->code = code;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  flatten(error->message);
  return code;
}

int error_prefix(struct error *error, const char *format, ...) {
  if (!error) return -EIO;
  char text[sizeof(error->message)];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  if (length < 0) return error->code;

  size_t used = strlen(text);
  snprintf(text + used, sizeof(text) - used, ": %.*s", (int)(sizeof(text) - used), error->message);
  flatten(text);
  memcpy(error->message, text, sizeof(text));
  return error->code;
}

void error_clear(struct error *error) {
  if (!error) return;
  error->code = 0;
  error->message[0] = '\0';
}
