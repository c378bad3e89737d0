/*
 * From a statement to an instruction: who decodes what, and the operands.
 */
#include "tests/vgpu/ptx/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int refuse(struct decoder *decoder, const char *what) {
  const struct token *opcode = &decoder->statement->opcode;
  return error_set(decoder->error, -EINVAL, "PTX line %d: %s: %.*s", opcode->line, what,
                   decoder->insn->text_length, opcode->start);
}

bool opcode_is(const struct decoder *decoder, const char *name) {
  return token_is(&decoder->parts[0], name);
}

bool take(struct decoder *decoder, const char *part) {
  for (int i = 1; i < decoder->n_parts; i++)
    if (!decoder->taken[i] && token_is(&decoder->parts[i], part)) {
      decoder->taken[i] = true;
      return true;
    }
  return false;
}

int all_taken(struct decoder *decoder) {
  for (int i = 1; i < decoder->n_parts; i++)
    if (!decoder->taken[i])
      return error_set(decoder->error, -EINVAL, "PTX line %d: unknown modifier '%.*s': %.*s",
                       decoder->insn->line, decoder->parts[i].length, decoder->parts[i].start,
                       decoder->insn->text_length, decoder->insn->text);
  return 1;
}

bool scalar_type(const struct token *part, char *kind, int *bits) {
  if (part->length < 2 || part->length > 3 || !strchr("usfb", part->start[0])) return false;
  int value = 0;
  for (int i = 1; i < part->length; i++) {
    if (part->start[i] < '0' || part->start[i] > '9') return false;
    value = value * 10 + (part->start[i] - '0');
  }
  *kind = part->start[0];
  *bits = value;
  return value == 8 || value == 16 || value == 32 || value == 64;
}

int take_type(struct decoder *decoder, char *kind, int *bits) {
  int last = decoder->n_parts - 1;
  if (decoder->taken[last] || !scalar_type(&decoder->parts[last], kind, bits))
    return refuse(decoder, "type not supported");
  decoder->taken[last] = true;
  return 0;
}

const struct item *single(struct decoder *decoder, int group) {
  const struct statement *statement = decoder->statement;
  if (group < statement->n_groups && statement->groups[group].count == 1 &&
      !statement->groups[group].address)
    return &statement->items[statement->groups[group].first];
  refuse(decoder, "wrong operands");
  return NULL;
}

/* ---- constants ------------------------------------------------------------------------- */

static void spread(unsigned char *lanes, uint64_t value, int width) {
  for (int lane = 0; lane < LANES; lane++)
    memcpy(lanes + (size_t)lane * (size_t)width, &value, (size_t)width);
}

/* Finds the same constant, so that the pool stays in the cache. Slots are of 256 bytes. */
int constant(struct decoder *decoder, uint64_t value, int width, int32_t *place) {
  struct ptx_kernel *kernel = decoder->kernel;
  unsigned char lanes[256] = {0};
  spread(lanes, value, width);
  for (size_t at = 0; at < kernel->constants_bytes; at += sizeof lanes)
    if (memcmp(kernel->constants + at, lanes, sizeof lanes) == 0) {
      *place = (int32_t)at | PLACE_CONSTANT;
      return 0;
    }
  if (kernel->constants_bytes + sizeof lanes > kernel->constants_room) {
    size_t room = kernel->constants_room ? kernel->constants_room * 2 : 64 * sizeof lanes;
    unsigned char *grown = aligned_alloc(64, room);
    if (!grown) return error_set(decoder->error, -ENOMEM, "no memory for constants");
    if (kernel->constants_bytes) memcpy(grown, kernel->constants, kernel->constants_bytes);
    free(kernel->constants);
    kernel->constants = grown;
    kernel->constants_room = room;
  }
  memcpy(kernel->constants + kernel->constants_bytes, lanes, sizeof lanes);
  *place = (int32_t)kernel->constants_bytes | PLACE_CONSTANT;
  kernel->constants_bytes += sizeof lanes;
  return 0;
}

uint64_t symbol_address(const struct decoder *decoder, const struct symbol *symbol) {
  return symbol->unsized ? decoder->kernel->info.shared_static_bytes : symbol->address;
}

int input(struct decoder *decoder, const struct item *item, int width, int32_t *place) {
  if (!item) return -EINVAL;
  if (item->negated) return refuse(decoder, "negated operand not supported here");
  switch (item->kind) {
  case ITEM_REGISTER:
    if (item->width != width) return refuse(decoder, "register of another width expected");
    *place = item->place;
    return 0;
  case ITEM_IMMEDIATE:
    return constant(decoder, item->value, width, place);
  case ITEM_SYMBOL:
    return constant(decoder, symbol_address(decoder, item->symbol), width, place);
  case ITEM_LABEL:
    return refuse(decoder, "unknown name");
  case ITEM_SINK:
    break;
  }
  return refuse(decoder, "input expected");
}

int result(struct decoder *decoder, const struct item *item, int width, int32_t *place) {
  if (!item) return -EINVAL;
  if (item->kind != ITEM_SINK && item->kind != ITEM_REGISTER)
    return refuse(decoder, "register expected");
  if (item->kind == ITEM_REGISTER && (item->width != width || item->place < SINK_PLACE))
    return refuse(decoder, "register of another width expected");
  *place = item->place;
  return 0;
}

int address(struct decoder *decoder, int group) {
  const struct statement *statement = decoder->statement;
  struct insn *insn = decoder->insn;
  if (group >= statement->n_groups || !statement->groups[group].address)
    return refuse(decoder, "address expected");
  const struct item *item = &statement->items[statement->groups[group].first];
  insn->offset = statement->groups[group].offset;
  insn->address_wide = item->kind != ITEM_REGISTER || item->width == WIDTH_64;
  return input(decoder, item, insn->address_wide ? WIDTH_64 : WIDTH_32, &insn->s[0]);
}

/* ---- arithmetic ------------------------------------------------------------------------ */

static int letter_width(char letter) {
  return letter == 'h' ? WIDTH_16 : letter == 'w' ? WIDTH_32 : letter == 'd' ? WIDTH_64 : 0;
}

static const struct alu_row *find_row(const struct token *opcode) {
  const struct alu_row *(*const tables[])(size_t *) = {alu_int_rows, alu_bit_rows, alu_float_rows,
                                                       alu_half_rows};
  for (size_t table = 0; table < sizeof tables / sizeof *tables; table++) {
    size_t n;
    const struct alu_row *rows = tables[table](&n);
    for (size_t i = 0; i < n; i++)
      if (token_is(opcode, rows[i].opcode)) return &rows[i];
  }
  return NULL;
}

int decode_alu(struct decoder *decoder) {
  const struct alu_row *row = find_row(&decoder->statement->opcode);
  if (!row) return 0;
  struct insn *insn = decoder->insn;
  insn->run = run_alu;
  insn->by.alu = row->run;
  insn->width = (uint8_t)letter_width(row->out);
  insn->n_inputs = (uint8_t)strlen(row->in);
  if (decoder->statement->n_groups != insn->n_inputs + 1)
    return refuse(decoder, "wrong number of operands");
  int code = result(decoder, single(decoder, 0), insn->width, &insn->d[0]);
  for (int i = 0; code == 0 && i < insn->n_inputs; i++)
    code = input(decoder, single(decoder, i + 1), letter_width(row->in[i]), &insn->s[i]);
  return code < 0 ? code : 1;
}

/* ---- the whole ------------------------------------------------------------------------- */

static void split(struct decoder *decoder) {
  const struct token *opcode = &decoder->statement->opcode;
  struct token part = {TOKEN_NAME, opcode->start, 0, opcode->line};
  for (int i = 0; i <= opcode->length; i++) {
    if (i < opcode->length && opcode->start[i] != '.') {
      part.length++;
      continue;
    }
    if (decoder->n_parts < PARTS_MAX) decoder->parts[decoder->n_parts++] = part;
    part.start = opcode->start + i + 1;
    part.length = 0;
  }
}

int decode(struct ptx_kernel *kernel, const struct statement *statement, struct insn *insn,
           struct error *error) {
  static const family_fn families[] = {
      decode_alu,     decode_move, decode_memory, decode_compare, decode_convert,
      decode_control, decode_warp, decode_matrix, decode_async,   decode_atomic};
  struct decoder decoder = {.kernel = kernel, .statement = statement, .insn = insn, .error = error};
  *insn = (struct insn){.predicate = statement->predicate,
                        .negated = statement->negated,
                        .line = statement->opcode.line,
                        .text = statement->opcode.start,
                        .text_length = (int)strcspn(statement->opcode.start, ";\n")};
  split(&decoder);
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    int code = families[i](&decoder);
    if (code != 0) return code < 0 ? code : 0;
  }
  return refuse(&decoder, "unknown instruction");
}
