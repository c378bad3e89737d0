/*
 * All inline PTX of the project, one instruction a function. What a compiler
 * cannot check is gathered here: operand order, state spaces and fragment layouts are
 * checked by tests that execute this very PTX.
 */
#ifndef REFILL_KERNELS_CUDA_PTX_CUH
#define REFILL_KERNELS_CUDA_PTX_CUH

#include <stdint.h>

#define PTX static __device__ __forceinline__

/* A generic address of shared memory as the 32-bit address that the instructions below take. */
PTX uint32_t shared_address(const void *pointer) {
  return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* Copies 16 bytes from global to shared memory behind the thread's back; of these the first
 * `bytes` (0 or 16) are read, the rest is zero. Complete after copy_commit() and copy_wait(). */
PTX void copy_async(uint32_t shared, const void *global, uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(bytes)
               : "memory");
}

PTX void copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits until at most `pending` of this thread's newest groups are under way. */
template <int pending> PTX void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

/* Four 8 x 8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8 and
 * receives elements (l / 4, 2 (l % 4)) and the next of each. */
PTX void load_matrices(uint32_t (&out)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared)
               : "memory");
}

/* The same, each matrix transposed. */
PTX void load_matrices_transposed(uint32_t (&out)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared)
               : "memory");
}

/* c (16 x 8 float) += a (16 x 16 bf16, row major) * b (16 x 8 bf16, column major). Lane l holds of
 * c rows l / 4 (c[0], c[1]) and l / 4 + 8 (c[2], c[3]), columns 2 (l % 4) and the next. */
PTX void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Two floats to bf16, nearest even; `low` in the lower half. */
PTX uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/* Two floats to E4M3, nearest even, saturating at 448; `low` in the lower byte. sm_89 and later. */
PTX uint32_t pack_e4m3_native(float low, float high) {
  uint16_t packed;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(high), "f"(low));
  return packed;
}

/* 2^x, to about 2 units in the last place. */
PTX float power_of_two(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

#endif
