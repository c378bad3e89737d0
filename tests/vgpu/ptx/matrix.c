/*
 * ldmatrix and mma.sync: layouts as in the PTX manual's figures ("Matrix Fragments for
 * mma.m16n8k16 with floating point type", "ldmatrix"), g = lane / 4, t = lane % 4:
 *
 *   A (16 x 16), 4 registers: a0 = rows g,   columns 2t, 2t+1     a2 = rows g,   columns 2t+8, 2t+9
 *                             a1 = rows g+8, columns 2t, 2t+1     a3 = rows g+8, columns 2t+8, 2t+9
 *   B (16 x 8), 2 registers:  b0 = rows 2t, 2t+1 of column g      b1 = rows 2t+8, 2t+9 of column g
 *   C, D (16 x 8), 4 floats:  c0, c1 = row g, columns 2t, 2t+1    c2, c3 = row g+8, the same
 *
 * Products are exact and are summed in float in the order of k; the machine's order is not
 * documented, which is what the kernels' tolerance has to allow.
 */
#include <errno.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"
#include "tests/vgpu/ptx/number.h"

/* ---- ldmatrix -------------------------------------------------------------------------- */

/* Lanes 8i..8i+7 hold the addresses of the rows of matrix i. A lane gets elements 2t, 2t+1 of row
 * g, so that lanes 4g..4g+3 together hold row g; transposed: column g. */
static enum outcome run_ldmatrix(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)mask;
  const unsigned char *rows[LANES];
  for (int lane = 0; lane < insn->n_elements * 8; lane++) {
    rows[lane] = shared_bytes(warp, insn, lane, lane_address(warp, insn, lane), 16, false);
    if (!rows[lane]) return OUTCOME_FAULT;
  }
  for (int matrix = 0; matrix < insn->n_elements; matrix++) {
    unsigned char *target = place_at(warp, insn->d[matrix]);
    uint16_t from[8][8], to[8][8];
    for (int row = 0; row < 8; row++) memcpy(from[row], rows[matrix * 8 + row], 16);
    for (int row = 0; row < 8; row++)
      for (int column = 0; column < 8; column++) to[row][column] = from[column][row];
    memcpy(target, insn->kind ? to : from, sizeof from);
  }
  return OUTCOME_GO_ON;
}

static int decode_ldmatrix(struct decoder *decoder) {
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  bool form = take(decoder, "sync") && take(decoder, "aligned") && take(decoder, "m8n8") &&
              (take(decoder, "shared") || take(decoder, "shared::cta")) && take(decoder, "b16");
  insn->n_elements = take(decoder, "x4")   ? 4
                     : take(decoder, "x2") ? 2
                     : take(decoder, "x1") ? 1
                                           : 0;
  insn->kind = take(decoder, "trans");
  insn->run = run_ldmatrix;
  insn->aligned = true;
  if (!form || statement->n_groups != 2 || statement->groups[0].count != insn->n_elements ||
      insn->n_elements == 0)
    return refuse(decoder, "ldmatrix of this form is not supported");
  int code = address(decoder, 1);
  for (int i = 0; code == 0 && i < insn->n_elements; i++)
    code = result(decoder, &statement->items[i], WIDTH_32, &insn->d[i]);
  return code < 0 ? code : all_taken(decoder);
}

/* ---- mma ------------------------------------------------------------------------------- */

/* Lanes 4g..4g+3 of a register of A or B are 8 consecutive numbers of row (column) g, so that a
 * fragment is read 8 numbers at a time. Products of halves are exact in float, fused or not. */
typedef float eight __attribute__((vector_size(32), may_alias));

struct tiles {
  _Alignas(64) float a[16][16];
  _Alignas(64) float b[16][8]; /* [k][column] */
  _Alignas(64) eight c[16];
};

static void widen(float *restrict to, const unsigned char *from, bool is_bf16) {
  uint16_t half[8];
  memcpy(half, from, sizeof half);
  for (int i = 0; i < 8; i++)
    to[i] = is_bf16 ? float_of_bits((uint32_t)half[i] << 16) : float_of_f16(half[i]);
}

static void gather(struct warp *warp, const struct insn *insn, struct tiles *tiles) {
  for (int i = 0; i < 4; i++) {
    const unsigned char *a = place_at(warp, insn->s[i]);
    for (int g = 0; g < 8; g++)
      widen(&tiles->a[g + (i & 1) * 8][(i >> 1) * 8], a + g * 16, insn->kind);
  }
  for (int i = 0; i < 2; i++) {
    const unsigned char *b = place_at(warp, insn->s[4 + i]);
    float column[8][8];
    for (int g = 0; g < 8; g++) widen(column[g], b + g * 16, insn->kind);
    for (int k = 0; k < 8; k++)
      for (int g = 0; g < 8; g++) tiles->b[i * 8 + k][g] = column[g][k];
  }
  for (int half = 0; half < 2; half++) {
    const lane_f32 *even = place_at(warp, insn->s[6 + half * 2]),
                   *odd = place_at(warp, insn->s[7 + half * 2]);
    for (int g = 0; g < 8; g++)
      for (int t = 0; t < 4; t++) {
        tiles->c[half * 8 + g][2 * t] = even[4 * g + t];
        tiles->c[half * 8 + g][2 * t + 1] = odd[4 * g + t];
      }
  }
}

static void multiply(struct tiles *restrict tiles) {
  eight sum[16];
  memcpy(sum, tiles->c, sizeof sum);
#pragma GCC unroll 16
  for (int k = 0; k < 16; k++) {
    eight b;
    memcpy(&b, tiles->b[k], sizeof b);
#pragma GCC unroll 16
    for (int row = 0; row < 16; row++) sum[row] += tiles->a[row][k] * b;
  }
  memcpy(tiles->c, sum, sizeof sum);
}

static enum outcome run_mma(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)mask;
  struct tiles tiles;
  gather(warp, insn, &tiles);
  multiply(&tiles);
  for (int half = 0; half < 2; half++) {
    lane_f32 *even = place_at(warp, insn->d[half * 2]),
             *odd = place_at(warp, insn->d[half * 2 + 1]);
    for (int g = 0; g < 8; g++)
      for (int t = 0; t < 4; t++) {
        even[4 * g + t] = tiles.c[half * 8 + g][2 * t];
        odd[4 * g + t] = tiles.c[half * 8 + g][2 * t + 1];
      }
  }
  return OUTCOME_GO_ON;
}

static int decode_mma(struct decoder *decoder) {
  static const int counts[4] = {4, 4, 2, 4}; /* D, A, B, C */
  struct insn *insn = decoder->insn;
  const struct statement *statement = decoder->statement;
  insn->kind = token_is(&statement->opcode, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32");
  if (!insn->kind &&
      !token_is(&statement->opcode, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"))
    return refuse(decoder, "mma of this form is not supported");
  insn->run = run_mma;
  insn->aligned = true;
  if (statement->n_groups != 4) return refuse(decoder, "wrong number of operands");
  int next = 0;
  for (int group = 0; group < 4; group++) {
    if (statement->groups[group].count != counts[group])
      return refuse(decoder, "vector of another size expected");
    for (int i = 0; i < counts[group]; i++) {
      const struct item *item = &statement->items[statement->groups[group].first + i];
      int code = group == 0 ? result(decoder, item, WIDTH_32, &insn->d[i])
                            : input(decoder, item, WIDTH_32, &insn->s[next++]);
      if (code < 0) return code;
    }
  }
  return 1;
}

int decode_matrix(struct decoder *decoder) {
  if (opcode_is(decoder, "ldmatrix")) return decode_ldmatrix(decoder);
  if (opcode_is(decoder, "mma")) return decode_mma(decoder);
  return 0;
}
