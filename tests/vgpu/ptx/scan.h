/*
 * PTX text cut into tokens.
 */
#ifndef REFILL_TESTS_VGPU_PTX_SCAN_H
#define REFILL_TESTS_VGPU_PTX_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN };

struct token {
  enum token_kind kind;
  const char *start;
  int length;
  int line;
};

struct scanner {
  const char *at;
  int line;
  struct token token; /* the one that is looked at */
  struct error *error;
};

void scan_start(struct scanner *scanner, const char *text, struct error *error);

/* Moves on to the next token. */
void scan_next(struct scanner *scanner);

/* Moves on where the token is `text`; whether it was. */
bool scan_take(struct scanner *scanner, const char *text);

/* Requires it: 0, or -EINVAL. */
int scan_expect(struct scanner *scanner, const char *text);

bool token_is(const struct token *token, const char *text);

/* Value of a number token: decimal, 0x, 0f and 0d; false where it is none. */
bool token_number(const struct token *token, uint64_t *value, bool *is_float);

/* Records "line N: ..." and returns -EINVAL. */
int scan_error(struct scanner *scanner, const char *what);

#endif
