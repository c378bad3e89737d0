/*
 * The steps of a GPU's check, in order of rising risk: from asking the driver to a whole layer.
 * Program and plugin read this one table; the program starts itself anew for each step, since a GPU
 * fault ends all that a process can do with the GPU.
 *
 *   X(identifier, name as typed, what it checks, a step that has to pass before; NONE: any may
 * fail)
 */
#ifndef REFILL_KERNELS_CUDA_STEPS_H
#define REFILL_KERNELS_CUDA_STEPS_H

#define CUDA_STEPS(X)                                                                              \
  X(DRIVER, "driver", "driver, context, kernel images", NONE)                                      \
  X(COPIES, "copies", "copies each way, with and without pinned memory", DRIVER)                   \
  X(WEIGHTS, "weights", "synthetic weights: bit for bit", COPIES)                                  \
  X(TOKENS, "tokens", "embedding, LM head, argmax", COPIES)                                        \
  X(NORM, "norm", "RMSNorm in bf16, FP8, float", COPIES)                                           \
  X(ROPE, "rope", "rotary embedding and KV scatter", COPIES)                                       \
  X(SWIGLU, "swiglu", "SwiGLU in bf16 and FP8", COPIES)                                            \
  X(CONVERT, "convert", "bf16 to FP8 and back", COPIES)                                            \
  X(PAGES, "pages", "CRC32C of KV pages, spoiling", COPIES)                                        \
  X(ATTENTION, "attention", "builtin attention, heads of 64 and 128", COPIES)                      \
  X(GEMM, "gemm", "cuBLASLt in bf16 against the reference", COPIES)                                \
  X(GEMM_FP8, "gemm-fp8", "cuBLASLt in FP8 against the reference", COPIES)                         \
  X(CUDNN, "cudnn", "cuDNN's attention against the builtin one", ATTENTION)                        \
  X(LAYER, "layer", "two layers and the head against the reference", GEMM)                         \
  X(LAYER_FP8, "layer-fp8", "the same in FP8, with the cache in FP8", GEMM_FP8)                    \
  X(GRAPHS, "graphs", "the layers as CUDA graphs", LAYER)

enum cuda_step {
#define STEP_ID(id, name, what, needs) CUDA_STEP_##id,
  CUDA_STEPS(STEP_ID)
#undef STEP_ID
      CUDA_STEPS_N,
  CUDA_STEP_NONE = -1
};

#endif
