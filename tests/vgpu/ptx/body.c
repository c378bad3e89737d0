/*
 * The body of a kernel: registers, variables, labels and instructions.
 *
 * Inline assembly brings blocks of its own with registers and labels of their own, so names are
 * looked up from the innermost block outwards. Statements are collected first and decoded when
 * the body has ended: only then is it known where dynamic shared memory starts.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
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

static bool same(const struct token *a, const char *name, int length) {
  return a->length == length && memcmp(a->start, name, (size_t)length) == 0;
}

/* ---- registers ------------------------------------------------------------------------- */

static int register_width(const struct token *type) {
  static const char *names[] = {".pred", ".b8",  ".u8",   ".s8",  ".b16", ".u16",
                                ".s16",  ".f16", ".bf16", ".b32", ".u32", ".s32",
                                ".f32",  ".b64", ".u64",  ".s64", ".f64"};
  static const int widths[] = {0, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (token_is(type, names[i])) return widths[i];
  return -1;
}

static int declare_registers(struct body *body) {
  struct scanner *scanner = body->scanner;
  int width = register_width(&scanner->token);
  if (width < 0) return scan_error(scanner, "unknown type of register");
  do {
    scan_next(scanner);
    if (body->n_registers == REGISTERS_MAX) return scan_error(scanner, "too many registers");
    struct registers *family = &body->registers[body->n_registers++];
    *family = (struct registers){scanner->token, body->scope, width, 0, 0};
    scan_next(scanner);
    if (scan_take(scanner, "<")) {
      uint64_t count;
      bool is_float;
      if (!token_number(&scanner->token, &count, &is_float) || count > 1000000)
        return scan_error(scanner, "number of registers expected");
      family->count = (int)count;
      scan_next(scanner);
      if (scan_expect(scanner, ">") < 0) return -EINVAL;
    }
    family->place = (int32_t)body->kernel->file_bytes;
    size_t n = family->count ? (size_t)family->count : 1;
    body->kernel->file_bytes += n * place_bytes(width);
    if (body->kernel->file_bytes >= PLACE_CONSTANT)
      return scan_error(scanner, "too many registers");
  } while (token_is(&scanner->token, ","));
  return scan_expect(scanner, ";");
}

/* Index in the family, or -1. */
static int64_t family_index(const struct registers *family, const struct token *name) {
  if (family->count == 0) return same(name, family->name.start, family->name.length) ? 0 : -1;
  int digits = name->length - family->name.length;
  if (digits <= 0 || digits > 7 ||
      memcmp(name->start, family->name.start, (size_t)family->name.length) != 0)
    return -1;
  int64_t index = 0;
  for (int i = family->name.length; i < name->length; i++) {
    if (!isdigit((unsigned char)name->start[i])) return -1;
    index = index * 10 + (name->start[i] - '0');
  }
  return index < family->count ? index : -1;
}

static bool find_register(const struct body *body, const struct token *name, struct item *item) {
  for (int scope = body->scope; scope >= 0; scope = body->parents[scope])
    for (int i = 0; i < body->n_registers; i++) {
      const struct registers *family = &body->registers[i];
      int64_t index = family->scope == scope ? family_index(family, name) : -1;
      if (index < 0) continue;
      item->kind = ITEM_REGISTER;
      item->width = family->width;
      item->place = family->place + (int32_t)index * (int32_t)place_bytes(family->width);
      return true;
    }
  return false;
}

static bool find_special(const struct token *name, struct item *item) {
  static const char *names[SPECIAL_COUNT] = {
      "%tid.x",          "%tid.y",       "%tid.z",
      "%ntid.x",         "%ntid.y",      "%ntid.z",
      "%ctaid.x",        "%ctaid.y",     "%ctaid.z",
      "%nctaid.x",       "%nctaid.y",    "%nctaid.z",
      "%laneid",         "%warpid",      "%smid",
      "%clock",          "%lanemask_lt", "%lanemask_le",
      "%lanemask_gt",    "%lanemask_ge", "%dynamic_smem_size",
      "%total_smem_size"};
  item->kind = ITEM_REGISTER;
  item->width = WIDTH_32;
  for (int i = 0; i < SPECIAL_COUNT; i++) {
    item->place = SPECIAL_PLACE(i);
    if (token_is(name, names[i])) return true;
  }
  item->width = WIDTH_64;
  item->place = SPECIAL_CLOCK64_PLACE;
  return token_is(name, "%clock64") || token_is(name, "%globaltimer");
}

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
  body->symbols[body->n_symbols++] = (struct symbol){
      variable.name.start, variable.name.length, space, *bytes, variable.bytes, false};
  *bytes += variable.bytes;
  return scan_expect(body->scanner, ";");
}

static const struct symbol *find_symbol(const struct body *body, const struct token *name) {
  for (int i = 0; i < body->n_symbols; i++)
    if (same(name, body->symbols[i].name, body->symbols[i].name_length)) return &body->symbols[i];
  for (size_t i = 0; i < body->module->n_symbols; i++) {
    const struct symbol *symbol = &body->module->symbols[i];
    if (same(name, symbol->name, symbol->name_length)) return symbol;
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

/* Dynamic shared memory starts where the static one ends, at 16 bytes or what is asked for. */
static void place_dynamic(struct body *body) {
  size_t *bytes = &body->kernel->info.shared_static_bytes;
  for (size_t i = 0; i < body->module->n_symbols; i++)
    if (body->module->symbols[i].unsized && body->module->symbols[i].space == SPACE_SHARED) {
      *bytes = round_up(*bytes, *bytes ? 128 : 1);
      body->module->symbols[i].address = 0;
      body->module->symbols[i].bytes = *bytes;
    }
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
