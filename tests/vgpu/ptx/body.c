/*
 * The body of a kernel: registers, variables, labels and instructions.
 *
 * Inline assembly brings blocks of its own with registers and labels of their own, so names are
 * looked up from the innermost block outwards. Statements are collected first and decoded when
 * the body has ended: only then is it known where dynamic shared memory starts.
 */
#include "tests/vgpu/ptx/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- variables ------------------------------------------------------------------------- */

static size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static int declare_variable(struct body *body, enum space space) {
  struct variable variable;
  int code = variable_parse(body->scanner, &variable);
  free(variable.initial);
  if (code < 0) return code;
  if (variable.unsized || body->n_symbols == BODY_SYMBOLS_MAX)
    return scan_error(body->scanner, "unsized array, or too many variables");
  struct ptx_kernel_info *info = &body->kernel->info;
  size_t *bytes = space == SPACE_SHARED ? &info->shared_static_bytes : &info->local_bytes;
  *bytes = round_up(*bytes, variable.align);
  body->symbols[body->n_symbols++] = (struct symbol){.name = variable.name.start,
                                                     .name_length = variable.name.length,
                                                     .space = space,
                                                     .address = *bytes,
                                                     .bytes = variable.bytes};
  *bytes += variable.bytes;
  return scan_expect(body->scanner, ";");
}

/* A shared array of the module is given room in the kernels that use it. */
static const struct symbol *adopt(struct body *body, const struct symbol *symbol) {
  if (symbol->space != SPACE_SHARED || symbol->unsized) return symbol;
  if (body->n_symbols == BODY_SYMBOLS_MAX) return NULL;
  size_t *bytes = &body->kernel->info.shared_static_bytes;
  struct symbol *own = &body->symbols[body->n_symbols++];
  *own = *symbol;
  own->address = *bytes = round_up(*bytes, symbol->align);
  *bytes += symbol->bytes;
  return own;
}

static const struct symbol *find_symbol(struct body *body, const struct token *name) {
  for (int i = 0; i < body->n_symbols; i++)
    if (same(name, body->symbols[i].name, body->symbols[i].name_length)) return &body->symbols[i];
  for (size_t i = 0; i < body->module->n_symbols; i++) {
    const struct symbol *symbol = &body->module->symbols[i];
    if (same(name, symbol->name, symbol->name_length)) return adopt(body, symbol);
  }
  return NULL;
}

/* ---- statements ------------------------------------------------------------------------ */

static int parse_number(struct body *body, struct item *item, bool negative) {
  if (!token_number(&body->scanner->token, &item->value, &item->is_float))
    return scan_error(body->scanner, "operand expected");
  if (negative) item->value = 0 - item->value;
  item->kind = ITEM_IMMEDIATE;
  scan_next(body->scanner);
  return 0;
}

static int parse_item(struct body *body, struct statement *statement) {
  struct scanner *scanner = body->scanner;
  if (statement->n_items == OPERANDS_MAX) return scan_error(scanner, "too many operands");
  struct item *item = &statement->items[statement->n_items++];
  *item = (struct item){.kind = ITEM_SINK};
  if (scan_take(scanner, "-")) return parse_number(body, item, true);
  item->negated = scan_take(scanner, "!");
  const struct token *token = &scanner->token;
  if (token->kind != TOKEN_NAME) return parse_number(body, item, false);
  if (token_is(token, "_")) {
    item->place = SINK_PLACE;
  } else if (token_is(token, "WARP_SZ")) {
    item->kind = ITEM_IMMEDIATE;
    item->value = LANES;
  } else if (!find_register(body, token, item) && !find_special(token, item)) {
    item->symbol = find_symbol(body, token);
    item->kind = item->symbol ? ITEM_SYMBOL : ITEM_LABEL;
    item->label = *token;
  }
  scan_next(scanner);
  return 0;
}

/* [item], [item+4], [item+-4]. */
static int parse_address(struct body *body, struct statement *statement, struct group *group) {
  group->address = true;
  int code = parse_item(body, statement);
  if (code == 0 && scan_take(body->scanner, "+")) {
    struct item offset;
    code = parse_number(body, &offset, scan_take(body->scanner, "-"));
    group->offset = (int64_t)offset.value;
  }
  return code < 0 ? code : scan_expect(body->scanner, "]");
}

static int parse_group(struct body *body, struct statement *statement) {
  struct scanner *scanner = body->scanner;
  if (statement->n_groups == GROUPS_MAX) return scan_error(scanner, "too many operands");
  struct group *group = &statement->groups[statement->n_groups++];
  *group = (struct group){.first = statement->n_items};
  int code = 0;
  if (scan_take(scanner, "[")) {
    code = parse_address(body, statement, group);
  } else if (scan_take(scanner, "{")) {
    do code = parse_item(body, statement);
    while (code == 0 && scan_take(scanner, ","));
    if (code == 0) code = scan_expect(scanner, "}");
  } else {
    code = parse_item(body, statement);
    if (code == 0 && scan_take(scanner, "|")) {
      group->pair = true;
      code = parse_item(body, statement);
    }
  }
  group->count = statement->n_items - group->first;
  return code;
}

static struct statement *new_statement(struct body *body) {
  if (body->n_statements == body->statements_room) {
    int room = body->statements_room ? body->statements_room * 2 : 256;
    struct statement *grown = realloc(body->statements, (size_t)room * sizeof *grown);
    if (!grown) return NULL;
    body->statements = grown;
    body->statements_room = room;
  }
  struct statement *statement = &body->statements[body->n_statements++];
  *statement = (struct statement){.scope = body->scope, .predicate = -1};
  return statement;
}

static int parse_instruction(struct body *body) {
  struct scanner *scanner = body->scanner;
  struct statement *statement = new_statement(body);
  if (!statement) return error_set(scanner->error, -ENOMEM, "no memory for a kernel");
  if (scan_take(scanner, "@")) {
    statement->negated = scan_take(scanner, "!");
    struct item item;
    if (!find_register(body, &scanner->token, &item) || item.width != WIDTH_PREDICATE)
      return scan_error(scanner, "a predicate is expected");
    statement->predicate = item.place;
    scan_next(scanner);
  }
  statement->opcode = scanner->token;
  scan_next(scanner);
  int code = 0;
  if (token_is(&scanner->token, ";")) return scan_expect(scanner, ";");
  do code = parse_group(body, statement);
  while (code == 0 && scan_take(scanner, ","));
  return code < 0 ? code : scan_expect(scanner, ";");
}

static int add_label(struct body *body, struct token name) {
  if (body->n_labels == body->labels_room) {
    int room = body->labels_room ? body->labels_room * 2 : 64;
    struct label *grown = realloc(body->labels, (size_t)room * sizeof *grown);
    if (!grown) return error_set(body->scanner->error, -ENOMEM, "no memory for a kernel");
    body->labels = grown;
    body->labels_room = room;
  }
  body->labels[body->n_labels++] = (struct label){name, body->scope, body->n_statements};
  return 0;
}

/* ".loc 1 2 3" ends with its line. */
static void skip_line(struct scanner *scanner) {
  int line = scanner->token.line;
  while (scanner->token.kind != TOKEN_END && scanner->token.line == line) scan_next(scanner);
}

static int parse_directive(struct body *body) {
  struct scanner *scanner = body->scanner;
  if (scan_take(scanner, ".reg")) return declare_registers(body);
  if (scan_take(scanner, ".local")) return declare_variable(body, SPACE_LOCAL);
  if (scan_take(scanner, ".shared")) return declare_variable(body, SPACE_SHARED);
  if (token_is(&scanner->token, ".loc")) {
    skip_line(scanner);
    return 0;
  }
  if (scan_take(scanner, ".pragma")) {
    scan_next(scanner);
    return scan_expect(scanner, ";");
  }
  return scan_error(scanner, "unknown directive");
}

static int parse_one(struct body *body) {
  struct scanner *scanner = body->scanner;
  if (scan_take(scanner, ";")) return 0;
  if (token_is(&scanner->token, "@")) return parse_instruction(body);
  if (scanner->token.kind != TOKEN_NAME) return scan_error(scanner, "instruction expected");
  if (scanner->token.start[0] == '.') return parse_directive(body);
  if (*scanner->at == ':') {
    struct token name = scanner->token;
    scan_next(scanner);
    scan_next(scanner);
    return add_label(body, name);
  }
  return parse_instruction(body);
}

static int parse_block(struct body *body) {
  int code = scan_expect(body->scanner, "{");
  if (body->n_scopes == SCOPES_MAX) return scan_error(body->scanner, "too many blocks");
  body->parents[body->n_scopes] = body->scope;
  body->scope = body->n_scopes++;
  while (code == 0 && !token_is(&body->scanner->token, "}"))
    code = token_is(&body->scanner->token, "{") ? parse_block(body) : parse_one(body);
  body->scope = body->parents[body->scope];
  if (code < 0) return code;
  /* The outermost '}' ends the kernel: what follows belongs to the module. */
  scan_next(body->scanner);
  return 0;
}

/* ---- the whole ------------------------------------------------------------------------- */

static int resolve(struct body *body, const struct statement *statement, struct insn *insn) {
  const struct token *name = &statement->items[0].label;
  for (int scope = statement->scope; scope >= 0; scope = body->parents[scope])
    for (int i = 0; i < body->n_labels; i++)
      if (body->labels[i].scope == scope &&
          same(name, body->labels[i].name.start, body->labels[i].name.length)) {
        insn->target = body->labels[i].target;
        return 0;
      }
  return error_set(body->scanner->error, -EINVAL, "PTX line %d: unknown label '%.*s'", insn->line,
                   name->length, name->start);
}

static int decode_all(struct body *body) {
  struct ptx_kernel *kernel = body->kernel;
  /* One more than there are statements: running off the end is a return. */
  kernel->code = calloc((size_t)body->n_statements + 1, sizeof *kernel->code);
  if (!kernel->code) return error_set(body->scanner->error, -ENOMEM, "no memory for a kernel");
  kernel->n_code = body->n_statements;
  kernel->info.n_instructions = (size_t)body->n_statements;
  for (int i = 0; i < body->n_statements; i++) {
    int code = decode(kernel, &body->statements[i], &kernel->code[i], body->scanner->error);
    if (code == 0 && kernel->code[i].branches)
      code = resolve(body, &body->statements[i], &kernel->code[i]);
    if (code < 0) return code;
  }
  return 0;
}

/* Dynamic shared memory starts where the static one ends. */
static void place_dynamic(struct body *body) {
  size_t *bytes = &body->kernel->info.shared_static_bytes;
  for (size_t i = 0; i < body->module->n_symbols; i++)
    if (body->module->symbols[i].unsized) *bytes = round_up(*bytes, body->module->symbols[i].align);
}

int body_parse(struct scanner *scanner, struct ptx_module *module, struct ptx_kernel *kernel,
               const struct symbol *parameters, int n_parameters) {
  struct body *body = calloc(1, sizeof *body);
  if (!body) return error_set(scanner->error, -ENOMEM, "no memory for a kernel");
  *body = (struct body){.scanner = scanner, .module = module, .kernel = kernel, .scope = -1};
  kernel->file_bytes = FIRST_PLACE;
  body->registers = calloc(REGISTERS_MAX, sizeof *body->registers);
  body->symbols = calloc(BODY_SYMBOLS_MAX, sizeof *body->symbols);
  int code = -ENOMEM;
  if (body->registers && body->symbols) {
    memcpy(body->symbols, parameters, (size_t)n_parameters * sizeof *parameters);
    body->n_symbols = n_parameters;
    code = parse_block(body);
    if (code == 0) {
      place_dynamic(body);
      code = decode_all(body);
    }
  }
  free(body->registers);
  free(body->symbols);
  free(body->labels);
  free(body->statements);
  free(body);
  return code;
}
