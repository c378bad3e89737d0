/*
 * Ground for self-tests: a GPU, its kernels, one stream, and memory that is freed at the end.
 *
 * The first failure sticks: every later call does nothing, so that a test reads as what it does and
 * asks once, at its end. Buffers for results are filled with 0xff, which is not a number in any of
 * our formats: what a kernel forgets to write is seen.
 */
#ifndef REFILL_KERNELS_CUDA_SELFTEST_BED_H
#define REFILL_KERNELS_CUDA_SELFTEST_BED_H

#include "kernels/cuda/launcher.h"
#include "kernels/cuda/selftest.h"

#define BED_BUFFERS 64

struct bed {
  const struct selftest *test;
  struct gpu gpu;
  struct launcher launcher;
  driver_stream stream;
  driver_pointer buffers[BED_BUFFERS];
  int n_buffers;
  void *host[BED_BUFFERS]; /* malloc'ed, freed at the end */
  int n_host;
  uint64_t drawn; /* random numbers so far */
  int failed;
  struct error *error;
  double worst; /* share of its tolerance that the worst number used */
};

/* bed_close() frees in every case and returns the first failure. */
int bed_open(struct bed *bed, const struct selftest *test, struct error *error);
int bed_close(struct bed *bed);

/* Host memory, zeroed; never NULL, as the process ends without it. */
void *bed_host(struct bed *bed, size_t bytes);

/* n numbers in [-scale, scale) as bf16 in `bits`, and their values in `values`. */
void bed_random(struct bed *bed, size_t n, float scale, bf16 *bits, float *values);

driver_pointer bed_put(struct bed *bed, const void *data, size_t bytes);
driver_pointer bed_room(struct bed *bed, size_t bytes);
void bed_get(struct bed *bed, void *data, driver_pointer from, size_t bytes);
void bed_launch(struct bed *bed, enum kernel kernel, int64_t grid_x, int64_t grid_y,
                const void *arguments);
void bed_wait(struct bed *bed);

/* Fails unless |got - wanted| <= absolute + relative |wanted|; not-a-number never is. */
void bed_near(struct bed *bed, const char *what, size_t i, double got, double wanted,
              double absolute, double relative);

/* Fails with -EBADMSG unless `good`. */
void bed_demand(struct bed *bed, int good, const char *what);

/* What a code of E4M3 is worth. */
float bed_e4m3(uint8_t code);

/* Reads n results and holds them against `wanted`; FP8 codes are worth `scale` times less. */
void bed_check_bf16(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                    size_t n, double absolute, double relative);
void bed_check_float(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                     size_t n, double absolute, double relative);
void bed_check_fp8(struct bed *bed, const char *what, driver_pointer at, const float *wanted,
                   size_t n, float scale);

/* ---- the steps ---- */

void selftest_weights(struct bed *bed);
void selftest_tokens(struct bed *bed);
void selftest_norm(struct bed *bed);
void selftest_rope(struct bed *bed);
void selftest_swiglu(struct bed *bed);
void selftest_convert(struct bed *bed);
void selftest_pages(struct bed *bed);
void selftest_attention(struct bed *bed);
void selftest_gemm(struct bed *bed);
void selftest_gemm_fp8(struct bed *bed);
void selftest_cudnn(struct bed *bed);

/* selftest_layer.c: opens the device itself; writes to found[bytes]. */
int selftest_layer(const struct selftest *test, enum element element, enum device_graphs graphs,
                   char *found, size_t bytes, struct error *error);

#endif
