/*
 * Attention of every instruction level against the reference, over shapes
 * around the tile sizes, and its independence of threads.
 */
#include <criterion/criterion.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/attention.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/tolerance.h"

struct attention_case {
  int64_t n_past, n_new;
  int q_heads, kv_heads, head_dim;
  int64_t page_tokens;
};

/* Operands of one case, in pages for the kernels and plain for the reference. */
struct operands {
  int64_t n_keys, n_pages, q_stride;
  size_t page_bytes;
  char *pages;
  bf16 *q, *out;
  float *q_plain, *k_plain, *v_plain, *want;
};

static void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  cr_assert_not_null(memory);
  return memory;
}

static void put_row(const struct attention_case *c, const struct operands *o, int64_t token,
                    int64_t row, int is_value) {
  const int64_t at = token % c->page_tokens + (is_value ? c->page_tokens : 0);
  bf16 *to = (bf16 *)(o->pages + (size_t)(token / c->page_tokens) * o->page_bytes) + at * row;
  tolerance_fill(row, (uint64_t)(2 * token + is_value + 100), to,
                 (is_value ? o->v_plain : o->k_plain) + token * row);
}

static struct operands make_operands(const struct attention_case *c) {
  struct operands o = {.n_keys = c->n_past + c->n_new};
  const int64_t row = (int64_t)c->kv_heads * c->head_dim, q_row = (int64_t)c->q_heads * c->head_dim;
  o.n_pages = (o.n_keys + c->page_tokens - 1) / c->page_tokens;
  o.page_bytes = (size_t)(2 * c->page_tokens * row) * sizeof(bf16) + 64;
  o.q_stride = q_row + 2 * row;
  o.pages = allocate((size_t)o.n_pages * o.page_bytes);
  /* What no token owns is NaN: it must not be read into a result. */
  memset(o.pages, 0xff, (size_t)o.n_pages * o.page_bytes);
  o.q = allocate((size_t)(c->n_new * o.q_stride) * sizeof(bf16));
  memset(o.q, 0xff, (size_t)(c->n_new * o.q_stride) * sizeof(bf16));
  o.out = allocate((size_t)(c->n_new * q_row) * sizeof(bf16));
  o.q_plain = allocate((size_t)(c->n_new * q_row) * sizeof(float));
  o.want = allocate((size_t)(c->n_new * q_row) * sizeof(float));
  o.k_plain = allocate((size_t)(o.n_keys * row) * sizeof(float));
  o.v_plain = allocate((size_t)(o.n_keys * row) * sizeof(float));
  for (int64_t t = 0; t < o.n_keys; t++) {
    put_row(c, &o, t, row, 0);
    put_row(c, &o, t, row, 1);
  }
  for (int64_t i = 0; i < c->n_new; i++)
    tolerance_fill(q_row, (uint64_t)(1000000 + i), o.q + i * o.q_stride, o.q_plain + i * q_row);
  return o;
}

static void free_operands(struct operands *o) {
  free(o->pages);
  free(o->q);
  free(o->out);
  free(o->q_plain);
  free(o->k_plain);
  free(o->v_plain);
  free(o->want);
}

static void run_kernels(const struct attention_case *c, const struct operands *o, enum isa isa,
                        int threads) {
  struct attention attention;
  struct error error = {0};
  const struct attention_shape shape = {c->q_heads, c->kv_heads, c->head_dim};
  cr_assert_eq(attention_open(&attention, shape, c->n_new, isa, threads, NULL, &error), 0, "%s",
               error.message);
#if defined(__SANITIZE_THREAD__)
  attention.threads = 1; /* libgomp is not instrumented: its barriers would not be seen */
#endif
  const struct attention_view view = {o->pages, o->page_bytes, c->page_tokens,
                                      (int64_t)c->kv_heads * c->head_dim};
  attention_run(&attention, &view, c->n_past, c->n_new, o->q, o->q_stride, o->out);
  attention_close(&attention);
}

static const struct attention_case cases[] = {
    /* past, new, q heads, kv heads, dim, page tokens */
    {0, 1, 1, 1, 64, 16},       {0, 7, 8, 1, 64, 16},      {0, 8, 8, 1, 64, 16},
    {0, 9, 8, 1, 64, 16},       {0, 31, 2, 2, 64, 16},     {0, 32, 2, 2, 64, 32},
    {0, 33, 2, 2, 64, 64},      {0, 127, 4, 2, 128, 64},   {0, 128, 4, 2, 128, 64},
    {0, 129, 4, 2, 128, 64},    {128, 1, 8, 2, 128, 64},   {256, 33, 8, 2, 128, 64},
    {48, 100, 6, 3, 80, 16},    {30, 70, 4, 4, 80, 10},    {63, 65, 4, 1, 48, 7},
    {1000, 40, 8, 8, 64, 1000}, {17, 300, 12, 12, 64, 17}, {512, 200, 4, 1, 256, 256},
    {5, 50, 3, 1, 34, 5},       {4, 20, 2, 1, 2, 4},       {96, 600, 16, 4, 128, 32},
};

Test(attention, every_level_matches_the_reference) {
  const enum isa best = isa_best();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct attention_case *c = &cases[i];
    struct operands o = make_operands(c);
    const int64_t n = c->n_new * c->q_heads * c->head_dim;
    reference_attention(c->n_new, c->n_past, c->q_heads, c->kv_heads, c->head_dim, o.q_plain,
                        o.k_plain, o.v_plain, o.want);
    for (enum isa isa = ISA_PLAIN; isa <= best; isa++) {
      char name[64];
      (void)snprintf(name, sizeof name, "case %zu, %s", i, isa_name(isa));
      run_kernels(c, &o, isa, 2);
      cr_expect_eq(tolerance_count_wrong(name, n, o.out, o.want, TOLERANCE_ATTENTION), 0, "%s",
                   name);
    }
    free_operands(&o);
  }
}

/* Scores far apart: the largest key takes all, and nothing overflows. */
Test(attention, survives_scores_far_apart) {
  const struct attention_case c = {64, 64, 2, 1, 64, 64};
  struct operands o = make_operands(&c);
  for (int64_t i = 0; i < c.n_new * c.q_heads * c.head_dim; i++) o.q_plain[i] *= 4096.0F;
  for (int64_t i = 0; i < c.n_new; i++)
    for (int64_t j = 0; j < 128; j++)
      o.q[i * o.q_stride + j] = bf16_from_float(o.q_plain[i * 128 + j]);
  reference_attention(c.n_new, c.n_past, 2, 1, 64, o.q_plain, o.k_plain, o.v_plain, o.want);
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    run_kernels(&c, &o, isa, 2);
    cr_expect_eq(
        tolerance_count_wrong(isa_name(isa), c.n_new * 128, o.out, o.want, TOLERANCE_ATTENTION), 0);
  }
  free_operands(&o);
}

Test(attention, does_not_depend_on_threads_or_tiles) {
  const struct attention_case c = {128, 333, 8, 2, 128, 64};
  struct operands o = make_operands(&c);
  const size_t bytes = (size_t)(c.n_new * c.q_heads * c.head_dim) * sizeof(bf16);
  bf16 *first = allocate(bytes);
  for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
    run_kernels(&c, &o, isa, 1);
    memcpy(first, o.out, bytes);
    run_kernels(&c, &o, isa, 7); /* also smaller items */
    cr_expect_eq(memcmp(first, o.out, bytes), 0, "%s", isa_name(isa));
  }
  free(first);
  free_operands(&o);
}
