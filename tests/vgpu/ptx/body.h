/*
 * A kernel's body while it is parsed.
 */
#ifndef REFILL_TESTS_VGPU_PTX_BODY_H
#define REFILL_TESTS_VGPU_PTX_BODY_H

#include <string.h>

#include "tests/vgpu/ptx/program.h"

#define SCOPES_MAX 4096
#define REGISTERS_MAX 4096
#define BODY_SYMBOLS_MAX 512

/* ".reg .b32 %r<100>": a family of names; or one name. */
struct registers {
  struct token name;       /* without the number */
  int scope, width, count; /* count 0: one register of exactly this name */
  int32_t place;
};

struct body {
  struct scanner *scanner;
  struct ptx_module *module;
  struct ptx_kernel *kernel;
  int parents[SCOPES_MAX];
  int n_scopes, scope;
  struct registers *registers;
  int n_registers;
  struct symbol *symbols;
  int n_symbols;
  struct label *labels;
  int n_labels, labels_room;
  struct statement *statements;
  int n_statements, statements_room;
};

static inline bool same(const struct token *a, const char *name, int length) {
  return a->length == length && memcmp(a->start, name, (size_t)length) == 0;
}

/* registers.c: ".reg" up to its semicolon. */
int declare_registers(struct body *body);

/* The register of this name as seen from the innermost block. */
bool find_register(const struct body *body, const struct token *name, struct item *item);

/* %tid.x and its kin. */
bool find_special(const struct token *name, struct item *item);

#endif
