/*
 * What the families of instructions use to decode a statement.
 *
 * An opcode is cut at its dots; a family takes the parts that it knows, and one that nobody
 * took is an error: a modifier is never ignored unless it changes speed only.
 */
#ifndef REFILL_TESTS_VGPU_PTX_DECODE_H
#define REFILL_TESTS_VGPU_PTX_DECODE_H

#include "tests/vgpu/ptx/program.h"

#define PARTS_MAX 20

struct decoder {
  struct ptx_kernel *kernel;
  const struct statement *statement;
  struct insn *insn;
  struct error *error;
  struct token parts[PARTS_MAX];
  bool taken[PARTS_MAX];
  int n_parts;
};

/* A family decodes what is its own: 1 done, 0 not mine, negative errno. */
typedef int (*family_fn)(struct decoder *decoder);

int decode_alu(struct decoder *decoder);     /* arithmetic and bits, by tables */
int decode_compare(struct decoder *decoder); /* setp, and logic on predicates */
int decode_convert(struct decoder *decoder); /* cvt */
int decode_move(struct decoder *decoder);    /* mov, cvta, isspacep */
int decode_memory(struct decoder *decoder);  /* ld, st, prefetch, fences */
int decode_atomic(struct decoder *decoder);  /* atom, red */
int decode_async(struct decoder *decoder);   /* cp.async */
int decode_matrix(struct decoder *decoder);  /* ldmatrix, mma */
int decode_warp(struct decoder *decoder);    /* shfl, vote, redux, activemask */
int decode_control(struct decoder *decoder); /* bra, ret, bar, trap */

/* Whether the opcode has this part; marks it as understood. */
bool take(struct decoder *decoder, const char *part);

/* Whether the opcode starts with this part. */
bool opcode_is(const struct decoder *decoder, const char *name);

/* The first part that nobody took becomes an error: 1 or -EINVAL. */
int all_taken(struct decoder *decoder);

/* Records what is wrong with the statement; returns -EINVAL. */
int refuse(struct decoder *decoder, const char *what);

/* The n-th operand as a single item; NULL (and an error) where it is none. */
const struct item *single(struct decoder *decoder, int group);

/* Place of an input of exactly `width`: register, or immediate or symbol as a constant. */
int input(struct decoder *decoder, const struct item *item, int width, int32_t *place);

/* Place of a result of exactly `width`, or the sink. */
int result(struct decoder *decoder, const struct item *item, int width, int32_t *place);

/* Place of a constant: the value in each lane. */
int constant(struct decoder *decoder, uint64_t value, int width, int32_t *place);

/* The address operand: insn->s[0], offset, address_wide. */
int address(struct decoder *decoder, int group);

/* A symbol's address in its space. */
uint64_t symbol_address(const struct decoder *decoder, const struct symbol *symbol);

/* A type part such as "f32": bits and one of 'u' 's' 'f' 'b'; false for anything else. */
bool scalar_type(const struct token *part, char *kind, int *bits);

/* Takes the last part as the type. */
int take_type(struct decoder *decoder, char *kind, int *bits);

/* A row of the tables of arithmetic: h, w, d: lanes of 16, 32, 64 bits; p: predicate. */
struct alu_row {
  const char *opcode, *in;
  char out;
  alu_fn run;
};
const struct alu_row *alu_int_rows(size_t *n);
const struct alu_row *alu_bit_rows(size_t *n);
const struct alu_row *alu_float_rows(size_t *n);
const struct alu_row *alu_half_rows(size_t *n);

/* Runs insn->by.alu over all lanes and keeps those of the mask. */
enum outcome run_alu(struct warp *warp, const struct insn *insn, uint32_t mask);

#endif
