/*
 * One step of the GPU's check: finds it, runs it, says what was found.
 */
#include "kernels/cuda/selftest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/pinned.h"
#include "kernels/cuda/selftest_bed.h"

#define COPY_BYTES ((size_t)3 << 20) /* more than one huge page, so not one piece for the host */
#define PITCH_BYTES ((size_t)4096)

/* Host to device, within it, and back; then rows of 512 bytes out of every 4096. */
static void copy_around(struct bed *bed, uint8_t *from, uint8_t *to) {
  struct driver *driver = &bed->gpu.driver;
  for (size_t i = 0; i < COPY_BYTES; i++) from[i] = (uint8_t)(i * 7 + i / 255);
  memset(to, 0, COPY_BYTES);
  const driver_pointer a = bed_room(bed, COPY_BYTES), b = bed_room(bed, COPY_BYTES);
  if (bed->failed) return;
  driver_result result = driver->copy_in(a, from, COPY_BYTES, bed->stream);
  if (!result) result = driver->copy_within(b, a, COPY_BYTES, bed->stream);
  if (!result) result = driver->copy_out(to, b, COPY_BYTES, bed->stream);
  bed->failed = gpu_check(&bed->gpu, result, bed->error, "a copy of %zu bytes", COPY_BYTES);
  bed_wait(bed);
  bed_demand(bed, memcmp(from, to, COPY_BYTES) == 0, "copied bytes are not what was sent");
}

static void copies(struct bed *bed, char *found, size_t bytes) {
  uint8_t *from = bed_host(bed, COPY_BYTES), *to = bed_host(bed, COPY_BYTES);
  struct pinned pinned = {0};
  copy_around(bed, from, to);
  if (bed->failed) return;
  bed->failed = pinned_open(&pinned, &bed->gpu, COPY_BYTES, 2, PITCH_BYTES, NULL, bed->error);
  if (!bed->failed) pinned_register(&pinned);
  if (!bed->failed) copy_around(bed, pinned_at(&pinned, 0), pinned_at(&pinned, 1));
  snprintf(found, bytes, "3 MiB each way; memory can %sbe pinned%s%.150s",
           pinned.refused[0] ? "NOT " : "", pinned.refused[0] ? ": " : "", pinned.refused);
  pinned_close(&pinned);
}

static void describe(const struct bed *bed, char *found, size_t bytes) {
  const struct gpu *gpu = &bed->gpu;
  snprintf(found, bytes, "%s, compute %d.%d, %d SMs, driver %d.%d, %s kernels%s%.150s", gpu->name,
           gpu->major, gpu->minor, gpu->multiprocessors, gpu->driver.version / 1000,
           gpu->driver.version % 1000 / 10, image_form_name(bed->launcher.form),
           bed->launcher.refused[0] ? ", better ones refused: " : "", bed->launcher.refused);
}

static void (*const steps[CUDA_STEPS_N])(struct bed *bed) = {
    [CUDA_STEP_WEIGHTS] = selftest_weights, [CUDA_STEP_TOKENS] = selftest_tokens,
    [CUDA_STEP_NORM] = selftest_norm,       [CUDA_STEP_ROPE] = selftest_rope,
    [CUDA_STEP_SWIGLU] = selftest_swiglu,   [CUDA_STEP_CONVERT] = selftest_convert,
    [CUDA_STEP_PAGES] = selftest_pages,     [CUDA_STEP_ATTENTION] = selftest_attention,
    [CUDA_STEP_GEMM] = selftest_gemm,       [CUDA_STEP_GEMM_FP8] = selftest_gemm_fp8,
    [CUDA_STEP_CUDNN] = selftest_cudnn,
};

int selftest_run(const struct selftest *test, enum cuda_step step, char *found, size_t bytes,
                 struct error *error) {
  struct bed bed;
  found[0] = '\0';
  if (step == CUDA_STEP_LAYER || step == CUDA_STEP_GRAPHS || step == CUDA_STEP_LAYER_FP8)
    return selftest_layer(test, step == CUDA_STEP_LAYER_FP8 ? ELEMENT_FP8_E4M3 : ELEMENT_BF16,
                          step == CUDA_STEP_GRAPHS ? DEVICE_GRAPHS_ON : DEVICE_GRAPHS_OFF, found,
                          bytes, error);
  if (step < 0 || step >= CUDA_STEPS_N)
    return error_set(error, -EINVAL, "the plugin has no step %d", (int)step);
  if (bed_open(&bed, test, error) == 0) {
    if (step == CUDA_STEP_DRIVER)
      describe(&bed, found, bytes);
    else if (step == CUDA_STEP_COPIES)
      copies(&bed, found, bytes);
    else
      steps[step](&bed);
    if (!found[0] && !bed.failed)
      snprintf(found, bytes, "the worst number used %.0f%% of its tolerance", 100 * bed.worst);
  }
  return bed_close(&bed);
}
