/* How the driver's answers become errors, and what they tell of earlier work. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "kernels/cuda/gpu.h"

static driver_result name_of(driver_result result, const char **name) {
  *name = result == DRIVER_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
                                         : "CUDA_ERROR_ILLEGAL_ADDRESS";
  return DRIVER_SUCCESS;
}

static void make(struct gpu *gpu) {
  *gpu = (struct gpu){.driver = {.get_error_name = name_of}};
  cr_assert_eq(pthread_mutex_init(&gpu->lock, NULL), 0);
}

Test(cuda_gpu, success_and_not_ready_are_no_errors) {
  struct gpu gpu;
  struct error error = {0};
  make(&gpu);
  cr_expect_eq(gpu_check(&gpu, DRIVER_SUCCESS, &error, "a"), 0);
  cr_expect_eq(gpu_check(&gpu, DRIVER_NOT_READY, &error, "b"), -EAGAIN);
  cr_expect_eq(error.code, 0);
  pthread_mutex_destroy(&gpu.lock);
}

Test(cuda_gpu, a_refused_call_is_named_with_its_arguments) {
  struct gpu gpu;
  struct error error = {0};
  make(&gpu);
  cr_expect_eq(gpu_check(&gpu, DRIVER_OUT_OF_MEMORY, &error, "cuMemAlloc(%d bytes)", 42), -ENOMEM);
  cr_expect_not_null(strstr(error.message, "cuMemAlloc(42 bytes): CUDA_ERROR_OUT_OF_MEMORY (2)"),
                     "%s", error.message);
  cr_expect_null(strstr(error.message, "enqueued before"), "%s", error.message);
  pthread_mutex_destroy(&gpu.lock);
}

Test(cuda_gpu, a_fault_lists_what_was_enqueued_newest_first) {
  struct gpu gpu;
  struct error error = {0};
  make(&gpu);
  for (int i = 0; i < 20; i++) (void)gpu_check(&gpu, DRIVER_SUCCESS, NULL, "operation %d", i);
  gpu_note(&gpu, "a library's");
  cr_expect_eq(gpu_check(&gpu, 700, &error, "cuEventQuery(ticket 3)"), -EIO);
  cr_expect_not_null(strstr(error.message, "newest first: a library's; operation 19; operation 18"),
                     "%s", error.message);
  pthread_mutex_destroy(&gpu.lock);
}

/* A device that goes on without what was refused meets the same fault at its next call. */
Test(cuda_gpu, a_call_that_failed_is_listed_by_the_next) {
  struct gpu gpu;
  struct error error = {0};
  make(&gpu);
  (void)gpu_check(&gpu, 700, NULL, "cuMemHostRegister(4096 bytes)");
  (void)gpu_check(&gpu, DRIVER_NOT_READY, NULL, "cuEventQuery(ticket 3)");
  cr_expect_eq(gpu_check(&gpu, 700, &error, "cuCtxSynchronize()"), -EIO);
  cr_expect_not_null(strstr(error.message, "cuCtxSynchronize(): CUDA_ERROR_ILLEGAL_ADDRESS (700); "
                                           "enqueued before, newest first: cuMemHostRegister(4096 "
                                           "bytes): CUDA_ERROR_ILLEGAL_ADDRESS"),
                     "%s", error.message);
  pthread_mutex_destroy(&gpu.lock);
}
