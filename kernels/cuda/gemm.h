/*
 * The four linear layers by cuBLASLt: Y (rows, n) = X (rows, k) W (n, k)^T,
 * plus Y's old value where the layer writes to the residual stream.
 *
 * A plan is for one kind of layer and one number of rows. It is made outside timed regions: up to
 * eight proposals of the heuristic are timed with the real operands and the fastest is kept; one
 * that does not run after all is passed over. One stream and one workspace: GEMMs of a device never
 * run beside each other.
 *
 * On an H100 (aiconfigurator h100_sxm, bf16, n = 10240, k = 8192): 812 TFLOPS at 1024 rows, 784 at
 * 4096, 746 at 8192. Llama-3-70B's four at 8192 rows are 1.71 GFLOP a token: 18.8 ms at 746 TFLOPS,
 * FP8 10.2 ms at 1378.
 */
#ifndef REFILL_KERNELS_CUDA_GEMM_H
#define REFILL_KERNELS_CUDA_GEMM_H

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/lt.h"
#include "kernels/device.h"

enum gemm_kind { GEMM_QKV, GEMM_OUT, GEMM_GATE_UP, GEMM_DOWN, GEMM_KINDS };

/* Row counts kept at once: the full chunk's, and a remainder of each point of a sweep. One that was
 * forgotten is chosen again, in up to a second, and may then be another algorithm. */
#define GEMM_PLANS_MAX 64
#define GEMM_CHOICES 8

struct gemm_plan {
  int64_t rows; /* 0: unused */
  uint64_t used;
  lt_layout b, d; /* of X and Y */
  struct lt_algorithm algorithm;
  uint32_t alignment; /* of every operand, at least */
  double seconds;     /* as timed when it was chosen; 0: it was only tried */
  int n_choices;
};

struct gemm_linear {
  int64_t n, k;
  bool accumulate;
  lt_desc desc;
  lt_layout a; /* of W */
  struct gemm_plan plans[GEMM_PLANS_MAX];
};

struct gemm {
  struct gpu *gpu;
  struct lt lt;
  driver_stream stream;
  driver_event start, end; /* of timing proposals */
  driver_pointer workspace;
  bool fp8;
  bool tune;
  uint64_t uses;
  struct gemm_linear linears[GEMM_KINDS];
};

/* Operands on the device. */
struct gemm_operands {
  driver_pointer weights; /* (n, k) */
  driver_pointer x;       /* (rows, k) */
  driver_pointer y;       /* (rows, n) bf16 */
};

/* What open() needs beyond the library: the kinds' sizes follow from `shape`. `scales` holds for
 * each kind two floats on the device, of W and of X (FP8 only): real = stored * scale. */
struct gemm_setup {
  const struct shape *shape;
  bool fp8, tune;
  driver_stream stream;
  driver_pointer workspace; /* GEMM_WORKSPACE_BYTES, 256-byte aligned */
  driver_pointer scales;    /* (GEMM_KINDS, 2) float */
};

/* Loads the library and makes a handle: before the rest of the memory is counted. */
int gemm_open(struct gemm *gemm, struct gpu *gpu, const char *directory, struct error *error);
/* -ENOTSUP where this GPU has no FP8. */
int gemm_check_fp8(const struct gpu *gpu, struct error *error);
int gemm_set_up(struct gemm *gemm, const struct gemm_setup *setup, struct error *error);
void gemm_close(struct gemm *gemm);

/* Rows that gemm_run() wants for `rows` tokens: padded to 16 for FP8. */
int64_t gemm_rows(const struct gemm *gemm, int64_t rows);

/* Makes the plan for gemm_rows(rows); overwrites y. Not for timed regions. */
int gemm_prepare(struct gemm *gemm, enum gemm_kind kind, int64_t rows,
                 const struct gemm_operands *operands, struct error *error);

/* Enqueues the GEMM; -EINVAL for rows that were not prepared. */
int gemm_run(struct gemm *gemm, enum gemm_kind kind, int64_t rows,
             const struct gemm_operands *operands, struct error *error);

/* "cuBLASLt 13.1.0, bf16, best of 8 timed" */
void gemm_describe(const struct gemm *gemm, char *text, size_t bytes);

#endif
