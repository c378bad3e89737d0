/*
 * What the virtual driver makes of memory that io_uring registers too: any order but the one that
 * every kernel takes is a finding. The rings are made by bare system calls, since what counts is
 * only what the kernel tells of them.
 */
#include <criterion/criterion.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernels/cuda/gpu.h"

#define BYTES ((size_t)64 << 10)
#define LAUNCH_FAILED 719

struct bench {
  struct gpu gpu;
  driver_stream stream;
  driver_pointer device;
  char *host; /* (BYTES) mapped */
  int ring;
};

static void open_bench(struct bench *bench) {
  struct io_uring_params params = {0};
  struct error error = {0};
  bench->ring = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (bench->ring < 0) cr_skip_test("no io_uring here");
  cr_assert_eq(setenv("VGPU_MEMORY", "64M", 1), 0);
  cr_assert_eq(gpu_open(&bench->gpu, "0", VGPU_LIBCUDA, &error), 0, "%s", error.message);
  struct driver *driver = &bench->gpu.driver;
  cr_assert_eq(driver->stream_create(&bench->stream, DRIVER_STREAM_NON_BLOCKING), 0);
  cr_assert_eq(driver->memory_alloc(&bench->device, BYTES), 0);
  bench->host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert_neq(bench->host, MAP_FAILED);
}

static void ring_register(struct bench *bench) {
  struct iovec vector = {bench->host, BYTES};
  long code = syscall(SYS_io_uring_register, bench->ring, IORING_REGISTER_BUFFERS, &vector, 1);
  if (code != 0) cr_skip_test("io_uring registers no buffers here");
}

static void ring_close(struct bench *bench) {
  cr_assert_eq(syscall(SYS_io_uring_register, bench->ring, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
  cr_assert_eq(close(bench->ring), 0);
}

static void copy(struct bench *bench) {
  struct driver *driver = &bench->gpu.driver;
  (void)driver->copy_in(bench->device, bench->host, BYTES, bench->stream);
}

static driver_result state_of(struct bench *bench) {
  return bench->gpu.driver.context_synchronize();
}

Test(ring, first_io_uring_then_cuda_and_back_is_right) {
  struct bench bench;
  open_bench(&bench);
  for (int i = 0; i < 2; i++) {
    ring_register(&bench);
    cr_expect_eq(bench.gpu.driver.host_register(bench.host, BYTES, 0), 0);
    copy(&bench);
    cr_expect_eq(bench.gpu.driver.host_unregister(bench.host), 0);
    cr_expect_eq(syscall(SYS_io_uring_register, bench.ring, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
  }
  cr_expect_eq(state_of(&bench), 0);
}

Test(ring, cuda_first_shows_at_the_first_copy) {
  struct bench bench;
  open_bench(&bench);
  cr_expect_eq(bench.gpu.driver.host_register(bench.host, BYTES, 0), 0);
  ring_register(&bench);
  cr_expect_eq(state_of(&bench), 0);
  copy(&bench);
  cr_expect_eq(state_of(&bench), LAUNCH_FAILED);
}

Test(ring, cuda_first_shows_when_it_is_given_back) {
  struct bench bench;
  open_bench(&bench);
  cr_expect_eq(bench.gpu.driver.host_register(bench.host, BYTES, 0), 0);
  ring_register(&bench);
  (void)bench.gpu.driver.host_unregister(bench.host);
  cr_expect_eq(state_of(&bench), LAUNCH_FAILED);
}

Test(ring, io_uring_must_not_give_up_first) {
  struct bench bench;
  open_bench(&bench);
  ring_register(&bench);
  cr_expect_eq(bench.gpu.driver.host_register(bench.host, BYTES, 0), 0);
  copy(&bench);
  ring_close(&bench);
  (void)bench.gpu.driver.host_unregister(bench.host);
  cr_expect_eq(state_of(&bench), LAUNCH_FAILED);
}

Test(ring, pointers_have_a_kind) {
  struct bench bench;
  open_bench(&bench);
  struct driver *driver = &bench.gpu.driver;
  const driver_pointer host = (driver_pointer)(uintptr_t)bench.host;
  unsigned kind = 0;
  cr_expect_eq(driver->pointer_get_attribute(&kind, DRIVER_POINTER_MEMORY_TYPE, host),
               DRIVER_INVALID_VALUE, "it is not known");
  cr_expect_eq(driver->host_register(bench.host, BYTES, 0), 0);
  cr_expect_eq(driver->pointer_get_attribute(&kind, DRIVER_POINTER_MEMORY_TYPE, host + BYTES - 1),
               0);
  cr_expect_eq(kind, DRIVER_MEMORY_HOST);
  cr_expect_eq(driver->pointer_get_attribute(&kind, DRIVER_POINTER_MEMORY_TYPE, bench.device), 0);
  cr_expect_eq(kind, DRIVER_MEMORY_DEVICE);
}
