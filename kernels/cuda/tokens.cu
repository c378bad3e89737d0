/*
 * The two ends of a run: embedding rows in, logits and their largest out.
 */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/numbers.cuh"

/* Reads and writes 2 d bytes a token: at n 8192, d 8192 268 MB, 0.09 ms at 85% of 3.35 TB/s. */
extern "C" __global__ void __launch_bounds__(KERNEL_THREADS)
    refill_embed(const __grid_constant__ kernel_embed a) {
  const int64_t vectors = a.width / KERNEL_VECTOR;
  const int64_t from = (int64_t)a.tokens[blockIdx.x] * vectors;
  const int64_t to = (int64_t)blockIdx.x * vectors;
  const bf16x8 *table = static_cast<const bf16x8 *>(a.table);
  bf16x8 *out = static_cast<bf16x8 *>(a.out);
  for (int64_t i = threadIdx.x; i < vectors; i += KERNEL_THREADS) out[to + i] = table[from + i];
}

/* A warp a row; the state stays in the L1 cache. Reads 2 V d bytes: at V 128256, d 8192 2.1 GB,
 * 0.74 ms at 85% of 3.35 TB/s. */
extern "C" __global__ void __launch_bounds__(KERNEL_THREADS)
    refill_head(const __grid_constant__ kernel_head a) {
  const int64_t row = (int64_t)blockIdx.x * KERNEL_HEAD_ROWS + threadIdx.x / 32;
  if (row >= a.rows) return;
  const int64_t vectors = a.width / KERNEL_VECTOR;
  float sum = 0.0f;
  for (int64_t i = threadIdx.x % 32; i < vectors; i += 32) {
    float weights[8], state[8];
    load8(a.table, row * vectors + i, weights);
    load8_float(a.hidden, i, state);
#pragma unroll
    for (int j = 0; j < 8; j++) sum += weights[j] * state[j];
  }
  /* Whole warps leave above, and within one every lane comes here. */
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) a.logits[row] = sum;
}

/* The larger of two candidates, the lower index where they are equal. */
DEVICE void take_better(float &best, int32_t &index, float other, int32_t other_index) {
  if (other > best || (other == best && other_index < index)) {
    best = other;
    index = other_index;
  }
}

DEVICE void warp_best(float &best, int32_t &index) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, best, distance);
    const int32_t other_index = __shfl_xor_sync(0xffffffffu, index, distance);
    take_better(best, index, other, other_index);
  }
}

/* One block: 4 V bytes from the L2 cache, where refill_head left them: about 15 us at V 128256. */
extern "C" __global__ void __launch_bounds__(KERNEL_ARGMAX_THREADS)
    refill_argmax(const __grid_constant__ kernel_argmax a) {
  __shared__ float bests[32];
  __shared__ int32_t indices[32];
  float best = -INFINITY;
  int32_t index = 0x7fffffff;
  for (int64_t i = threadIdx.x; i < a.rows; i += KERNEL_ARGMAX_THREADS) {
    take_better(best, index, a.logits[i], (int32_t)i);
  }
  warp_best(best, index);
  if (threadIdx.x % 32 == 0) {
    bests[threadIdx.x / 32] = best;
    indices[threadIdx.x / 32] = index;
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  best = bests[threadIdx.x];
  index = indices[threadIdx.x];
  warp_best(best, index);
  if (threadIdx.x == 0) *a.token = index == 0x7fffffff ? 0 : index;
}
