/*
 * The cuda device's state, shared by the files that make up the device:
 *
 *   device_cuda.c    opens, closes, begins runs, answers questions
 *   obtained.c       what was obtained, what was given up
 *   device_memory.c  everything on the GPU: buffers, weights, tables
 *   chunk.c          the steps of a layer
 *   forward.c        a layer, the head
 *   graphs.c         a layer as one CUDA graph
 *   trial.c          what has a lesser form is tried before it is relied on
 *   transfers.c      KV in and out
 *   check.c          what stands in the KV cache
 *   probe.c          parts timed alone
 *
 * Streams: `compute` for layers, `in` and `out` for copies each way, `check` for verification,
 * which may run while the others work. All are non-blocking: nothing ever uses the legacy stream.
 * Orders between streams are events of tickets.
 */
#ifndef REFILL_KERNELS_CUDA_CUDA_DEVICE_H
#define REFILL_KERNELS_CUDA_CUDA_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/crc_plan.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/graphs.h"
#include "kernels/cuda/launcher.h"
#include "kernels/cuda/memory_plan.h"
#include "kernels/cuda/nvml.h"
#include "kernels/cuda/pinned.h"
#include "kernels/cuda/tickets.h"
#include "kernels/device.h"
#include "kernels/weights.h"

/* Buffers on the GPU; 0 where a configuration has none. */
struct cuda_buffers {
  driver_pointer embedding, head; /* (V, d) bf16; the same where tied */
  driver_pointer norm_final;      /* (d) bf16 */
  driver_pointer residual;        /* (rows, d) bf16 */
  driver_pointer narrow, wide;    /* chunk's; see memory_plan.h */
  driver_pointer active, quantised;
  driver_pointer plain_kv; /* (2, positions, Hkv D) bf16: an FP8 cache as attention reads it */
  driver_pointer cosines, sines;        /* (positions, D / 2) float */
  driver_pointer tokens;                /* (tokens_max) int32 */
  driver_pointer hidden, logits, token; /* (d) float, (V) float, (1) int32 */
  driver_pointer crcs, factors;         /* (pages), (KERNEL_CRC_THREADS) */
  driver_pointer scales;                /* (GEMM_KINDS, 2) float */
  driver_pointer gemm_workspace, attention_workspace;
};

/* Small pinned host memory: what travels beside pages. */
struct cuda_small {
  int32_t *tokens; /* (tokens_max) */
  float *hidden;   /* (d) */
  int32_t *token;  /* (1) */
  uint32_t *crcs;  /* (pages) */
};

struct cuda {
  struct device device; /* first: what the pipeline sees */
  struct device_config config;
  struct gpu gpu;
  struct nvml nvml; /* optional */
  struct launcher launcher;
  struct gemm gemm;
  struct attention attention;
  struct graphs graphs;
  struct memory_plan plan;
  struct crc_plan crc;
  struct tickets tickets;
  driver_stream compute, in, out, check;
  pthread_mutex_t check_lock; /* reader and writer may both ask for CRCs */
  bool has_check_lock;

  driver_pointer *allocations; /* everything on the GPU, for freeing */
  int n_allocations, allocations_max;
  struct cuda_buffers buffers;
  driver_pointer *sets;  /* (weight_sets) */
  driver_pointer *slots; /* (kv_slots): K, then V at kv_half_bytes */
  struct pinned landing, leaving;
  struct pinned small_memory; /* pinned as long as the device is open */
  struct cuda_small small;
  double fp8_x_scale[GEMM_KINDS]; /* of activations: real = stored * scale */
  bool fp8_failed;                /* opening failed by what a bf16 device does not need */
  size_t described_bytes;         /* of info.description, before what pinning obtained */

  /* The run. */
  int64_t n_past, n_new;
  int64_t first_new_page, end_page;
  bool head_done;
  _Atomic device_ticket *computed, *left; /* (layers) tickets of this run, 0 before */
  atomic_int *owners; /* (kv_slots) latest layer whose past arrived there; -1: none */
};

static inline struct cuda *cuda_of(struct device *device) {
  return (struct cuda *)device;
}

/* K (and at plan.kv_half_bytes V) of a layer's slot. */
static inline driver_pointer cuda_slot(const struct cuda *cuda, int layer) {
  return cuda->slots[layer % cuda->plan.kv_slots];
}

/* ---- device_memory.c ---- */

/* Plans and allocates everything on the GPU, fills weights and tables. Needs open libraries. */
int cuda_memory_open(struct cuda *cuda, struct error *error);
void cuda_memory_close(struct cuda *cuda);

/* Registers landing and leaving buffers with CUDA, or gives them back, for device_cuda.c. */
void cuda_memory_pin(struct cuda *cuda, bool pinned);

/* What an FP8 weight is multiplied by before it is rounded to a code: the tensor's largest value
 * becomes E4M3's. */
float cuda_fp8_factor(const struct weight_stream *weights);

/* ---- forward.c ---- */

int cuda_prepare(struct cuda *cuda, int64_t n_new, int64_t n_past, struct error *error);
int cuda_forward_layer(struct device *device, int layer, const struct device_sequence *seqs,
                       int n_seqs, const device_ticket *after, int n_after, device_ticket *ticket,
                       struct error *error);
int cuda_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
              device_ticket *ticket, struct error *error);

/* What of a layer, and of the head, runs on the compute stream: for probe.c too. */
int cuda_run_chunks(struct cuda *cuda, int layer, int64_t n_new, int64_t n_past,
                    struct error *error);
int cuda_run_head(struct cuda *cuda, int64_t n_new, struct error *error);

/* ---- transfers.c ---- */

void *cuda_buffer(struct device *device, int layer, enum device_side side);
int cuda_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
               device_ticket *ticket, struct error *error);
int cuda_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                device_ticket *ticket, struct error *error);

/* Enqueues copies of pages between a pinned buffer, which holds `first_page` first, and a layer's
 * slot: as many strided copies as there are pieces. */
enum cuda_direction { CUDA_TO_DEVICE, CUDA_TO_HOST };
int cuda_copy_pages(struct cuda *cuda, enum cuda_direction direction, const struct pinned *pinned,
                    int buffer, int64_t buffer_page, driver_pointer slot, int64_t first_page,
                    int64_t n_pages, driver_stream stream, struct error *error);

/* ---- check.c ---- */

/* Overwrites a few bytes of the past, everywhere it may be found. */
int cuda_spoil(struct cuda *cuda, struct error *error);
int cuda_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                uint32_t *crcs, struct error *error);

/* ---- probe.c ---- */

int cuda_probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
               struct device_rate *rate, struct error *error);

/* ---- trial.c ---- */

/* FP8 GEMMs of this model's sizes against the same sums on the host. 0, or why FP8 cannot be
 * relied on here: -EBADMSG for wrong numbers, or the failing call's error. */
int cuda_trial_fp8(struct cuda *cuda, struct error *error);

/* cuDNN's attention beside the builtin one, which it is given up for where they differ or cuDNN
 * fails; with --attention cudnn that is an error. */
int cuda_trial_attention(struct cuda *cuda, struct error *error);

/* ---- obtained.c ---- */

/* Adds a sentence to info.degraded, once. */
void cuda_degrade(struct cuda *cuda, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills info and regions when all is open. What of it may still change is told again: attention,
 * since cuDNN may refuse a shape that comes later, and what is pinned, with the regions of the
 * buffers in use. */
void cuda_describe(struct cuda *cuda);
void cuda_tell_attention(struct cuda *cuda);
void cuda_tell_pinned(struct cuda *cuda);

/* ---- device_cuda.c ---- */

int cuda_check_layer(const struct cuda *cuda, int layer, struct error *error);

/* All that was enqueued is complete. */
int cuda_synchronise(struct cuda *cuda, struct error *error);

#endif
