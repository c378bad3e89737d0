/*
 * Memory, launches and comparisons for self-tests.
 */
#include "kernels/cuda/selftest_bed.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

#define SEED 20

static int check(struct bed *bed, driver_result result, const char *what) {
  if (!bed->failed) bed->failed = gpu_check(&bed->gpu, result, bed->error, "%s", what);
  return bed->failed;
}

int bed_open(struct bed *bed, const struct selftest *test, struct error *error) {
  *bed = (struct bed){.test = test, .error = error};
  bed->failed = gpu_open(&bed->gpu, test->index, NULL, error);
  if (!bed->failed)
    check(bed, bed->gpu.driver.stream_create(&bed->stream, DRIVER_STREAM_NON_BLOCKING),
          "cuStreamCreate(non-blocking)");
  if (!bed->failed) bed->failed = launcher_open(&bed->launcher, &bed->gpu, error);
  return bed->failed;
}

int bed_close(struct bed *bed) {
  struct driver *driver = &bed->gpu.driver;
  if (bed->gpu.retained) {
    for (int i = 0; i < bed->n_buffers; i++) (void)driver->memory_free(bed->buffers[i]);
    launcher_close(&bed->launcher);
    if (bed->stream) (void)driver->stream_destroy(bed->stream);
  }
  gpu_close(&bed->gpu);
  for (int i = 0; i < bed->n_host; i++) free(bed->host[i]);
  return bed->failed;
}

void *bed_host(struct bed *bed, size_t bytes) {
  void *memory = bed->n_host < BED_BUFFERS ? calloc(1, bytes) : NULL;
  assert(memory); /* a step is a process of its own, and small */
  bed->host[bed->n_host++] = memory;
  return memory;
}

void bed_random(struct bed *bed, size_t n, float scale, bf16 *bits, float *values) {
  for (size_t i = 0; i < n; i++) {
    bits[i] = bf16_from_float(scale * prng_symmetric(SEED, bed->drawn++));
    if (values) values[i] = bf16_to_float(bits[i]);
  }
}

/* ---- the GPU ---- */

static driver_pointer take(struct bed *bed, size_t bytes) {
  driver_pointer pointer = 0;
  assert(bed->n_buffers < BED_BUFFERS);
  if (bed->failed || check(bed, bed->gpu.driver.memory_alloc(&pointer, bytes), "cuMemAlloc()"))
    return 0;
  bed->buffers[bed->n_buffers++] = pointer;
  return pointer;
}

void bed_wait(struct bed *bed) {
  if (bed->failed) return;
  check(bed, bed->gpu.driver.stream_synchronize(bed->stream), "cuStreamSynchronize()");
}

driver_pointer bed_put(struct bed *bed, const void *data, size_t bytes) {
  driver_pointer pointer = take(bed, bytes);
  if (bed->failed) return 0;
  check(bed, bed->gpu.driver.copy_in(pointer, data, bytes, bed->stream), "cuMemcpyHtoDAsync()");
  bed_wait(bed);
  return pointer;
}

driver_pointer bed_room(struct bed *bed, size_t bytes) {
  driver_pointer pointer = take(bed, bytes);
  if (bed->failed) return 0;
  check(bed, bed->gpu.driver.fill(pointer, 0xff, bytes, bed->stream), "cuMemsetD8Async()");
  return pointer;
}

void bed_get(struct bed *bed, void *data, driver_pointer from, size_t bytes) {
  if (bed->failed) return;
  check(bed, bed->gpu.driver.copy_out(data, from, bytes, bed->stream), "cuMemcpyDtoHAsync()");
  bed_wait(bed);
}

void bed_launch(struct bed *bed, enum kernel kernel, int64_t grid_x, int64_t grid_y,
                const void *arguments) {
  if (bed->failed) return;
  bed->failed =
      launcher_run(&bed->launcher, kernel, grid_x, grid_y, arguments, bed->stream, bed->error);
  bed_wait(bed);
}

/* ---- comparisons ---- */

void bed_near(struct bed *bed, const char *what, size_t i, double got, double wanted,
              double absolute, double relative) {
  const double allowed = absolute + relative * fabs(wanted);
  const double off = fabs(got - wanted);
  if (bed->failed) return;
  if (off <= allowed) {
    if (allowed > 0 && off / allowed > bed->worst) bed->worst = off / allowed;
    return;
  }
  bed->failed = error_set(bed->error, -EBADMSG,
                          "%s: number %zu is %g and should be %g: %.2g is allowed between them",
                          what, i, got, wanted, allowed);
}

void bed_demand(struct bed *bed, int good, const char *what) {
  if (!bed->failed && !good) bed->failed = error_set(bed->error, -EBADMSG, "%s", what);
}

float bed_e4m3(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const float sign = code & 0x80 ? -1.0F : 1.0F;
  if ((code & 0x7f) == 0x7f) return NAN;
  if (exponent == 0) return sign * ldexpf((float)mantissa, -9);
  return sign * ldexpf((float)(8 + mantissa), exponent - 10);
}

void bed_check_bf16(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                    size_t n, double absolute, double relative) {
  bf16 *got = bed_host(bed, n * sizeof *got);
  bed_get(bed, got, at, n * sizeof *got);
  for (size_t i = 0; i < n && !bed->failed; i++)
    bed_near(bed, what, i, bf16_to_float(got[i]), wanted[i], absolute, relative);
}

void bed_check_float(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                     size_t n, double absolute, double relative) {
  float *got = bed_host(bed, n * sizeof *got);
  bed_get(bed, got, at, n * sizeof *got);
  for (size_t i = 0; i < n && !bed->failed; i++)
    bed_near(bed, what, i, got[i], wanted[i], absolute, relative);
}

/* Half a step of E4M3: 1/16 of a number, 2^-10 near zero; and the bf16 rounding before it. */
void bed_check_fp8(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                   size_t n, float scale) {
  uint8_t *got = bed_host(bed, n);
  bed_get(bed, got, at, n);
  for (size_t i = 0; i < n && !bed->failed; i++)
    bed_near(bed, what, i, bed_e4m3(got[i]), wanted[i] * scale, 0.001, 0.068);
}
