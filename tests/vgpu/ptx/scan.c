/*
 * PTX text cut into tokens: names (with dots, so that an opcode is one token), numbers, signs.
 */
#include "tests/vgpu/ptx/scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void scan_start(struct scanner *scanner, const char *text, struct error *error) {
  *scanner = (struct scanner){.at = text, .line = 1, .error = error};
  scan_next(scanner);
}

/* Blanks and comments. */
static void skip(struct scanner *scanner) {
  for (;;) {
    const char *at = scanner->at;
    if (*at == '\n') {
      scanner->line++;
      scanner->at++;
    } else if (isspace((unsigned char)*at)) {
      scanner->at++;
    } else if (at[0] == '/' && at[1] == '/') {
      scanner->at += strcspn(at, "\n");
    } else if (at[0] == '/' && at[1] == '*') {
      const char *end = strstr(at + 2, "*/");
      for (; *scanner->at && scanner->at != end; scanner->at++)
        if (*scanner->at == '\n') scanner->line++;
      if (end) scanner->at += 2;
    } else {
      return;
    }
  }
}

static bool name_starts(char c) {
  return isalpha((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

static bool name_goes_on(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || c == '%';
}

static int name_length(const char *at) {
  int n = 1;
  for (;;) {
    if (name_goes_on(at[n]))
      n++;
    else if (at[n] == ':' && at[n + 1] == ':') /* L1::no_allocate */
      n += 2;
    else
      return n;
  }
}

void scan_next(struct scanner *scanner) {
  skip(scanner);
  const char *at = scanner->at;
  struct token token = {TOKEN_SIGN, at, 1, scanner->line};
  if (*at == '\0') {
    token.kind = TOKEN_END;
    token.length = 0;
  } else if (isdigit((unsigned char)*at)) {
    token.kind = TOKEN_NUMBER;
    while (isalnum((unsigned char)at[token.length])) token.length++;
  } else if (name_starts(*at)) {
    token.kind = TOKEN_NAME;
    token.length = name_length(at);
  } else if (*at == '"') {
    token.kind = TOKEN_STRING;
    token.length = (int)strcspn(at + 1, "\"") + 2;
  }
  scanner->at = at + token.length;
  scanner->token = token;
}

bool token_is(const struct token *token, const char *text) {
  return strlen(text) == (size_t)token->length && memcmp(token->start, text, strlen(text)) == 0;
}

bool scan_take(struct scanner *scanner, const char *text) {
  if (!token_is(&scanner->token, text)) return false;
  scan_next(scanner);
  return true;
}

int scan_expect(struct scanner *scanner, const char *text) {
  if (scan_take(scanner, text)) return 0;
  return error_set(scanner->error, -EINVAL, "PTX line %d: '%s' expected, '%.*s' found",
                   scanner->token.line, text, scanner->token.length, scanner->token.start);
}

bool token_number(const struct token *token, uint64_t *value, bool *is_float) {
  if (token->kind != TOKEN_NUMBER || token->length > 40) return false;
  char text[48];
  memcpy(text, token->start, (size_t)token->length);
  text[token->length] = '\0';
  char *end = NULL;
  errno = 0;
  *is_float = text[0] == '0' &&
              (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D');
  *value = *is_float ? strtoull(text + 2, &end, 16) : strtoull(text, &end, 0);
  if (*end == 'U') end++;
  return *end == '\0' && errno == 0;
}

int scan_error(struct scanner *scanner, const char *what) {
  return error_set(scanner->error, -EINVAL, "PTX line %d: %s: '%.*s'", scanner->token.line, what,
                   scanner->token.length, scanner->token.start);
}
