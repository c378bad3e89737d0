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
 * g; transposed: of column g. */
static enum outcome run_ldmatrix(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)mask;
  const unsigned char *rows[LANES];
  int n_rows = insn->n_elements * 8;
  for (int lane = 0; lane < n_rows; lane++) {
    rows[lane] = shared_bytes(warp, insn, lane, lane_address(warp, insn, lane), 16, false);
    if (!rows[lane]) return OUTCOME_FAULT;
  }
  for (int matrix = 0; matrix < insn->n_elements; matrix++) {
    lane32 *target = place_at(warp, insn->d[matrix]);
    const unsigned char *const *row = rows + matrix * 8;
    for (int lane = 0; lane < LANES; lane++) {
      int g = lane / 4, t = lane % 4 * 2;
      uint16_t element[2];
      if (insn->kind) {
        memcpy(&element[0], row[t] + g * 2, 2);
        memcpy(&element[1], row[t + 1] + g * 2, 2);
      } else {
        memcpy(element, row[g] + t * 2, 4);
      }
      target[lane] = (uint32_t)element[1] << 16 | element[0];
    }
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

struct tiles {
  float a[16][16];
  float b[16][8]; /* [k][column] */
  float c[16][8];
};

static float half_float(uint32_t bits, bool is_bf16) {
  return is_bf16 ? float_of_bf16(bits) : float_of_f16(bits & 0xffffU);
}

static void gather(struct warp *warp, const struct insn *insn, struct tiles *tiles) {
  bool is_bf16 = insn->kind;
  for (int i = 0; i < 4; i++) {
    const lane32 *a = place_at(warp, insn->s[i]);
    const lane_f32 *c = place_at(warp, insn->s[6 + i]);
    for (int lane = 0; lane < LANES; lane++) {
      int row = lane / 4 + (i & 1) * 8, column = lane % 4 * 2 + (i >> 1) * 8;
      tiles->a[row][column] = half_float(a[lane], is_bf16);
      tiles->a[row][column + 1] = half_float(a[lane] >> 16, is_bf16);
      tiles->c[lane / 4 + (i >> 1) * 8][lane % 4 * 2 + (i & 1)] = c[lane];
    }
  }
  for (int i = 0; i < 2; i++) {
    const lane32 *b = place_at(warp, insn->s[4 + i]);
    for (int lane = 0; lane < LANES; lane++) {
      int k = lane % 4 * 2 + i * 8;
      tiles->b[k][lane / 4] = half_float(b[lane], is_bf16);
      tiles->b[k + 1][lane / 4] = half_float(b[lane] >> 16, is_bf16);
    }
  }
}

static void multiply(struct tiles *restrict tiles) {
  for (int row = 0; row < 16; row++) {
    float sum[8];
    memcpy(sum, tiles->c[row], sizeof sum);
    for (int k = 0; k < 16; k++)
      for (int column = 0; column < 8; column++)
        sum[column] += tiles->a[row][k] * tiles->b[k][column];
    memcpy(tiles->c[row], sum, sizeof sum);
  }
}

static enum outcome run_mma(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)mask;
  struct tiles tiles;
  gather(warp, insn, &tiles);
  multiply(&tiles);
  for (int i = 0; i < 4; i++) {
    lane_f32 *d = place_at(warp, insn->d[i]);
    for (int lane = 0; lane < LANES; lane++)
      d[lane] = tiles.c[lane / 4 + (i >> 1) * 8][lane % 4 * 2 + (i & 1)];
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
