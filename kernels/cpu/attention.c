/*
 * Attention's loops over items, blocks of keys and strips of rows; the
 * arithmetic of a strip is in attention_plain.c, attention_avx512.c and
 * attention_amx.c behind struct attention_kernels.
 */
#include "kernels/cpu/attention.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#define LOWEST (-1e30F) /* a running maximum before any key; finite, so that differences are */

enum { LANES = ATTENTION_LANES, KEYS = ATTENTION_KEYS };

const struct attention_kernels *attention_kernels_for(enum isa isa) {
  switch (isa) {
  case ISA_PLAIN:
    return &attention_plain;
  case ISA_AVX2:
    return &attention_avx2;
  case ISA_AVX512:
    return &attention_avx512;
  default:
    return &attention_amx;
  }
}

static int64_t depth_of(int head_dim) {
  return (head_dim + 31) / 32 * 32;
}

/* One thread's buffers. */
struct scratch {
  bf16 *queries;  /* (strips, depth / 2, lanes, 2) */
  float *sums;    /* (strips, depth, lanes) */
  float *largest; /* (strips, lanes) */
  float *totals;  /* (strips, lanes) */
  bf16 *keys;     /* (KEYS / 16, depth / 32, 16, 32) */
  bf16 *values;   /* (depth / 16, KEYS / 32, 16, 32) */
  float *scores;  /* (KEYS, lanes) */
  bf16 *weights;  /* (KEYS / 2, lanes, 2) */
};

/* Lays a thread's buffers out from `at`, scratch_bytes() long; each is 64-byte aligned. */
static void scratch_layout(struct scratch *s, char *at, int rows, int64_t depth) {
  const size_t n = (size_t)rows, d = (size_t)depth;
  s->queries = (bf16 *)at;
  at += n * d * sizeof(bf16);
  s->sums = (float *)at;
  at += n * d * sizeof(float);
  s->largest = (float *)at;
  at += n * sizeof(float);
  s->totals = (float *)at;
  at += n * sizeof(float);
  s->keys = (bf16 *)at;
  at += KEYS * d * sizeof(bf16);
  s->values = (bf16 *)at;
  at += KEYS * d * sizeof(bf16);
  s->scores = (float *)at;
  at += KEYS * LANES * sizeof(float);
  s->weights = (bf16 *)at;
}

static size_t scratch_bytes(int rows, int64_t depth) {
  const size_t of_row = (size_t)depth * (sizeof(bf16) + sizeof(float)) + 2 * sizeof(float);
  const size_t of_key = 2 * (size_t)depth * sizeof(bf16) + LANES * (sizeof(bf16) + sizeof(float));
  return memory_round_up((size_t)rows * of_row + KEYS * of_key, 4096);
}

/* Rows of an item: as many as share the packing of a block, but enough items for the threads. */
static int choose_rows(struct attention_shape shape, int64_t tokens_max, int threads) {
  const int64_t all = tokens_max * (shape.q_heads / shape.kv_heads);
  int rows = ATTENTION_ROWS;
  while (rows > LANES && shape.kv_heads * ((all + rows - 1) / rows) < 4 * (int64_t)threads)
    rows /= 2;
  return rows;
}

int attention_open(struct attention *attention, struct attention_shape shape, int64_t tokens_max,
                   enum isa isa, int threads, const struct placement *placement,
                   struct error *error) {
  assert(shape.q_heads % shape.kv_heads == 0);
  assert(shape.head_dim % 2 == 0);
  *attention = (struct attention){.shape = shape,
                                  .kernels = attention_kernels_for(isa),
                                  .threads = threads,
                                  .rows = choose_rows(shape, tokens_max, threads)};
  attention->thread_bytes = scratch_bytes(attention->rows, depth_of(shape.head_dim));
  return memory_map(&attention->scratch, attention->thread_bytes * (size_t)threads, placement, 1,
                    error);
}

void attention_close(struct attention *attention) {
  memory_unmap(&attention->scratch);
}

/* What the items of one call share. */
struct call {
  const struct attention *attention;
  const struct attention_view *view;
  int64_t first, n_tokens, q_stride;
  const bf16 *q;
  bf16 *out;
};

/* One item: rows [row_first, row_first + n_rows) of one KV head; row r is token r / group, query
 * head kv_head * group + r % group. */
struct item {
  int kv_head, group;
  int64_t row_first;
  int n_rows;
};

static const bf16 *query_row(const struct call *call, const struct item *item, int64_t row) {
  const int64_t head = (int64_t)item->kv_head * item->group + row % item->group;
  return call->q + row / item->group * call->q_stride + head * call->attention->shape.head_dim;
}

static bf16 *output_row(const struct call *call, const struct item *item, int64_t row) {
  const struct attention_shape *shape = &call->attention->shape;
  const int64_t head = (int64_t)item->kv_head * item->group + row % item->group;
  return call->out + (row / item->group * shape->q_heads + head) * shape->head_dim;
}

static int strip_rows(const struct item *item, int strip) {
  const int left = item->n_rows - strip * LANES;
  return left < LANES ? left : LANES;
}

/* Packs all queries of the item and starts their softmax. */
static void begin_rows(const struct call *call, const struct item *item, struct scratch *s) {
  const int head_dim = call->attention->shape.head_dim;
  const int64_t depth = depth_of(head_dim);
  for (int strip = 0; strip * LANES < item->n_rows; strip++) {
    const bf16 *rows[LANES];
    const int n = strip_rows(item, strip);
    for (int i = 0; i < n; i++)
      rows[i] = query_row(call, item, item->row_first + strip * LANES + i);
    call->attention->kernels->pack_queries(n, head_dim, rows, s->queries + strip * LANES * depth);
  }
  memset(s->sums, 0,
         (size_t)(item->n_rows + LANES - 1) / LANES * LANES * (size_t)depth * sizeof *s->sums);
  memset(s->totals, 0, (size_t)call->attention->rows * sizeof *s->totals);
  for (int i = 0; i < call->attention->rows; i++) s->largest[i] = LOWEST;
}

/* The K rows of one head of tokens [from, from + n), n <= 32; a V row lies page_tokens rows on. */
static void key_rows(const struct attention_view *view, int64_t from, int n, int64_t head_at,
                     const bf16 **rows) {
  for (int i = 0; i < n; i++) {
    const int64_t page = (from + i) / view->page_tokens, in_page = (from + i) % view->page_tokens;
    const char *at = view->pages + (size_t)page * view->page_stride_bytes;
    rows[i] = (const bf16 *)at + in_page * view->row_elements + head_at;
  }
}

/* Packs keys and values of tokens [from, from + n) of one head; n <= KEYS. */
static void pack_block(const struct call *call, int kv_head, int64_t from, int n,
                       struct scratch *s) {
  const struct attention_view *view = call->view;
  const struct attention_kernels *kernels = call->attention->kernels;
  const int head_dim = call->attention->shape.head_dim;
  const int64_t depth = depth_of(head_dim);
  for (int i = 0; i < n; i += 32) {
    const bf16 *rows[32];
    const int count = n - i < 32 ? n - i : 32;
    key_rows(view, from + i, count, (int64_t)kv_head * head_dim, rows);
    kernels->pack_keys(count, head_dim, rows, s->keys + i * depth);
    for (int j = 0; j < count; j++) rows[j] += view->page_tokens * view->row_elements;
    kernels->pack_values(count, head_dim, rows, s->values + i * 16);
  }
}

/* One strip over one block of keys; the block begins at key `from`. Keys that no lane sees are
 * left out, to whole tiles. */
static void strip_block(const struct call *call, const struct item *item, int strip, int64_t from,
                        struct scratch *s) {
  const struct attention_kernels *kernels = call->attention->kernels;
  const int head_dim = call->attention->shape.head_dim;
  const int depth = (int)depth_of(head_dim);
  const float scale_log2 = (float)(1.4426950408889634 / sqrt((double)head_dim));
  int32_t limits[LANES];
  const int n = strip_rows(item, strip);
  for (int i = 0; i < LANES; i++) {
    const int64_t row = item->row_first + strip * LANES + (i < n ? i : n - 1);
    const int64_t seen = call->first + row / item->group + 1 - from;
    limits[i] = seen > KEYS ? KEYS : seen > 0 ? (int32_t)seen : 0;
  }
  const int n_keys = (limits[LANES - 1] + 31) / 32 * 32; /* later rows see more */
  if (n_keys == 0) return;
  const int64_t at = (int64_t)strip * LANES;
  float *sums = s->sums + at * depth;
  kernels->scores(n_keys, depth, s->keys, s->queries + at * depth, s->scores);
  kernels->softmax(n_keys, depth, scale_log2, limits, s->scores, s->weights, s->largest + at,
                   s->totals + at, sums);
  kernels->values(n_keys, depth, s->values, s->weights, sums);
}

static void finish_rows(const struct call *call, const struct item *item, const struct scratch *s) {
  const int head_dim = call->attention->shape.head_dim;
  const int64_t depth = depth_of(head_dim);
  for (int strip = 0; strip * LANES < item->n_rows; strip++) {
    bf16 *rows[LANES];
    const int n = strip_rows(item, strip);
    for (int i = 0; i < n; i++)
      rows[i] = output_row(call, item, item->row_first + strip * LANES + i);
    call->attention->kernels->unpack(n, head_dim, s->sums + strip * LANES * depth,
                                     s->totals + strip * LANES, rows);
  }
}

static void run_item(const struct call *call, const struct item *item, struct scratch *s) {
  begin_rows(call, item, s);
  const int64_t last_row = item->row_first + item->n_rows - 1;
  const int64_t n_keys = call->first + last_row / item->group + 1;
  for (int64_t from = 0; from < n_keys; from += KEYS) {
    const int n = n_keys - from < KEYS ? (int)(n_keys - from) : KEYS;
    pack_block(call, item->kv_head, from, n, s);
    for (int strip = 0; strip * LANES < item->n_rows; strip++)
      strip_block(call, item, strip, from, s);
  }
  finish_rows(call, item, s);
}

void attention_run(const struct attention *attention, const struct attention_view *view,
                   int64_t first, int64_t n_tokens, const bf16 *q, int64_t q_stride, bf16 *out) {
  const struct call call = {attention, view, first, n_tokens, q_stride, q, out};
  const int kv_heads = attention->shape.kv_heads;
  const int group = attention->shape.q_heads / kv_heads;
  const int64_t all = n_tokens * group, tiles = (all + attention->rows - 1) / attention->rows;
#pragma omp parallel num_threads(attention->threads)
  {
    struct scratch s;
    char *mine = (char *)attention->scratch.address +
                 attention->thread_bytes * (size_t)omp_get_thread_num();
    scratch_layout(&s, mine, attention->rows, depth_of(attention->shape.head_dim));
    attention->kernels->thread_begin();
    /* The last rows see the most keys: begun first, so that the short items fill the end. */
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < tiles * kv_heads; i++) {
      const int64_t row_first = (tiles - 1 - i / kv_heads) * attention->rows;
      const int64_t left = all - row_first;
      const struct item item = {(int)(i % kv_heads), group, row_first,
                                left < attention->rows ? (int)left : attention->rows};
      run_item(&call, &item, &s);
    }
    attention->kernels->thread_end();
  }
}
