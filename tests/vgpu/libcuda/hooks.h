/*
 * What the library stand-ins (cuBLASLt, cuDNN) need of the virtual driver: they link to this
 * libcuda.so.1, which is already in the process. Nothing of this exists in the real one.
 */
#ifndef REFILL_TESTS_VGPU_HOOKS_H
#define REFILL_TESTS_VGPU_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/driver_types.h"

#pragma GCC visibility push(default)

/* Whether the calling thread has the primary context. */
bool vgpu_has_context(void);

/* Whether an asynchronous error has ended the context: libraries then only return errors. */
bool vgpu_is_broken(void);

/* Whether [address, address + bytes) is inside one allocation of device memory. */
bool vgpu_is_device(uint64_t address, size_t bytes);

/* Whether the stream exists, and whether what it is given goes into a graph. */
bool vgpu_is_stream(driver_stream stream);
bool vgpu_is_capturing(driver_stream stream);

/* Device memory for a library's work on a stream: its bytes, after checking that they were
 * written (reads) or marking them written (writes). NULL after a finding. Only from work that
 * runs on a stream. */
const void *vgpu_read(uint64_t address, size_t bytes);
void *vgpu_write(uint64_t address, size_t bytes);

/* The same without checks and marks, for those who follow single elements: whether all bytes were
 * written; where they are; back to never written. */
bool vgpu_written(uint64_t address, size_t bytes);
void *vgpu_bytes(uint64_t address);
void vgpu_mark(uint64_t address, size_t bytes, bool written);

/* Enqueues work: `run` is called in stream order with a copy of `argument`. Returns 0 or the
 * driver's error. */
int vgpu_enqueue(driver_stream stream, void (*run)(void *argument), const void *argument,
                 size_t bytes);

/* Something that the real library would refuse, or that works by luck: printed, and it makes the
 * context fail unless VGPU_FINDINGS=warn. */
void vgpu_finding(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether this call, named "cublasLtMatmul", is the one that VGPU_FAIL picks; the code to fail
 * with in *code. */
bool vgpu_fails(const char *name, int *code);

/* Runs body(first, last, argument) over [0, n) on the CPUs there are. */
void vgpu_parallel(int64_t n, void (*body)(int64_t first, int64_t last, void *argument),
                   void *argument);

#pragma GCC visibility pop

#endif
