/*
 * The far end of tensors of more than 2^32 elements: an index or a product that was computed in 32
 * bits lands elsewhere, in memory that is not the tensor's or that nobody wrote. The memory is
 * sparse, and of each grid only the last block runs.
 *
 * The sizes are no model's: 128k tokens of the largest preset stay below 2^32 elements in most
 * tensors, so that a wrong type would show years later.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/crc_plan.h"
#include "kernels/element.h"
#include "kernels/reference/reference.h"
#include "kernels/weights.h"
#include "tests/vgpu/ptx/number.h"
#include "tests/vgpu/rig.h"

#define FAR (INT64_C(5) << 30) /* elements, more than 2^32 */
#define WIDTH 8192             /* of a row, llama-3-70b's */

/* Random bf16 at the given place of a tensor, and its values. */
static void put_at(struct rig *rig, uint64_t tensor, int64_t first, size_t n, float *values) {
  const uint64_t at = tensor + (uint64_t)first * 2;
  rig_random_bf16(rig, n, 1.0F, rig_data(rig, at), values);
  arena_mark(rig->arena, at, n * 2);
}

static void run_last(struct rig *rig, const char *kernel, int64_t grid_x, int64_t grid_y,
                     const void *arguments) {
  rig->options.first_block = (uint64_t)(grid_x * grid_y) - 1;
  rig_run(rig, kernel, grid_x, grid_y, arguments);
}

static void expect_bf16(const struct rig *rig, uint64_t tensor, int64_t first, const float *wanted,
                        size_t n) {
  const uint64_t at = tensor + (uint64_t)first * 2;
  const uint16_t *got = rig_data(rig, at);
  cr_assert(rig_written(rig, at, n * 2));
  for (size_t i = 0; i < n; i++)
    rig_close_to("element", i, bf16_to_float(got[i]), wanted[i], 1e-5F, 0.0042F);
}

Test(far, tokens) {
  const int64_t rows = FAR / WIDTH;
  static float row[WIDTH], hidden[WIDTH], wanted[1];
  struct rig rig;
  rig_open(&rig, "tokens", "compute_90a");
  const uint64_t table = rig_room(&rig, (size_t)FAR * 2);
  put_at(&rig, table, FAR - WIDTH, WIDTH, row);
  const int32_t token = (int32_t)(rows - 1);
  struct kernel_embed embed = {.tokens = rig_put(&rig, &token, sizeof token),
                               .table = table,
                               .out = rig_room(&rig, WIDTH * 2),
                               .width = WIDTH};
  rig_run(&rig, "refill_embed", 1, 1, &embed);
  expect_bf16(&rig, embed.out, 0, row, WIDTH);
  for (int i = 0; i < WIDTH; i++) hidden[i] = rig_random(&rig, 1.0F);
  reference_linear(1, WIDTH, 1, 0, hidden, row, wanted);
  /* Its last row is the table's last; the others of the block do not exist. */
  struct kernel_head head = {.hidden = rig_put(&rig, hidden, sizeof hidden),
                             .table = table,
                             .logits = rig_room(&rig, (size_t)rows * 4),
                             .width = WIDTH,
                             .rows = rows};
  for (int64_t i = rows - KERNEL_HEAD_ROWS; i < rows - 1; i++)
    put_at(&rig, table, i * WIDTH, WIDTH, NULL);
  run_last(&rig, "refill_head", (rows + KERNEL_HEAD_ROWS - 1) / KERNEL_HEAD_ROWS, 1, &head);
  const float *logits = rig_data(&rig, head.logits);
  rig_close_to("logit", 0, logits[rows - 1], wanted[0], 1e-3F, 1e-4F);
  rig_close(&rig);
}

Test(far, norm) {
  const int64_t rows = FAR / WIDTH;
  static float x[WIDTH], weight[WIDTH], wanted[WIDTH];
  struct rig rig;
  rig_open(&rig, "norm", "compute_90a");
  struct kernel_norm a = {.x = rig_room(&rig, (size_t)FAR * 2),
                          .weight = rig_room(&rig, WIDTH * 2),
                          .out = rig_room(&rig, (size_t)FAR * 2),
                          .width = WIDTH,
                          .eps = 1e-5F};
  put_at(&rig, a.x, FAR - WIDTH, WIDTH, x);
  put_at(&rig, a.weight, 0, WIDTH, weight);
  reference_rmsnorm(1, WIDTH, 1e-5, x, weight, wanted);
  run_last(&rig, "refill_norm_bf16", rows, 1, &a);
  expect_bf16(&rig, a.out, FAR - WIDTH, wanted, WIDTH);
  rig_close(&rig);
}

Test(far, swiglu) {
  const int64_t rows = FAR / WIDTH;
  static float gate[WIDTH], up[WIDTH], wanted[WIDTH];
  struct rig rig;
  rig_open(&rig, "swiglu", "compute_90a");
  struct kernel_swiglu a = {.gate_up = rig_room(&rig, (size_t)FAR * 4),
                            .out = rig_room(&rig, (size_t)FAR * 2),
                            .ffn = WIDTH};
  put_at(&rig, a.gate_up, 2 * (FAR - WIDTH), WIDTH, gate);
  put_at(&rig, a.gate_up, 2 * (FAR - WIDTH) + WIDTH, WIDTH, up);
  for (int i = 0; i < WIDTH; i++) wanted[i] = gate[i] / (1.0F + expf(-gate[i])) * up[i];
  run_last(&rig, "refill_swiglu_bf16", rows, 1, &a);
  expect_bf16(&rig, a.out, FAR - WIDTH, wanted, WIDTH);
  rig_close(&rig);
}

Test(far, convert) {
  const int64_t block = KERNEL_THREADS * 16;
  static float value[KERNEL_THREADS * 16];
  struct rig rig;
  rig_open(&rig, "fp8", "compute_90a");
  /* The second tensor's last block. */
  struct kernel_convert a = {.in = rig_room(&rig, (size_t)FAR * 4),
                             .out = rig_room(&rig, (size_t)FAR * 2),
                             .count = FAR,
                             .in_stride = FAR,
                             .out_stride = FAR,
                             .factor = 2.0F};
  put_at(&rig, a.in, 2 * FAR - block, (size_t)block, value);
  run_last(&rig, "refill_quantise", FAR / block, 2, &a);
  const uint64_t at = a.out + (uint64_t)(2 * FAR - block);
  const uint8_t *code = rig_data(&rig, at);
  cr_assert(rig_written(&rig, at, (size_t)block));
  for (int64_t i = 0; i < block; i++) cr_assert_eq(code[i], e4m3_of_float(value[i] * 2.0F));
  rig_close(&rig);
}

Test(far, weights) {
  const int64_t block = KERNEL_THREADS * KERNEL_VECTOR;
  static uint16_t wanted[KERNEL_THREADS * KERNEL_VECTOR];
  const struct weight_stream stream = {
      .rows = FAR / WIDTH, .columns = WIDTH, .stream = 0x123456789abcdef0U, .scale = 0.637F};
  struct rig rig;
  rig_open(&rig, "weights", "compute_90a");
  struct kernel_weights a = {.out = rig_room(&rig, (size_t)FAR * 2),
                             .count = FAR,
                             .stream = stream.stream,
                             .scale = stream.scale,
                             .inverse_scale = 1.0F};
  weights_fill(&stream, FAR - block, block, wanted);
  run_last(&rig, "refill_weights_bf16", FAR / block, 1, &a);
  cr_assert_arr_eq(rig_data(&rig, a.out + (uint64_t)(FAR - block) * 2), wanted, sizeof wanted);
  rig_close(&rig);
}

/* A row of the KV cache far from its start, and the angles of a late position. */
Test(far, rope) {
  enum { HEADS = 32, DIM = 128, ROW = HEADS * DIM };
  const int64_t positions = FAR / ROW, last = positions - 1;
  static float qkv[3 * ROW], cosines[DIM / 2], sines[DIM / 2];
  struct rig rig;
  rig_open(&rig, "rope", "compute_90a");
  for (int j = 0; j < DIM / 2; j++) {
    const double angle = (double)last * pow(10000.0, -2.0 * j / DIM);
    cosines[j] = (float)cos(angle);
    sines[j] = (float)sin(angle);
  }
  const size_t angles = (size_t)positions * sizeof cosines;
  struct kernel_rope a = {.qkv = rig_room(&rig, sizeof qkv / 2),
                          .cosines = rig_room(&rig, angles),
                          .sines = rig_room(&rig, angles),
                          .k = rig_room(&rig, (size_t)FAR * 2),
                          .v = rig_room(&rig, (size_t)FAR * 2),
                          .n_tokens = 1,
                          .first = last,
                          .q_heads = HEADS,
                          .kv_heads = HEADS,
                          .head_dim = DIM};
  const uint64_t angle_at = (uint64_t)last * sizeof cosines;
  memcpy(rig_data(&rig, a.cosines + angle_at), cosines, sizeof cosines);
  memcpy(rig_data(&rig, a.sines + angle_at), sines, sizeof sines);
  arena_mark(rig.arena, a.cosines + angle_at, sizeof cosines);
  arena_mark(rig.arena, a.sines + angle_at, sizeof sines);
  put_at(&rig, a.qkv, 0, 3 * ROW, qkv);
  reference_rope(1, 2 * HEADS, DIM, 3 * ROW, 10000.0, last, qkv);
  rig_run(&rig, "refill_rope_bf16", 1, 1, &a);
  expect_bf16(&rig, a.k, last * ROW, qkv + ROW, ROW);
  expect_bf16(&rig, a.v, last * ROW, qkv + 2 * ROW, ROW);
  rig_close(&rig);
}

/* Far rows of all four tensors with few keys: as many heads as a grid has room for. */
Test(far, attention) {
  enum { HEADS = 65535, DIM = 64, ROWS = 1100 };
  const int64_t row = (int64_t)HEADS * DIM;
  struct rig rig;
  static float q[ROWS * DIM], k[ROWS * DIM], v[ROWS * DIM], wanted[ROWS * DIM];
  cr_assert_gt(row * ROWS, INT64_C(1) << 32);
  rig_open(&rig, "attention", "compute_90a");
  const size_t bytes = (size_t)row * ROWS * 2;
  struct kernel_attention a = {.q = rig_room(&rig, bytes),
                               .k = rig_room(&rig, bytes),
                               .v = rig_room(&rig, bytes),
                               .out = rig_room(&rig, bytes),
                               .n_queries = ROWS,
                               .n_keys = ROWS,
                               .q_stride = row,
                               .q_heads = HEADS,
                               .kv_heads = HEADS,
                               .scale_log2 = 1.442695F / 8.0F};
  for (int i = 0; i < ROWS; i++) {
    put_at(&rig, a.q, (i + 1) * row - DIM, DIM, q + (size_t)i * DIM);
    put_at(&rig, a.k, (i + 1) * row - DIM, DIM, k + (size_t)i * DIM);
    put_at(&rig, a.v, (i + 1) * row - DIM, DIM, v + (size_t)i * DIM);
  }
  reference_attention(ROWS, 0, 1, 1, DIM, q, k, v, wanted);
  const int64_t tiles = (ROWS + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
  rig.options.first_block = (uint64_t)(tiles * (HEADS - 1)); /* the last head's tiles */
  rig_run(&rig, "refill_attention_64", tiles, HEADS, &a);
  for (int i = 0; i < ROWS; i++) {
    const uint64_t at = a.out + (uint64_t)((i + 1) * row - DIM) * 2;
    const uint16_t *got = rig_data(&rig, at);
    cr_assert(rig_written(&rig, at, DIM * 2), "row %d", i);
    for (int j = 0; j < DIM; j++)
      rig_close_to("out", (size_t)(i * DIM + j), bf16_to_float(got[j]), wanted[i * DIM + j], 0.01F,
                   0.02F);
  }
  rig_close(&rig);
}

Test(far, page_crc) {
  enum { HALF = 1 << 20 };
  const int64_t pages = FAR / HALF;
  static uint8_t zero[2 * HALF];
  struct rig rig;
  struct crc_plan plan;
  rig_open(&rig, "pages", "compute_90a");
  crc_plan(&plan, HALF);
  struct kernel_page_crc a = {.k = rig_room(&rig, (size_t)FAR),
                              .v = rig_room(&rig, (size_t)FAR),
                              .factors = rig_put(&rig, plan.factors, sizeof plan.factors),
                              .out = rig_room(&rig, 4),
                              .first_page = pages - 1,
                              .half_bytes = plan.half_bytes,
                              .slice_bytes = plan.slice_bytes};
  const uint64_t last = (uint64_t)(FAR - HALF);
  zero[0] = ((uint8_t *)rig_data(&rig, a.k + last))[0] = 1;
  arena_mark(rig.arena, a.k + last, HALF);
  arena_mark(rig.arena, a.v + last, HALF);
  uint32_t crc = 0;
  for (size_t i = 0; i < sizeof zero; i++) {
    crc ^= zero[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
  }
  rig_run(&rig, "refill_page_crc", 1, 1, &a);
  cr_assert_eq(*(uint32_t *)rig_data(&rig, a.out), crc);
  rig_close(&rig);
}
