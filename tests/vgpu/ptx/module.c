/*
 * The outside of a PTX module: directives, variables, kernels and their parameters.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/ptx/program.h"

/* Bytes of a type directive, 0 for none. */
static size_t type_bytes(const struct token *token) {
  static const struct {
    const char *name;
    size_t bytes;
  } types[] = {{".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2},
               {".s16", 2}, {".f16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4},
               {".f32", 4}, {".b64", 8}, {".u64", 8}, {".s64", 8}, {".f64", 8}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (token_is(token, types[i].name)) return types[i].bytes;
  return 0;
}

static int number(struct scanner *scanner, uint64_t *value) {
  bool negative = scan_take(scanner, "-"), is_float;
  if (!token_number(&scanner->token, value, &is_float))
    return scan_error(scanner, "a number is expected");
  if (negative) *value = 0 - *value;
  scan_next(scanner);
  return 0;
}

static int initial_values(struct scanner *scanner, struct variable *variable, size_t element) {
  variable->initial = calloc(variable->bytes ? variable->bytes : 1, 1);
  if (!variable->initial) return -ENOMEM;
  bool braces = scan_take(scanner, "{");
  for (size_t at = 0;; at += element) {
    uint64_t value;
    int code = number(scanner, &value);
    if (code < 0) return code;
    if (at + element > variable->bytes) return scan_error(scanner, "too many initial values");
    memcpy(variable->initial + at, &value, element);
    if (!braces || !scan_take(scanner, ",")) break;
  }
  return braces ? scan_expect(scanner, "}") : 0;
}

int variable_parse(struct scanner *scanner, struct variable *variable) {
  *variable = (struct variable){.align = 0};
  uint64_t value;
  if (scan_take(scanner, ".align")) {
    if (number(scanner, &value) < 0) return -EINVAL;
    variable->align = value;
  }
  size_t element = type_bytes(&scanner->token);
  if (element == 0) return scan_error(scanner, "a type is expected");
  if (variable->align == 0) variable->align = element;
  scan_next(scanner);
  variable->name = scanner->token;
  scan_next(scanner);
  size_t count = 1;
  while (scan_take(scanner, "[")) {
    if (scan_take(scanner, "]")) {
      variable->unsized = true;
      count = 0;
      continue;
    }
    if (number(scanner, &value) < 0) return -EINVAL;
    count *= value;
    if (scan_expect(scanner, "]") < 0) return -EINVAL;
  }
  variable->bytes = count * element;
  return scan_take(scanner, "=") ? initial_values(scanner, variable, element) : 0;
}

static int allocate(struct scanner *scanner, struct ptx_module *module, struct symbol *symbol,
                    const struct variable *variable) {
  if (module->arena)
    symbol->address = arena_alloc(module->arena, variable->bytes, symbol->space == SPACE_CONST);
  if (symbol->address == 0) return scan_error(scanner, "no memory for a variable");
  unsigned char *data = arena_data(module->arena, symbol->address);
  if (variable->initial) memcpy(data, variable->initial, variable->bytes);
  arena_mark(module->arena, symbol->address, variable->bytes);
  return 0;
}

/* A variable outside of functions. A shared one gets its address in each kernel that uses it. */
static int module_variable(struct scanner *scanner, struct ptx_module *module, enum space space) {
  struct variable variable;
  int code = variable_parse(scanner, &variable);
  if (code == 0) code = scan_expect(scanner, ";");
  if (code == 0 && module->n_symbols == SYMBOLS_MAX)
    code = scan_error(scanner, "too many variables");
  if (code == 0) {
    struct symbol *symbol = &module->symbols[module->n_symbols++];
    *symbol = (struct symbol){.name = variable.name.start,
                              .name_length = variable.name.length,
                              .space = space,
                              .bytes = variable.bytes,
                              .unsized = variable.unsized,
                              .align = variable.align};
    if (space != SPACE_SHARED) code = allocate(scanner, module, symbol, &variable);
  }
  free(variable.initial);
  return code;
}

static int kernel_parameters(struct scanner *scanner, struct ptx_kernel *kernel,
                             struct symbol *symbols) {
  struct ptx_kernel_info *info = &kernel->info;
  if (!scan_take(scanner, "(")) return 0;
  while (!scan_take(scanner, ")")) {
    if (scan_expect(scanner, ".param") < 0) return -EINVAL;
    struct variable variable;
    int code = variable_parse(scanner, &variable);
    if (code < 0) return code;
    if (info->n_parameters == PTX_PARAMETERS_MAX) return scan_error(scanner, "too many parameters");
    size_t offset = (info->parameter_bytes + variable.align - 1) / variable.align * variable.align;
    symbols[info->n_parameters] = (struct symbol){.name = variable.name.start,
                                                  .name_length = variable.name.length,
                                                  .space = SPACE_PARAM,
                                                  .address = offset,
                                                  .bytes = variable.bytes};
    info->parameters[info->n_parameters++] = (struct ptx_parameter){offset, variable.bytes};
    info->parameter_bytes = offset + variable.bytes;
    scan_take(scanner, ",");
  }
  return 0;
}

/* .maxntid and its kin, up to the body. */
static int kernel_directives(struct scanner *scanner, struct ptx_kernel *kernel) {
  while (!token_is(&scanner->token, "{")) {
    bool required = token_is(&scanner->token, ".reqntid");
    bool bounds = required || token_is(&scanner->token, ".maxntid");
    if (!bounds && !token_is(&scanner->token, ".minnctapersm") &&
        !token_is(&scanner->token, ".maxnreg"))
      return scan_error(scanner, "unknown directive of a kernel");
    scan_next(scanner);
    unsigned values[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++) {
      uint64_t value;
      if (number(scanner, &value) < 0) return -EINVAL;
      values[i] = (unsigned)value;
      if (!scan_take(scanner, ",")) break;
    }
    if (!bounds) continue;
    kernel->info.block_required = required;
    memcpy(kernel->info.block_max, values, sizeof values);
  }
  return 0;
}

static int module_kernel(struct scanner *scanner, struct ptx_module *module) {
  struct ptx_kernel *kernel = calloc(1, sizeof *kernel);
  struct ptx_kernel **kernels =
      realloc(module->kernels, (module->n_kernels + 1) * sizeof(struct ptx_kernel *));
  if (kernels) module->kernels = kernels;
  if (!kernel || !kernels) {
    free(kernel);
    return error_set(scanner->error, -ENOMEM, "no memory for a kernel");
  }
  module->kernels[module->n_kernels++] = kernel;
  snprintf(kernel->name, sizeof kernel->name, "%.*s", scanner->token.length, scanner->token.start);
  kernel->info.name = kernel->name;
  scan_next(scanner);
  struct symbol parameters[PTX_PARAMETERS_MAX];
  int code = kernel_parameters(scanner, kernel, parameters);
  if (code == 0) code = kernel_directives(scanner, kernel);
  if (code == 0) code = body_parse(scanner, module, kernel, parameters, kernel->info.n_parameters);
  if (code < 0) error_prefix(scanner->error, "kernel %s", kernel->name);
  return code;
}

static int module_directive(struct scanner *scanner, struct ptx_module *module) {
  while (scan_take(scanner, ".visible") || scan_take(scanner, ".extern") ||
         scan_take(scanner, ".weak")) {
  }
  if (scan_take(scanner, ".version") || scan_take(scanner, ".address_size")) {
    scan_next(scanner); /* "9.0": a number and a name */
    while (scanner->token.kind == TOKEN_NUMBER ||
           (scanner->token.kind == TOKEN_NAME && isdigit((unsigned char)scanner->token.start[1])))
      scan_next(scanner);
    return 0;
  }
  if (scan_take(scanner, ".target")) {
    do scan_next(scanner);
    while (scan_take(scanner, ","));
    return 0;
  }
  if (scan_take(scanner, ".shared")) return module_variable(scanner, module, SPACE_SHARED);
  if (scan_take(scanner, ".global")) return module_variable(scanner, module, SPACE_GLOBAL);
  if (scan_take(scanner, ".const")) return module_variable(scanner, module, SPACE_CONST);
  if (scan_take(scanner, ".entry")) return module_kernel(scanner, module);
  return scan_error(scanner, "unknown directive");
}

int ptx_module_open(struct ptx_module **opened, const char *text, struct arena *arena,
                    struct error *error) {
  struct ptx_module *module = calloc(1, sizeof *module);
  *opened = module;
  if (module) {
    module->text = strdup(text);
    module->symbols = calloc(SYMBOLS_MAX, sizeof *module->symbols);
    module->arena = arena;
  }
  if (!module || !module->text || !module->symbols) {
    ptx_module_close(module);
    *opened = NULL;
    return error_set(error, -ENOMEM, "no memory for a PTX module");
  }
  struct scanner scanner;
  scan_start(&scanner, module->text, error);
  int code = 0;
  while (code == 0 && scanner.token.kind != TOKEN_END) code = module_directive(&scanner, module);
  if (code == 0) return 0;
  ptx_module_close(module);
  *opened = NULL;
  return code;
}

void ptx_module_close(struct ptx_module *module) {
  if (!module) return;
  for (size_t i = 0; i < module->n_kernels; i++) {
    free(module->kernels[i]->code);
    free(module->kernels[i]->constants);
    free(module->kernels[i]);
  }
  for (size_t i = 0; i < module->n_symbols; i++)
    if (module->symbols[i].address) arena_free(module->arena, module->symbols[i].address);
  free(module->kernels);
  free(module->symbols);
  free(module->text);
  free(module);
}

const struct ptx_kernel *ptx_kernel_find(const struct ptx_module *module, const char *name) {
  for (size_t i = 0; i < module->n_kernels; i++)
    if (strcmp(module->kernels[i]->name, name) == 0) return module->kernels[i];
  return NULL;
}

const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *module, size_t index) {
  return index < module->n_kernels ? module->kernels[index] : NULL;
}

const struct ptx_kernel_info *ptx_kernel_info(const struct ptx_kernel *kernel) {
  return &kernel->info;
}

bool ptx_variable_find(const struct ptx_module *module, const char *name, uint64_t *address,
                       size_t *bytes) {
  for (size_t i = 0; i < module->n_symbols; i++) {
    const struct symbol *symbol = &module->symbols[i];
    struct token token = {TOKEN_NAME, symbol->name, symbol->name_length, 0};
    if (symbol->space == SPACE_SHARED || !token_is(&token, name)) continue;
    *address = symbol->address;
    *bytes = symbol->bytes;
    return true;
  }
  return false;
}
