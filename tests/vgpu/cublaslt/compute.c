/*
 * The multiplication itself: both operands as float rows of k, then dot products on all CPUs.
 *
 * A column of B (or C) that nobody wrote makes a column of D that nobody wrote: padding rows of the
 * tokens may hold anything, as long as nobody uses what comes of them.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/cublaslt/lt_state.h"
#include "tests/vgpu/ptx/number.h"

#define ROWS 4 /* of A at once: the sums of one alone would wait for each other */
#define LANES 8

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

struct product {
  const struct work *work;
  float *a, *b, *d; /* (m, k), (n, k), (n, m) */
  bool *b_written;  /* (n) */
  float scale;
  bool failed;
};

static float element(const unsigned char *bytes, int type, uint64_t at) {
  uint16_t half;
  float value;
  switch (type) {
  case LT_TYPE_BF16:
    memcpy(&half, bytes + 2 * at, 2);
    return float_of_bf16(half);
  case LT_TYPE_E4M3:
    return float_of_e4m3(bytes[at]);
  default:
    memcpy(&value, bytes + 4 * at, 4);
    return value;
  }
}

/* A row of k neighbours: what nearly all products are of. */
static void unpack_row(float *out, const unsigned char *bytes, int type, const float *of_e4m3,
                       uint64_t k) {
  for (uint64_t i = 0; i < k && type == LT_TYPE_BF16; i++) {
    uint16_t half;
    memcpy(&half, bytes + 2 * i, sizeof half);
    out[i] = float_of_bf16(half);
  }
  for (uint64_t i = 0; i < k && type == LT_TYPE_E4M3; i++) out[i] = of_e4m3[bytes[i]];
  if (type != LT_TYPE_BF16 && type != LT_TYPE_E4M3) memcpy(out, bytes, k * sizeof *out);
}

/* Rows of k: a transposed A and a plain B lie so already. */
static bool unpack(float *out, bool *written, uint64_t address, const struct layout *layout,
                   bool k_first, uint64_t rows, uint64_t k) {
  const unsigned char *bytes = vgpu_bytes(address);
  size_t each = type_bytes(layout->type);
  uint64_t step = (uint64_t)layout->leading;
  float of_e4m3[256];
  for (unsigned i = 0; i < 256; i++) of_e4m3[i] = float_of_e4m3((uint8_t)i);
  bool all = true;
  for (uint64_t row = 0; row < rows; row++) {
    bool good = !k_first || vgpu_written(address + row * step * each, k * each);
    if (k_first)
      unpack_row(out + row * k, bytes + row * step * each, layout->type, of_e4m3, k);
    else
      for (uint64_t i = 0; i < k; i++)
        out[row * k + i] = element(bytes, layout->type, row + i * step);
    if (written) written[row] = good;
    all = all && good;
  }
  return all;
}

static lanes load(const float *values) {
  lanes loaded;
  memcpy(&loaded, values, sizeof loaded);
  return loaded;
}

/* Dot products of `n` rows of x, at most ROWS, with y. The order of a row's sum does not depend on
 * n: a value stays the same to the bit wherever it lies. */
static inline void dots(const float *x, const float *y, uint64_t k, int n, float *out) {
  lanes sums[ROWS] = {0};
  uint64_t i = 0;
  for (; i + LANES <= k; i += LANES) {
    const lanes y_lanes = load(y + i);
    for (int row = 0; row < n; row++) sums[row] += load(x + (uint64_t)row * k + i) * y_lanes;
  }
  for (int row = 0; row < n; row++) {
    const lanes s = sums[row];
    out[row] = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    for (uint64_t j = i; j < k; j++) out[row] += x[(uint64_t)row * k + j] * y[j];
  }
}

/* The m dot products of a column. */
static void dots_of(const float *a, const float *b, uint64_t m, uint64_t k, float *out) {
  uint64_t row = 0;
  for (; row + ROWS <= m; row += ROWS) dots(a + row * k, b, k, ROWS, out + row);
  for (; row < m; row++) dots(a + row * k, b, k, 1, out + row);
}

static void columns(int64_t first, int64_t last, void *argument) {
  struct product *product = argument;
  const struct work *work = product->work;
  const struct problem *p = &work->problem;
  size_t c_each = type_bytes(p->c.type), d_each = type_bytes(p->d.type);
  for (uint64_t n = (uint64_t)first; n < (uint64_t)last; n++) {
    uint64_t c_at = n * (uint64_t)p->c.leading, d_at = n * (uint64_t)p->d.leading;
    bool written = product->b_written[n];
    if (work->beta != 0 && !vgpu_written(work->c + c_at * c_each, p->m * c_each)) written = false;
    float *values = product->d + n * p->m;
    dots_of(product->a, product->b + n * p->k, p->m, p->k, values);
    for (uint64_t m = 0; m < p->m; m++) {
      float value = work->alpha * product->scale * values[m];
      if (work->beta != 0) value += work->beta * element(vgpu_bytes(work->c), p->c.type, c_at + m);
      unsigned char *target = vgpu_bytes(work->d + (d_at + m) * d_each);
      uint16_t half = bf16_of_float(value, false);
      memcpy(target, p->d.type == LT_TYPE_BF16 ? (void *)&half : (void *)&value, d_each);
    }
    vgpu_mark(work->d + d_at * d_each, p->m * d_each, written);
  }
}

static float scale_of(uint64_t address) {
  if (address == 0) return 1.0F;
  const void *bytes = vgpu_read(address, sizeof(float));
  float scale = 1.0F;
  if (bytes) memcpy(&scale, bytes, sizeof scale);
  return scale;
}

/* A product that is wrong as a scale used twice would make it. */
static bool is_wrong(const struct problem *p) {
  const char *text = getenv("VGPU_WRONG");
  return text && strcmp(text, "fp8") == 0 && p->a.type == LT_TYPE_E4M3;
}

void run_matmul(void *argument) {
  const struct work *work = argument;
  const struct problem *p = &work->problem;
  if (vgpu_is_broken()) return;
  struct product product = {.work = work,
                            .a = malloc(p->m * p->k * sizeof(float)),
                            .b = malloc(p->n * p->k * sizeof(float)),
                            .d = malloc(p->m * p->n * sizeof(float)),
                            .b_written = malloc(p->n)};
  if (product.a && product.b && product.d && product.b_written) {
    product.scale = scale_of(p->desc.scale_a) * scale_of(p->desc.scale_b);
    if (is_wrong(p)) product.scale *= product.scale;
    if (!unpack(product.a, NULL, work->a, &p->a, p->desc.transpose_a != LT_OP_NONE, p->m, p->k))
      vgpu_finding("cublasLtMatmul: A is read where nobody wrote it");
    unpack(product.b, product.b_written, work->b, &p->b, p->desc.transpose_b == LT_OP_NONE, p->n,
           p->k);
    vgpu_parallel((int64_t)p->n, columns, &product);
  } else {
    vgpu_finding("cublasLtMatmul: no host memory");
  }
  free(product.a);
  free(product.b);
  free(product.d);
  free(product.b_written);
}
