/*
 * Registers: families of names with a number each, and where their lanes are.
 */
#include <ctype.h>
#include <errno.h>

#include "tests/vgpu/ptx/body.h"

static int register_width(const struct token *type) {
  static const char *names[] = {".pred", ".b8",  ".u8",   ".s8",  ".b16", ".u16",
                                ".s16",  ".f16", ".bf16", ".b32", ".u32", ".s32",
                                ".f32",  ".b64", ".u64",  ".s64", ".f64"};
  static const int widths[] = {0, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (token_is(type, names[i])) return widths[i];
  return -1;
}

int declare_registers(struct body *body) {
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

bool find_register(const struct body *body, const struct token *name, struct item *item) {
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

bool find_special(const struct token *name, struct item *item) {
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
